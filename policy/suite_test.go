package policy_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"stsgate/policy"
)

// suiteRules are what the tests of tests are about.
const suiteRules = preamble + `
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: no leavers, match: {groups: [leavers], applications: [payroll]}, deny: {}}
  - {name: outside, match: {not: {networks: [offices]}}, require: {mfa: {}}}
  - {name: old version, match: {versions: ["1.2"]}, deny: {}, mode: report-only}
`

// suites reads one file of tests for suiteRules.
func suites(t testing.TB, content string) ([]policy.Test, error) {
	t.Helper()
	all, err := load(t, suiteRules).ReadSuites(fstest.MapFS{"a_test.yaml": {Data: []byte(content)}, "a.yaml": {Data: []byte("not one")}})
	if err != nil {
		return nil, err
	}
	if len(all) != 1 || all[0].File != "a_test.yaml" {
		t.Fatalf("got %v, want one suite", all)
	}
	return all[0].Tests, nil
}

// TestSuiteMistakes has each mistake that a file of tests can have reported
// where it stands (POL-01).
func TestSuiteMistakes(t *testing.T) {
	const good = "name: a, facts: {}, expect: {effect: deny}"
	for content, want := range map[string]string{
		"":             "1:1: the file is empty: it needs tests",
		"# nothing":    "1:1: the file is empty: it needs tests",
		"[]":           "1:1: want a mapping with tests, and defaults, got a list",
		"defaults: {}": "1:1: the file needs tests",
		"tests: []":    "1:8: an empty list: want a list of tests",
		"tests: {}":    "1:8: want a list of tests, got a mapping",
		"test: []":     "1:1: the file needs tests\na_test.yaml:1:1: unknown key \"test\": did you mean \"tests\"?",
		"tests: [a]":   "1:9: want a test: a mapping with name, facts and expect, got text",
		"tests: [{}]":  "1:9: a test needs expect\na_test.yaml:1:9: a test needs facts\na_test.yaml:1:9: a test needs name",
		"tests: [{" + good + "}, {" + good + "}]":                                                                     `1:55: test "a" stands already on line 1`,
		"tests: [{" + good + ", when: x}]":                                                                            `1:54: unknown key "when": the keys here are name, facts, unknown, expect`,
		"tests: [{name: 1, facts: {}, expect: {effect: deny}}]":                                                       "1:16: want a test's name, got a number: put it in quotes",
		"tests: [{name: a, facts: [], expect: {effect: deny}}]":                                                       "1:26: want a mapping of facts, got a list",
		"tests: [{name: a, facts: {usr: {}}, expect: {effect: deny}}]":                                                `1:27: unknown key "usr": did you mean "user"?`,
		"tests: [{name: a, facts: {request: {endpoint: /adfs}}, expect: {effect: deny}}]":                             `1:47: request.endpoint is never "/adfs"`,
		"tests: [{" + good + ", unknown: [users]}]":                                                                   `1:64: unknown fact "users": did you mean "user"?`,
		"tests: [{name: a, facts: {user: {name: x}}, unknown: [user.name], expect: {effect: deny}}]":                  `1:55: user.name has a value already`,
		"tests: [{name: a, facts: {}, expect: {}}]":                                                                   "1:38: expect needs an effect: allow or deny",
		"tests: [{name: a, facts: {}, expect: deny}]":                                                                 "1:38: want a mapping with effect, got text",
		"tests: [{name: a, facts: {}, expect: {effect: require}}]":                                                    `1:47: want allow or deny, got "require"`,
		"tests: [{name: a, facts: {}, expect: {effect: allow, mfa: yes}}]":                                            `1:59: want required or none, got "yes"`,
		"tests: [{name: a, facts: {}, expect: {effect: allow, answer: none}}]":                                        `1:62: want forward or issue, got "none"`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, cause: denied}}]":                                        `1:60: want no-allow or unknown-application or deny or conflict or allow, got "denied"`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, mfa: required}}]":                                        "1:53: a request that is denied owes no second factor",
		"tests: [{name: a, facts: {}, expect: {effect: deny, answer: issue}}]":                                        "1:53: a request that is denied has no answer",
		"tests: [{name: a, facts: {}, expect: {effect: deny, rules: []}}]":                                            "1:60: an empty list: want a list of rule names",
		"tests: [{name: a, facts: {}, expect: {effect: deny, rules: [staf]}}]":                                        `1:61: unknown rule "staf": did you mean "staff"?`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, rules: [staff, staff]}}]":                                `1:68: rule "staff" stands already on line 1`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, rules: [old version]}}]":                                 `1:61: rule "old version" is in report-only: it stands under reported`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, reported: [staff]}}]":                                    `1:64: rule "staff" is not in report-only: it stands under rules`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, not_rules: [old version]}}]":                             `1:65: rule "old version" is in report-only: it stands under not_reported`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, not_reported: [staff]}}]":                                `1:68: rule "staff" is not in report-only: it stands under not_rules`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, not_rules: [staf]}}]":                                    `1:65: unknown rule "staf": did you mean "staff"?`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, rules: [staff], not_rules: [staff]}}]":                   `1:81: rule "staff" stands under rules as well`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, reported: [old version], not_reported: [old version]}}]": `1:93: rule "old version" stands under reported as well`,
		"tests: [{name: a, facts: {}, expect: {effect: deny, application: payrol}}]":                                  `1:66: unknown application "payrol": did you mean "payroll"?`,
		"defaults: []\ntests: [{" + good + "}]":                                                                       "1:11: want a mapping of facts, got a list",
		"defaults: {unknown: [user]}\ntests: [{" + good + "}]":                                                        "1:12: defaults are values: unknown stands beside the facts of a test",
		"defaults: {client: {address: x}}\ntests: [{" + good + "}, {name: b, facts: {}, expect: {effect: deny}}]":     `1:30: "x" is no address: want one such as 203.0.113.7 or 2001:db8::7`,
		"tests: [{" + good + "}]\n---\ntests: []":                                                                     "2:1: a second document: a policy file has one",
	} {
		got := ""
		if _, err := suites(t, content); err != nil {
			got = strings.TrimPrefix(err.Error(), "a_test.yaml:")
		}
		if !strings.HasPrefix(got, want) || !strings.Contains(want, "\n") && strings.Contains(got, "\n") {
			t.Errorf("%s\ngot  %s\nwant %s", content, got, want)
		}
	}
}

