package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"stsgate/policy"
)

// inNetwork tells whether an address is in a network of these prefixes.
func inNetwork(s *policy.Set, a netip.Addr) bool {
	f := alice()
	f.Client.Address = a
	return s.Decide(&f).Effect == policy.Allow
}

// TestNetworks is the table of networks and addresses (HDR-07). A file with
// the same lines must say the same as the list.
func TestNetworks(t *testing.T) {
	tests := []struct{ network, in, out string }{
		{"10.0.0.0/8", "10.0.0.0 10.255.255.255 ::ffff:10.0.0.1 ::ffff:a00:1", "9.255.255.255 11.0.0.0 ::10.0.0.1 ::a00:1 a00::"},
		{"0.0.0.0/0", "0.0.0.0 255.255.255.255 ::ffff:192.0.2.1", ":: ::1 2001:db8::1"},
		{"::/0", ":: ::1 2001:db8::1 ::192.0.2.1", "0.0.0.0 192.0.2.1 ::ffff:192.0.2.1"},
		{"192.0.2.1", "192.0.2.1 ::ffff:192.0.2.1", "192.0.2.0 192.0.2.2"},
		{"192.0.2.1/32", "192.0.2.1", "192.0.2.0 192.0.2.2"},
		{"192.0.2.0/31", "192.0.2.0 192.0.2.1", "192.0.2.2 192.0.1.255"},
		{"192.0.2.128/25", "192.0.2.128 192.0.2.255", "192.0.2.127 192.0.3.0"},
		{"128.0.0.0/1", "128.0.0.0 255.255.255.255", "127.255.255.255 0.0.0.0"},
		{"255.255.255.255", "255.255.255.255", "255.255.255.254 0.0.0.0"},
		{"2001:db8::/32", "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::"},
		{"2001:db8::1", "2001:db8::1 2001:0db8:0::0:1 2001:db8::1%eth0", "2001:db8:: 2001:db8::2"},
		{"2001:db8::8/127", "2001:db8::8 2001:db8::9", "2001:db8::a 2001:db8::7"},
		{"fe80::/10", "fe80::1 fe80::1%eth0 febf::1", "fec0::1 fe7f::1"},
		{"::1", "::1 ::1%lo", ":: 127.0.0.1 ::ffff:127.0.0.1"},
		{"::/96", "::192.0.2.1 ::1", "::1:0:0 192.0.2.1"},
		{"64:ff9b::/96", "64:ff9b::192.0.2.1", "192.0.2.1 ::ffff:192.0.2.1"},
		// Overlaps, nesting, repetition.
		{"192.0.2.0/24 192.0.2.128/25", "192.0.2.1 192.0.2.129", "192.0.3.1"},
		{"192.0.2.128/25 192.0.2.0/24 192.0.2.1", "192.0.2.1 192.0.2.129", "192.0.3.1"},
		{"192.0.2.0/25 192.0.2.128/25", "192.0.2.0 192.0.2.255", "192.0.3.0 192.0.1.255"},
		{"0.0.0.0/0 ::/0", "192.0.2.1 2001:db8::1 ::ffff:192.0.2.1", ""},
		{"10.0.0.0/8 2001:db8::/32 192.0.2.1", "10.1.2.3 2001:db8::1 192.0.2.1", "192.0.2.2 2001:db9::1 11.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.network, func(t *testing.T) {
			list := strings.Fields(tt.network)
			const rest = "applications: {p: {realms: [urn:payroll], answer: issue}}\nrules:\n  - {name: a, match: {networks: [n]}, allow: {}}\n"
			inline := load(t, `networks: {n: ["`+strings.Join(list, `", "`)+"\"]}\n"+rest)
			file, err := policy.Load(fstest.MapFS{
				"a.yaml": {Data: []byte("networks: {n: {file: networks/n.txt}}\n" + rest)},
				// As an editor on Windows leaves it, without a last line end.
				"networks/n.txt": {Data: []byte("# a comment\r\n\r\n" + strings.Join(list, " # another\r\n  "))},
			}, vocabulary)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []*policy.Set{inline, file} {
				for _, a := range addrs(strings.Fields(tt.in)...) {
					if !inNetwork(s, a) {
						t.Errorf("%s is out", a)
					}
				}
				for _, a := range addrs(strings.Fields(tt.out)...) {
					if inNetwork(s, a) {
						t.Errorf("%s is in", a)
					}
				}
			}
		})
	}
}

// TestNetworksGolden reads prefixes, and looks addresses up in them, as
// testdata/networks.golden says (HDR-07).
func TestNetworksGolden(t *testing.T) {
	cases := 0
	sets := make(map[string]*policy.Set)
	for line := range strings.Lines(string(read(t, "testdata/networks.golden"))) {
		prefix, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || prefix == "#" {
			continue
		}
		cases++
		if sets[prefix] == nil {
			s, err := policy.Load(fstest.MapFS{"a.yaml": {Data: fmt.Appendf(nil, "networks: {n: [%q]}\n%s", prefix, inOne)}}, vocabulary)
			if wrong, isWrong := strings.CutPrefix(rest, "! "); isWrong || err != nil {
				if want := "a.yaml:1:16: " + wrong; err == nil || err.Error() != want {
					t.Errorf("%s: got %v, want %s", prefix, err, want)
				}
				continue
			}
			sets[prefix] = s
		}
		address, want, _ := strings.Cut(rest, " ")
		if got := map[bool]string{true: "in", false: "out"}[inNetwork(sets[prefix], netip.MustParseAddr(address))]; got != want {
			t.Errorf("%s: %s is %s, want %s", prefix, address, got, want)
		}
	}
	if cases < 200 {
		t.Errorf("got %d cases, want 200", cases)
	}
}

