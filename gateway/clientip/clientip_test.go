package clientip_test

import (
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stsgate/gateway/clientip"
)

var proxies = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.7/32"),
	netip.MustParsePrefix("fd00::/64"),
}

// client writes a Client as ADDR, then FORWARDED in order, then ! for Doubtful.
func client(c clientip.Client) string {
	s := c.Addr.String()
	for _, f := range c.Forwarded {
		s += " " + f.String()
	}
	if c.Doubtful {
		s += " !"
	}
	return s
}

// HDR-04: one line a vector, and a naive twin that must agree on each.
func TestLocate(t *testing.T) {
	twenty := strings.Repeat("203.0.113.9, ", 19) + "203.0.113.9"
	for name, v := range map[string]struct {
		peer string
		xff  []string
		want string
	}{
		"no header":                      {"203.0.113.9:1", nil, "203.0.113.9"},
		"stranger's header":              {"203.0.113.9:1", []string{"10.0.0.1"}, "203.0.113.9"},
		"stranger's rubbish":             {"203.0.113.9:1", []string{"unknown"}, "203.0.113.9"},
		"stranger's long header":         {"203.0.113.9:1", []string{twenty + "," + twenty}, "203.0.113.9"},
		"proxy without header":           {"10.0.0.1:1", nil, "10.0.0.1"},
		"proxy with client":              {"10.0.0.1:1", []string{"198.51.100.2"}, "198.51.100.2"},
		"single-address proxy":           {"192.0.2.7:1", []string{"198.51.100.2"}, "198.51.100.2"},
		"neighbour of it":                {"192.0.2.8:1", []string{"198.51.100.2"}, "192.0.2.8"},
		"last of prefix":                 {"10.0.0.255:1", []string{"198.51.100.2"}, "198.51.100.2"},
		"next after prefix":              {"10.0.1.0:1", []string{"198.51.100.2"}, "10.0.1.0"},
		"spoofed left entry":             {"10.0.0.1:1", []string{"10.0.0.9, 198.51.100.2"}, "198.51.100.2 10.0.0.9"},
		"spoofed loopback":               {"10.0.0.1:1", []string{"127.0.0.1, 198.51.100.2"}, "198.51.100.2 127.0.0.1"},
		"two proxies":                    {"10.0.0.1:1", []string{"198.51.100.2, 10.0.0.2"}, "198.51.100.2"},
		"three proxies":                  {"10.0.0.1:1", []string{"198.51.100.2, 10.0.0.2, 192.0.2.7"}, "198.51.100.2"},
		"two proxies and spoof":          {"10.0.0.1:1", []string{"1.1.1.1, 198.51.100.2, 10.0.0.2"}, "198.51.100.2 1.1.1.1"},
		"order of the claimed":           {"10.0.0.1:1", []string{"1.1.1.1, 2.2.2.2, 198.51.100.2"}, "198.51.100.2 1.1.1.1 2.2.2.2"},
		"all proxies":                    {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"two lines":                      {"10.0.0.1:1", []string{"1.1.1.1", "198.51.100.2"}, "198.51.100.2 1.1.1.1"},
		"two lines, last a proxy":        {"10.0.0.1:1", []string{"198.51.100.2", "10.0.0.2"}, "198.51.100.2"},
		"lines of lists":                 {"10.0.0.1:1", []string{"1.1.1.1, 2.2.2.2", "198.51.100.2, 10.0.0.2"}, "198.51.100.2 1.1.1.1 2.2.2.2"},
		"empty header":                   {"10.0.0.1:1", []string{""}, "10.0.0.1 !"},
		"blank header":                   {"10.0.0.1:1", []string{"  "}, "10.0.0.1 !"},
		"only a comma":                   {"10.0.0.1:1", []string{","}, "10.0.0.1 !"},
		"trailing comma":                 {"10.0.0.1:1", []string{"198.51.100.2,"}, "10.0.0.1 !"},
		"empty second line":              {"10.0.0.1:1", []string{"198.51.100.2", ""}, "10.0.0.1 !"},
		"leading comma":                  {"10.0.0.1:1", []string{",198.51.100.2"}, "198.51.100.2"},
		"no spaces":                      {"10.0.0.1:1", []string{"1.1.1.1,198.51.100.2"}, "198.51.100.2 1.1.1.1"},
		"tabs":                           {"10.0.0.1:1", []string{"1.1.1.1\t,\t198.51.100.2\t"}, "198.51.100.2 1.1.1.1"},
		"non-breaking space":             {"10.0.0.1:1", []string{"198.51.100.2\u00a0"}, "10.0.0.1 !"},
		"port":                           {"10.0.0.1:1", []string{"198.51.100.2:4711"}, "198.51.100.2"},
		"port of a proxy":                {"10.0.0.1:1", []string{"198.51.100.2, 10.0.0.2:80"}, "198.51.100.2"},
		"bad port":                       {"10.0.0.1:1", []string{"198.51.100.2:70000"}, "10.0.0.1 !"},
		"empty port":                     {"10.0.0.1:1", []string{"198.51.100.2:"}, "10.0.0.1 !"},
		"ipv6":                           {"10.0.0.1:1", []string{"2001:db8::1"}, "2001:db8::1"},
		"ipv6 with port":                 {"10.0.0.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		"ipv6 in brackets alone":         {"10.0.0.1:1", []string{"[2001:db8::1]"}, "10.0.0.1 !"},
		"ipv6 spelled long":              {"10.0.0.1:1", []string{"2001:0DB8:0:0:0:0:0:1"}, "2001:db8::1"},
		"ipv6 proxy":                     {"[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		"ipv6 stranger":                  {"[2001:db8::9]:1", []string{"2001:db8::1"}, "2001:db8::9"},
		"ipv6 then ipv4 proxy":           {"[fd00::1]:1", []string{"2001:db8::1, 10.0.0.2"}, "2001:db8::1"},
		"mapped peer is the proxy":       {"[::ffff:10.0.0.1]:1", []string{"198.51.100.2"}, "198.51.100.2"},
		"mapped peer is a stranger":      {"[::ffff:203.0.113.9]:1", []string{"198.51.100.2"}, "203.0.113.9"},
		"mapped entry":                   {"10.0.0.1:1", []string{"::ffff:198.51.100.2"}, "198.51.100.2"},
		"mapped entry is a proxy":        {"10.0.0.1:1", []string{"198.51.100.2, ::ffff:10.0.0.2"}, "198.51.100.2"},
		"mapped in hex is a proxy":       {"10.0.0.1:1", []string{"198.51.100.2, ::ffff:a00:2"}, "198.51.100.2"},
		"mapped with port":               {"10.0.0.1:1", []string{"[::ffff:198.51.100.2]:80"}, "198.51.100.2"},
		"compatible is not mapped":       {"10.0.0.1:1", []string{"1.1.1.1, ::10.0.0.2"}, "::a00:2 1.1.1.1"},
		"zone of the peer":               {"[fd00::1%eth0]:1", []string{"198.51.100.2"}, "198.51.100.2"},
		"zone of an entry":               {"10.0.0.1:1", []string{"fe80::1%eth0"}, "10.0.0.1 !"},
		"zone with port":                 {"10.0.0.1:1", []string{"[fe80::1%eth0]:1"}, "10.0.0.1 !"},
		"unknown":                        {"10.0.0.1:1", []string{"unknown"}, "10.0.0.1 !"},
		"obfuscated":                     {"10.0.0.1:1", []string{"_hidden"}, "10.0.0.1 !"},
		"quoted":                         {"10.0.0.1:1", []string{`"198.51.100.2"`}, "10.0.0.1 !"},
		"Forwarded syntax":               {"10.0.0.1:1", []string{"for=198.51.100.2"}, "10.0.0.1 !"},
		"host name":                      {"10.0.0.1:1", []string{"localhost"}, "10.0.0.1 !"},
		"leading zeros":                  {"10.0.0.1:1", []string{"198.051.100.002"}, "10.0.0.1 !"},
		"hexadecimal":                    {"10.0.0.1:1", []string{"0xc6336402"}, "10.0.0.1 !"},
		"decimal":                        {"10.0.0.1:1", []string{"3325256706"}, "10.0.0.1 !"},
		"short":                          {"10.0.0.1:1", []string{"10.1"}, "10.0.0.1 !"},
		"prefix":                         {"10.0.0.1:1", []string{"10.0.0.0/8"}, "10.0.0.1 !"},
		"rubbish behind a proxy":         {"10.0.0.1:1", []string{"unknown, 10.0.0.2"}, "10.0.0.1 !"},
		"rubbish left of the client":     {"10.0.0.1:1", []string{"unknown, 198.51.100.2"}, "198.51.100.2"},
		"rubbish among the claimed":      {"10.0.0.1:1", []string{"1.1.1.1, x, 198.51.100.2"}, "198.51.100.2"},
		"twenty entries":                 {"10.0.0.1:1", []string{twenty}, "203.0.113.9" + strings.Repeat(" 203.0.113.9", 19)},
		"twenty-one entries":             {"10.0.0.1:1", []string{twenty + ", 198.51.100.2"}, "10.0.0.1 !"},
		"twenty-one over lines":          {"10.0.0.1:1", []string{twenty, "198.51.100.2"}, "10.0.0.1 !"},
		"unspecified":                    {"10.0.0.1:1", []string{"0.0.0.0"}, "0.0.0.0"},
		"multicast and broadcast remain": {"10.0.0.1:1", []string{"224.0.0.1, 255.255.255.255"}, "255.255.255.255 224.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if v.xff != nil {
				h["X-Forwarded-For"] = v.xff
			}
			// Other headers are nobody's word.
			h.Set("Forwarded", "for=9.9.9.9")
			h.Set("X-Real-IP", "9.9.9.9")
			peer := netip.MustParseAddrPort(v.peer)
			got := clientip.New(clientip.Config{Proxies: proxies}).Locate(peer, h)
			if client(got) != v.want {
				t.Errorf("got %s, want %s", client(got), v.want)
			}
			if twin := naive(peer, v.xff); !reflect.DeepEqual(got, twin) {
				t.Errorf("got %s, the twin says %s", client(got), client(twin))
			}
		})
	}
}

func TestNobodyIsBelievedByDefault(t *testing.T) {
	h := http.Header{"X-Forwarded-For": {"198.51.100.2"}}
	got := clientip.New(clientip.Config{}).Locate(netip.MustParseAddrPort("127.0.0.1:1"), h)
	if client(got) != "127.0.0.1" {
		t.Errorf("got %s, want the peer", client(got))
	}
}

func TestConfigIsCopied(t *testing.T) {
	list := slices.Clone(proxies)
	r := clientip.New(clientip.Config{Proxies: list})
	list[0] = netip.MustParsePrefix("203.0.113.0/24")
	h := http.Header{"X-Forwarded-For": {"198.51.100.2"}}
	if got := r.Locate(netip.MustParseAddrPort("203.0.113.9:1"), h); client(got) != "203.0.113.9" {
		t.Errorf("got %s, want the peer", client(got))
	}
}

// naive is the same rule written down in another way: it reads the whole
// chain first, in text, with its own arithmetic, and then drops from the right.
func naive(peer netip.AddrPort, lines []string) clientip.Client {
	at := strip(peer.Addr().String())
	if len(lines) == 0 || !trusted(at) {
		return clientip.Client{Addr: at}
	}
	var words []string
	for _, line := range lines {
		words = append(words, strings.Split(line, ",")...)
	}
	if len(words) > 20 {
		return clientip.Client{Addr: at, Doubtful: true}
	}
	chain := make([]netip.Addr, len(words)) // the zero Addr for what is none
	for i, w := range words {
		chain[i] = entry(strings.Trim(w, " \t"))
	}
	last := len(chain) - 1
	for last > 0 && chain[last].IsValid() && trusted(chain[last]) {
		last--
	}
	if !chain[last].IsValid() {
		return clientip.Client{Addr: at, Doubtful: true}
	}
	c := clientip.Client{Addr: chain[last]}
	if last > 0 && !slices.ContainsFunc(chain[:last], func(a netip.Addr) bool { return !a.IsValid() }) {
		c.Forwarded = chain[:last]
	}
	return c
}

func trusted(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		return b[0] == 10 && b[1] == 0 && b[2] == 0 || b == [4]byte{192, 0, 2, 7}
	}
	b := a.As16()
	return b[0] == 0xfd && [7]byte(b[1:8]) == [7]byte{}
}

