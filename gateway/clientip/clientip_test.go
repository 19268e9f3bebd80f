package clientip_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"stsgate/gateway/clientip"
)

var config = clientip.Config{
	Proxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.7/32"),
		netip.MustParsePrefix("fd00::/64"),
	},
	ExchangeOnline: []netip.Prefix{
		netip.MustParsePrefix("40.92.0.0/15"),
		netip.MustParsePrefix("52.100.0.9/32"),
		netip.MustParsePrefix("2a01:111:f400::/48"),
	},
}

// client writes a Client as ADDR, then " for" for ExchangeOnline, then
// Forwarded in order, then ! for Doubtful.
func client(c clientip.Client) string {
	s := c.Addr.String()
	if c.ExchangeOnline {
		s += " for"
	}
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
		"spoofed left entry":             {"10.0.0.1:1", []string{"10.0.0.9, 198.51.100.2"}, "198.51.100.2"},
		"spoofed loopback":               {"10.0.0.1:1", []string{"127.0.0.1, 198.51.100.2"}, "198.51.100.2"},
		"two proxies":                    {"10.0.0.1:1", []string{"198.51.100.2, 10.0.0.2"}, "198.51.100.2"},
		"three proxies":                  {"10.0.0.1:1", []string{"198.51.100.2, 10.0.0.2, 192.0.2.7"}, "198.51.100.2"},
		"two proxies and spoof":          {"10.0.0.1:1", []string{"1.1.1.1, 198.51.100.2, 10.0.0.2"}, "198.51.100.2"},
		"strangers' claims":              {"10.0.0.1:1", []string{"1.1.1.1, 2.2.2.2, 198.51.100.2"}, "198.51.100.2"},
		"all proxies":                    {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"two lines":                      {"10.0.0.1:1", []string{"1.1.1.1", "198.51.100.2"}, "198.51.100.2"},
		"two lines, last a proxy":        {"10.0.0.1:1", []string{"198.51.100.2", "10.0.0.2"}, "198.51.100.2"},
		"lines of lists":                 {"10.0.0.1:1", []string{"1.1.1.1, 2.2.2.2", "198.51.100.2, 10.0.0.2"}, "198.51.100.2"},
		"empty header":                   {"10.0.0.1:1", []string{""}, "10.0.0.1 !"},
		"blank header":                   {"10.0.0.1:1", []string{"  "}, "10.0.0.1 !"},
		"only a comma":                   {"10.0.0.1:1", []string{","}, "10.0.0.1 !"},
		"trailing comma":                 {"10.0.0.1:1", []string{"198.51.100.2,"}, "10.0.0.1 !"},
		"empty second line":              {"10.0.0.1:1", []string{"198.51.100.2", ""}, "10.0.0.1 !"},
		"leading comma":                  {"10.0.0.1:1", []string{",198.51.100.2"}, "198.51.100.2"},
		"no spaces":                      {"10.0.0.1:1", []string{"1.1.1.1,198.51.100.2"}, "198.51.100.2"},
		"tabs":                           {"10.0.0.1:1", []string{"1.1.1.1\t,\t198.51.100.2\t"}, "198.51.100.2"},
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
		"compatible is not mapped":       {"10.0.0.1:1", []string{"1.1.1.1, ::10.0.0.2"}, "::a00:2"},
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
		"twenty entries":                 {"10.0.0.1:1", []string{twenty}, "203.0.113.9"},
		"twenty-one entries":             {"10.0.0.1:1", []string{twenty + ", 198.51.100.2"}, "10.0.0.1 !"},
		"twenty-one over lines":          {"10.0.0.1:1", []string{twenty, "198.51.100.2"}, "10.0.0.1 !"},
		"unspecified":                    {"10.0.0.1:1", []string{"0.0.0.0"}, "0.0.0.0"},
		"multicast and broadcast remain": {"10.0.0.1:1", []string{"224.0.0.1, 255.255.255.255"}, "255.255.255.255"},
	} {
		t.Run(name, func(t *testing.T) {
			// None of these peers is Exchange Online.
			locate(t, v.peer, v.xff, []string{"9.9.9.9"}, v.want)
		})
	}
}