// inOne is a policy for the one network n.
const inOne = "applications: {p: {realms: [urn:payroll], answer: issue}}\nrules:\n  - {name: a, match: {networks: [n]}, allow: {}}\n"

// Prefixes that are probably a mistake: one that stands twice in a list is
// refused, and the others are warned of.
func TestNetworkWarnings(t *testing.T) {
	for _, tt := range []struct{ network, want string }{
		{"[192.0.2.0/24, 192.0.3.0/24, '2001:db8::/32']", ""},
		{"[192.0.2.0/24, 192.0.2.128/25]", `1:30: network "n": 192.0.2.128/25 lies inside 192.0.2.0/24`},
		{"[192.0.2.1, 192.0.2.0/24, 192.0.0.0/16]", `1:16: network "n": 192.0.2.1/32 lies inside 192.0.0.0/16; 1:27: network "n": 192.0.2.0/24 lies inside 192.0.0.0/16`},
		{"[0.0.0.0/0]", `4:34: rule "a" allows from network "n", which holds 0.0.0.0/0: every address of IPv4`},
		{"['::/0', 192.0.2.0/24]", `4:34: rule "a" allows from network "n", which holds ::/0: every address of IPv6`},
		{"{file: good.txt}", ""},
		{"{file: n.txt}", `1:12: network "n": 2 of 4 prefixes lie inside others of it`},
		{"{file: e.json}", ""},
	} {
		s, err := policy.Load(fstest.MapFS{
			"a.yaml":   {Data: []byte("networks: {n: " + tt.network + "}\n" + inOne)},
			"n.txt":    {Data: []byte("192.0.2.0/24\n192.0.2.7\n192.0.2.0/24\n2001:db8::/32\n")},
			"good.txt": {Data: []byte("192.0.2.0/24\n192.0.3.0/24\n")},
			"e.json":   {Data: []byte(`[{"serviceArea":"Exchange","ips":["192.0.2.0/24","192.0.2.0/24"]}]`)},
		}, vocabulary)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range s.Warnings(noon) {
			got = append(got, strings.TrimPrefix(w.Error(), "a.yaml:"))
		}
		if list := strings.Join(got, "; "); list != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.network, list, tt.want)
		}
	}
	got := mistakes(t, fstest.MapFS{"a.yaml": {Data: []byte("networks:\n  n: [192.0.2.1,\n    192.0.2.1/32]\n" + inOne)}}, vocabulary)
	if want := "a.yaml:3:5: 192.0.2.1/32 stands already on line 2"; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	denies := load(t, "networks: {n: [0.0.0.0/0]}\n"+strings.Replace(inOne, "allow", "deny", 1))
	if all := denies.Warnings(noon); len(all) > 0 {
		t.Errorf("a deny from everywhere: got %v", all)
	}
}

// TestNetworksLinear compares many overlapping networks with a search from
// prefix to prefix.
func TestNetworksLinear(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	address := func() netip.Addr {
		if rnd.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(rnd.IntN(4)), byte(rnd.IntN(4)), byte(rnd.IntN(256))})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(rnd.IntN(4)), byte(rnd.IntN(4)), 15: byte(rnd.IntN(256))})
	}
	const names = 12
	prefixes := make([][]netip.Prefix, names)
	content := "applications: {p: {realms: [urn:payroll], answer: issue}}\nrules:\n"
	for i := range prefixes {
		content += fmt.Sprintf("  - {name: r%d, match: {networks: [n%d]}, deny: {}, mode: report-only}\n", i, i)
	}
	content += "networks:\n"
	for i := range prefixes {
		content += fmt.Sprintf("  n%d:\n", i)
		for range 40 {
			a := address()
			p, _ := a.Prefix(a.BitLen() - rnd.IntN(min(a.BitLen()+1, 30+a.BitLen()-32)))
			if slices.Contains(prefixes[i], p) {
				continue
			}
			prefixes[i] = append(prefixes[i], p)
			content += fmt.Sprintf("    - %q\n", p)
		}
	}
	s := load(t, content)
	for range 20_000 {
		a := address()
		want := map[string]bool{}
		for i, list := range prefixes {
			for _, p := range list {
				if p.Contains(a) {
					want[fmt.Sprintf("r%d", i)] = true
				}
			}
		}
		f := alice()
		f.Client.Address = a
		got := s.Decide(&f).Reported
		if len(got) != len(want) {
			t.Fatalf("%s: got %v, want %v", a, got, want)
		}
		for _, r := range got {
			if !want[r.Name] {
				t.Fatalf("%s: got %v, want %v", a, got, want)
			}
		}
	}
}

// TestEndpoints reads a list of endpoints as Microsoft publishes it: all of it,
// and what is one service's.
func TestEndpoints(t *testing.T) {
	for service, want := range map[string]string{"": "192.0.2.1 2001:db8:1::1 198.51.100.1", ", service: Exchange": "192.0.2.1 2001:db8:1::1", ", service: SharePoint": "198.51.100.1"} {
		s, err := policy.Load(fstest.MapFS{
			"a.yaml": {Data: []byte("networks: {n: {file: e.json" + service + "}}\napplications: {p: {realms: [urn:payroll], answer: issue}}\nrules: [{name: a, match: {networks: [n]}, allow: {}}]\n")},
			"e.json": {Data: read(t, "testdata/policies/networks/endpoints.json")},
		}, vocabulary)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs("192.0.2.1", "192.0.2.200", "2001:db8:1::1", "2001:db8:2::1", "198.51.100.1", "203.0.113.1") {
			if got := inNetwork(s, a); got != strings.Contains(want, a.String()) {
				t.Errorf("%q: %s in the network: %v", service, a, got)
			}
		}
	}
}
