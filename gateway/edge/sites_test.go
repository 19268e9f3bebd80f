package edge_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"stsgate/gateway/edge"
)

const portal = "approve.contoso.example"

// twoSites runs a server whose second host has a path and a certificate of its
// own.
func twoSites(t *testing.T, h http.HandlerFunc, more ...func(*edge.Config)) *site {
	t.Helper()
	return start(t, echo, func(c *edge.Config) {
		for _, change := range more {
			change(c)
		}
		own := write(t, t.TempDir(), issue(t, portal, 3600e9, ecKey(t)))
		own.Host = portal
		certs, err := edge.NewCertificates(own)
		if err != nil {
			t.Fatal(err)
		}
		c.Sites = []edge.Site{{Host: portal, Routes: []edge.Route{{Path: "/", Methods: []string{"GET"}, Handler: h}}, Certificates: certs}}
	})
}

// PORT-07: what is published for one host is 404 on the other, and neither is
// served under the other's TLS server name.
func TestSites(t *testing.T) {
	s := twoSites(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "portal") })
	for _, c := range []struct {
		sni, host, path string
		status          int
	}{
		{portal, portal, "/", 200},
		{portal, strings.ToUpper(portal) + ".:443", "/", 200},
		{host, host, metadata, 200},
		{portal, portal, metadata, 404},
		{portal, portal, trust, 404},
		{host, host, "/", 404},
		{host, portal, "/", 421},
		{portal, host, metadata, 421},
		{"", portal, "/", 200},
		{"", "other.contoso.example", "/", 421},
	} {
		conn := s.dial(t, c.sni)
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", c.path, c.host)
		if status, _, _ := read(t, bufio.NewReader(conn)); status != c.status {
			t.Errorf("%+v: got status %d", c, status)
		}
		if c.sni != "" {
			if err := conn.ConnectionState().PeerCertificates[0].VerifyHostname(c.sni); err != nil {
				t.Errorf("%+v: %v", c, err)
			}
		}
	}
}

// HTTP-04: what is not metadata is not served by HTTP/1.0.
func TestOldVersionOfSites(t *testing.T) {
	s := twoSites(t, func(w http.ResponseWriter, _ *http.Request) { t.Error("served") })
	for path, want := range map[string]int{"/": 405, metadata: 200} {
		name := portal
		if path == metadata {
			name = host
		}
		conn := s.dial(t, name)
		fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, name)
		if status, _, _ := read(t, bufio.NewReader(conn)); status != want {
			t.Errorf("%s of %s: got status %d, want %d", path, name, status, want)
		}
	}
}

// An answer that flows arrives piece by piece, holds no place among the
// requests that wait, and ends with its connection.
func TestFlush(t *testing.T) {
	next, gone := make(chan string), make(chan struct{})
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			echo(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		flow := http.NewResponseController(w)
		for text := range next {
			fmt.Fprint(w, text)
			if err := flow.Flush(); err != nil {
				t.Error(err)
			}
		}
		<-r.Context().Done()
		close(gone)
	}, func(c *edge.Config) {
		share := edge.Share{Connections: 10, Handshakes: 100, Requests: 1}
		c.Gate = gate(t, edge.GateConfig{Total: share, PerSource: share})
	})
	conn := s.dial(t, host)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", metadata, host)
	r := bufio.NewReader(conn)
	next <- "one "
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != 200 || answer.ContentLength != -1 || !answer.Close {
		t.Fatalf("got %+v, %v", answer, err)
	}
	for _, want := range []string{"one ", "two "} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		if want == "one " {
			next <- "two "
		}
	}
	if status, _, _ := s.send(t, head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 1")+"x"); status != 200 {
		t.Errorf("another request beside the flow: %d", status)
	}
	close(next)
	_ = conn.Close()
	<-gone
	if status, _, _ := s.send(t, head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 1")+"x"); status != 200 {
		t.Errorf("a request after the flow: %d", status)
	}
}

// A handler that returns ends its flow with all that it wrote.
func TestFlushEnds(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "one ")
		_ = http.NewResponseController(w).Flush()
		fmt.Fprint(w, "two")
	}, nil)
	conn := tls.Client(s.dialTCP(t), &tls.Config{InsecureSkipVerify: true, ServerName: host})
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", metadata, host)
	if all, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(all), "\r\n\r\none two") || strings.Contains(string(all), "Content-Length") {
		t.Errorf("got %q, %v", all, err)
	}
}

// A hider has a secret in it.
type hider struct{ password string }

func (h hider) Error() string { return h.password }

// AUD-05, FAIL-05: a panic of the portal ends its connection, whether or not an
// answer has begun to flow; whatever its value is, neither the log nor the client
// is shown it, and the next request is answered.
func TestPanicOfSite(t *testing.T) {
	const canary = "c4n4ry-in-a-panic-of-the-portal"
	for name, value := range map[string]any{"text": canary, "error": errors.New(canary), "own error": hider{canary}, "pointer": &hider{canary}} {
		for _, flows := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", flows), func(t *testing.T) {
				var logged bytes.Buffer
				once := true
				s := twoSites(t, func(w http.ResponseWriter, _ *http.Request) {
					if !once {
						return
					}
					once = false
					w.Header().Set("Set-Cookie", canary)
					_, _ = io.WriteString(w, "half a page")
					if flows {
						w.Header().Del("Set-Cookie")
						_ = http.NewResponseController(w).Flush()
						_, _ = io.WriteString(w, canary)
					}
					panic(value)
				}, func(c *edge.Config) {
					c.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
				})
				get := func() string {
					conn := s.dial(t, portal)
					fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", portal)
					text, err := io.ReadAll(conn)
					if err != nil {
						t.Error(err)
					}
					return string(text)
				}
				if got := get(); strings.Contains(got, canary) || flows != strings.Contains(got, "half a page") || flows == strings.HasPrefix(got, "HTTP/1.1 500 ") {
					t.Errorf("answered %q", got)
				}
				if got := get(); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Errorf("after it: %q", got)
				}
				if text := logged.String(); !strings.Contains(text, "panic of type") || !strings.Contains(text, "sites_test.go") || strings.Contains(text, canary) {
					t.Errorf("logged %s", text)
				}
			})
		}
	}
}
