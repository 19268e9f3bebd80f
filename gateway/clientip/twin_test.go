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

// naive is the same rule written down in another way: it reads the whole
// chain first, in text, with its own arithmetic, and then drops from the right.
func naive(peer netip.AddrPort, xff, ms []string) clientip.Client {
	c := naiveChain(strip(peer.Addr().String()), xff)
	if c.Doubtful || !exchange(c.Addr) {
		return c
	}
	c.ExchangeOnline = true
	if len(ms) == 0 {
		return c
	}
	for _, w := range strings.Split(strings.Join(ms, ",doubled,"), ",") {
		c.Forwarded = append(c.Forwarded, entry(strings.Trim(w, " \t")))
	}
	if len(c.Forwarded) > 20 || slices.Contains(c.Forwarded, netip.Addr{}) {
		c.Forwarded, c.Doubtful = nil, true
	}
	return c
}

// naiveChain is the part of it that is about X-Forwarded-For.
func naiveChain(at netip.Addr, lines []string) clientip.Client {
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
	return clientip.Client{Addr: chain[last]}
}

func trusted(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		return b[0] == 10 && b[1] == 0 && b[2] == 0 || b == [4]byte{192, 0, 2, 7}
	}
	b := a.As16()
	return b[0] == 0xfd && [7]byte(b[1:8]) == [7]byte{}
}

func exchange(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		return b[0] == 40 && (b[1] == 92 || b[1] == 93) || b == [4]byte{52, 100, 0, 9}
	}
	return strings.HasPrefix(a.StringExpanded(), "2a01:0111:f400:")
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

// HDR-04, HDR-05: whatever stands in the headers, the twin agrees, and a
// stranger's change nothing.
func FuzzLocate(f *testing.F) {
	f.Add("198.51.100.2, 10.0.0.2", "10.0.0.3", "10.0.0.5, 203.0.113.9")
	f.Add("unknown", "[2001:db8::1]:80", "unknown")
	f.Add("::ffff:10.0.0.2,fe80::1%0", ",", "[2001:db8::1]:80,")
	f.Add("198.51.100.2, 40.92.0.1", "10.0.0.3", "::ffff:10.0.0.5")
	r := clientip.New(config)
	f.Fuzz(func(t *testing.T, first, second, ms string) {
		h := http.Header{"X-Forwarded-For": {first, second}, "X-Ms-Forwarded-Client-Ip": {ms}}
		for _, peer := range []string{"10.0.0.1:1", "40.92.0.1:1", "203.0.113.9:1"} {
			at := netip.MustParseAddrPort(peer)
			got, want := r.Locate(at, h), naive(at, []string{first, second}, []string{ms})
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %s, the twin says %s", peer, client(got), client(want))
			}
			if peer == "203.0.113.9:1" && client(got) != "203.0.113.9" {
				t.Errorf("got %s for a stranger", client(got))
			}
		}
	})
}
