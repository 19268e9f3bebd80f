package policy_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"stsgate/policy"
)

// TestPlanted finds rules that make no sense (POL-02, POL-08): as mistakes
// those that can mean nothing, as warnings those in the shadow of another one.
func TestPlanted(t *testing.T) {
	const allowAll = "  - {name: all, match: everyone, allow: {}}\n"
	tests := []struct{ name, rules, mistake, warning string }{
		{"a key and its negation", named("r", "{networks: [offices], not: {networks: [offices, labs]}}", "deny: {}"), "no request meets it, since networks and not networks exclude each other", ""},
		{"a name and a pattern of it", named("r", "{users: [svc-a@contoso.example], not: {users: [svc-*]}}", "deny: {}"), "since users and not users exclude", ""},
		{"a pattern and a wider one", named("r", "{users: ['*@lab.partner.example'], not: {users: ['*.example']}}", "deny: {}"), "since users and not users exclude", ""},
		{"familiar and not", named("r", "{familiar: true, not: {familiar: true}}", "deny: {}"), "since familiar and not familiar", ""},
		{"hours and not", named("r", "{hours: [{from: 08:00, to: 18:00, zone: UTC}], not: {hours: [{from: 08:00, to: 18:00, zone: UTC}]}}", "deny: {}"), "since hours and not hours", ""},
		{"not any version", named("r", "{not: {versions: [1.2, 1.3]}}", "deny: {}"), "since not versions names all there are", ""},
		{"not any type", named("r", "{not: {types: [issue, renew, validate, cancel]}}", "deny: {}"), "since not types names all there are", ""},
		{"not any endpoint", named("r", "{not: {endpoints: ["+endpoint13+", "+endpoint2005+"]}}", "deny: {}"), "since not endpoints names all there are", ""},
		{"no application is left", named("r", "{not: {applications: [travel, payroll]}}", "deny: {}"), "since not applications names all there are", ""},
		{"in an exception", named("r", "everyone", "deny: {}, except: "+except("{groups: [staff], not: {groups: [staff]}}", "2027-01-01")), "the exception: no request meets it", ""},
		{"an exception outside of its rule", named("r", "{applications: [payroll]}", "deny: {}, except: "+except("{applications: [travel]}", "2027-01-01")), "no request meets it and its rule", ""},
		{"an exception that the rule excludes", named("r", "{not: {networks: [offices]}}", "deny: {}, except: "+except("{networks: [offices]}", "2027-01-01")), "no request meets it and its rule", ""},
		{"the same allow twice", allowAll + named("r", "everyone", "allow: {}"), `rule "r" says what rule "all" at policy.yaml:10 says already`, ""},
		{"the same deny, values in another order", named("r", "{groups: [a, b], networks: [labs]}", "deny: {}") + named("s", "{networks: [labs], groups: [B, a]}", "deny: {}"), `rule "s" says what rule "r"`, ""},
		{"the same require", named("r", "everyone", "require: {mfa: {}}") + named("s", "everyone", "require: {mfa: {shapes: [hold, code, grant, challenge]}}"), `rule "s" says what rule "r"`, ""},
		{"the same when", when("r", "source.failures > 1", "deny: {}") + when("s", "source.failures > 1", "deny: {}"), `rule "s" says what rule "r"`, ""},
		{"an allow by a claim", named("r", "{families: [adal]}", "allow: {}"), "opens by nothing but what the client claims", ""},
		{"an allow by the lack of a claim", named("r", "{not: {act_as: ['*']}}", "allow: {}"), "opens by nothing but what the client claims", ""},
		{"an allow by two claims", named("r", "{families: [adal], on_behalf_of: [bob], not: {networks: [labs]}}", "allow: {}"), "opens by nothing but what the client claims", ""},
		{"an allow by an expression of claims", when("r", `client.user_agent.contains("Outlook") && request.soap == "1.2"`, "allow: {}"), "opens by nothing but what the client claims", ""},
		{"an exception by a claim", named("r", "everyone", "require: {mfa: {}}, except: "+except("{families: [adal]}", "2027-01-01")), "the exception opens by nothing but", ""},

		{"an allow in a deny of all", named("r", "{groups: [staff]}", "allow: {}") + named("d", "everyone", "deny: {}"), "", `rule "r" does nothing: rule "d" at policy.yaml:11 denies all of it`},
		{"an allow in a deny of its application", named("r", "{groups: [staff], applications: [travel]}", "allow: {}") + named("d", "{applications: [travel, payroll]}", "deny: {}"), "", `rule "d" at policy.yaml:11 denies all of it`},
		{"an allow in a deny by negation", named("r", "{versions: [1.2]}", "allow: {}") + named("d", "{not: {versions: [1.3]}}", "deny: {}"), "", `rule "d" at policy.yaml:11 denies all of it`},
		{"a require in a deny", named("r", "{groups: [staff]}", "require: {mfa: {}}") + named("d", "{groups: [staff, sales]}", "deny: {}"), "", `rule "d" at policy.yaml:11 denies all of it`},
		{"a deny in a wider deny", named("r", "{users: [svc-a@contoso.example]}", "deny: {}") + named("d", "{users: [svc-*]}", "deny: {}"), "", `rule "d" at policy.yaml:11 covers all of it`},
		{"a deny in a deny of fewer exclusions", named("r", "{not: {networks: [offices, labs]}}", "deny: {}") + named("d", "{not: {networks: [offices]}}", "deny: {}"), "", `rule "d" at policy.yaml:11 covers all of it`},
		{"an allow in a wider allow", allowAll + named("r", "{groups: [staff]}", "allow: {}"), "", `rule "r" does nothing: rule "all" at policy.yaml:10 covers all of it`},
		{"an allow that ends in one that does not", allowAll + named("r", "everyone", "allow: {}, expires: 2027-06-01"), "", `rule "all" at policy.yaml:10 covers all of it`},
		{"a require in a stricter one", named("d", "everyone", "require: {mfa: {shapes: [code], remember: 1h}, limit: {lifetime: 10m}}") + named("r", "{groups: [staff]}", "require: {mfa: {remember: 8h}, limit: {lifetime: 1h}}"), "", `rule "d" at policy.yaml:10 covers all of it`},
		{"an exception for all", named("r", "{groups: [staff]}", "deny: {}, except: "+except("everyone", "2027-06-01")), "", `the exception leaves nothing of rule "r" until 2027-06-01T00:00:00Z`},
		{"an exception for all of the rule", named("r", "{groups: [staff]}", "deny: {}, except: "+except("{groups: [staff, sales]}", "2027-06-01")), "", `the exception leaves nothing of rule "r"`},
		{"a family on an allow", named("r", "{families: [adal], groups: [staff]}", "allow: {}"), "", `rule "r" allows by a family`},
		{"an exception that ends soon", named("r", "everyone", "deny: {}, except: "+except("{groups: [staff]}", "2026-12-31")), "", `the exception from rule "r" (tests) expires at 2026-12-31T00:00:00Z`},
		{"an exception that has ended", named("r", "everyone", "deny: {}, except: "+except("{groups: [staff]}", "2026-12-01")), "", "expired at 2026-12-01T00:00:00Z: it excepts nothing"},
		{"an allow that ends soon", named("r", "everyone", "allow: {}, expires: 2026-12-31"), "", `rule "r" expires at 2026-12-31T00:00:00Z`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{"policy.yaml": {Data: []byte(preamble + tt.rules)}}
			s, err := policy.Load(files, vocabulary)
			var got string
			switch {
			case tt.mistake != "" && err == nil:
				t.Fatal("no mistake is found")
			case tt.mistake != "":
				got = err.Error()
			case err != nil:
				t.Fatal(err)
			default:
				got = s.Warnings(noon).Error()
			}
			if !strings.Contains(got, tt.mistake+tt.warning) {
				t.Errorf("got\n%s\nwant %s", got, tt.mistake+tt.warning)
			}
		})
	}
}

