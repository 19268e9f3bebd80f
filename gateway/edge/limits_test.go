package edge_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stsgate/gateway/edge"
)

var roomy = edge.Share{Connections: 1000, Handshakes: 1000, Requests: 1000}

// limited starts a server whose gate has the total given, and one for a
// source; exempt are the prefixes for which that does not hold.
func limited(t *testing.T, h http.HandlerFunc, total, perSource edge.Share, exempt ...netip.Prefix) (*site, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	g := gate(t, edge.GateConfig{Total: total, PerSource: perSource, Exempt: exempt, Metrics: reg})
	return start(t, h, func(c *edge.Config) { c.Gate = g }), reg
}

// counted compares what the gate has counted under a limit's name.
func counted(t *testing.T, reg *prometheus.Registry, limit, want string) {
	t.Helper()
	text := "# HELP stsgate_limited_total Connections that were closed before their TLS handshake, and requests that were answered 503 before their body was read, by the key under limits that they were over.\n# TYPE stsgate_limited_total counter\n"
	for _, l := range []string{"connections", "connections_per_source", "handshakes", "handshakes_per_source", "requests", "requests_per_source"} {
		n := "0"
		if l == limit {
			n = want
		}
		text += `stsgate_limited_total{limit="` + l + `"} ` + n + "\n"
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(text), "stsgate_limited_total"); err != nil {
		t.Error(err)
	}
}

// DOS-06, DOS-07: what is over a limit is closed before the handshake, and
// there is room again when a connection has ended.
func TestConnectionsAreLimited(t *testing.T) {
	one := edge.Share{Connections: 1, Handshakes: 1000, Requests: 1000}
	for name, v := range map[string]struct{ total, perSource edge.Share }{
		"connections":            {one, roomy},
		"connections_per_source": {roomy, one},
	} {
		t.Run(name, func(t *testing.T) {
			s, reg := limited(t, echo, v.total, v.perSource)
			first := s.dial(t, host)
			second := s.dialTCP(t)
			ended(t, second, bufio.NewReader(second))
			counted(t, reg, name, "1")
			first.Close()
			for deadline := time.Now().Add(5 * time.Second); ; { // until the server has seen it
				c := s.dialTCP(t)
				_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
				if time.Now().After(deadline) {
					t.Fatal("no room after the first connection ended")
				}
			}
		})
	}
}

// DOS-06: handshakes over the rate do not begin.
func TestHandshakesAreLimited(t *testing.T) {
	one := edge.Share{Connections: 1000, Handshakes: 1, Requests: 1000}
	for name, v := range map[string]struct{ total, perSource edge.Share }{
		"handshakes":            {one, roomy},
		"handshakes_per_source": {roomy, one},
	} {
		t.Run(name, func(t *testing.T) {
			s, reg := limited(t, echo, v.total, v.perSource)
			s.dial(t, host)
			s.dial(t, host)
			third := s.dialTCP(t)
			ended(t, third, bufio.NewReader(third))
			counted(t, reg, name, "1")
		})
	}
}

// The source is who a proxy announces; one that is exempt has no limit of its
// own.
func TestLimitsGoBySource(t *testing.T) {
	one := edge.Share{Connections: 1, Handshakes: 1000, Requests: 1000}
	reg := prometheus.NewRegistry()
	g := gate(t, edge.GateConfig{Total: roomy, PerSource: one, Metrics: reg, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	s := start(t, echo, func(c *edge.Config) {
		c.Gate, c.Proxies = g, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	open := func(line string) *bufio.Reader {
		c := s.dialTCP(t)
		if _, err := io.WriteString(c, line+"\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		return bufio.NewReader(c)
	}
	waits := func(r *bufio.Reader) bool {
		_, err := r.ReadByte()
		return errors.Is(err, os.ErrDeadlineExceeded)
	}
	const first, second, own = "PROXY TCP4 192.0.2.1 192.0.2.9 1 443", "PROXY TCP4 192.0.2.2 192.0.2.9 1 443", "PROXY UNKNOWN"
	for _, v := range []struct {
		line string
		want bool
	}{{first, true}, {first, false}, {second, true}, {own, true}, {own, true}} {
		if got := waits(open(v.line)); got != v.want {
			t.Errorf("%s: let in %v, want %v", v.line, got, v.want)
		}
	}
	counted(t, reg, "connections_per_source", "1")
}

// DOS-07: over the limit a request is answered 503 with Retry-After before its
// body is read, and the connection ends. A request whose body is under way
// holds no place.
func TestRequestsAreLimited(t *testing.T) {
	one := edge.Share{Connections: 1000, Handshakes: 1000, Requests: 1}
	for name, v := range map[string]struct{ total, perSource edge.Share }{
		"requests":            {one, roomy},
		"requests_per_source": {roomy, one},
	} {
		t.Run(name, func(t *testing.T) {
			inside, leave := make(chan struct{}, 3), make(chan struct{})
			s, reg := limited(t, func(w http.ResponseWriter, r *http.Request) {
				inside <- struct{}{}
				if r.Method == "GET" {
					<-leave
				}
				echo(w, r)
			}, v.total, v.perSource)
			post := head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 2")
			ask := func(text string) (net.Conn, *bufio.Reader) {
				c := s.dial(t, host)
				if _, err := io.WriteString(c, text); err != nil {
					t.Fatal(err)
				}
				return c, bufio.NewReader(c)
			}
			slow, slowAnswer := ask(post + "x")
			<-inside
			_, held := ask(head("GET "+metadata+" HTTP/1.1", "Host: "+host))
			<-inside
			over, refused := ask(post)
			if status, h, _ := read(t, refused); status != 503 || h.Get("Retry-After") != "1" || h.Get("Connection") != "close" {
				t.Errorf("got status %d and header %v, want 503, Retry-After and close", status, h)
			}
			ended(t, over, refused)
			counted(t, reg, name, "1")
			if _, err := io.WriteString(slow, "y"); err != nil {
				t.Fatal(err)
			}
			if status, _, body := read(t, slowAnswer); status != 200 || !strings.HasSuffix(body, "xy") {
				t.Errorf("got status %d and body %q of what was under way, want 200 and xy", status, body)
			}
			close(leave)
			if status, _, _ := read(t, held); status != 200 {
				t.Errorf("got status %d of what was held, want 200", status)
			}
			if status, _, _ := s.send(t, post+"xy"); status != 200 {
				t.Errorf("got status %d when there was room again, want 200", status)
			}
		})
	}
}

// A handler that panics gives its place back.
func TestPanicGivesItsPlaceBack(t *testing.T) {
	one := edge.Share{Connections: 1000, Handshakes: 1000, Requests: 1}
	s, _ := limited(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			panic("handler")
		}
		echo(w, r)
	}, one, one)
	for range 3 {
		if status, _, _ := s.send(t, head("GET "+metadata+" HTTP/1.1", "Host: "+host)); status != 500 {
			t.Errorf("got status %d, want 500", status)
		}
	}
	if status, _, _ := s.send(t, head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 1")+"x"); status != 200 {
		t.Errorf("got status %d after panics, want 200", status)
	}
}
