package edge

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var roomy = Share{Connections: 1000, Handshakes: 1000, Requests: 1000}

// newGate makes a gate with a roomy total and what a source may have.
func newGate(t *testing.T, total, perSource Share) *Gate {
	t.Helper()
	g, err := NewGate(GateConfig{Total: total, PerSource: perSource, Metrics: prometheus.NewRegistry(), Exempt: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/28"), netip.MustParsePrefix("2a01:111::/32"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// tries has an address connect n times, and returns how many were let in, and
// what kept out the last that was not.
func tries(g *Gate, address string, n int) (in int, over limit) {
	for range n {
		if l := g.connect(); l != unlimited {
			over = l
		} else if _, l := g.admit(netip.MustParseAddr(address), time.Now()); l != unlimited {
			g.disconnect(nil)
			over = l
		} else {
			in++
		}
	}
	return in, over
}

// DOS-06: 20 handshakes in a second and 40 after a pause, for each source.
func TestGateHandshakesPerSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, roomy, Share{Connections: 1000, Handshakes: 20, Requests: 1})
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{0, 40}, {0, 0}, {49 * time.Millisecond, 0}, {time.Millisecond, 1}, {time.Second, 20}, {2 * time.Second, 40}, {time.Hour, 40}} {
			time.Sleep(step.after)
			if in, over := tries(g, "192.0.2.1", 100); in != step.want || over != sourceHandshakesLimit {
				t.Errorf("after %v: got %d in and %v, want %d", step.after, in, over, step.want)
			}
		}
		if in, _ := tries(g, "192.0.2.2", 1); in != 1 {
			t.Error("another source was kept out")
		}
	})
}

// DOS-06: a second's handshakes in total; one source that is over its own does
// not use them up.
func TestGateHandshakesInTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, Share{Connections: 1000, Handshakes: 20, Requests: 1}, Share{Connections: 1000, Handshakes: 10, Requests: 1})
		if in, over := tries(g, "192.0.2.1", 100); in != 20 || over != sourceHandshakesLimit {
			t.Errorf("got %d in and %v, want 20", in, over)
		}
		if in, over := tries(g, "192.0.2.2", 15); in != 15 || over != unlimited {
			t.Errorf("another: got %d in and %v, want 15", in, over)
		}
		if in, over := tries(g, "192.0.2.3", 10); in != 5 || over != handshakesLimit {
			t.Errorf("a third: got %d in and %v, want 5", in, over)
		}
	})
}

// DOS-07: connections per source and in total, until they end.
func TestGateConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, Share{Connections: 5, Handshakes: 1000, Requests: 1}, Share{Connections: 3, Handshakes: 1000, Requests: 1})
		if in, over := tries(g, "192.0.2.1", 4); in != 3 || over != sourceConnectionsLimit {
			t.Errorf("got %d in and %v, want 3", in, over)
		}
		if in, over := tries(g, "192.0.2.2", 3); in != 2 || over != connectionsLimit {
			t.Errorf("another: got %d in and %v, want 2", in, over)
		}
		g.disconnect(g.sources[netip.MustParseAddr("192.0.2.1")])
		if in, over := tries(g, "192.0.2.1", 2); in != 1 || over != connectionsLimit {
			t.Errorf("after one ended: got %d in and %v, want 1", in, over)
		}
		for l, want := range map[limit]float64{sourceConnectionsLimit: 1, connectionsLimit: 2, handshakesLimit: 0} {
			if got := testutil.ToFloat64(g.refused[l]); got != want {
				t.Errorf("%v: counted %v, want %v", l, got, want)
			}
		}
	})
}

// A source is an IPv4 address, mapped or not, or 64 bits of IPv6. For proxies
// and Exchange Online only the totals hold.
func TestGateSources(t *testing.T) {
	for _, v := range []struct {
		first, second string
		same          bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"10.0.0.1", "10.0.0.1", false},
		{"10.0.0.15", "::ffff:10.0.0.15", false},
		{"10.0.0.16", "10.0.0.16", true},
		{"2a01:111::1", "2a01:111::1", false},
	} {
		g := newGate(t, roomy, Share{Connections: 1, Handshakes: 1, Requests: 1})
		tries(g, v.first, 1)
		if in, over := tries(g, v.second, 1); (in == 0) != v.same {
			t.Errorf("%s after %s: got %d in and %v, want the same source %v", v.second, v.first, in, over, v.same)
		}
	}
}

// The gate's memory is bounded whatever addresses there are: it holds sources
// with a connection, and those of the last two seconds' handshakes.
func TestGateForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, Share{Connections: 10, Handshakes: 100, Requests: 1}, Share{Connections: 1, Handshakes: 1, Requests: 1})
		kept, _ := g.admit(netip.MustParseAddr("192.0.2.1"), time.Now())
		_ = g.connect()
		most := 0
		for i := range 100_000 {
			if g.connect() == unlimited {
				s, _ := g.admit(netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)), time.Now())
				g.disconnect(s)
			}
			most = max(most, len(g.sources))
			time.Sleep(time.Millisecond)
		}
		// A burst, and the rate for the four seconds between a source's handshake
		// and the second sweep after it.
		if limit := 1 + 200 + 4*100; most > limit {
			t.Errorf("got %d sources, want at most %d", most, limit)
		}
		time.Sleep(time.Minute)
		if in, _ := tries(g, "192.0.2.2", 1); in != 1 || len(g.sources) != 2 {
			t.Errorf("got %d in and %d sources, want 1 and 2", in, len(g.sources))
		}
		if g.disconnect(kept); kept.connections != 0 {
			t.Errorf("got %d connections of the first source, want 0", kept.connections)
		}
	})
}

// DOS-07: requests per source and in total, until they are answered.
func TestGateRequests(t *testing.T) {
	g := newGate(t, Share{Connections: 10, Handshakes: 10, Requests: 3}, Share{Connections: 10, Handshakes: 10, Requests: 2})
	from := func(address string) *source {
		s, _ := g.admit(netip.MustParseAddr(address), time.Now())
		return s
	}
	one, two, exempt := from("192.0.2.1"), from("192.0.2.2"), from("10.0.0.1")
	check := func(s *source, want limit) {
		t.Helper()
		if got := g.full(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	g.begin(one)
	g.begin(one)
	check(one, sourceRequestsLimit)
	check(two, unlimited)
	g.begin(two)
	check(two, requestsLimit)
	check(exempt, requestsLimit)
	g.end(one)
	check(one, unlimited)
	g.end(one)
	g.end(two)
	for range 3 {
		check(exempt, unlimited)
		g.begin(exempt)
	}
	check(one, requestsLimit)
}

func TestNewGateRefuses(t *testing.T) {
	for i := range 6 {
		v := []int{1, 1, 1, 1, 1, 1}
		v[i] = 0
		c := GateConfig{Total: Share{v[0], v[1], v[2]}, PerSource: Share{v[3], v[4], v[5]}, Metrics: prometheus.NewRegistry()}
		if _, err := NewGate(c); err == nil {
			t.Errorf("got no error for %+v", c)
		}
	}
}
