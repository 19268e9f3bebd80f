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
		{"192.0.2.0/24 192.0.2.0/24", "192.0.2.1", "192.0.3.1"},
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
