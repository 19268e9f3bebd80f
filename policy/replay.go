package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Verdict is what can change between two policy sets for one request.
type Verdict struct {
	Effect Effect
	// MFA tells that an allowed request owes a second factor.
	MFA bool
	// Answer is how an allowed request is answered.
	Answer Answer
}

// String returns "deny", or "allow" with what goes with it.
func (v Verdict) String() string {
	if v.Effect == Deny {
		return "deny"
	}
	s := "allow " + v.Answer.String()
	if v.MFA {
		s += " with mfa"
	}
	return s
}

// Weaker tells that a request passes more easily with v than with old.
func (v Verdict) Weaker(old Verdict) bool { return v.ease() > old.ease() }

func (v Verdict) ease() int {
	switch {
	case v.Effect == Deny:
		return 0
	case v.MFA:
		return 1
	default:
		return 2
	}
}

// ParseVerdict reads an effect and an answer as they are spelled, and whether
// a second factor was owed. Of a denied request the rest does not matter.
func ParseVerdict(effect, answer string, mfa bool) (Verdict, error) {
	answers := map[string]Answer{Forward.String(): Forward, Issue.String(): Issue}
	switch {
	case effect == Deny.String():
		return Verdict{}, nil
	case effect != Allow.String():
		return Verdict{}, fmt.Errorf("%q is no effect", effect)
	case answers[answer] == NoAnswer:
		return Verdict{}, fmt.Errorf("%q is no answer", answer)
	}
	return Verdict{Allow, mfa, answers[answer]}, nil
}

// Verdict is what the decision comes to.
func (d *Decision) Verdict() Verdict {
	if d.Effect == Deny {
		return Verdict{}
	}
	return Verdict{Allow, d.Obligations.SecondFactor, d.Answer}
}

// A Recorded is one decision of the past, as its audit line has it.
type Recorded struct {
	Facts Facts
	// Missing are the facts that nobody read then, or that were not recorded.
	Missing FactSet
	Was     Verdict
	// Rule decided then, and Requires are the rules whose obligations were owed.
	Rule     string
	Requires []string
	// User is who asked.
	User string
}

// A Replay compares what a candidate decides with what was decided. The zero
// Replay is empty.
type Replay struct {
	// Unchanged counts equal verdicts, Undecided those for which the candidate
	// asks for a fact that the line lacks.
	Unchanged, Undecided int
	// Lacking counts, for each fact, the undecided lines that lack it.
	Lacking [NumFacts]int
	changes map[change]int
}

// A change is what changed decisions are grouped by.
type change struct {
	was, now          Verdict
	ruleThen, rule    string
	application, user string
}

// A Change is a number of verdicts that would change in one way.
type Change struct {
	Was, Now Verdict
	// RuleThen and Rule are those that the verdicts rest on: the one that
	// decides or, for a second factor, one that requires it. They are empty when
	// no rule does.
	RuleThen, Rule string
	// Application is the one asked for, "none" when no application has the
	// realm.
	Application string
	User        string
	Count       int
}

// Add lets the candidate decide once more.
func (p *Replay) Add(candidate *Set, r *Recorded) {
	if lacking := candidate.asks(&r.Facts) & r.Missing; lacking != 0 {
		p.Undecided++
		for f := range NumFacts {
			if lacking.Has(f) {
				p.Lacking[f]++
			}
		}
		return
	}
	d := candidate.Decide(&r.Facts)
	now := d.Verdict()
	if now == r.Was {
		p.Unchanged++
		return
	}
	c := change{was: r.Was, now: now, ruleThen: r.rule(), rule: d.restsOn(), application: "none", user: r.User}
	if d.Application != nil {
		c.application = d.Application.Name
	}
	p.count(c, 1)
}

// rule is the one that the verdict of a record rests on.
func (r *Recorded) rule() string {
	if r.Was.MFA && len(r.Requires) > 0 {
		return r.Requires[0]
	}
	return r.Rule
}

// restsOn is the rule that a verdict rests on.
func (d *Decision) restsOn() string {
	for rule := range d.Obligations.Rules() {
		if rule.MFA != nil {
			return rule.Name
		}
	}
	return d.Rule
}

func (p *Replay) count(c change, n int) {
	if p.changes == nil {
		p.changes = make(map[change]int)
	}
	p.changes[c] += n
}

// asks returns the facts on which the decision on a request can rest: those
// that rules for its application ask for. A rule in report-only decides
// nothing.
func (s *Set) asks(f *Facts) FactSet {
	if sc := s.scope(f); sc != nil {
		return sc.asks
	}
	return 1 << RequestAppliesTo
}

// Join adds what another Replay found.
func (p *Replay) Join(o *Replay) {
	p.Unchanged += o.Unchanged
	p.Undecided += o.Undecided
	for f, n := range o.Lacking {
		p.Lacking[f] += n
	}
	for c, n := range o.changes {
		p.count(c, n)
	}
}

// Changes returns the verdicts that would change: those that weaken first,
// then the most frequent ones.
func (p *Replay) Changes() []Change {
	all := make([]Change, 0, len(p.changes))
	for c, n := range p.changes {
		all = append(all, Change{c.was, c.now, c.ruleThen, c.rule, c.application, c.user, n})
	}
	stays := func(c *Change) int {
		if c.Now.Weaker(c.Was) {
			return 0
		}
		return 1
	}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(stays(&a)-stays(&b), b.Count-a.Count, strings.Compare(a.Rule, b.Rule), strings.Compare(a.RuleThen, b.RuleThen),
			strings.Compare(a.Application, b.Application), strings.Compare(a.User, b.User),
			strings.Compare(a.Was.String(), b.Was.String()), strings.Compare(a.Now.String(), b.Now.String()))
	})
	return all
}
