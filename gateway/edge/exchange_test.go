package edge_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/edge"
)

const quiet = "" // what a client says that says nothing

// connect returns a client's end of a connection that the server serves
// without TLS, so that time can be simulated.
func connect(t *testing.T, s *site) net.Conn {
	client, c := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	go s.ServePlain(c)
	return client
}

// say writes and fails the test if it cannot.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// DOS-01: whatever a client leaves unfinished, its connection ends.
func TestSlowClients(t *testing.T) {
	post := head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 2")
	for name, v := range map[string]struct {
		says   string
		reads  bool
		status int
		after  time.Duration
	}{
		"idle":                 {quiet, true, 0, time.Minute},
		"half a head":          {post[:30], true, 408, 5 * time.Second},
		"half a body":          {post + "x", true, 400, 30 * time.Second},
		"half a body, unread":  {post + "x", false, 0, 60 * time.Second}, // the answer has its own time
		"no chunks":            {head("POST "+trust+" HTTP/1.1", "Host: "+host, "Transfer-Encoding: chunked"), true, 400, 30 * time.Second},
		"does not read":        {post + "xy", false, 0, 30 * time.Second},
		"does not read a 408":  {post[:30], false, 0, 35 * time.Second},
		"idle after an answer": {post + "xy", true, 200, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, echo, nil)
			synctest.Test(t, func(t *testing.T) {
				client, c := net.Pipe()
				defer client.Close()
				start, ended := time.Now(), make(chan time.Time, 1)
				go func() {
					s.ServePlain(c)
					ended <- time.Now()
				}()
				say(t, client, v.says)
				if v.reads {
					if status, _, _ := read(t, bufio.NewReader(client)); status != v.status {
						t.Errorf("got status %d, want %d", status, v.status)
					}
				}
				if after := (<-ended).Sub(start).Round(time.Second); after != v.after {
					t.Errorf("ended after %v, want %v", after, v.after)
				}
			})
		})
	}
}

// A request's context ends when its client goes away, not while the client
// waits or sends the next request, which is not lost.
func TestClientGoesAway(t *testing.T) {
	post := head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 1") + "x"
	for name, v := range map[string]struct {
		act  func(t *testing.T, c net.Conn)
		gone bool
	}{
		"waits":        {func(*testing.T, net.Conn) {}, false},
		"closes":       {func(_ *testing.T, c net.Conn) { _ = c.Close() }, true},
		"sends more":   {func(t *testing.T, c net.Conn) { say(t, c, post) }, false},
		"sends a byte": {func(t *testing.T, c net.Conn) { say(t, c, post[:1]) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			var held int
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				echo(w, r)
				if held++; held > 1 {
					return
				}
				select {
				case <-r.Context().Done():
					if !v.gone {
						t.Error("the context ended")
					}
				case <-time.After(70 * time.Second):
					if v.gone {
						t.Error("the context did not end")
					}
				}
			}, nil)
			synctest.Test(t, func(t *testing.T) {
				c := connect(t, s)
				say(t, c, post)
				time.Sleep(time.Second)
				v.act(t, c)
				if v.gone {
					return
				}
				r := bufio.NewReader(c)
				if status, _, _ := read(t, r); status != 200 {
					t.Errorf("got status %d, want 200", status)
				}
				switch name {
				case "waits":
					say(t, c, post)
				case "sends a byte":
					say(t, c, post[1:])
				}
				if status, _, body := read(t, r); status != 200 || !strings.HasSuffix(body, " x") {
					t.Errorf("next request: got status %d and %q, want 200 and its body", status, body)
				}
				_ = c.Close()
			})
		})
	}
}

// HTTP-06: a client that waits to be invited is, once, and only for a body
// that somebody reads.
func TestContinue(t *testing.T) {
	s := start(t, echo, nil)
	expect := func(target string) string {
		return head("POST "+target+" HTTP/1.1", "Host: "+host, "Expect: 100-continue", "Content-Length: 3")
	}
	t.Run("waiting", func(t *testing.T) {
		c := s.dial(t, host)
		r := bufio.NewReader(c)
		for range 2 {
			say(t, c, expect(trust))
			line, err := r.ReadString('\n')
			if _, blank := r.ReadString('\n'); err != nil || blank != nil || line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("got %q and error %v, want to be invited", line, err)
			}
			say(t, c, "a")
			say(t, c, "bc")
			if status, _, body := read(t, r); status != 200 || !strings.HasSuffix(body, " abc") {
				t.Errorf("got status %d and %q", status, body)
			}
		}
	})
	for name, v := range map[string]struct {
		raw    string
		status int
	}{
		"not waiting": {expect(trust) + "abc", 200},
		"refused":     {expect("/other"), 404},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _, _ := s.send(t, v.raw); status != v.status {
				t.Errorf("got status %d, want %d without an invitation", status, v.status)
			}
		})
	}
}

