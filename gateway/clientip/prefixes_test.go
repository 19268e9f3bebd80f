package clientip_test

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"stsgate/gateway/clientip"
)

// many are n prefixes, three quarters of them IPv4, some within others.
func many(n int) []netip.Prefix {
	rnd := rand.New(rand.NewPCG(5, 5))
	all := make([]netip.Prefix, n)
	for i := range all {
		four := [4]byte{byte(1 + rnd.IntN(223)), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())}
		a, bits := netip.AddrFrom4(four), 12+rnd.IntN(21)
		if i%4 == 0 {
			six := [16]byte{0x20, 0x01, 0x0d, byte(rnd.Uint32()), byte(rnd.Uint32()), 15: byte(rnd.Uint32())}
			a, bits = netip.AddrFrom16(six), 20+rnd.IntN(109)
		}
		all[i], _ = a.Prefix(bits)
	}
	return all
}

// HDR-07: with more than a thousand prefixes it is the same rule.
func TestManyPrefixes(t *testing.T) {
	prefixes := many(2000)
	r := clientip.New(clientip.Config{ExchangeOnline: prefixes})
	in, out := 0, 0
	for _, p := range prefixes {
		for _, a := range []netip.Addr{p.Addr(), p.Addr().Prev(), p.Addr().Next()} {
			if !a.IsValid() {
				continue
			}
			want := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
			if got := r.Locate(netip.AddrPortFrom(a, 1), nil).ExchangeOnline; got != want {
				t.Errorf("%s: got %v, want %v", a, got, want)
			}
			if want {
				in++
			} else {
				out++
			}
		}
	}
	if in < 1000 || out < 1000 {
		t.Errorf("%d addresses in and %d out are no test", in, out)
	}
}

func BenchmarkLocate(b *testing.B) {
	prefixes := many(2000)
	r := clientip.New(clientip.Config{Proxies: config.Proxies, ExchangeOnline: prefixes})
	h := http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Ms-Forwarded-Client-Ip": {"198.51.100.7, 203.0.113.9"}}
	for _, c := range []struct {
		name string
		peer netip.Addr
	}{
		{"stranger", netip.MustParseAddr("240.0.0.1")},
		{"proxy", netip.MustParseAddr("10.0.0.1")},
		{"exchange-online-4", prefixes[1].Addr()},
		{"exchange-online-6", prefixes[0].Addr()},
	} {
		peer := netip.AddrPortFrom(c.peer, 1)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Locate(peer, h)
			}
		})
		b.Run(c.name+"-no-header", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Locate(peer, nil)
			}
		})
	}
}
