package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Expect is what a test expects of a decision. What is zero, but for Effect,
// is not looked at.
type Expect struct {
	// Effect is what is decided.
	Effect Effect
	// Cause is why, as Cause.String names it.
	Cause string
	// Rules must all apply, Reported must all report. Others may.
	Rules, Reported []string
	// NotRules and NotReported must not.
	NotRules, NotReported []string
	// MFA is "required", "none" or empty.
	MFA string
	// Answer is how an allowed request is answered.
	Answer Answer
	// Application is the name of the one that is asked for.
	Application string
}

func (r *suiteReader) expect(n *yaml.Node) (e Expect) {
	fields := r.fields(n, inExpect, "a mapping with effect")
	if fields == nil {
		return e
	}
	effect, ok := fields["effect"]
	if !ok {
		r.fail(n, "expect needs an effect: allow or deny")
		return e
	}
	if s, _ := r.word(effect.value, Allow.String(), Deny.String()); s == Allow.String() {
		e.Effect = Allow
	}
	if f, ok := fields["cause"]; ok {
		e.Cause, _ = r.word(f.value, causeNames[:]...)
	}
	if f, ok := fields["mfa"]; ok {
		e.MFA, _ = r.word(f.value, "required", "none")
	}
	if f, ok := fields["answer"]; ok {
		e.Answer = r.answerWord(f.value)
	}
	e.Rules = r.ruleNames(fields, "rules", "reported", nil)
	e.Reported = r.ruleNames(fields, "reported", "rules", nil)
	e.NotRules = r.ruleNames(fields, "not_rules", "not_reported", e.Rules)
	e.NotReported = r.ruleNames(fields, "not_reported", "not_rules", e.Reported)
	if f, ok := fields["application"]; ok {
		e.Application = r.applicationName(f.value)
	}
	r.sensible(&e, fields)
	return e
}

func (r *suiteReader) answerWord(n *yaml.Node) Answer {
	switch s, _ := r.word(n, Forward.String(), Issue.String()); s {
	case Forward.String():
		return Forward
	case Issue.String():
		return Issue
	default:
		return NoAnswer
	}
}

func (r *suiteReader) applicationName(n *yaml.Node) string {
	s, ok := r.name(n, "an application name")
	var known []string
	for _, a := range r.set.applications {
		known = append(known, a.Name)
	}
	if ok && !slices.Contains(known, s) {
		r.fail(n, "unknown application %q%s", s, didYouMean(s, known))
	}
	return s
}

// ruleNames reads the names of rules of the set under a key: of those in
// report-only or of the others, which stand under another key. None may be
// among those that the opposite key names.
func (r *suiteReader) ruleNames(fields map[string]field, key, other string, opposite []string) []string {
	f, ok := fields[key]
	if !ok {
		return nil
	}
	var known []string
	for _, rule := range r.set.rules {
		known = append(known, rule.Name)
	}
	reportOnly := strings.HasSuffix(key, "reported")
	var names []string
	for _, v := range r.texts(f.value, "a list of rule names", "rule", func(c *yaml.Node) (string, bool) { return r.text(c, "a rule name") }) {
		fail := func(format string, args ...any) { r.failAt(v.at.line, v.at.column, format, args...) }
		i := slices.Index(known, v.text)
		switch {
		case i < 0:
			fail("unknown rule %q%s", v.text, didYouMean(v.text, known))
		case r.set.rules[i].ReportOnly != reportOnly && reportOnly:
			fail("rule %q is not in report-only: it stands under %s", v.text, other)
		case r.set.rules[i].ReportOnly != reportOnly:
			fail("rule %q is in report-only: it stands under %s", v.text, other)
		case slices.Contains(opposite, v.text):
			fail("rule %q stands under %s as well", v.text, strings.TrimPrefix(key, "not_"))
		}
		names = append(names, v.text)
	}
	return names
}

// sensible refuses an expectation that no decision meets.
func (r *suiteReader) sensible(e *Expect, fields map[string]field) {
	if e.Effect == Allow {
		return
	}
	if e.MFA == "required" {
		r.fail(fields["mfa"].key, "a request that is denied owes no second factor")
	}
	if e.Answer != NoAnswer {
		r.fail(fields["answer"].key, "a request that is denied has no answer")
	}
}

// Differences compares a decision, with the rules that apply, with what is
// expected, and says what differs: a line each, none when all is as expected.
func (e *Expect) Differences(d *Decision, applying []*Rule) []string {
	var all []string
	differ := func(what, want, got string) {
		if want != "" && want != got {
			all = append(all, fmt.Sprintf("%s: want %s, got %s", what, want, got))
		}
	}
	differ("effect", e.Effect.String(), d.Effect.String())
	differ("cause", e.Cause, d.Cause.String())
	mfa, application := "none", "none"
	if d.Obligations.SecondFactor {
		mfa = "required"
	}
	if d.Application != nil {
		application = d.Application.Name
	}
	differ("mfa", e.MFA, mfa)
	if e.Answer != NoAnswer {
		differ("answer", e.Answer.String(), d.Answer.String())
	}
	differ("application", e.Application, application)
	applies := func(name string) bool {
		return slices.ContainsFunc(applying, func(r *Rule) bool { return r.Name == name })
	}
	for _, name := range slices.Concat(e.Rules, e.Reported) {
		if !applies(name) {
			all = append(all, fmt.Sprintf("rule %q does not apply", name))
		}
	}
	for _, name := range slices.Concat(e.NotRules, e.NotReported) {
		if applies(name) {
			all = append(all, fmt.Sprintf("rule %q applies", name))
		}
	}
	return all
}
