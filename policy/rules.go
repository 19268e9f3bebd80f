package policy

import (
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// An Effect is what a rule or a decision does with a request.
type Effect uint8

const (
	Deny Effect = iota
	Allow
	Require // of rules only
)

var effectNames = [...]string{Deny: "deny", Allow: "allow", Require: "require"}

// String returns "deny", "allow" or "require".
func (e Effect) String() string { return effectNames[e] }

// maxRuleName is the longest name of a rule, in characters.
const maxRuleName = 128

// A Rule is one rule as written. It must not be changed.
type Rule struct {
	Name   string
	Effect Effect
	// Answer is the answer that an allow names, NoAnswer for the application's.
	Answer Answer
	// MFA is the second factor that a require asks for, or nil.
	MFA *MFA
	// Limit are the caps that a require sets.
	Limit Limit
	// Exceptions are the requests to which a deny or a require does not apply.
	Exceptions []*Exception
	// ReportOnly tells that the rule does not count.
	ReportOnly bool
	// Expires is the second from which an allow no longer matches, zero for never.
	Expires time.Time
	// Owner answers for the rule; it may be empty.
	Owner string
	// File and Line are where the rule stands: File is below Vocabulary.Dir.
	File string
	Line int

	at       place
	effectAt place // of the value that says what an allow or a require does
	conditions
}

// conditions are what a request must be for a rule or an exception.
type conditions struct {
	clauses []clause
	when    *expression // or nil
}

// facts returns what the conditions ask for.
func (c *conditions) facts() FactSet {
	var all FactSet
	for i := range c.clauses {
		all |= keyFacts[c.clauses[i].key]
	}
	if c.when != nil {
		all |= c.when.facts()
	}
	return all
}

// Covers tells that no condition of the rule on the application excludes a.
func (r *Rule) Covers(a *Application) bool { return r.covers(a.Name) }

// Does says what the rule does where it applies: "allow", "deny", "require
// mfa", "limit", or "require mfa and limit".
func (r *Rule) Does() string {
	limits := r.Limit != Limit{}
	switch {
	case r.Effect != Require:
		return r.Effect.String()
	case r.MFA == nil:
		return "limit"
	case limits:
		return "require mfa and limit"
	default:
		return "require mfa"
	}
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
	fields := r.fields(n, inRule, "a rule: a mapping with name, match, and allow, deny or require")
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
	rule.conditions = r.conditions(n, fields, "a rule")
	r.effect(n, fields, rule)
	r.openings(fields, rule)
	return rule
}

// conditions reads the conditions of a rule or an exception.
func (r *reader) conditions(n *yaml.Node, fields map[string]field, what string) conditions {
	var c conditions
	match, hasMatch := fields["match"]
	if hasMatch {
		c.clauses = r.match(match.value)
	}
	when, hasWhen := fields["when"]
	if hasWhen {
		families := append(slices.Clone(r.vocabulary.Families), UnknownFamily)
		if c.when = r.whenIn(when.value, r.content, families); c.when != nil {
			r.available(when.key, "when", c.when.facts())
		}
	}
	if !hasMatch && !hasWhen {
		r.fail(n, "%s needs match or when; for every request say match: everyone", what)
	}
	return c
}

// effect reads allow, deny or require.
func (r *reader) effect(n *yaml.Node, fields map[string]field, rule *Rule) {
	effects := 0
	for e, read := range []func(*yaml.Node, *Rule){Deny: r.deny, Allow: r.allow, Require: r.require} {
		f, ok := fields[Effect(e).String()]
		if !ok {
			continue
		}
		if effects++; effects > 1 {
			r.fail(f.key, "a rule does one thing: allow, deny or require")
		}
		rule.Effect, rule.effectAt = Effect(e), r.at(f.value)
		read(f.value, rule)
	}
	if effects == 0 {
		r.fail(n, "a rule needs allow, deny or require")
	}
}

func (r *reader) deny(n *yaml.Node, _ *Rule) { r.fields(n, inDeny, "an empty mapping: {}") }

func (r *reader) allow(n *yaml.Node, rule *Rule) {
	if f, ok := r.fields(n, inAllow, "a mapping, which may be empty: {}")["answer"]; ok {
		rule.Answer, rule.effectAt = r.answer(f.value), r.at(f.value)
	}
}

// openings reads what ends by itself, which must be an opening: expires of an
// allow, and the exceptions of a deny or a require.
func (r *reader) openings(fields map[string]field, rule *Rule) {
	if f, ok := fields["expires"]; ok {
		rule.Expires = r.instant(f.value)
		_, denies := fields["deny"]
		if denies || rule.Effect == Require {
			r.fail(f.key, "a %s does not expire: what ends by itself must be an opening", rule.Effect)
		}
	}
	if f, ok := fields["except"]; ok {
		if rule.Effect == Allow {
			r.fail(f.key, "an allow has no exceptions: use not, or a deny")
		}
		for _, c := range r.list(f.value, "a list of exceptions") {
			if e := r.exception(c, rule); e != nil {
				rule.Exceptions = append(rule.Exceptions, e)
			}
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

// resolve looks up the names of networks and applications that rules mention.
func (l *loader) resolve() {
	applicationNames := slices.Sorted(maps.Keys(l.applications))
	networkNames := slices.Sorted(maps.Keys(l.set.networks))
	resolve := func(c *conditions) {
		for i := range c.clauses {
			for _, v := range c.clauses[i].values {
				switch key := c.clauses[i].key; {
				case key == networks && l.set.networks[v.text] != nil:
					l.set.networks[v.text].used = true
				case key == networks:
					l.unknown(v, "network", networkNames)
				case key == applications && l.applications[v.text] == nil:
					l.unknown(v, "application", applicationNames)
				}
			}
		}
		if c.when == nil {
			return
		}
		for _, v := range c.when.applications {
			if l.applications[v.text] == nil {
				l.unknown(v, "application", applicationNames)
			}
		}
	}
	for _, rule := range l.set.rules {
		resolve(&rule.conditions)
		for _, e := range rule.Exceptions {
			resolve(&e.conditions)
		}
		l.issueForAny(rule)
		l.meetable(rule)
	}
}

// failAt records a mistake that shows when all files are read.
func (l *loader) failAt(at place, format string, args ...any) {
	(&reader{file: at.file, errs: &l.errs}).failAt(at.line, at.column, format, args...)
}

func (l *loader) unknown(v named, what string, known []string) {
	l.failAt(v.at, "unknown %s %q%s", what, v.text, didYouMean(v.text, known))
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
	l.failAt(rule.effectAt,
		`application %q has the realm "*" and can only forward: exclude it with not: {applications: [%s]}`, rest.Name, rest.Name)
}

// covers tells that no condition on the application excludes it.
func (c *conditions) covers(application string) bool {
	for i := range c.clauses {
		cl := &c.clauses[i]
		if cl.key != applications {
			continue
		}
		listed := slices.ContainsFunc(cl.values, func(v named) bool { return v.text == application })
		if listed == cl.negated {
			return false
		}
	}
	return true
}
