package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Cause tells why a decision is what it is.
type Cause uint8

const (
	// NoAllow: no allow matches, and nothing matching means deny.
	NoAllow Cause = iota
	// UnknownApplication: no application has the realm asked for.
	UnknownApplication
	// DenyRule: a deny applies.
	DenyRule
	// Conflict: the allows that match name different answers.
	Conflict
	// AllowRule: an allow matches and nothing stands against it.
	AllowRule
)

var causeNames = [...]string{
	NoAllow: "no-allow", UnknownApplication: "unknown-application", DenyRule: "deny", Conflict: "conflict", AllowRule: "allow",
}

// String names the cause in audit and reports.
func (c Cause) String() string { return causeNames[c] }

// A Decision is what policy says about one request. The zero Decision denies.
type Decision struct {
	Effect Effect
	Cause  Cause
	// Rule is the rule that decided: the first by name of those that would
	// have, a deny that is one for any user before others. It is empty for
	// NoAllow and UnknownApplication.
	Rule string
	// Other is, for a Conflict, a rule that names another answer.
	Other string
	// Answer is how an allowed request is answered.
	Answer Answer
	// Application is the one asked for, nil if it is unknown.
	Application *Application
	// Obligations are what an allowed request owes.
	Obligations Obligations
	// Reported are the rules in report-only that would have applied: the
	// denies, the allows and the requires, each by name. What they would have
	// done is what Rule.Does says.
	Reported []*Rule
	// Excepted are the requires that an allowed request does not owe for an
	// exception alone, by name (security.md, MFA-18).
	Excepted []*Rule
	// Named tells that the request is refused for the same cause whoever the
	// user is. Only then may the client be told of it (security.md, POL-09).
	Named bool
}

// Why explains the decision to the operator.
func (d *Decision) Why() string {
	switch d.Cause {
	case UnknownApplication:
		return "no application has this realm"
	case DenyRule:
		return fmt.Sprintf("rule %q denies", d.Rule)
	case Conflict:
		return fmt.Sprintf("rules %q and %q name different answers", d.Rule, d.Other)
	case AllowRule:
		return fmt.Sprintf("rule %q allows", d.Rule)
	default:
		return "no allow matches"
	}
}

// Decide decides on one request. It depends on nothing but set and facts, and
// cannot fail. Without expressions it allocates nothing unless a rule in
// report-only applies, an exception lifts a require, or more than four requires
// apply.
func (s *Set) Decide(f *Facts) Decision {
	sc := s.scope(f)
	if sc == nil {
		return Decision{Cause: UnknownApplication, Named: true}
	}
	var r room
	q := inquiry{index: &s.index, facts: f, application: sc.application.Name}
	w := q.weigh(&r)
	return sc.decide(&q, &w)
}

