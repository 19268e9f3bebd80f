package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"stsgate/policy"
)

var (
	twinUsers = []policy.User{
		{},
		{Name: "Alice@contoso.example", SAM: "alice", Domain: "contoso", Groups: []string{"Staff", "others"}},
		{Name: "bob@partner.example", SAM: "bob", Domain: "CONTOSO", Groups: []string{"admins", "SALES"}},
		{Name: "svc-x@lab.example", SAM: "svc-x", Domain: "LAB", Groups: []string{"sales"}},
	}
	twinAddrs = append(addrs("192.0.2.1", "::ffff:192.0.2.128", "192.0.2.200", "198.51.100.7", "203.0.113.1",
		"2001:db8::1", "2001:db8:1::1%eth0", "2001:db9::1"), netip.Addr{})
	twinPlacesOf = []policy.Place{{Country: "DE", ASN: 64500}, {Country: "AT", ASN: 64501}, {Country: "US", ASN: 64502}, {}}
)

func pick[T any](rnd *rand.Rand, list ...T) T { return list[rnd.IntN(len(list))] }

func pickSome(rnd *rand.Rand, list []string) []string {
	list = slices.Clone(list)
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:1+rnd.IntN(min(3, len(list)))]
}

func randomKeys(rnd *rand.Rand, odds int, catchAll bool) map[string][]string {
	var m map[string][]string
	for _, key := range twinKeys {
		if rnd.IntN(odds) > 0 {
			continue
		}
		values := twinValues[key]
		if key == "applications" && !catchAll {
			values = values[:2]
		}
		if m == nil {
			m = map[string][]string{}
		}
		m[key] = pickSome(rnd, values)
		if key == "familiar" {
			m[key] = m[key][:1]
		}
	}
	return m
}

func randomConditions(rnd *rand.Rand, catchAll bool) twinConditions {
	var c twinConditions
	if rnd.IntN(8) > 0 {
		c.match = randomKeys(rnd, 14, catchAll)
		c.not = randomKeys(rnd, 30, catchAll)
	}
	if rnd.IntN(5) == 0 {
		c.when = 1 + rnd.IntN(len(twinWhens)-1)
	}
	return c
}

// around is a time that is over, or is now, or will be, for some random facts.
func around(rnd *rand.Rand) time.Time { return noon.Add(time.Duration(rnd.IntN(4)-1) * time.Hour) }

func randomRule(rnd *rand.Rand, name, effect string, catchAll bool) twinRule {
	r := twinRule{name: name, effect: effect, twinConditions: randomConditions(rnd, catchAll), report: rnd.IntN(6) == 0}
	if effect != "allow" {
		r.require = rnd.IntN(len(twinRequires))
		for range rnd.IntN(5) / 2 {
			r.except = append(r.except, twinException{randomConditions(rnd, catchAll), around(rnd)})
		}
		return r
	}
	if rnd.IntN(6) == 0 {
		r.expires = around(rnd)
	}
	if rnd.IntN(3) == 0 {
		r.answer = pick(rnd, "issue", "forward")
		if catchAll && r.answer == "issue" { // which the loader insists on
			if r.not == nil {
				r.not = map[string][]string{}
			}
			r.not["applications"] = []string{"rest"}
		}
	}
	return r
}

func randomRules(rnd *rand.Rand, catchAll bool) []twinRule {
	rules := make([]twinRule, 1+rnd.IntN(9))
	for i := range rules {
		rules[i] = randomRule(rnd, fmt.Sprintf("r%d", i), pick(rnd, "allow", "allow", "allow", "deny", "require", "require"), catchAll)
	}
	return rules
}