// HDR-05: X-MS-Forwarded-Client-IP, from whom it is believed and from whom not.
func TestLocateExchangeOnline(t *testing.T) {
	twenty := strings.Repeat("203.0.113.9, ", 19) + "203.0.113.9"
	for name, v := range map[string]struct {
		peer string
		xff  []string
		ms   []string
		want string
	}{
		"no header":                   {"40.92.0.1:1", nil, nil, "40.92.0.1 for"},
		"one address":                 {"40.92.0.1:1", nil, []string{"203.0.113.9"}, "40.92.0.1 for 203.0.113.9"},
		"private address in the list": {"40.92.0.1:1", nil, []string{"10.0.0.5, 203.0.113.9"}, "40.92.0.1 for 10.0.0.5 203.0.113.9"},
		"three, in order":             {"40.92.0.1:1", nil, []string{"3.3.3.3,1.1.1.1,2.2.2.2"}, "40.92.0.1 for 3.3.3.3 1.1.1.1 2.2.2.2"},
		"blanks and tabs":             {"40.92.0.1:1", nil, []string{" 1.1.1.1\t,\t2.2.2.2 "}, "40.92.0.1 for 1.1.1.1 2.2.2.2"},
		"the same twice":              {"40.92.0.1:1", nil, []string{"1.1.1.1, 1.1.1.1"}, "40.92.0.1 for 1.1.1.1 1.1.1.1"},
		"its own address":             {"40.92.0.1:1", nil, []string{"40.92.0.1"}, "40.92.0.1 for 40.92.0.1"},
		"a proxy of ours":             {"40.92.0.1:1", nil, []string{"10.0.0.1"}, "40.92.0.1 for 10.0.0.1"},
		"last of prefix":              {"40.93.255.255:1", nil, []string{"1.1.1.1"}, "40.93.255.255 for 1.1.1.1"},
		"next after prefix":           {"40.94.0.0:1", nil, []string{"1.1.1.1"}, "40.94.0.0"},
		"single server":               {"52.100.0.9:1", nil, []string{"1.1.1.1"}, "52.100.0.9 for 1.1.1.1"},
		"neighbour of it":             {"52.100.0.8:1", nil, []string{"1.1.1.1"}, "52.100.0.8"},
		"stranger":                    {"203.0.113.9:1", nil, []string{"10.0.0.5"}, "203.0.113.9"},
		"stranger's rubbish":          {"203.0.113.9:1", nil, []string{"unknown", ""}, "203.0.113.9"},
		"stranger's long list":        {"203.0.113.9:1", nil, []string{twenty + ", 1.1.1.1"}, "203.0.113.9"},
		"stranger who names a server": {"203.0.113.9:1", []string{"40.92.0.1"}, []string{"10.0.0.5"}, "203.0.113.9"},
		"proxy alone":                 {"10.0.0.1:1", nil, []string{"10.0.0.5"}, "10.0.0.1"},
		"stranger behind a proxy":     {"10.0.0.1:1", []string{"203.0.113.9"}, []string{"10.0.0.5"}, "203.0.113.9"},
		"server behind a proxy":       {"10.0.0.1:1", []string{"40.92.0.1"}, []string{"10.0.0.5"}, "40.92.0.1 for 10.0.0.5"},
		"server behind two":           {"10.0.0.1:1", []string{"40.92.0.1, 10.0.0.2"}, []string{"10.0.0.5"}, "40.92.0.1 for 10.0.0.5"},
		"server claimed by a client":  {"10.0.0.1:1", []string{"40.92.0.1, 203.0.113.9"}, []string{"10.0.0.5"}, "203.0.113.9"},
		"server is no proxy":          {"40.92.0.1:1", []string{"1.1.1.1"}, []string{"10.0.0.5"}, "40.92.0.1 for 10.0.0.5"},
		"proxy's header unreadable":   {"10.0.0.1:1", []string{"unknown"}, []string{"10.0.0.5"}, "10.0.0.1 !"},
		"rubbish before the server":   {"10.0.0.1:1", []string{"unknown, 40.92.0.1"}, []string{"10.0.0.5"}, "40.92.0.1 for 10.0.0.5"},
		"mapped peer":                 {"[::ffff:40.92.0.1]:1", nil, []string{"1.1.1.1"}, "40.92.0.1 for 1.1.1.1"},
		"mapped stranger":             {"[::ffff:203.0.113.9]:1", nil, []string{"1.1.1.1"}, "203.0.113.9"},
		"ipv6 server":                 {"[2a01:111:f400::1]:1", nil, []string{"2001:db8::1"}, "2a01:111:f400::1 for 2001:db8::1"},
		"ipv6 server with a zone":     {"[2a01:111:f400::1%eth0]:1", nil, []string{"1.1.1.1"}, "2a01:111:f400::1 for 1.1.1.1"},
		"ipv6 stranger":               {"[2a01:111:f401::1]:1", nil, []string{"2001:db8::1"}, "2a01:111:f401::1"},
		"both families":               {"40.92.0.1:1", nil, []string{"2001:DB8::1, 1.1.1.1"}, "40.92.0.1 for 2001:db8::1 1.1.1.1"},
		"mapped entry":                {"40.92.0.1:1", nil, []string{"::ffff:1.1.1.1"}, "40.92.0.1 for 1.1.1.1"},
		"mapped in hex":               {"40.92.0.1:1", nil, []string{"::ffff:a00:5"}, "40.92.0.1 for 10.0.0.5"},
		"ports":                       {"40.92.0.1:1", nil, []string{"1.1.1.1:4711, [2001:db8::1]:80"}, "40.92.0.1 for 1.1.1.1 2001:db8::1"},
		"bad port":                    {"40.92.0.1:1", nil, []string{"1.1.1.1:70000"}, "40.92.0.1 for !"},
		"zone":                        {"40.92.0.1:1", nil, []string{"fe80::1%eth0"}, "40.92.0.1 for !"},
		"empty":                       {"40.92.0.1:1", nil, []string{""}, "40.92.0.1 for !"},
		"only a comma":                {"40.92.0.1:1", nil, []string{","}, "40.92.0.1 for !"},
		"trailing comma":              {"40.92.0.1:1", nil, []string{"1.1.1.1,"}, "40.92.0.1 for !"},
		"leading comma":               {"40.92.0.1:1", nil, []string{",1.1.1.1"}, "40.92.0.1 for !"},
		"unknown":                     {"40.92.0.1:1", nil, []string{"unknown"}, "40.92.0.1 for !"},
		"unknown among others":        {"40.92.0.1:1", nil, []string{"10.0.0.5, unknown, 1.1.1.1"}, "40.92.0.1 for !"},
		"semicolons":                  {"40.92.0.1:1", nil, []string{"10.0.0.5; 1.1.1.1"}, "40.92.0.1 for !"},
		"prefix":                      {"40.92.0.1:1", nil, []string{"10.0.0.0/8"}, "40.92.0.1 for !"},
		"leading zeros":               {"40.92.0.1:1", nil, []string{"010.0.0.5"}, "40.92.0.1 for !"},
		"quoted":                      {"40.92.0.1:1", nil, []string{`"10.0.0.5"`}, "40.92.0.1 for !"},
		"a second line":               {"40.92.0.1:1", nil, []string{"1.1.1.1", "1.1.1.1"}, "40.92.0.1 for !"},
		"an empty second line":        {"40.92.0.1:1", nil, []string{"1.1.1.1", ""}, "40.92.0.1 for !"},
		"twenty":                      {"40.92.0.1:1", nil, []string{twenty}, "40.92.0.1 for" + strings.Repeat(" 203.0.113.9", 20)},
		"twenty-one":                  {"40.92.0.1:1", nil, []string{twenty + ", 10.0.0.5"}, "40.92.0.1 for !"},
	} {
		t.Run(name, func(t *testing.T) { locate(t, v.peer, v.xff, v.ms, v.want) })
	}
}

