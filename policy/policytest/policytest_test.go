package policytest_test

import (
	"encoding/xml"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"stsgate/policy"
	"stsgate/policy/policytest"
)

var vocabulary = policy.Vocabulary{Endpoints: []string{"/adfs/services/trust/13/usernamemixed"}, Families: []string{"adal"}, Directory: true}

const rules = `
networks:
  offices: [192.0.2.0/24, 2001:db8::/32]
applications:
  payroll: {realms: ["urn:payroll"], answer: issue}
  travel: {realms: ["urn:travel"], answer: forward}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: no leavers, match: {groups: [leavers], applications: [payroll]}, deny: {}}
  - {name: outside, match: {not: {networks: [offices]}}, require: {mfa: {}}}
  - {name: old version, match: {versions: ["1.2"]}, deny: {}, mode: report-only}
  - {name: not from there, match: {countries: [NO]}, deny: {}}
  - {name: never there and by them, match: {asns: [64500], token_types: [saml2.0]}, deny: {}}
  - {name: strangers, match: {not: {groups: [staff]}}, when: source.failures > 3, deny: {}}
`

func run(t *testing.T, tests string) *policytest.Report {
	t.Helper()
	files := fstest.MapFS{"rules.yaml": {Data: []byte(rules)}, "rules_test.yaml": {Data: []byte(tests)}}
	set, err := policy.Load(files, vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	report, err := policytest.Run(set, files)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Every form of a test is read and met by the set that it is written for.
func TestLanguage(t *testing.T) {
	content, err := os.ReadFile("../testdata/suites/language_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range run(t, string(content)).Results {
		if r.Failed() || r.Explanation != nil {
			t.Errorf("%s: %v", r.Test.Name, r.Differences)
		}
	}
}

const staff = "user: {groups: [staff]}, client: {address: 192.0.2.10, country: DE, asn: 1}, request: {applies_to: 'urn:payroll', version: '1.3', token_type: saml1.1}"

// What is not as expected fails, and says why.
func TestFailures(t *testing.T) {
	report := run(t, `
tests:
  - {name: right, facts: {`+staff+`}, expect: {effect: allow}}
  - {name: wrong, facts: {`+staff+`}, expect: {effect: deny, rules: [no leavers]}}
`)
	if report.Failures() != 1 || report.Results[0].Failed() || !report.Results[1].Failed() {
		t.Fatalf("got %d failures", report.Failures())
	}
	r := report.Results[1]
	if want := []string{"effect: want deny, got allow", `rule "no leavers" does not apply`}; !slices.Equal(r.Differences, want) {
		t.Errorf("got %q, want %q", r.Differences, want)
	}
	if r.File != "rules_test.yaml" || r.Test.Line != 4 || r.Explanation == nil || r.LeansOn != nil {
		t.Errorf("got %+v", r)
	}
	text := r.Explanation.String()
	for _, want := range []string{
		"allow issue: rule \"staff\" allows\napplication payroll\nrule \"staff\" (rules.yaml:8, allow): matched\n  true    groups: staff; is [staff]\n",
		"rule \"no leavers\" (rules.yaml:9, deny): not matched\n  false   groups: leavers; is [staff]\n",
		"rule \"outside\" (rules.yaml:10, require mfa): not matched\n  false   not networks: offices; is 192.0.2.10\n",
		"rule \"old version\" (rules.yaml:11, deny, report-only): not matched\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwithout\n%s", text, want)
		}
	}
}

// A file of tests that is wrong is an error with the place of each mistake.
func TestMistakes(t *testing.T) {
	files := fstest.MapFS{"rules.yaml": {Data: []byte(rules)}, "rules_test.yaml": {Data: []byte("tests: [{}]")}}
	set, err := policy.Load(files, vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	_, err = policytest.Run(set, files)
	if all, ok := errors.AsType[policy.Errors](err); !ok || len(all) != 3 || all[0].File != "rules_test.yaml" || all[0].Line != 1 {
		t.Errorf("got %v", err)
	}
}

// A rule is covered by a test in which it applies, whatever is decided; for an
// application that it is not about, or where none has the realm, it is not.
func TestCoverage(t *testing.T) {
	covered := func(facts ...string) string {
		tests := "tests:\n"
		for i, f := range facts {
			tests += "  - {name: '" + strings.Repeat("x", i+1) + "', facts: {" + f + "}, expect: {effect: deny}}\n"
		}
		var names []string
		for _, c := range run(t, tests).Coverage {
			if c.Tests > 0 {
				names = append(names, c.Rule.Name)
			}
		}
		return strings.Join(names, ", ")
	}
	for _, tt := range []struct{ facts, want string }{
		{staff, "staff"},
		{"user: {groups: [staff, leavers]}, client: {address: 192.0.2.1, country: DE, asn: 1}, request: {applies_to: 'urn:payroll', version: '1.2'}", "no leavers, old version, staff"},
		{"user: {groups: [leavers]}, client: {address: 203.0.113.1, country: NO}, request: {applies_to: 'urn:travel'}", "not from there, outside"},
		{"user: {groups: [staff]}, request: {applies_to: 'urn:nobody'}", ""},
	} {
		if got := covered(tt.facts); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.facts, got, tt.want)
		}
	}
	report := run(t, "tests: [{name: a, facts: {"+staff+"}, expect: {effect: allow}}, {name: b, facts: {"+staff+"}, expect: {effect: allow}}]")
	if len(report.Coverage) != 7 || len(report.Uncovered()) != 6 || report.Coverage[5].Tests != 2 {
		t.Errorf("got %+v, without %v", report.Coverage, report.Uncovered())
	}
}

