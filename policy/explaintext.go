package policy

import (
	"fmt"
	"strings"
)

// Applies reports that a rule has its effect, or would have in report-only: an
// allow that matches, and a deny or a require that is not known not to. None
// does where no application has the realm.
func (x *Explanation) Applies(r *RuleResult) bool {
	return x.Decision.Application != nil &&
		(r.Result == results[yes] || r.Result == results[unknown] && r.Rule.Effect != Allow)
}

// String explains the decision in lines: the decision, what the client hears
// of a refusal, the rules that apply, then the others, each with its conditions
// and what the facts are.
func (x *Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", x.Decision.Verdict(), x.Decision.Why())
	switch d := &x.Decision; {
	case d.Effect == Allow:
	case d.Named:
		b.WriteString("the client is told\n")
	default:
		b.WriteString("to the client it looks like a wrong password\n")
	}
	if a := x.Decision.Application; a != nil {
		fmt.Fprintf(&b, "application %s\n", a.Name)
	}
	for _, applies := range []bool{true, false} {
		for i := range x.Rules {
			if r := &x.Rules[i]; x.Applies(r) == applies {
				r.write(&b)
			}
		}
	}
	return b.String()
}

func (r *RuleResult) write(b *strings.Builder) {
	mode := ""
	if r.Rule.ReportOnly {
		mode = ", report-only"
	}
	fmt.Fprintf(b, "rule %q (%s:%d, %s%s): %s\n", r.Rule.Name, r.Rule.File, r.Rule.Line, r.Rule.Does(), mode, r.Result)
	writeConditions(b, "  ", r.Conditions)
	for i := range r.Exceptions {
		e := &r.Exceptions[i]
		fmt.Fprintf(b, "  except of %s, %s: %s\n", e.Exception.Owner, e.Exception.Reason, e.Result)
		writeConditions(b, "    ", e.Conditions)
	}
}

func writeConditions(b *strings.Builder, prefix string, all []ConditionResult) {
	for _, c := range all {
		not := ""
		if c.Negated {
			not = "not "
		}
		fmt.Fprintf(b, "%s%-7s %s%s: %s; is %s\n", prefix, c.Result, not, c.Key, c.Want, c.Got)
	}
}