// locate compares with what is wanted and with the twin.
func locate(t *testing.T, peer string, xff, ms []string, want string) {
	t.Helper()
	h := http.Header{}
	for name, lines := range map[string][]string{"X-Forwarded-For": xff, "X-MS-Forwarded-Client-IP": ms} {
		for _, l := range lines {
			h.Add(name, l)
		}
	}
	// Other headers are nobody's word.
	for _, name := range []string{"Forwarded", "X-Real-IP", "X-MS-ADFS-Proxy-Client-IP", "X-MS-Proxy"} {
		h.Set(name, "9.9.9.9")
	}
	at := netip.MustParseAddrPort(peer)
	got := clientip.New(config).Locate(at, h)
	if client(got) != want {
		t.Errorf("got %s, want %s", client(got), want)
	}
	if twin := naive(at, xff, ms); !reflect.DeepEqual(got, twin) {
		t.Errorf("got %s, the twin says %s", client(got), client(twin))
	}
}

// HDR-05: which addresses a rule must hold for.
func TestAddresses(t *testing.T) {
	for name, v := range map[string]struct {
		peer, header, value, want string
	}{
		"direct":                     {"203.0.113.9:1", "", "", "[203.0.113.9]"},
		"behind a proxy":             {"10.0.0.1:1", "X-Forwarded-For", "203.0.113.9", "[203.0.113.9]"},
		"behind a doubtful proxy":    {"10.0.0.1:1", "X-Forwarded-For", "unknown", "[]"},
		"Exchange Online for itself": {"40.92.0.1:1", "", "", "[40.92.0.1]"},
		"Exchange Online for others": {"40.92.0.1:1", "X-MS-Forwarded-Client-IP", "10.0.0.5, 203.0.113.9", "[10.0.0.5 203.0.113.9]"},
		"Exchange Online for whom":   {"40.92.0.1:1", "X-MS-Forwarded-Client-IP", "10.0.0.5, unknown", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if v.header != "" {
				h.Set(v.header, v.value)
			}
			c := clientip.New(config).Locate(netip.MustParseAddrPort(v.peer), h)
			if got := fmt.Sprint(c.Addresses()); got != v.want {
				t.Errorf("got %s, want %s", got, v.want)
			}
		})
	}
}

func TestNobodyIsBelievedByDefault(t *testing.T) {
	h := http.Header{"X-Forwarded-For": {"198.51.100.2"}, "X-Ms-Forwarded-Client-Ip": {"198.51.100.2"}}
	got := clientip.New(clientip.Config{}).Locate(netip.MustParseAddrPort("127.0.0.1:1"), h)
	if client(got) != "127.0.0.1" {
		t.Errorf("got %s, want the peer", client(got))
	}
}

// A peer whose address net/http could not tell is nobody's.
func TestNoPeer(t *testing.T) {
	h := http.Header{"X-Forwarded-For": {"198.51.100.2"}, "X-Ms-Forwarded-Client-Ip": {"198.51.100.2"}}
	if got := clientip.New(config).Locate(netip.AddrPort{}, h); got.Addr.IsValid() || got.ExchangeOnline {
		t.Errorf("got %s, want no address", client(got))
	}
}