// A connection takes one request after the other until one side says that it
// ends, and nothing after that is served.
func TestKeepAlive(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("X-End") != "" {
			w.Header().Set("Connection", "close")
		}
	}, nil)
	get := func(lines ...string) string {
		return head(append([]string{"GET " + metadata + " HTTP/1.1", "Host: " + host}, lines...)...)
	}
	for name, v := range map[string]struct {
		raw  string
		last bool
	}{
		"plain":            {get(), false},
		"keep-alive":       {get("Connection: keep-alive"), false},
		"close":            {get("Connection: close"), true},
		"close among more": {get("connection: TE , CLOSE"), true},
		"close elsewhere":  {get("X-Connection: close", "Connection: closed"), false},
		"by the handler":   {get("X-End: 1"), true},
		"HTTP/1.0":         {strings.Replace(get("Connection: keep-alive"), "1.1", "1.0", 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t, host)
			r := bufio.NewReader(c)
			for range 20 {
				say(t, c, get())
				if status, h, _ := read(t, r); status != 200 || h.Get("Connection") != "" {
					t.Fatalf("got status %d and Connection %q, want 200 and none", status, h.Get("Connection"))
				}
			}
			say(t, c, v.raw+get())
			if status, h, _ := read(t, r); status != 200 || (h.Get("Connection") == "close") != v.last {
				t.Errorf("got status %d and Connection %q, last is %v", status, h.Get("Connection"), v.last)
			}
			if v.last {
				ended(t, c, r)
			} else if status, _, _ := read(t, r); status != 200 {
				t.Errorf("next request: got status %d, want 200", status)
			}
		})
	}
}

// FAIL-05: a panic ends its request and its connection, nothing else; of what
// the handler had written nothing leaves, and its value is not logged.
func TestPanicIsContained(t *testing.T) {
	var logged bytes.Buffer
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			_, _ = io.WriteString(w, "half a token")
			panic("secret")
		}
	}, func(c *edge.Config) { c.Log = slog.New(slog.NewTextHandler(&logged, nil)) })
	c := s.dial(t, host)
	say(t, c, head("POST "+trust+" HTTP/1.1", "Host: "+host))
	r := bufio.NewReader(c)
	if status, h, body := read(t, r); status != 500 || body != "" || h.Get("Connection") != "close" {
		t.Errorf("got status %d, %q and %v, want 500, close and nothing else", status, body, h)
	}
	ended(t, c, r)
	if status, _, _ := s.send(t, head("GET "+metadata+" HTTP/1.1", "Host: "+host)); status != 200 {
		t.Errorf("after it: got status %d, want 200", status)
	}
	if text := logged.String(); !strings.Contains(text, "panic of type string") || strings.Contains(text, "secret") {
		t.Errorf("logged %s", text)
	}
}

// What a handler writes arrives whole, with its length, in one piece; the
// edge's own headers are the edge's.
func TestAnswers(t *testing.T) {
	for name, v := range map[string]struct {
		handler http.HandlerFunc
		want    string // without Date; empty for an answer that cannot be sent
	}{
		"nothing": {func(http.ResponseWriter, *http.Request) {}, "200 OK|Content-Length: 0||"},
		"pieces": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "ab")
			w.WriteHeader(500) // too late
			_, _ = io.WriteString(w, "c")
		}, "200 OK|Content-Length: 3||abc"},
		"own headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.Header().Set("Transfer-Encoding", "chunked")
			w.Header().Set("X-A", "1")
			w.WriteHeader(418)
		}, "418 I'm a teapot|X-A: 1|Content-Length: 0||"},
		"no content":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "204 No Content||"},
		"two values":     {func(w http.ResponseWriter, _ *http.Request) { w.Header()["X-A"] = []string{"1", "2"} }, "200 OK|X-A: 1|X-A: 2|Content-Length: 0||"},
		"injected line":  {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-A", "1\r\nX-B: 2") }, ""},
		"malformed name": {func(w http.ResponseWriter, _ *http.Request) { w.Header()["X A"] = []string{"1"} }, ""},
		"long head": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-A", strings.Repeat("1", 1000))
			_, _ = io.WriteString(w, "abc")
		}, "200 OK|X-A: " + strings.Repeat("1", 1000) + "|Content-Length: 3||abc"},
		"large": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("a"), 100_000)) },
			"200 OK|Content-Length: 100000||" + strings.Repeat("a", 100_000)},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, v.handler, nil)
			for range 2 { // buffers are used again
				c := connect(t, s)
				say(t, c, head("GET "+metadata+" HTTP/1.1", "Host: "+host))
				piece := make([]byte, 200_000)
				n, _ := c.Read(piece)
				var lines []string
				for line := range strings.SplitSeq(string(piece[:n]), "\r\n") {
					if !strings.HasPrefix(line, "Date: ") {
						lines = append(lines, line)
					}
				}
				if got := strings.TrimPrefix(strings.Join(lines, "|"), "HTTP/1.1 "); got != v.want {
					t.Errorf("got %.200q, want %.200q", got, v.want)
				}
			}
		})
	}
}

