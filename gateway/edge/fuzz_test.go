package edge_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
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
		c := s.dial(t, host)
		defer c.Close()
		if _, err := io.WriteString(c, head("GET "+target+" HTTP/1.1", "Host: "+host)); err != nil {
			t.Skip("refused while writing")
		}
		status, _, body := read(t, bufio.NewReader(c))
		var canonical string
		for _, p := range []string{trust, metadata} {
			if asciiLower(target) == asciiLower(p) {
				canonical = p
			}
		}
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

// HTTP-02, HTTP-03: where a request ends does not depend on how its bytes
// arrive, and where net/http takes the request at all, it reads exactly the
// bytes that the framer counts to it.
func FuzzFramer(f *testing.F) {
	post := "POST /a HTTP/1.1\r\nHost: h\r\n"
	f.Add([]byte(post+"Content-Length: 3\r\n\r\nabcGET"), 20)
	f.Add([]byte(post+"Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\nGET"), 50)
	f.Add([]byte(post+"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 3)
	f.Add([]byte("GET / HTTP/1.0\r\nX: \xff\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, raw []byte, cut int) {
		used, end, err := edge.Frame(1000, raw)
		cut = max(0, min(cut, len(raw)))
		used2, end2, err2 := edge.Frame(1000, raw[:cut], raw[cut:])
		var single [][]byte
		for i := range raw {
			single = append(single, raw[i:i+1])
		}
		used3, end3, err3 := edge.Frame(1000, single...)
		if end != end2 || end != end3 || (err == nil) != (err2 == nil) || (err == nil) != (err3 == nil) {
			t.Fatalf("whole: %v %v; cut: %v %v; bytewise: %v %v", end, err, end2, err2, end3, err3)
		}
		if !end {
			return
		}
		if used != used2 || used != used3 {
			t.Fatalf("got ends %d, %d and %d, want them equal", used, used2, used3)
		}
		rest := bytes.NewReader(raw)
		r := bufio.NewReader(rest)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			t.Fatalf("net/http cannot read the body: %v", err)
		}
		if got := len(raw) - rest.Len() - r.Buffered(); got != used {
			t.Errorf("net/http took %d bytes, the framer %d of %q", got, used, raw)
		}
	})
}

func BenchmarkFramer(b *testing.B) {
	raw := []byte(head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Type: application/soap+xml; charset=utf-8",
		"SOAPAction: http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue", "User-Agent: benchmark", "Accept: */*",
		"Content-Length: 1700") + strings.Repeat("x", 1700))
	b.ReportAllocs()
	for b.Loop() {
		if _, end, err := edge.Frame(16<<10, raw); !end || err != nil {
			b.Fatal(end, err)
		}
	}
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
