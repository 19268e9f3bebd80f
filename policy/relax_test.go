package policy_test

import (
	"testing"
	"time"
)

// FAIL-03: a relaxation holds in the 4 hours before its end and never after, and
// for what an allow on networks lets pass without a second factor.
func TestRelaxation(t *testing.T) {
	const text = `
networks: {labs: [192.0.2.0/24]}
applications:
  payroll: {realms: ["urn:payroll"], answer: issue, while_state_down: {until: 2026-12-01T15:00:00Z, owner: o, reason: r}}
rules:
`
	for name, c := range map[string]struct {
		rules string
		at    time.Time
		want  bool
	}{
		"by a network":                 {"  - {name: a, match: {networks: [labs]}, allow: {}}\n", noon, true},
		"at its end":                   {"  - {name: a, match: {networks: [labs]}, allow: {}}\n", noon.Add(3 * time.Hour), false},
		"five hours before":            {"  - {name: a, match: {networks: [labs]}, allow: {}}\n", noon.Add(-2 * time.Hour), false},
		"for everyone":                 {"  - {name: a, match: everyone, allow: {}}\n", noon, false},
		"outside a network":            {"  - {name: a, match: {groups: [staff], not: {networks: [labs]}}, allow: {}}\n", noon, false},
		"owing a second factor":        {"  - {name: a, match: {networks: [labs]}, allow: {}}\n  - {name: m, match: everyone, require: {mfa: {}}}\n", noon, false},
		"denied, with a network allow": {"  - {name: a, match: {networks: [labs]}, allow: {}}\n  - {name: d, match: everyone, deny: {}}\n", noon, false},
	} {
		t.Run(name, func(t *testing.T) {
			set := load(t, text+c.rules)
			f := alice()
			d := set.Decide(&f)
			if got := d.Application.Relaxed(c.at) != nil && set.Exempt(&d); got != c.want {
				t.Errorf("got %v (%v by %q), want %v", got, d.Effect, d.Rule, c.want)
			}
		})
	}
}
