package policy_test

import (
	"fmt"
	"net/netip"
	"testing/fstest"
	"time"

	"stsgate/policy"
)

func Example() {
	files := fstest.MapFS{"policy.yaml": {Data: []byte(`
networks:
  offices: [198.51.100.0/24, 2001:db8:10::/48]
applications:
  payroll: {realms: ["urn:payroll"], answer: issue}
rules:
  - name: staff may use payroll
    match: {groups: [staff], applications: [payroll]}
    allow: {}
  - name: nobody comes from outside
    match: {not: {networks: [offices]}}
    deny: {}
`)}}
	set, err := policy.Load(files, policy.Vocabulary{Directory: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	facts := policy.Facts{
		Known:   policy.AllFacts,
		Time:    time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC),
		User:    policy.User{Name: "alice@contoso.example", Groups: []string{"Staff"}},
		Request: policy.Request{AppliesTo: "urn:payroll"},
	}
	for _, client := range []string{"198.51.100.7", "203.0.113.9"} {
		facts.Client.Address = netip.MustParseAddr(client)
		d := set.Decide(&facts)
		fmt.Println(client, d.Effect, d.Answer, d.Why())
	}
	// Output:
	// 198.51.100.7 allow issue rule "staff may use payroll" allows
	// 203.0.113.9 deny none rule "nobody comes from outside" denies
}

func ExampleLoad() {
	_, err := policy.Load(fstest.MapFS{"rules.yaml": {Data: []byte(`
rules:
  - name: staff may use payroll
    match: {gruops: [staff], applications: [payroll]}
    allow: {}
`)}}, policy.Vocabulary{})
	fmt.Println(err)
	// Output:
	// rules.yaml:4:13: unknown key "gruops": did you mean "groups"?
	// rules.yaml:4:45: unknown application "payroll"
}
