package edge_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/edge"
	"stsgate/gateway/refusal"
)

// HTTP-08: whatever stands in the request line, a handler is reached only by
// the route's own spelling, case apart, and sees the canonical one.
func FuzzPath(f *testing.F) {
	for _, p := range []string{trust, metadata, strings.ToUpper(trust), trust + "/", "/%61dfs", "//" + host + trust, "*", "http://" + host + metadata} {
		f.Add(p)
	}
	s := start(f, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.String()) }, func(c *edge.Config) {
		c.Routes[0].Methods = []string{"GET"}
		c.Refuse = func(w http.ResponseWriter, _ *http.Request, r *refusal.Refusal) { w.WriteHeader(r.Reason.Row().Status) }
	})
	f.Fuzz(func(t *testing.T, target string) {
		var canonical string
		for _, p := range []string{trust, metadata} {
			if asciiLower(target) == asciiLower(p) {
				canonical = p
			}
		}
		c := s.dial(t, host)
		defer c.Close()
		if _, err := io.WriteString(c, head("GET "+target+" HTTP/1.1", "Host: "+host)); err != nil {
			if canonical != "" {
				t.Errorf("%q: refused while it was written: %v", target, err)
			}
			return
		}
		status, _, body := read(t, bufio.NewReader(c))
		if (status == http.StatusOK) != (canonical != "") || canonical != "" && body != canonical {
			t.Errorf("%q: got status %d and %q, canonical is %q", target, status, body, canonical)
		}
	})
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// HTTP-02, HTTP-03: what is served, net/http reads as the same requests, and how
// the bytes arrive makes no difference.
func FuzzRequests(f *testing.F) {
	post := "POST " + trust + " HTTP/1.1\r\nHost: " + host + "\r\n"
	f.Add([]byte(post+"Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"), 20)
	f.Add([]byte(post+"Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n"+post+"\r\n"), 120)
	f.Add([]byte(post+"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 3)
	f.Add([]byte(post+"soapACTION:\t a \r\nX-A: 1\r\nx-a: 2\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"), 90)
	f.Add([]byte("GET "+metadata+" HTTP/1.0\r\nX: \xff\r\n\r\n"), 1)
	var got []heard
	note := func(w http.ResponseWriter, r *http.Request) {
		if h := hear(r); h.err == nil {
			got = append(got, h)
		}
	}
	s := server(f, note, func(c *edge.Config) {
		c.Refuse = func(w http.ResponseWriter, r *http.Request, _ *refusal.Refusal) { note(w, r) }
	})
	f.Fuzz(func(t *testing.T, raw []byte, cut int) {
		cut = max(0, min(cut, len(raw)))
		var single [][]byte
		for i := range raw {
			single = append(single, raw[i:i+1])
		}
		s.ServePlain(&script{pieces: [][]byte{raw}})
		whole := got
		for name, pieces := range map[string][][]byte{"cut": {raw[:cut], raw[cut:]}, "bytewise": single} {
			got = nil
			s.ServePlain(&script{pieces: pieces})
			if !reflect.DeepEqual(got, whole) {
				t.Fatalf("%s: got %+v, in one piece %+v", name, got, whole)
			}
		}
		got = nil
		twin := bufio.NewReader(bytes.NewReader(raw))
		for _, h := range whole {
			r, err := http.ReadRequest(twin)
			if err != nil {
				if asciiLower(h.target) == asciiLower(trust) || asciiLower(h.target) == asciiLower(metadata) {
					t.Errorf("net/http cannot read what a handler got: %v", err)
				}
				return
			}
			if want := hear(r); !h.like(want) {
				t.Errorf("got %+v, net/http reads %+v", h, want)
			}
		}
	})
}

// heard is what a handler sees of a request.
type heard struct {
	method, target string
	header         http.Header
	body           string
	err            error
}

func hear(r *http.Request) heard {
	h := heard{method: r.Method, target: r.RequestURI, header: r.Header.Clone()}
	for _, name := range []string{"Transfer-Encoding", "Trailer", "Pragma", "Cache-Control"} {
		h.header.Del(name) // which net/http takes out or adds
	}
	var b []byte
	b, h.err = io.ReadAll(r.Body)
	h.body = string(b)
	return h
}

// like compares all but the case of the target, which is canonical in a
// handler.
func (h heard) like(o heard) bool {
	h.target, o.target = asciiLower(h.target), asciiLower(o.target)
	return reflect.DeepEqual(h, o)
}

// A script is a client that sends its pieces without waiting.
type script struct {
	net.Conn
	pieces [][]byte
}

func (s *script) Read(p []byte) (n int, err error) {
	for len(s.pieces) > 0 && n == 0 {
		n = copy(p, s.pieces[0])
		if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
			s.pieces = s.pieces[1:]
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) Close() error                     { return nil }

// BenchmarkRequest is a request of 1.7 KB without TLS and without a client.
func BenchmarkRequest(b *testing.B) {
	raw := []byte(head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Type: application/soap+xml; charset=utf-8",
		"SOAPAction: http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue", "User-Agent: benchmark", "Accept: */*",
		"Content-Length: 1700") + strings.Repeat("x", 1700))
	s := server(b, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }, nil)
	pieces := make([][]byte, b.N)
	for i := range pieces {
		pieces[i] = raw
	}
	b.ReportAllocs()
	b.ResetTimer()
	s.ServePlain(&script{pieces: pieces})
}

// BenchmarkExchange is a request of 1.7 KB and an answer of 6 KB on a kept
// connection, client included.
func BenchmarkExchange(b *testing.B) {
	answer := bytes.Repeat([]byte("y"), 6000)
	s := start(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "6000")
		_, _ = w.Write(answer)
	}, nil)
	c := s.dial(b, host)
	_ = c.SetDeadline(time.Time{})
	r := bufio.NewReaderSize(c, 16<<10)
	request := []byte(head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 1700") + strings.Repeat("x", 1700))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if status, _, body := read(b, r); status != 200 || len(body) != 6000 {
			b.Fatal(status, len(body))
		}
	}
}
