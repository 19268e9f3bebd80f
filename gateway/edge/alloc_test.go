package edge_test

import (
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"stsgate/gateway/edge"
)

// DOS-02: reading a head, and finding its route, costs memory in
// proportion to it and no more, up to the largest that can be configured.
func TestAllocationIsLinear(t *testing.T) {
	const flat = 1.5 // what a byte may cost in a large head, times what it costs in a small one
	routes := []edge.Route{{Path: trust, Methods: []string{"POST"}, Handler: http.NotFoundHandler()}}
	line, own := "POST "+trust+" HTTP/1.1", "Host: "+host
	for name, of := range map[string]func(size int) string{
		"one long value": func(n int) string { return head(line, own, "X-A: "+strings.Repeat("a", n)) },
		"one long name":  func(n int) string { return head(line, own, strings.Repeat("a", n)+": 1") },
		"many values": func(n int) string {
			return head(append([]string{line, own}, repeat("X-A: "+strings.Repeat("a", n/62), 62)...)...)
		},
		"many names":        func(n int) string { return head(append([]string{line, own}, names(62, n/62)...)...) },
		"blanks":            func(n int) string { return head(line, own, "X-A:"+strings.Repeat(" \t", n/2)) },
		"connection":        func(n int) string { return head(line, own, "Connection: "+strings.Repeat("a, ", n/3)) },
		"target":            func(n int) string { return head("POST /"+strings.Repeat("a", n)+" HTTP/1.1", own) },
		"target of slashes": func(n int) string { return head("POST "+strings.Repeat("/", n)+" HTTP/1.1", own) },
		"query":             func(n int) string { return head("POST "+trust+"?"+strings.Repeat("a=&", n/3)+" HTTP/1.1", own) },
		"host":              func(n int) string { return head(line, "Host: "+strings.Repeat("a.", n/2)) },
		"cut short":         func(n int) string { return line + "\r\n" + strings.Repeat("X-A: 1\r\n", 60) + strings.Repeat("a", n) },
	} {
		t.Run(name, func(t *testing.T) {
			perByte := func(size int) float64 {
				raw := []byte(of(size))
				return allocated(func() {
					r, _, err := edge.ReadHead(raw, 2*size+8<<10)
					if e, bad := errors.AsType[*edge.HeadError](err); bad && (name != "cut short" || e.Rule != "HTTP-15") {
						t.Fatal(err)
					}
					if r != nil {
						edge.Find(routes, r)
					}
				}) / float64(len(raw))
			}
			small := perByte(4 << 10)
			for _, size := range []int{16 << 10, 64 << 10} {
				if got := perByte(size); got > flat*max(small, 1) {
					t.Errorf("got %.2f bytes allocated for each of %d KiB, %.2f for each of 4 KiB", got, size>>10, small)
				}
			}
		})
	}
}

// names are header lines with different names of some length.
func names(n, size int) (all []string) {
	for i := range n {
		all = append(all, "X"+strings.Repeat("a", size-8)+string(rune('a'+i%26))+string(rune('a'+i/26))+": 1")
	}
	return all
}

// allocated returns how many bytes a run allocates.
func allocated(run func()) float64 {
	const runs = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		run()
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / runs
}
