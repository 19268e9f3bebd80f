package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// An Effect is what a rule or a decision does with a request.
type Effect uint8

const (
	Deny Effect = iota
	Allow
)

// String returns "deny" or "allow".
func (e Effect) String() string {
	if e == Allow {
		return "allow"
	}
	return "deny"
}

// maxRuleName is the longest name of a rule, in characters.
const maxRuleName = 128

// A Rule is one rule as written. It must not be changed.
type Rule struct {
	Name   string
	Effect Effect
	// Answer is the answer that an allow names, NoAnswer for the application's.
	Answer Answer
	// ReportOnly tells that the rule does not count.
	ReportOnly bool
	// Expires is the second from which an allow no longer matches, zero for never.
	Expires time.Time
	// Owner answers for the rule; it may be empty.
	Owner string
	// File and Line are where the rule stands.
	File string
	Line int

	at       place
	answerAt place
	clauses  []clause
}

// A clause is one key of a match with its values.
type clause struct {
	key     matchKey
	negated bool
	values  []named
}

// readRules reads the key of that name.
func (l *loader) readRules(r *reader, n *yaml.Node) {
	for _, c := range r.list(n, "a list of rules") {
		rule := r.rule(c)
		if rule == nil {
			continue
		}
		l.set.rules = append(l.set.rules, rule)
		switch old := l.ruleNames[rule.Name]; {
		case rule.Name == "":
		case old != nil:
			r.failAt(rule.at.line, rule.at.column, "rule %q is defined already at %s:%d", rule.Name, old.File, old.Line)
		default:
			l.ruleNames[rule.Name] = rule
		}
	}
}

// rule reads one rule, or returns nil for what is no mapping.
func (r *reader) rule(n *yaml.Node) *Rule {
	fields := r.fields(n, inRule, "a rule: a mapping with name, match, and allow or deny")
	if fields == nil {
		return nil
	}
	rule := &Rule{File: r.file, Line: n.Line, at: r.at(n)}
	if f, ok := fields["name"]; ok {
		rule.at = r.at(f.value)
		if rule.Name, _ = r.text(f.value, "a rule name"); utf8.RuneCountInString(rule.Name) > maxRuleName {
			r.fail(f.value, "a rule name has at most %d characters", maxRuleName)
		}
	} else {
		r.fail(n, "a rule needs a name")
	}
	if f, ok := fields["owner"]; ok {
		rule.Owner, _ = r.text(f.value, "an owner")
	}
	if f, ok := fields["mode"]; ok {
		mode, _ := r.word(f.value, "enforce", "report-only")
		rule.ReportOnly = mode == "report-only"
	}
	r.effect(n, fields, rule)
	if f, ok := fields["match"]; ok {
		rule.clauses = r.match(f.value)
	} else {
		r.fail(n, "a rule needs a match; for every request say match: everyone")
	}
	return rule
}

// effect reads allow or deny, and what goes with it.
func (r *reader) effect(n *yaml.Node, fields map[string]field, rule *Rule) {
	allow, allows := fields["allow"]
	deny, denies := fields["deny"]
	switch {
	case allows && denies:
		r.fail(deny.key, "a rule does one thing: allow or deny")
	case denies:
		r.fields(deny.value, inDeny, "an empty mapping: {}")
	case allows:
		rule.Effect = Allow
		if f, ok := r.fields(allow.value, inAllow, "a mapping, which may be empty: {}")["answer"]; ok {
			rule.Answer, rule.answerAt = r.answer(f.value), r.at(f.value)
		}
	default:
		r.fail(n, "a rule needs allow or deny")
	}
	if f, ok := fields["expires"]; ok {
		rule.Expires = r.instant(f.value)
		if denies {
			r.fail(f.key, "a deny does not expire: what ends by itself must be an opening")
		}
	}
}

// instant reads a date, which is its midnight in UTC, or a time.
func (r *reader) instant(n *yaml.Node) time.Time {
	const want = "want a date such as 2027-02-01 or a time such as 2027-02-01T18:00:00Z, got %s"
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!timestamp" {
		if n.Kind != yaml.AliasNode {
			r.fail(n, want, kind(n))
		}
		return time.Time{}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, n.Value); err == nil {
			return t.UTC()
		}
	}
	r.fail(n, "want a date such as 2027-02-01 or a time such as 2027-02-01T18:00:00Z, got %q", n.Value)
	return time.Time{}
}

