package policy

import (
	"strings"
	"time"
)

// An Explanation is a decision with what each rule had to do with it.
type Explanation struct {
	Decision Decision
	// Rules are all rules, by name.
	Rules []RuleResult
}

// A RuleResult tells whether a rule's conditions hold.
type RuleResult struct {
	Rule *Rule
	// Result is "matched", "not matched", "unknown" or "excepted".
	Result string
	// Conditions are the rule's, in the order of the manual; when, and for an
	// allow expires, are the last.
	Conditions []ConditionResult
	Exceptions []ExceptionResult
}

// An ExceptionResult tells whether an entry of except holds.
type ExceptionResult struct {
	Exception *Exception
	// Result is "matched", "not matched", "unknown" or "expired".
	Result     string
	Conditions []ConditionResult
}

// A ConditionResult tells what one condition made of the facts.
type ConditionResult struct {
	// Key is the key of the match, when or expires; Negated tells that it
	// stands under not.
	Key     string
	Negated bool
	// Want are the condition's values, or its expression.
	Want string
	// Got is the value of the fact, "unknown" or "empty".
	Got string
	// Result is "true", "false" or "unknown", with not applied.
	Result string
}

// What Result says of a rule or an exception.
const (
	resultExcepted = "excepted"
	resultExpired  = "expired"
)

var results = [...]string{no: "not matched", unknown: "unknown", yes: "matched"}

// Explain decides and tells what each rule had to do with it, those for other
// applications included.
func (s *Set) Explain(f *Facts) Explanation {
	e := Explanation{Decision: s.Decide(f)}
	application := ""
	if a := e.Decision.Application; a != nil {
		application = a.Name
	}
	x := explainer{inquiry: inquiry{index: &s.index, facts: f, application: application}}
	x.weighing = x.inquiry.weigh(new(room))
	for _, rule := range s.rules {
		e.Rules = append(e.Rules, x.explainRule(rule))
	}
	return e
}

// An explainer has what is known of one request.
type explainer struct {
	inquiry
	weighing
}

func (x *explainer) explainRule(rule *Rule) RuleResult {
	conditions, result := x.explain(&rule.conditions)
	r := RuleResult{Rule: rule, Conditions: conditions}
	if !rule.Expires.IsZero() {
		in := x.before(rule.Expires)
		result = min(result, in)
		r.Conditions = append(r.Conditions, ConditionResult{
			Key: "expires", Want: rule.Expires.Format(time.RFC3339), Got: x.facts.show(Time), Result: in.String(),
		})
	}
	r.Result = results[result]
	for _, e := range rule.Exceptions {
		conditions, excepts := x.explain(&e.conditions)
		in := x.before(e.Expires)
		excepts = min(excepts, in)
		of := ExceptionResult{Exception: e, Conditions: conditions, Result: results[excepts]}
		switch {
		case in == no:
			of.Result = resultExpired
		case excepts == yes && result != no:
			r.Result = resultExcepted
		}
		r.Exceptions = append(r.Exceptions, of)
	}
	return r
}

// before tells whether the request came before an end.
func (x *explainer) before(end time.Time) ternary {
	switch {
	case !x.facts.timed():
		return unknown
	case x.facts.Time.Before(end):
		return yes
	default:
		return no
	}
}

// explain tells of each condition whether it holds, and of all together.
func (x *explainer) explain(c *conditions) ([]ConditionResult, ternary) {
	var all []ConditionResult
	result := yes
	for i := range c.clauses {
		cl := &c.clauses[i]
		one := x.ofClause(cl)
		if cl.negated {
			one = yes - one
		}
		result = min(result, one)
		all = append(all, ConditionResult{
			Key: cl.key.String(), Negated: cl.negated, Want: strings.Join(cl.texts(), ", "), Got: x.got(cl), Result: one.String(),
		})
	}
	if c.when != nil {
		one := c.when.eval(x.facts, x.application)
		result = min(result, one)
		all = append(all, ConditionResult{Key: "when", Want: c.when.String(), Got: c.when.values(x.facts), Result: one.String()})
	}
	return all, result
}

func (x *explainer) ofClause(c *clause) ternary {
	if c.key != applications {
		return x.one(c.number)
	}
	for _, v := range c.values {
		if v.text == x.application {
			return yes
		}
	}
	return no
}

// got writes the facts that a condition rests on.
func (x *explainer) got(c *clause) string {
	var s string
	switch f := x.facts; c.key {
	case applications:
		s = x.application
	case networks:
		s = f.show(ClientAddress)
	case users:
		s = f.show(UserName)
		if f.Known.Has(UserDomain) && f.User.Domain != "" {
			s += ", " + showText(f.User.Domain) + `\` + showText(f.User.SAM)
		}
	case hours:
		s = f.show(Time)
		if f.timed() && len(c.spans) > 0 {
			s += ", " + f.Time.In(c.spans[0].zone).Format("Mon 15:04") + " in " + c.spans[0].zone.String()
		}
	default:
		for fact := range NumFacts {
			if keyFacts[c.key].Has(fact) {
				s = f.show(fact)
			}
		}
	}
	switch s {
	case "", `""`, "[]":
		return "empty"
	default:
		return s
	}
}
