package policy

import (
	"fmt"
	"slices"
	"time"
)

// What a rule cannot be is a mistake: one that no request meets, one that says
// what another one says, an exception outside of its rule, an opening that
// rests on the client's own claims. A rule in the shadow of another one, such
// as an allow of what a deny refuses, is only warned of: a deny is what stops
// an application in an emergency, and must never be refused for the rules that
// it stops.

// lint looks for such rules once all names are known.
func (l *loader) lint() {
	same := make(map[string]*Rule)
	for _, rule := range l.set.rules {
		l.lintConditions(&rule.conditions, rule.at, fmt.Sprintf("rule %q", rule.Name), rule.Effect == Allow)
		for _, e := range rule.Exceptions {
			l.lintConditions(&e.conditions, e.at, "the exception", true)
			if e.excludes(&rule.conditions) {
				l.failAt(e.at, "the exception excepts nothing: no request meets it and its rule")
			}
		}
		id := rule.identity()
		if old := same[id]; old != nil {
			l.failAt(rule.at, "rule %q says what rule %q at %s:%d says already", rule.Name, old.Name, old.File, old.Line)
			continue
		}
		same[id] = rule
	}
}

// identity writes all that a rule says but its name and owner in one form.
func (r *Rule) identity() string {
	id := fmt.Sprint(r.Effect, r.Answer, r.Limit, r.ReportOnly, r.Expires.Unix(), "\n", r.conditions.identity())
	if r.MFA != nil {
		id += fmt.Sprint(*r.MFA)
	}
	for _, e := range r.Exceptions {
		id += fmt.Sprint("\nexcept ", e.Expires.Unix(), e.conditions.identity())
	}
	return id
}

func (l *loader) lintConditions(c *conditions, at place, what string, opens bool) {
	for i := range c.clauses {
		cl := &c.clauses[i]
		if l.everything(cl) {
			l.failAt(cl.at, "%s: no request meets it, since not %s names all there are", what, cl.key)
			return
		}
		for j := range i {
			if c.clauses[j].excludes(cl) {
				l.failAt(cl.at, "%s: no request meets it, since %s and not %s exclude each other", what, cl.key, cl.key)
				return
			}
		}
	}
	if opens && c.claimed() {
		l.failAt(at, "%s opens by nothing but what the client claims: add a condition on user, network or another fact that it cannot choose", what)
	}
}

// everything tells that a negated clause leaves nothing.
func (l *loader) everything(c *clause) bool {
	var all int
	switch {
	case !c.negated:
		return false
	case c.key == versions:
		all = 2
	case c.key == requestTypes:
		all = 4
	case c.key == endpoints:
		all = len(l.vocabulary.Endpoints)
	case c.key == applications:
		all = len(l.applications)
	}
	return all > 0 && len(c.values) == all
}

// claimed tells that some conditions rest on the client's own claims, and no
// other one says what the request must be (security.md, POL-08).
func (c *conditions) claimed() bool {
	var claims FactSet
	for _, info := range factInfos {
		if info.Claim {
			claims = claims.With(info.Fact)
		}
	}
	some, grounded := false, false
	add := func(facts FactSet, negated bool) {
		rests := facts&^claims == 0
		some = some || rests
		grounded = grounded || !rests && !negated
	}
	for i := range c.clauses {
		add(keyFacts[c.clauses[i].key], c.clauses[i].negated)
	}
	if c.when != nil {
		add(c.when.facts(), false)
	}
	return some && !grounded
}

// shadows warns of enforced rules that another one leaves nothing to do.
func (s *Set) shadows(warn func(at place, format string, args ...any)) {
	for _, r := range s.rules {
		if r.ReportOnly {
			continue
		}
		i := slices.IndexFunc(s.rules, r.inShadowOf)
		if i < 0 {
			continue
		}
		if o := s.rules[i]; o.Effect == r.Effect {
			warn(r.at, "rule %q does nothing: rule %q at %s:%d covers all of it", r.Name, o.Name, o.File, o.Line)
		} else {
			warn(r.at, "rule %q does nothing: rule %q at %s:%d denies all of it", r.Name, o.Name, o.File, o.Line)
		}
	}
	for _, r := range s.rules {
		for _, e := range r.Exceptions {
			if r.implies(&e.conditions) {
				warn(e.at, "the exception leaves nothing of rule %q until %s", r.Name, e.Expires.Format(time.RFC3339))
			}
		}
	}
}

// inShadowOf tells that r changes nothing where o stands. A rule that ends or
// has exceptions casts no shadow.
func (r *Rule) inShadowOf(o *Rule) bool {
	switch {
	case o == r || o.ReportOnly || len(o.Exceptions) > 0 || !o.Expires.IsZero():
		return false
	case o.Effect == Deny:
	case o.Effect != r.Effect:
		return false
	case r.Effect == Allow && r.Answer != o.Answer:
		return false
	case r.Effect == Require && !o.asksFor(r):
		return false
	}
	return r.implies(&o.conditions)
}

// asksFor tells that a require asks for all that another one asks for.
func (r *Rule) asksFor(o *Rule) bool {
	if l := o.Limit; l.Rate != (Rate{}) && l.Rate != r.Limit.Rate || l.Lifetime > 0 && (r.Limit.Lifetime == 0 || r.Limit.Lifetime > l.Lifetime) {
		return false
	}
	mine, theirs := r.MFA, o.MFA
	switch {
	case theirs == nil:
		return true
	case mine == nil:
		return false
	default:
		return theirs.Shapes.Has(mine.Shapes) && theirs.Factors.Has(mine.Factors) && mine.Remember <= theirs.Remember &&
			(theirs.ByNetwork || !mine.ByNetwork) && (mine.Number || !theirs.Number)
	}
}
