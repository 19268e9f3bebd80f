package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"stsgate/policy"
)

// randomPrefixes returns n lines, three quarters of them IPv4.
func randomPrefixes(n int) []byte {
	rnd := rand.New(rand.NewPCG(6, 6))
	var b strings.Builder
	for range n {
		a := netip.AddrFrom4([4]byte{byte(1 + rnd.IntN(223)), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())})
		bits := 16 + rnd.IntN(17)
		if rnd.IntN(4) == 0 {
			var six [16]byte
			for i := range six {
				six[i] = byte(rnd.Uint32())
			}
			six[0] = 0x20
			a, bits = netip.AddrFrom16(six), 32+rnd.IntN(97)
		}
		p, _ := a.Prefix(bits)
		fmt.Fprintln(&b, p)
	}
	return []byte(b.String())
}

// largeFiles has 1,000 rules, spread over so many applications, and 100,000
// prefixes in 20 networks. One rule in ten is for all applications.
func largeFiles(applications int) fstest.MapFS {
	var names, rules strings.Builder
	files := fstest.MapFS{}
	names.WriteString("networks:\n")
	for i := range 20 {
		fmt.Fprintf(&names, "  n%d: {file: n%d.txt}\n", i, i)
	}
	all := strings.SplitAfter(string(randomPrefixes(100_000)), "\n")
	for i := range 20 {
		files[fmt.Sprintf("n%d.txt", i)] = &fstest.MapFile{Data: []byte(strings.Join(all[i*5000:(i+1)*5000], ""))}
	}
	names.WriteString("applications:\n")
	for i := range applications {
		fmt.Fprintf(&names, "  a%d: {realms: [urn:a%d], answer: issue}\n", i, i)
	}
	rules.WriteString("rules:\n")
	for i := range 1000 {
		match := fmt.Sprintf("groups: [g%d, h%d], networks: [n%d], not: {users: [u%d@contoso.example], versions: ['1.2']}", i%300, i%77, i%20, i)
		if i%10 > 0 {
			match += fmt.Sprintf(", applications: [a%d]", i%applications)
		}
		effect := "allow: {}"
		switch i % 5 {
		case 0:
			effect = "deny: {}"
		case 1:
			effect = "require: {mfa: {remember: 8h}}"
		}
		fmt.Fprintf(&rules, "  - {name: r%d, match: {%s}, %s}\n", i, match, effect)
	}
	rules.WriteString("  - {name: last, match: everyone, allow: {}}\n")
	files["names.yaml"] = &fstest.MapFile{Data: []byte(names.String())}
	files["rules.yaml"] = &fstest.MapFile{Data: []byte(rules.String())}
	return files
}

// BenchmarkDecide measures a decision with 1,000 rules and 100,000 prefixes
// (budget: 5 us, no allocation), for a user in 20 groups.
func BenchmarkDecide(b *testing.B) {
	for _, applications := range []int{1, 100} {
		b.Run(fmt.Sprintf("applications=%d", applications), func(b *testing.B) {
			s, err := policy.Load(largeFiles(applications), vocabulary)
			if err != nil {
				b.Fatal(err)
			}
			f := alice()
			f.Request.AppliesTo = "urn:a0"
			for i := range 20 {
				f.User.Groups = append(f.User.Groups, fmt.Sprintf("G%d", 280+i))
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Decide(&f)
			}
		})
	}
}

// BenchmarkRules shows how a decision grows with the rules of one application,
// for rules by group and for rules by user.
func BenchmarkRules(b *testing.B) {
	for _, key := range []string{"groups: [g%d]", "users: [u%d@contoso.example]", "versions: [1.3], not: {groups: [g%d]}"} {
		for _, n := range []int{10, 100, 1_000, 10_000} {
			b.Run(fmt.Sprintf("%.8s/rules=%d", key, n), func(b *testing.B) {
				var rules strings.Builder
				rules.WriteString(preamble)
				for i := range n {
					rules.WriteString(named(fmt.Sprintf("r%d", i), "{"+fmt.Sprintf(key, i)+"}", []string{"allow: {}", "deny: {}", "require: {limit: {lifetime: 1h}}"}[i%3]))
				}
				s := load(b, rules.String())
				f := alice()
				b.ReportAllocs()
				for b.Loop() {
					s.Decide(&f)
				}
			})
		}
	}
}

// BenchmarkLoad measures loading of the same set.
func BenchmarkLoad(b *testing.B) {
	files := largeFiles(100)
	for b.Loop() {
		if _, err := policy.Load(files, vocabulary); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMillion measures a network of 1,000,000 prefixes (budgets: load
// 2 s, lookup 200 ns).
func BenchmarkMillion(b *testing.B) {
	files := fstest.MapFS{
		"a.yaml": {Data: []byte("networks: {n: {file: n.txt}}\napplications: {p: {realms: [urn:payroll], answer: issue}}\nrules: [{name: a, match: {networks: [n]}, allow: {}}]\n")},
		"n.txt":  {Data: randomPrefixes(1_000_000)},
	}
	var s *policy.Set
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			var err error
			if s, err = policy.Load(files, vocabulary); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decide", func(b *testing.B) {
		rnd := rand.New(rand.NewPCG(7, 7))
		var clients [1024]netip.Addr
		for i := range clients {
			clients[i] = netip.AddrFrom4([4]byte{byte(1 + rnd.IntN(223)), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())})
		}
		f := alice()
		i := 0
		for b.Loop() {
			f.Client.Address = clients[i%len(clients)]
			i++
			s.Decide(&f)
		}
	})
}

// TestAllocations checks that a decision allocates nothing.
func TestAllocations(t *testing.T) {
	s := load(t, preamble+named("m", "{not: {networks: [labs]}}", "require: {mfa: {}}, except: "+except("{groups: [admins]}", "2027-01-01"))+
		named("l", "{hours: [{from: 08:00, to: 18:00, zone: Europe/Berlin}]}", "require: {limit: {lifetime: 10m}}")+
		named("k", "{countries: [AT], asns: [64500], on_behalf_of: [svc-*]}", "deny: {}")+named("a", `{users: ['CONTOSO\alice'], groups: [staff], domains: [contoso], networks: [offices], not: {networks: [labs]}}`, "allow: {}")+
		named("d", "{users: [svc-*]}", "deny: {}"))
	f := alice()
	f.Client.Forwarded = addrs("192.0.2.1", "::ffff:192.0.2.2")
	if d := s.Decide(&f); d.Effect != policy.Allow {
		t.Fatal(decided(d))
	}
	if n := testing.AllocsPerRun(100, func() { s.Decide(&f) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// TestManyConditions decides with more conditions than are kept on the stack.
func TestManyConditions(t *testing.T) {
	var b strings.Builder
	b.WriteString(preamble)
	for i := range 5000 {
		b.WriteString(named(fmt.Sprintf("r%d", i), fmt.Sprintf("{groups: [g%d]}", i), "allow: {}"))
	}
	s := load(t, b.String())
	for _, i := range []int{0, 63, 64, 4095, 4096, 4999} {
		f := alice()
		f.User.Groups = []string{fmt.Sprintf("g%d", i)}
		if d := s.Decide(&f); d.Rule != fmt.Sprintf("r%d", i) {
			t.Errorf("group %d: %s", i, decided(d))
		}
	}
}