// randomFacts are mostly known. What is not known has a value all the same,
// which must make no difference.
func randomFacts(rnd *rand.Rand) *policy.Facts {
	f := &policy.Facts{
		Known: policy.AllFacts,
		Time:  noon.Add(time.Duration(rnd.IntN(3)-1) * time.Hour),
		User:  pick(rnd, twinUsers...),
		Source: policy.Source{
			Failures: rnd.IntN(8), FailedUsers: rnd.IntN(4),
		},
		Request: policy.Request{
			AppliesTo:  pick(rnd, "urn:a", "urn:a", "urn:a", "urn:b", "urn:b2", "urn:c", "*", ""),
			Endpoint:   pick(rnd, endpoint13, endpoint2005),
			Version:    pick(rnd, "1.2", "1.3"),
			Type:       pick(rnd, "issue", "issue", "renew", "validate"),
			Credential: pick(rnd, "password", "password", "saml", ""),
			TokenType:  pick(rnd, "saml1.1", "saml2.0", "urn:jwt", ""),
			KeyType:    pick(rnd, "bearer", "symmetric", ""),
			SOAP:       pick(rnd, "1.1", "1.2"),
		},
		Delegation: policy.Delegation{OnBehalfOf: pick(rnd, "", "", "Bob", "svc-a", "?"), ActAs: pick(rnd, "", "", "?", "x@partner.example")},
		Client:     policy.Client{Family: pick(rnd, "adal", "outlook", "browser", "unknown"), UserAgent: pick(rnd, "x", "y"), Familiar: rnd.IntN(2) == 0},
	}
	if rnd.IntN(3) == 0 {
		for range 1 + rnd.IntN(3) {
			f.Known = f.Known.Without(policy.Fact(rnd.IntN(int(policy.NumFacts))))
		}
	}
	if rnd.IntN(8) == 0 {
		f.Known &^= policy.UserFacts
	}
	address := func() netip.Addr { return twinAddrs[min(rnd.IntN(len(twinAddrs)), rnd.IntN(2*len(twinAddrs)))] }
	f.Client.Address = address()
	for range rnd.IntN(6) / 2 {
		f.Client.Forwarded = append(f.Client.Forwarded, address())
	}
	for range rnd.IntN(2 + len(f.Client.Forwarded)) {
		f.Client.Places = append(f.Client.Places, pick(rnd, twinPlacesOf...))
	}
	return f
}

// fields writes the conditions in the language.
func (c *twinConditions) fields() []string {
	keys := func(m map[string][]string) []string {
		var all []string
		for key, values := range m {
			switch key {
			case "familiar":
				all = append(all, "familiar: "+values[0])
			case "hours":
				all = append(all, "hours: ["+strings.Join(values, ", ")+"]")
			default:
				all = append(all, fmt.Sprintf("%s: ['%s']", key, strings.Join(values, "', '")))
			}
		}
		return all
	}
	match := keys(c.match)
	if not := keys(c.not); len(not) > 0 {
		match = append(match, "not: {"+strings.Join(not, ", ")+"}")
	}
	var all []string
	if len(match) > 0 {
		all = append(all, "match: {"+strings.Join(match, ", ")+"}")
	} else if c.when == 0 {
		all = append(all, "match: everyone")
	}
	if c.when > 0 {
		all = append(all, fmt.Sprintf("when: %q", twinWhens[c.when].source))
	}
	return all
}

// yaml writes the rule in the language.
func (r *twinRule) yaml() string {
	parts := append([]string{"name: " + r.name}, r.fields()...)
	switch {
	case r.effect == "require":
		parts = append(parts, "require: "+twinRequires[r.require].yaml)
	case r.answer != "":
		parts = append(parts, "allow: {answer: "+r.answer+"}")
	default:
		parts = append(parts, r.effect+": {}")
	}
	if !r.expires.IsZero() {
		parts = append(parts, "expires: "+r.expires.Format(time.RFC3339))
	}
	if r.report {
		parts = append(parts, "mode: report-only")
	}
	if len(r.except) > 0 {
		var all []string
		for i := range r.except {
			e := &r.except[i]
			all = append(all, "{"+strings.Join(append(e.fields(), "owner: o", "reason: r", "expires: "+e.expires.Format(time.RFC3339)), ", ")+"}")
		}
		parts = append(parts, "except: ["+strings.Join(all, ", ")+"]")
	}
	return "  - {" + strings.Join(parts, ", ") + "}\n"
}

// twinSet loads the rules, spread over a number of files.
func twinSet(t testing.TB, rules []twinRule, files int, catchAll bool) *policy.Set {
	t.Helper()
	names := "networks:\n"
	for name, prefixes := range twinNetworks {
		names += fmt.Sprintf("  %s: ['%s']\n", name, strings.Join(prefixes, "', '"))
	}
	names += "applications:\n  a: {realms: ['urn:a'], answer: issue}\n  b: {realms: ['urn:b', 'urn:b2'], answer: forward}\n"
	if catchAll {
		names += "  rest: {realms: ['*'], answer: forward}\n"
	}
	mapped := fstest.MapFS{"names.yaml": {Data: []byte(names)}}
	for i := range rules {
		file := fmt.Sprintf("f%d.yaml", i%files)
		if mapped[file] == nil {
			mapped[file] = &fstest.MapFile{Data: []byte("rules:\n")}
		}
		mapped[file].Data = append(mapped[file].Data, rules[i].yaml()...)
	}
	s, err := policy.LoadUnlinted(mapped, vocabulary)
	if err != nil {
		t.Fatalf("%v\n%s", err, mapped["f0.yaml"].Data)
	}
	return s
}

func lines(rules []twinRule) string {
	var b strings.Builder
	for i := range rules {
		b.WriteString(rules[i].yaml())
	}
	return b.String()
}