// Applying decides as Decide does, and returns the rules that apply, by name,
// those in report-only too: the allows that match, and the denies and requires
// that stand against the request.
func (s *Set) Applying(f *Facts) (Decision, []*Rule) {
	sc := s.scope(f)
	if sc == nil {
		return Decision{Cause: UnknownApplication, Named: true}, nil
	}
	q := inquiry{index: &s.index, facts: f, application: sc.application.Name}
	w := q.weigh(new(room))
	var all []*Rule
	for r := range sc.allows.possible(&w) {
		if r.matches(&q, &w) {
			all = append(all, r.Rule)
		}
	}
	for _, r := range slices.Concat(sc.denies.rules, sc.requires.rules) {
		if r.applies(&q, &w) {
			all = append(all, r.Rule)
		}
	}
	slices.SortFunc(all, func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
	return sc.decide(&q, &w), all
}

func (sc *scope) decide(q *inquiry, w *weighing) Decision {
	d := Decision{Application: sc.application}
	against := sc.against(q, w, &d)
	favour := sc.favour(q, w, &d)
	if against != nil || favour.first == nil || favour.clash != nil {
		sc.refuse(q, w, &d, against, favour)
	} else {
		d.Effect, d.Cause, d.Rule = Allow, AllowRule, favour.first.Name
		d.Answer = cmp.Or(favour.first.Answer, sc.application.Answer)
	}
	sc.owed(q, w, &d)
	return d
}

// refuse says why: for a cause that holds for any user before others.
func (sc *scope) refuse(q *inquiry, w *weighing, d *Decision, against *compiledRule, favour support) {
	anyone := sc.anyone(q, w)
	switch {
	case anyone.against != nil:
		d.refuse(DenyRule, anyone.against, true)
	case anyone.favour.clash != nil:
		d.refuse(Conflict, anyone.favour.first, true)
		d.Other = anyone.favour.clash.Name
	case against != nil:
		d.refuse(DenyRule, against, !anyone.open)
	case favour.first == nil:
		d.refuse(NoAllow, nil, !anyone.open)
	default:
		d.refuse(Conflict, favour.first, false)
		d.Other = favour.clash.Name
	}
}

func (d *Decision) refuse(c Cause, r *compiledRule, named bool) {
	d.Cause, d.Named = c, named
	if r != nil {
		d.Rule = r.Name
	}
}

// scope finds the application and its rules, or nil.
func (s *Set) scope(f *Facts) *scope {
	if !f.Known.Has(RequestAppliesTo) {
		return nil
	}
	return s.scopeOf(f.Request.AppliesTo)
}

// scopeOf finds what a realm names. An empty realm is no application's, so
// that the one of all realms does not take a request that names none.
func (s *Set) scopeOf(realm string) *scope {
	if sc := s.scopes[realm]; sc != nil || realm == "" {
		return sc
	}
	return s.rest
}

// applies tells that a deny or a require stands against the request: its
// conditions are not false, and no exception is true.
func (r *compiledRule) applies(q *inquiry, w *weighing) bool {
	return w.of(q, &r.test) != no && !r.excepted(q, w)
}

// excepted tells that an exception is true.
func (r *compiledRule) excepted(q *inquiry, w *weighing) bool {
	for i := range r.except {
		if e := &r.except[i]; w.of(q, &e.test) == yes && !lapsed(e.Expires, q.facts) {
			return true
		}
	}
	return false
}

// matches tells that an allow speaks for the request: its conditions are true.
func (r *compiledRule) matches(q *inquiry, w *weighing) bool {
	return w.of(q, &r.test) == yes && !lapsed(r.Expires, q.facts)
}

// against finds the first deny that applies.
func (sc *scope) against(q *inquiry, w *weighing, d *Decision) *compiledRule {
	var first *compiledRule
	for r := range sc.denies.possible(w) {
		switch {
		case first != nil && !r.ReportOnly || !r.applies(q, w):
		case r.ReportOnly:
			d.Reported = append(d.Reported, r.Rule)
		default:
			first = r
		}
	}
	return first
}

// A support is what allows say: the one that decides the answer, and one that
// contradicts it.
type support struct{ first, clash *compiledRule }

// settled tells that an allow which matches changes nothing any more.
func (s *support) settled(r *compiledRule) bool { return s.first != nil && r.Answer == NoAnswer }

func (s *support) add(r *compiledRule) {
	switch {
	case s.first == nil, s.first.Answer == NoAnswer && r.Answer != NoAnswer:
		s.first = r
	case s.clash == nil && r.Answer != NoAnswer && r.Answer != s.first.Answer:
		s.clash = r
	}
}

// favour finds the allows that match.
func (sc *scope) favour(q *inquiry, w *weighing, d *Decision) support {
	var s support
	for r := range sc.allows.possible(w) {
		switch {
		case !r.ReportOnly && s.settled(r) || !r.matches(q, w):
		case r.ReportOnly:
			d.Reported = append(d.Reported, r.Rule)
		default:
			s.add(r)
		}
	}
	return s
}

// owed adds what an allowed request owes, and what it would.
func (sc *scope) owed(q *inquiry, w *weighing, d *Decision) {
	for r := range sc.requires.possible(w) {
		switch {
		case d.Effect != Allow && !r.ReportOnly || w.of(q, &r.test) == no:
		case r.excepted(q, w):
			if !r.ReportOnly {
				d.Excepted = append(d.Excepted, r.Rule)
			}
		case r.ReportOnly:
			d.Reported = append(d.Reported, r.Rule)
		default:
			d.Obligations.add(r.Rule)
		}
	}
}