// match reads the conditions of a rule. Everyone has none.
func (r *reader) match(n *yaml.Node) []clause {
	if n.Kind == yaml.ScalarNode {
		if n.ShortTag() == "!!null" {
			r.fail(n, "an empty match: for every request say match: everyone")
		} else {
			r.word(n, "conditions", "everyone")
		}
		return nil
	}
	fields := r.fields(n, inMatch, "conditions or everyone")
	if fields != nil && len(n.Content) == 0 {
		r.fail(n, "an empty match: for every request say match: everyone")
	}
	clauses := r.conditions(fields, false)
	if f, ok := fields[inNot]; ok {
		negated := r.fields(f.value, inNot, "a mapping of conditions")
		if negated != nil && len(f.value.Content) == 0 {
			r.fail(f.value, "an empty not: want conditions")
		}
		clauses = append(clauses, r.conditions(negated, true)...)
	}
	return clauses
}

func (r *reader) conditions(fields map[string]field, negated bool) []clause {
	var all []clause
	for k := range numMatchKeys {
		f, ok := fields[matchKeys[k].Name]
		if !ok {
			continue
		}
		if k.aboutUser() && !r.vocabulary.Directory {
			r.fail(f.key, "%s needs a directory, and none is configured", matchKeys[k].Name)
		}
		read := func(n *yaml.Node) (string, bool) { return r.conditionValue(k, n) }
		all = append(all, clause{k, negated, r.texts(f.value, "a list of "+matchKeys[k].Name, "value", read)})
	}
	return all
}

// conditionValue reads one of the alternatives of a condition, in the form in
// which it is compared.
func (r *reader) conditionValue(k matchKey, n *yaml.Node) (string, bool) {
	switch k {
	case users:
		return r.userName(n)
	case groups, domains:
		s, ok := r.text(n, "a name")
		if strings.Contains(s, "*") {
			r.fail(n, "%q: * has no meaning in %s", s, matchKeys[k].Name)
		}
		return fold(s), ok
	case networks:
		return r.name(n, "a network name")
	case applications:
		return r.name(n, "an application name")
	case versions:
		return r.word(n, "1.2", "1.3")
	}
	s, ok := r.text(n, "a path")
	if ok && !slices.Contains(r.vocabulary.Endpoints, s) {
		r.fail(n, "endpoint %q is not published%s", s, didYouMean(s, r.vocabulary.Endpoints))
	}
	return s, ok
}

// userName reads a user name of one of the two forms that the directory has,
// or a pattern.
func (r *reader) userName(n *yaml.Node) (string, bool) {
	s, ok := r.text(n, `a user name: user@domain or DOMAIN\user`)
	if !ok {
		return "", false
	}
	rest := strings.TrimSuffix(s, "*")
	if rest == s {
		rest = strings.TrimPrefix(s, "*")
	}
	switch {
	case rest == "":
		r.fail(n, `"*" names every user: leave users out`)
	case strings.Contains(rest, "*"):
		r.fail(n, "%q: one * is possible, at the beginning or the end", s)
	case rest == s && strings.Count(s, "@")+strings.Count(s, `\`) == 0:
		r.fail(n, `%q is neither user@domain nor DOMAIN\user`, s)
	}
	return fold(s), true
}

// fold brings names that are compared without case to one form.
func fold(s string) string { return string(appendFolded(nil, s)) }

// resolve looks up the names of networks and applications that rules mention.
func (l *loader) resolve() {
	applicationNames := slices.Sorted(maps.Keys(l.applications))
	networkNames := slices.Sorted(maps.Keys(l.set.networks))
	for _, rule := range l.set.rules {
		for _, c := range rule.clauses {
			for _, v := range c.values {
				switch {
				case c.key == networks && l.set.networks[v.text] != nil:
					l.set.networks[v.text].used = true
				case c.key == networks:
					l.unknown(v, "network", networkNames)
				case c.key == applications && l.applications[v.text] == nil:
					l.unknown(v, "application", applicationNames)
				}
			}
		}
		l.issueForAny(rule)
	}
}

func (l *loader) unknown(v named, what string, known []string) {
	r := &reader{file: v.at.file, errs: &l.errs}
	r.failAt(v.at.line, v.at.column, "unknown %s %q%s", what, v.text, didYouMean(v.text, known))
}

func didYouMean(s string, known []string) string {
	if near := nearest(s, known); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ""
}

// issueForAny refuses an allow that would issue tokens for the application
// of all realms: for whatever audience a client names.
func (l *loader) issueForAny(rule *Rule) {
	rest := l.realms[AnyRealm]
	if rest == nil || rule.Answer != Issue || !rule.covers(rest.Name) {
		return
	}
	r := &reader{file: rule.answerAt.file, errs: &l.errs}
	r.failAt(rule.answerAt.line, rule.answerAt.column,
		`application %q has the realm "*" and can only forward: exclude it with not: {applications: [%s]}`, rest.Name, rest.Name)
}

// covers tells that no condition on the application excludes it.
func (rule *Rule) covers(application string) bool {
	for _, c := range rule.clauses {
		if c.key != applications {
			continue
		}
		named := slices.ContainsFunc(c.values, func(v named) bool { return v.text == application })
		if named == c.negated {
			return false
		}
	}
	return true
}
