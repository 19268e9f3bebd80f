package policy_test

import (
	"slices"
	"strings"
	"testing"

	"stsgate/policy"
)

// TestWeaker is the table of edits that loosen, and of those that do not
// (POL-05).
func TestWeaker(t *testing.T) {
	const (
		denyLabs = "  - {name: d, match: {networks: [labs]}, deny: {}}\n"
		allow    = "  - {name: a, match: {groups: [staff]}, allow: {}}\n"
		factor   = "  - {name: m, match: everyone, require: {mfa: {shapes: [code], remember: 1h}, limit: {lifetime: 1h, rate: 20/1m}}}\n"
	)
	excepted := func(match, end string) string {
		return named("m", "everyone", "require: {mfa: {}}, except: "+except(match, end))
	}
	tests := []struct{ name, old, next, want string }{
		{"nothing", allow + denyLabs + factor, factor + denyLabs + allow, ""},
		{"a deny is gone", allow + denyLabs, allow, `rule "d" is gone: it would deny`},
		{"a deny has another name", denyLabs, strings.Replace(denyLabs, "name: d", "name: e", 1), ""},
		{"a deny only reports", denyLabs, strings.Replace(denyLabs, "deny: {}", "deny: {}, mode: report-only", 1), `rule "d" only reports`},
		{"a deny that reported is gone", strings.Replace(denyLabs, "deny: {}", "deny: {}, mode: report-only", 1) + allow, allow, ""},
		{"a deny becomes a require", denyLabs, named("d", "{networks: [labs]}", "require: {mfa: {}}"), `rule "d" no longer would deny`},
		{"a deny more", allow, allow + denyLabs, ""},
		{"a deny of fewer", denyLabs, named("d", "{networks: [labs], groups: [staff]}", "deny: {}"), `rule "d" applies to fewer requests`},
		{"a deny of more", denyLabs, named("d", "{networks: [labs, halls]}", "deny: {}"), ""},
		{"a deny but for some", denyLabs, named("d", "{networks: [labs], not: {groups: [staff]}}", "deny: {}"), `rule "d" applies to fewer requests`},
		{"an exception from a deny", denyLabs, named("d", "{networks: [labs]}", "deny: {}, except: "+except("{groups: [staff]}", "2027-01-01")), `rule "d" has a new, wider or longer exception (tests) until 2027-01-01`},
		{"an exception that is longer", excepted("{groups: [staff]}", "2027-01-01"), excepted("{groups: [staff]}", "2027-01-02"), `rule "m" has a new, wider or longer exception`},
		{"an exception that is shorter", excepted("{groups: [staff]}", "2027-01-02"), excepted("{groups: [staff]}", "2027-01-01"), ""},
		{"an exception that is wider", excepted("{groups: [staff]}", "2027-01-01"), excepted("{groups: [staff, sales]}", "2027-01-01"), `rule "m" has a new, wider or longer exception`},
		{"an exception that is narrower", excepted("{groups: [staff, sales]}", "2027-01-01"), excepted("{groups: [staff]}", "2027-01-01"), ""},
		{"a require is gone", allow + factor, allow, `rule "m" is gone: it would require mfa and limit`},
		{"more shapes", factor, strings.Replace(factor, "[code]", "[code, hold]", 1), `rule "m" requires less`},
		{"remembered longer", factor, strings.Replace(factor, "remember: 1h", "remember: 2h", 1), `rule "m" requires less`},
		{"remembered shorter", factor, strings.Replace(factor, "remember: 1h", "remember: 0s", 1), ""},
		{"tokens live longer", factor, strings.Replace(factor, "lifetime: 1h", "lifetime: 2h", 1), `rule "m" requires less`},
		{"no rate", factor, strings.Replace(factor, ", rate: 20/1m", "", 1), `rule "m" requires less`},
		{"no second factor", factor, strings.Replace(factor, "mfa: {shapes: [code], remember: 1h}, ", "", 1), `rule "m" requires less`},
		{"bound to the network", factor, strings.Replace(factor, "remember: 1h", "remember: 1h, bind: network", 1), `rule "m" requires less`},
		{"an allow more", allow, allow + named("b", "{networks: [labs]}", "allow: {}"), `rule "b" allows more`},
		{"an allow has another name", allow, strings.Replace(allow, "name: a", "name: b", 1), ""},
		{"an allow less", allow + named("b", "{networks: [labs]}", "allow: {}"), allow, ""},
		{"an allow of more", allow, named("a", "{groups: [staff, sales]}", "allow: {}"), `rule "a" matches more requests`},
		{"an allow of fewer", allow, named("a", "{groups: [staff], networks: [offices]}", "allow: {}"), ""},
		{"an allow by a wider pattern", named("a", "{users: [svc-a*]}", "allow: {}"), named("a", "{users: [svc-*]}", "allow: {}"), `rule "a" matches more requests`},
		{"an allow by a narrower pattern", named("a", "{users: [svc-*]}", "allow: {}"), named("a", "{users: [svc-a*]}", "allow: {}"), ""},
		{"an allow no longer reports", named("a", "{groups: [staff]}", "allow: {}, mode: report-only"), allow, `rule "a" no longer only reports`},
		{"an allow expires later", named("a", "{groups: [staff]}", "allow: {}, expires: 2027-01-01"), named("a", "{groups: [staff]}", "allow: {}, expires: 2027-01-02"), `rule "a" expires later`},
		{"an allow expires never", named("a", "{groups: [staff]}", "allow: {}, expires: 2027-01-01"), allow, `rule "a" expires later`},
		{"an allow expires", allow, named("a", "{groups: [staff]}", "allow: {}, expires: 2027-01-02"), ""},
		{"an allow answers otherwise", allow, named("a", "{groups: [staff]}", "allow: {answer: forward}"), `rule "a" answers forward, not none`},
		{"another expression", when("a", "source.failures < 3", "allow: {}"), when("a", "source.failures < 4", "allow: {}"), `rule "a" matches more requests`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gone, edits := policy.Weaker(load(t, preamble+tt.old), load(t, preamble+tt.next))
			got := slices.Concat(gone, edits).Error()
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.Count(got, "\n") > 0 {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if strings.Contains(tt.want, "is gone") != (len(gone) > 0) {
				t.Errorf("got %v in the old files and %v in the new ones", gone, edits)
			}
		})
	}
}