// An answer to HEAD has the length and no body.
func TestHead(t *testing.T) {
	s := start(t, echo, nil)
	c := s.dial(t, host)
	say(t, c, head("HEAD "+metadata+" HTTP/1.1", "Host: "+host)+head("GET "+metadata+" HTTP/1.1", "Host: "+host))
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: "HEAD"})
	if err != nil || resp.ContentLength == 0 {
		t.Fatalf("got %v and error %v, want a length", resp, err)
	}
	if status, _, body := read(t, r); status != 200 || int64(len(body)) != resp.ContentLength {
		t.Errorf("GET: got status %d and %d bytes, want the %d of HEAD", status, len(body), resp.ContentLength)
	}
}

// Bodies of any size arrive as they are, however they are framed and cut, and
// so does the request after them.
func TestBodies(t *testing.T) {
	s := start(t, echo, nil)
	c := s.dial(t, host)
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	for _, size := range []int{0, 1, 4000, 4096, 5000, 16 << 10, 100_000} {
		body := strings.Repeat("x", size)
		for _, chunk := range []int{0, 100, 4096, 70_000} { // 0 for a Content-Length
			raw := head("POST "+trust+" HTTP/1.1", "Host: "+host, fmt.Sprintf("Content-Length: %d", size)) + body
			if chunk > 0 {
				raw = head("POST "+trust+" HTTP/1.1", "Host: "+host, "Transfer-Encoding: chunked")
				for rest := body; rest != ""; {
					n := min(chunk, len(rest))
					raw += fmt.Sprintf("%x\r\n%s\r\n", n, rest[:n])
					rest = rest[n:]
				}
				raw += "0\r\n\r\n"
			}
			go trickle(c, raw, 1+size/3)
			if status, _, got := read(t, r); status != 200 || got != trust+" "+trust+" "+body {
				t.Fatalf("%d bytes in chunks of %d: got status %d and %d bytes", size, chunk, status, len(got))
			}
		}
	}
}

// trickle writes pieces of n bytes, each in a TLS record.
func trickle(c *tls.Conn, raw string, n int) {
	for rest := raw; rest != ""; {
		k := min(n, len(rest))
		if _, err := io.WriteString(c, rest[:k]); err != nil {
			return // refused early
		}
		rest = rest[k:]
	}
}

// HTTP-01: what follows a body of no bytes is a request of its own.
func TestNothingIsSmuggled(t *testing.T) {
	s := start(t, echo, nil)
	c := s.dial(t, host)
	say(t, c, head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 0")+head("GET "+trust+" HTTP/1.1", "Host: x"))
	r := bufio.NewReader(c)
	for _, want := range []int{200, 421} {
		if status, _, _ := read(t, r); status != want {
			t.Errorf("got status %d, want %d", status, want)
		}
	}
	ended(t, c, r)
}

// HTTP-15: an answer that comes before the body was read is not lost to what
// the client had sent.
func TestEarlyAnswerArrives(t *testing.T) {
	s := start(t, echo, nil)
	c := s.dial(t, host)
	say(t, c, head("POST /other HTTP/1.1", "Host: "+host, "Content-Length: 50000")+strings.Repeat("x", 50_000))
	<-s.refused
	if err := s.Drain(t.Context()); err != nil { // until the connection is gone
		t.Fatal(err)
	}
	if status, _, _ := read(t, bufio.NewReader(c)); status != 404 {
		t.Errorf("got status %d, want 404", status)
	}
	if _, err := io.Copy(io.Discard, c.NetConn()); err != nil { // what some systems lose the answer to
		t.Errorf("the connection ended with %v", err)
	}
}

// HTTP-01: the end of the connection is not the end of a body.
func TestBodyCutShort(t *testing.T) {
	s := start(t, echo, nil)
	for name, raw := range map[string]string{
		"length":        head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 3") + "ab",
		"chunk":         head("POST "+trust+" HTTP/1.1", "Host: "+host, "Transfer-Encoding: chunked") + "3\r\nab",
		"between lines": head("POST "+trust+" HTTP/1.1", "Host: "+host, "Transfer-Encoding: chunked") + "3\r\nabc\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t, host)
			say(t, c, raw)
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if status, _, body := read(t, bufio.NewReader(c)); status != 400 || !strings.Contains(body, "unexpected EOF") {
				t.Errorf("got status %d and %q, want 400 for an unexpected end", status, body)
			}
		})
	}
}

// MFA-16, AUD-05: a password does not stay in the connection's buffer, whether
// its body was read, in part or not at all.
func TestBufferIsWiped(t *testing.T) {
	for _, raw := range []string{
		head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 6") + "secret",
		head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 6", "Connection: close") + "secret",
		head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 7") + "secret",
		head("POST "+trust+" HTTP/1.1", "Host: "+host, "Transfer-Encoding: chunked") + "6\r\nsecret-secret",
		head("POST /other HTTP/1.1", "Host: "+host, "Content-Length: 6") + "secret",
		head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: +6") + "secret",
	} {
		client := &script{pieces: [][]byte{[]byte(raw)}}
		if left := server(t, echo, nil).ServePlain(client); bytes.Contains(left, []byte("secret")) {
			t.Errorf("%q: the body is still in the buffer", raw)
		}
	}
}
