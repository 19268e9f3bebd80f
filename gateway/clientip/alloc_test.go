package clientip_test

import (
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"stsgate/gateway/clientip"
)

// HDR-04: finding a client's address costs memory in proportion to the headers
// and no more, of whatever they are made and whoever sends them.
func TestAllocationIsLinear(t *testing.T) {
	const flat = 1.5 // what a byte may cost in long headers, times what it costs in short ones
	r := clientip.New(config)
	for name, entry := range map[string]string{
		"addresses": "203.0.113.9,", "proxies": "10.0.0.2, ", "commas": ",", "blanks": " \t", "digits": "1", "ipv6": "2001:db8::1,", "brackets": "[",
	} {
		for _, peer := range []string{"10.0.0.1:1", "40.92.0.1:1", "203.0.113.9:1"} {
			from := netip.MustParseAddrPort(peer)
			perByte := func(size int) float64 {
				text := strings.Repeat(entry, size/len(entry))
				h := http.Header{"X-Forwarded-For": {text, text}, "X-Ms-Forwarded-Client-Ip": {text}}
				const runs = 10
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range runs {
					r.Locate(from, h)
				}
				runtime.ReadMemStats(&after)
				return float64(after.TotalAlloc-before.TotalAlloc) / float64(runs*size)
			}
			small := perByte(4 << 10)
			for _, size := range []int{16 << 10, 64 << 10} {
				if got := perByte(size); got > flat*max(small, 1) {
					t.Errorf("%s from %s: %.2f bytes allocated for each of %d KiB, %.2f for each of 4 KiB", name, peer, got, size>>10, small)
				}
			}
		}
	}
}