// TestSuiteDefaults checks which facts a test has: its own, and of the
// defaults, group by group, those that it neither gives nor calls unknown.
func TestSuiteDefaults(t *testing.T) {
	tests, err := suites(t, `
defaults:
  user: {name: alice@contoso.example, groups: [staff]}
  client: {address: 192.0.2.10}
  request: {applies_to: "urn:payroll", version: "1.3"}
  time: 2026-12-01T12:00:00Z
tests:
  - {name: all, facts: {}, expect: {effect: allow}}
  - {name: one of its own, facts: {user: {groups: [leavers]}, time: 2026-12-02}, expect: {effect: deny}}
  - {name: a group that is empty, facts: {user: {}}, expect: {effect: deny}}
  - {name: one unknown, facts: {}, unknown: [user.groups, time], expect: {effect: deny}}
  - {name: a group unknown, facts: {user: {name: bob@contoso.example}}, unknown: [user, request], expect: {effect: deny}}
  - {name: as a record says it, facts: {client: {family: adal}, unknown: [user.groups], not_read: [client.address]}, expect: {effect: deny}}
`)
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		name, groups, realm, version, address, day string
		unknown                                    string
	}
	for i, want := range []facts{
		{"alice@contoso.example", "staff", "urn:payroll", "1.3", "192.0.2.10", "1", ""},
		{"alice@contoso.example", "leavers", "urn:payroll", "1.3", "192.0.2.10", "2", ""},
		{"", "", "urn:payroll", "1.3", "192.0.2.10", "1", ""},
		{"alice@contoso.example", "", "urn:payroll", "1.3", "192.0.2.10", "1", "user.groups time"},
		{"bob@contoso.example", "", "", "", "192.0.2.10", "1", "user.guid user.domain user.groups request.applies_to request.application request.endpoint request.version request.type request.credential request.token_type request.key_type request.soap"},
		{"alice@contoso.example", "", "urn:payroll", "1.3", "::", "1", "user.groups client.address"},
	} {
		f := &tests[i].Facts
		got := facts{f.User.Name, strings.Join(f.User.Groups, " "), f.Request.AppliesTo, f.Request.Version, f.Client.Address.String(), f.Time.Format("2"), ""}
		if f.Time.IsZero() { // unknown, and not looked at
			got.day = "1"
		}
		var unknown []string
		for _, info := range policy.FactInfos() {
			if !f.Known.Has(info.Fact) {
				unknown = append(unknown, info.Name)
			}
		}
		if got.unknown = strings.Join(unknown, " "); got != want {
			t.Errorf("%s: got\n%+v, want\n%+v", tests[i].Name, got, want)
		}
		if tests[i].Line != i+8 {
			t.Errorf("%s: got line %d, want %d", tests[i].Name, tests[i].Line, i+8)
		}
	}
	given := policy.FactSet(0).With(policy.UserName, policy.UserGroups, policy.ClientAddress, policy.ClientForwarded, policy.RequestAppliesTo,
		policy.RequestApplication, policy.RequestVersion, policy.Time)
	for i, want := range []policy.FactSet{given, given, given.With(policy.UserGUID, policy.UserDomain), given} {
		if tests[i].Given != want {
			t.Errorf("%s: got %b given, want %b", tests[i].Name, tests[i].Given, want)
		}
	}
}