// TestNoFalseAlarm checks that rules which resemble those are not complained of.
func TestNoFalseAlarm(t *testing.T) {
	const end = "2027-12-01"
	for name, rules := range map[string]string{
		"overlapping allows":            named("r", "{groups: [staff]}", "allow: {}") + named("s", "{networks: [offices]}", "allow: {}"),
		"a narrower allow, answered":    named("r", "everyone", "allow: {}") + named("s", "{groups: [staff]}", "allow: {answer: forward}"),
		"a deny of others":              named("r", "{groups: [staff]}", "allow: {}") + named("d", "{not: {groups: [staff]}}", "deny: {}"),
		"a deny that reports":           named("r", "{groups: [staff]}", "allow: {}") + named("d", "everyone", "deny: {}, mode: report-only"),
		"a rule and its trial":          named("r", "everyone", "deny: {}") + named("s", "everyone", "deny: {}, mode: report-only"),
		"a deny with an exception":      named("r", "{groups: [staff]}", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("{groups: [sales]}", end)),
		"a stricter require":            named("r", "everyone", "require: {mfa: {remember: 8h}}") + named("s", "{groups: [admins]}", "require: {mfa: {remember: 0s}}"),
		"a require of another limit":    named("r", "everyone", "require: {mfa: {}}") + named("s", "{groups: [admins]}", "require: {limit: {lifetime: 10m}}"),
		"a name of another form":        named("r", `{users: ['LAB\a@partner.example']}`, "deny: {}") + named("d", "{users: ['*@partner.example']}", "deny: {}"),
		"a user in two groups":          named("r", "{groups: [staff], not: {groups: [sales]}}", "deny: {}"),
		"two networks":                  named("r", "{networks: [offices], not: {networks: [labs]}}", "deny: {}"),
		"a pattern but for one":         named("r", "{users: [svc-*], not: {users: [svc-a@contoso.example]}}", "deny: {}"),
		"two expressions":               when("r", "source.failures > 1", "deny: {}") + when("s", "source.failures > 2", "deny: {}"),
		"a claim beside a network":      named("r", "{on_behalf_of: ['*'], networks: [offices]}", "allow: {}"),
		"an expression beside a claim":  when("r", `client.user_agent == "x" && "staff" in user.groups`, "allow: {}"),
		"an allow that ends in a while": named("r", "{groups: [staff]}", "allow: {}, expires: "+end),
		"an exception of one user":      named("r", "{not: {networks: [offices]}}", "require: {mfa: {}}, except: "+except("{users: [svc-a@contoso.example]}", "2027-02-01")),
	} {
		s, err := policy.Load(fstest.MapFS{"policy.yaml": {Data: []byte(preamble + rules)}}, vocabulary)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range s.Warnings(noon) {
			if !strings.Contains(w.Msg, "no rule mentions it") {
				t.Errorf("%s: %v", name, w)
			}
		}
	}
}