// A test that passes because it leaves a fact out says so: one fact by itself,
// or several together where none does alone. What the test gives, calls
// unknown, or no rule asks for is never named.
func TestLeaning(t *testing.T) {
	for name, tt := range map[string]struct{ test, want string }{
		"nothing":            {"facts: {" + staff + "}, expect: {effect: allow}", ""},
		"a deny":             {"facts: {request: {applies_to: 'urn:payroll'}}, expect: {effect: deny}", ""},
		"one":                {"facts: {user: {groups: [staff]}, client: {address: 192.0.2.10, asn: 1}, request: {applies_to: 'urn:payroll', version: '1.3', token_type: saml1.1}}, expect: {effect: allow}", "client.country"},
		"no address":         {"facts: {user: {groups: [staff]}, client: {country: DE, asn: 1}, request: {applies_to: 'urn:payroll', version: '1.3', token_type: saml1.1}}, expect: {effect: allow, mfa: required}", "client.address"},
		"two, each":          {"facts: {client: {address: 192.0.2.10, country: DE}, request: {applies_to: 'urn:payroll', version: '1.3', token_type: saml1.1}, source: {failures: 0}}, expect: {effect: deny, cause: no-allow}", "user.groups"},
		"together":           {"facts: {user: {groups: [staff]}, client: {address: 192.0.2.10, country: DE}, request: {applies_to: 'urn:payroll', version: '1.3'}}, expect: {effect: allow}", "client.asn, request.token_type"},
		"a cause":            {"facts: {request: {applies_to: 'urn:travel'}, client: {address: 192.0.2.10, country: DE, asn: 1}, user: {groups: [x]}}, expect: {effect: deny, cause: no-allow}", "source.failures"},
		"said to be unknown": {"facts: {user: {groups: [staff]}, client: {address: 192.0.2.10, country: DE}, request: {applies_to: 'urn:payroll', version: '1.3', token_type: saml1.1}}, unknown: [client.asn], expect: {effect: allow}", ""},
		"one that fails":     {"facts: {}, expect: {effect: allow}", ""},
	} {
		r := run(t, "tests: [{name: a, "+tt.test+"}]").Results[0]
		if got := strings.Join(r.LeansOn, ", "); got != tt.want || r.Failed() != (name == "one that fails") {
			t.Errorf("%s: got %q, want %q (%v)", name, got, tt.want, r.Differences)
		}
	}
}

// What continuous integration reads has every test, and of those that failed
// the differences.
func TestJUnit(t *testing.T) {
	report := run(t, `
tests:
  - {name: right, facts: {`+staff+`}, expect: {effect: allow}}
  - {name: "wrong <&> \"quoted\"", facts: {`+staff+`}, expect: {effect: deny}}
`)
	var b strings.Builder
	if err := report.WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Suites   []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Cases    []struct {
				Class   string `xml:"classname,attr"`
				Name    string `xml:"name,attr"`
				Line    int    `xml:"line,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if got.Tests != 2 || got.Failures != 1 || len(got.Suites) != 1 || got.Suites[0].Tests != 2 || got.Suites[0].Failures != 1 || got.Suites[0].Name != "rules_test.yaml" {
		t.Fatalf("got %+v", got)
	}
	right, wrong := got.Suites[0].Cases[0], got.Suites[0].Cases[1]
	if right.Name != "right" || right.Failure != nil || right.Class != "rules_test" || right.Line != 3 {
		t.Errorf("got %+v", right)
	}
	if wrong.Name != `wrong <&> "quoted"` || wrong.Failure == nil || wrong.Failure.Message != "effect: want deny, got allow" || !strings.Contains(wrong.Failure.Text, `rule "staff" allows`) {
		t.Errorf("got %+v", wrong)
	}
}