func strip(s string) netip.Addr {
	s, _, _ = strings.Cut(s, "%")
	if a := netip.MustParseAddr(s); a.Is4In6() {
		return netip.AddrFrom4([4]byte(a.AsSlice()[12:]))
	} else {
		return a
	}
}

func entry(s string) netip.Addr {
	if inner, port, ok := strings.Cut(strings.TrimPrefix(s, "["), "]:"); ok && s[0] == '[' && strings.Contains(inner, ":") {
		s = inner
		if !isPort(port) {
			return netip.Addr{}
		}
	} else if host, port, ok := strings.Cut(s, ":"); ok && strings.Count(host, ".") == 3 && !strings.Contains(port, ":") {
		s = host
		if !isPort(port) {
			return netip.Addr{}
		}
	}
	if strings.Contains(s, "%") {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return strip(a.String())
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// HDR-04: whatever stands in the header, the twin agrees, and a stranger's
// header changes nothing.
func FuzzLocate(f *testing.F) {
	f.Add("198.51.100.2, 10.0.0.2", "10.0.0.3")
	f.Add("unknown", "[2001:db8::1]:80")
	f.Add("::ffff:10.0.0.2,fe80::1%0", ",")
	r := clientip.New(clientip.Config{Proxies: proxies})
	f.Fuzz(func(t *testing.T, first, second string) {
		h := http.Header{"X-Forwarded-For": {first, second}}
		proxy := netip.MustParseAddrPort("10.0.0.1:1")
		if got, want := r.Locate(proxy, h), naive(proxy, []string{first, second}); !reflect.DeepEqual(got, want) {
			t.Errorf("got %s, the twin says %s", client(got), client(want))
		}
		stranger := netip.MustParseAddrPort("203.0.113.9:1")
		if got := r.Locate(stranger, h); client(got) != "203.0.113.9" {
			t.Errorf("got %s for a stranger", client(got))
		}
	})
}
