package policy

import (
	"cmp"
	"fmt"
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
	// Reported are the rules in report-only that would have applied.
	Reported []string
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

// words bounds what is kept on the stack: 64 conditions a word.
const words = 64

// Decide decides on one request. It depends on nothing but set and facts,
// cannot fail, and allocates nothing unless a rule in report-only applies.
func (s *Set) Decide(f *Facts) Decision {
	sc := s.scope(f)
	if sc == nil {
		return Decision{Cause: UnknownApplication, Named: true}
	}
	var buf [2][words]uint64
	t := truth{yes: buf[0][:], maybe: buf[1][:]}
	if n := s.index.conditions; n > 64*words {
		t = truth{yes: make(bitset, n/64+1), maybe: make(bitset, n/64+1)}
	}
	s.index.weigh(f, t)

	d := Decision{Application: sc.application}
	against := sc.against(t, &d)
	favour := sc.favour(f, t, &d)
	switch {
	case against.any != nil:
		d.refuse(DenyRule, against.any, true)
	case favour.any.clash != nil:
		d.refuse(Conflict, favour.any.first, true)
		d.Other = favour.any.clash.Name
	case against.user != nil:
		d.refuse(DenyRule, against.user, !favour.open)
	case favour.all.first == nil:
		d.refuse(NoAllow, nil, !favour.open)
	case favour.all.clash != nil:
		d.refuse(Conflict, favour.all.first, false)
		d.Other = favour.all.clash.Name
	default:
		d.Effect, d.Cause, d.Rule = Allow, AllowRule, favour.all.first.Name
		d.Answer = favour.all.first.Answer
		if d.Answer == NoAnswer {
			d.Answer = sc.application.Answer
		}
	}
	return d
}

func (d *Decision) refuse(c Cause, r *compiled, named bool) {
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

// An objection is the first deny that applies to any user, and the first that
// applies to this one.
type objection struct{ any, user *compiled }

// against finds the denies that apply. One that is unknown does.
func (sc *scope) against(t truth, d *Decision) objection {
	var o objection
	for _, r := range sc.denies {
		switch {
		case !t.possible(r.request) || !t.possible(r.user):
		case r.ReportOnly:
			d.Reported = append(d.Reported, r.Name)
		case r.user.exist():
			o.user = cmp.Or(o.user, r)
		default:
			o.any = cmp.Or(o.any, r)
		}
	}
	return o
}

// A support is what the allows say: those that match whoever the user is,
// and all that match.
type support struct {
	any, all verdict
	// open tells that some user could be allowed.
	open bool
}

// A verdict has the rule that decides the answer, and one that contradicts it.
type verdict struct{ first, clash *compiled }

func (v *verdict) add(r *compiled) {
	switch {
	case v.first == nil, v.first.Answer == NoAnswer && r.Answer != NoAnswer:
		v.first = r
	case v.clash == nil && r.Answer != NoAnswer && r.Answer != v.first.Answer:
		v.clash = r
	}
}

// favour finds the allows that match. One that is unknown does not.
func (sc *scope) favour(f *Facts, t truth, d *Decision) support {
	var s support
	for _, r := range sc.allow {
		if !t.holds(r.request) || r.expired(f) {
			continue
		}
		matches := t.holds(r.user)
		if r.ReportOnly {
			if matches {
				d.Reported = append(d.Reported, r.Name)
			}
			continue
		}
		s.open = true
		if !matches {
			continue
		}
		s.all.add(r)
		if !r.user.exist() {
			s.any.add(r)
		}
	}
	return s
}

// expired tells that an allow no longer matches. An unknown time is late.
func (r *Rule) expired(f *Facts) bool {
	return !r.Expires.IsZero() && (!f.Known.Has(Time) || !f.Time.Before(r.Expires))
}

// exist tells that there is a condition at all.
func (l literals) exist() bool { return len(l.holds)+len(l.never) > 0 }