// TestWeakerNames lists what networks and applications may let in.
func TestWeakerNames(t *testing.T) {
	const rule = "  - {name: a, match: {networks: [offices]}, allow: {}}\n"
	for _, tt := range []struct{ from, to, want string }{
		{"192.0.2.0/24", "192.0.0.0/16", `network "offices" holds other addresses: 2 prefixes, not 2`},
		{"192.0.2.0/24, 2001:db8::/32", "2001:db8::/32, 192.0.2.0/24", ""},
		{"labs: [198.51.100.0/24]", "labs: [0.0.0.0/0]", ""}, // no rule mentions it
		{`realms: ["urn:payroll"]`, `while_state_down: {until: 2026-12-01T15:00:00Z, owner: o, reason: r}, realms: ["urn:payroll"]`, `application "payroll" goes on while the store is down, until 2026-12-01T15:00:00Z`},
		{`["urn:payroll"]`, `["urn:payroll", "urn:more"]`, `application "payroll" has the realm "urn:more" more`},
		{"answer: forward}", "answer: issue}", `application "travel" answers issue, not forward`},
		{"answer: issue}", "answer: issue, lifetime: 8h}", `application "payroll" has tokens that live 8h0m0s, not 1h0m0s`},
		{"answer: issue}", "answer: issue, lifetime: 10m, oracle: hide}", ""},
		{"answer: forward}", "answer: forward, answer_encrypted: true}", `application "travel" takes answers that nobody can check`},
		{"answer: forward}", "answer: forward, extensions: [Claims, UseKey]}", `application "travel" has Claims, UseKey forwarded`},
		{"answer: forward}", "answer: forward, trust_farm_mfa: true}", `application "travel" takes second factors that the farm claims`},
		{"answer: forward}", "answer: forward, assurance: accept-approve}", `application "travel" is told of a second factor where the user only approved`},
		{"answer: issue}", "answer: issue, claims: [{type: c/1, from: groups}]}", `application "payroll" gets other claims`},
		{"applications:\n", "applications:\n  more: {realms: [urn:more], answer: issue}\n", `application "more" is new`},
	} {
		next := strings.Replace(preamble, tt.from, tt.to, 1)
		if next == preamble {
			t.Fatalf("%q is not in the files", tt.from)
		}
		gone, edits := policy.Weaker(load(t, preamble+rule), load(t, next+rule))
		if got := edits.Error(); len(gone) > 0 || !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: got %q, want %q", tt.to, got, tt.want)
		}
	}
	hidden := strings.Replace(preamble, "answer: issue}", "answer: issue, oracle: hide}", 1)
	if _, edits := policy.Weaker(load(t, hidden+rule), load(t, preamble+rule)); !strings.Contains(edits.Error(), `application "payroll" no longer hides`) {
		t.Errorf("got %q", edits)
	}
}
