package policy

import (
	"slices"
	"strings"
)

// A scope is an application with the rules that may apply to it: conditions
// on the application are decided when the set is loaded.
type scope struct {
	application              *Application
	denies, allows, requires ruleList
	// asks are the facts on which a decision can rest here: the realm, and
	// those that rules ask for which count.
	asks FactSet
	// anyDenies and anyAllows are those without a condition on the user,
	// userAllows those with one.
	anyDenies, anyAllows, userAllows []*compiledRule
}

// A compiledRule is a rule with its conditions by number.
type compiledRule struct {
	*Rule
	test
	except []compiledException // those that the application can have
}

type compiledException struct {
	*Exception
	test
}

// A test is what must hold for a rule or an exception: conditions on the
// request and on its user, and an expression.
type test struct {
	request, user literals
	when          int32 // in index.whens, or noWhen
}

const noWhen = -1

// literals are conditions of which all in holds must hold and none in never.
type literals struct{ holds, never []int32 }

// exist tells that there is a condition at all.
func (l literals) exist() bool { return len(l.holds)+len(l.never) > 0 }

// compile turns the rules, which are all right, into scopes and an index.
func (l *loader) compile() {
	s := l.set
	s.index.prepare()
	numbers := make(map[string]int32)
	slices.SortFunc(s.rules, func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
	rules := make([]*compiledRule, len(s.rules))
	for i, rule := range s.rules {
		rules[i] = s.compile(rule, numbers)
		s.mentions |= rules[i].facts()
	}
	s.index.cover(s.networks)

	s.scopes = make(map[string]*scope)
	for _, a := range l.applications {
		s.applications = append(s.applications, a)
		sc := &scope{application: a, asks: 1 << RequestAppliesTo}
		for _, rule := range rules {
			if rule.covers(a.Name) {
				sc.add(rule.of(a))
			}
		}
		for _, list := range []*ruleList{&sc.denies, &sc.allows, &sc.requires} {
			list.prepare()
		}
		for _, realm := range a.Realms {
			s.scopes[realm] = sc
		}
	}
	s.rest = s.scopes[AnyRealm]
	slices.SortFunc(s.applications, func(a, b *Application) int { return strings.Compare(a.Name, b.Name) })
}

func (sc *scope) add(rule *compiledRule) {
	if !rule.ReportOnly {
		sc.asks |= rule.facts().Without(RequestApplication)
	}
	ofAny := !rule.user.exist() && !rule.ReportOnly
	switch rule.Effect {
	case Deny:
		sc.denies.rules = append(sc.denies.rules, rule)
		if ofAny {
			sc.anyDenies = append(sc.anyDenies, rule)
		}
	case Allow:
		sc.allows.rules = append(sc.allows.rules, rule)
		if ofAny {
			sc.anyAllows = append(sc.anyAllows, rule)
		} else if !rule.ReportOnly {
			sc.userAllows = append(sc.userAllows, rule)
		}
	default:
		sc.requires.rules = append(sc.requires.rules, rule)
	}
}

func (s *Set) compile(rule *Rule, numbers map[string]int32) *compiledRule {
	c := &compiledRule{Rule: rule, test: s.test(&rule.conditions, numbers)}
	for _, e := range rule.Exceptions {
		c.except = append(c.except, compiledException{e, s.test(&e.conditions, numbers)})
	}
	return c
}

// of returns the rule for an application that it covers.
func (r *compiledRule) of(a *Application) *compiledRule {
	elsewhere := func(e compiledException) bool { return !e.Exception.covers(a.Name) }
	if !slices.ContainsFunc(r.except, elsewhere) {
		return r
	}
	narrowed := *r
	narrowed.except = slices.DeleteFunc(slices.Clone(r.except), elsewhere)
	return &narrowed
}

// facts returns what the rule asks for.
func (r *compiledRule) facts() FactSet {
	all := r.conditions.facts()
	for _, e := range r.except {
		all |= e.conditions.facts()
	}
	return all
}

// test numbers conditions.
func (s *Set) test(c *conditions, numbers map[string]int32) test {
	t := test{when: noWhen}
	for i := range c.clauses {
		cl := &c.clauses[i]
		if cl.key == applications {
			continue
		}
		part := &t.request
		if cl.key.aboutUser() {
			part = &t.user
		}
		cl.number = s.index.number(cl, numbers)
		if cl.negated {
			part.never = append(part.never, cl.number)
		} else {
			part.holds = append(part.holds, cl.number)
		}
	}
	if c.when != nil {
		t.when = s.index.expression(c.when)
	}
	return t
}