// What defaults give as empty is given, though a test fills some of it.
func TestSuiteDefaultsGive(t *testing.T) {
	tests, err := suites(t, `
defaults: {user: {}}
tests: [{name: a, facts: {user: {name: x}}, expect: {effect: deny}}]
`)
	if err != nil || !tests[0].Given.Has(policy.UserGroups) || tests[0].Given.Has(policy.Time) {
		t.Errorf("got %v, %v", tests, err)
	}
}

// TestDifferences checks that each part of an expectation is looked at, and
// that an empty one is not.
func TestDifferences(t *testing.T) {
	s := load(t, suiteRules)
	f := alice()
	f.Client.Address = addrs("203.0.113.9")[0]
	f.Request.Version = "1.2"
	for _, tt := range []struct {
		expect string
		want   string
	}{
		{"effect: allow", ""},
		{"effect: allow, cause: allow, rules: [staff, outside], reported: [old version], mfa: required, answer: issue, application: payroll", ""},
		{"effect: deny", "effect: want deny, got allow"},
		{"effect: deny, cause: no-allow, mfa: none", "effect: want deny, got allow; cause: want no-allow, got allow; mfa: want none, got required"},
		{"effect: allow, mfa: none, answer: forward, application: travel", "mfa: want none, got required; answer: want forward, got issue; application: want travel, got payroll"},
		{"effect: allow, rules: [no leavers, staff]", `rule "no leavers" does not apply`},
		{"effect: allow, not_rules: [no leavers]", ""},
		{"effect: allow, not_rules: [no leavers, staff], not_reported: [old version]", `rule "staff" applies; rule "old version" applies`},
	} {
		tests, err := suites(t, "tests: [{name: a, facts: {}, expect: {"+tt.expect+"}}]")
		if err != nil {
			t.Fatal(err)
		}
		d, applying := s.Applying(&f)
		if got := strings.Join(tests[0].Expect.Differences(&d, applying), "; "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.expect, got, tt.want)
		}
	}
	f.Request.AppliesTo, f.Request.Version = "urn:nothing", "1.3"
	d, applying := s.Applying(&f)
	e := policy.Expect{Application: "payroll", Reported: []string{"old version"}}
	if got := e.Differences(&d, applying); !slices.Equal(got, []string{"application: want payroll, got none", `rule "old version" does not apply`}) {
		t.Errorf("got %q", got)
	}
}

// TestSuiteFiles checks which files are read, and that one which cannot be
// read is a mistake.
func TestSuiteFiles(t *testing.T) {
	const one = "tests: [{name: a, facts: {}, expect: {effect: deny}}]"
	s := load(t, suiteRules)
	all, err := s.ReadSuites(fstest.MapFS{"b_test.yaml": {Data: []byte(one)}, "a_test.yaml": {Data: []byte(one)}, ".c_test.yaml": {Data: []byte("x")}, "d_test.yml": {}, "d.yaml": {}, "e/f_test.yaml": {}})
	if err != nil || len(all) != 2 || all[0].File != "a_test.yaml" || all[1].File != "b_test.yaml" {
		t.Errorf("got %v, %v", all, err)
	}
	if _, err := s.ReadSuites(fstest.MapFS{"a_test.yaml": {Data: make([]byte, 1<<20+1)}}); err == nil || err.Error() != "a_test.yaml: the file is larger than 1 MiB" {
		t.Errorf("got %v", err)
	}
}
