package edge_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// HTTP-02 to HTTP-05, HDR-03, DOS-02: what is not one plain request is
// answered with the status and the connection ends; nothing behind it is
// served.
func TestFraming(t *testing.T) {
	s := start(t, echo, nil)
	line, hostLine := "POST "+trust+" HTTP/1.1", "Host: "+host
	post := func(rest ...string) string { return head(append([]string{line, hostLine}, rest...)...) }
	long := strings.Repeat("a", 16<<10)
	for name, v := range map[string]struct {
		raw    string
		status int
	}{
		"length":                     {post("Content-Length: 3") + "abc", 200},
		"chunks":                     {post("Transfer-Encoding: chunked") + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200},
		"chunked in other case":      {post("transfer-encoding: ChUnKed") + "3\r\nabc\r\n0\r\n\r\n", 200},
		"chunk extension":            {post("Transfer-Encoding: chunked") + "3;a=b\r\nabc\r\n0;c\r\n\r\n", 200},
		"tab before value":           {post("Content-Length:\t3") + "abc", 200},
		"no body":                    {post(), 200},
		"obs-text in value":          {post("User-Agent: caf\u00e9"), 200},
		"two equal lengths":          {post("Content-Length: 3", "Content-Length: 3") + "abc", 400},
		"two lengths":                {post("Content-Length: 3", "Content-Length: 4") + "abcd", 400},
		"list of lengths":            {post("Content-Length: 3, 3") + "abc", 400},
		"signed length":              {post("Content-Length: +3") + "abc", 400},
		"negative length":            {post("Content-Length: -1") + "abc", 400},
		"hexadecimal length":         {post("Content-Length: 0x3") + "abc", 400},
		"length with underscore":     {post("Content-Length: 1_0") + "abcdefghij", 400},
		"empty length":               {post("Content-Length:") + "abc", 400},
		"huge length":                {post("Content-Length: 99999999999999999999") + "abc", 400},
		"length and chunks":          {post("Content-Length: 30", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", 400},
		"chunks and length":          {post("Transfer-Encoding: chunked", "Content-Length: 3") + "3\r\nabc\r\n0\r\n\r\n", 400},
		"chunks and length 0":        {post("Transfer-Encoding: chunked", "Content-Length: 0") + "3\r\nabc\r\n0\r\n\r\n", 400},
		"two encodings":              {post("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + "3\r\nabc\r\n0\r\n\r\n", 400},
		"chunked twice":              {post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", 400},
		"kelvin sign in chunked":     {post("Transfer-Encoding: chun\u212aed") + "3\r\nabc\r\n0\r\n\r\n", 400},
		"list of encodings":          {post("Transfer-Encoding: gzip, chunked") + "3\r\nabc\r\n0\r\n\r\n", 400},
		"unknown encoding":           {post("Transfer-Encoding: xchunked", "Content-Length: 3") + "abc", 400},
		"vertical tab":               {post("Transfer-Encoding: \x0bchunked", "Content-Length: 3") + "abc", 400},
		"space before colon":         {post("Transfer-Encoding : chunked", "Content-Length: 3") + "abc", 400},
		"folded encoding":            {post("Transfer-Encoding:", " chunked") + "3\r\nabc\r\n0\r\n\r\n", 400},
		"folded header":              {post("X-A: 1", " 2", "Content-Length: 3") + "abc", 400},
		"folded with tab":            {post("X-A: 1", "\t2", "Content-Length: 3") + "abc", 400},
		"header before Host":         {head(line, " "+hostLine), 400},
		"underscore":                 {post("Transfer_Encoding: chunked", "Content-Length: 3") + "abc", 400},
		"underscore in own name":     {post("X_MS_Forwarded_Client_IP: 1.1.1.1"), 400},
		"dot in name":                {post("X.A: 1"), 400},
		"non-ASCII name":             {post("X-\u00e9: 1"), 400},
		"empty name":                 {post(": 1"), 400},
		"no colon":                   {post("X-A"), 400},
		"bare LF everywhere":         {strings.ReplaceAll(post("Content-Length: 3"), "\r\n", "\n") + "abc", 400},
		"bare LF in request line":    {line + "\n" + hostLine + "\r\n\r\n", 400},
		"bare LF in header":          {line + "\r\n" + hostLine + "\nX-A: 1\r\n\r\n", 400},
		"bare LF at the end":         {line + "\r\n" + hostLine + "\r\n\n", 400},
		"bare CR in value":           {post("X: a\rTransfer-Encoding: chunked", "Content-Length: 3") + "abc", 400},
		"CR CR LF":                   {line + "\r\n" + hostLine + "\r\r\n\r\n", 400},
		"NUL in value":               {post("X: a\x00b", "Content-Length: 3") + "abc", 400},
		"NUL in target":              {head("POST "+trust+"\x00 HTTP/1.1", hostLine), 400},
		"DEL in value":               {post("X: a\x7fb"), 400},
		"leading empty line":         {"\r\n" + post(), 400},
		"two spaces":                 {head("POST  "+trust+" HTTP/1.1", hostLine), 400},
		"space in target":            {head("POST "+trust+" x HTTP/1.1", hostLine), 505},
		"tab for space":              {head("POST\t"+trust+" HTTP/1.1", hostLine), 400},
		"HTTP/0.9":                   {"GET " + metadata + "\r\n\r\n", 400},
		"HTTP/1.9":                   {head("POST "+trust+" HTTP/1.9", hostLine), 505},
		"http/1.1":                   {head("POST "+trust+" http/1.1", hostLine), 505},
		"HTTP/1.0 get":               {head("GET "+metadata+" HTTP/1.0", hostLine), 200},
		"HTTP/1.0 post":              {head("POST "+trust+" HTTP/1.0", hostLine), 505},
		"HTTP/1.0 with body":         {head("POST "+trust+" HTTP/1.0", hostLine, "Content-Length: 3") + "abc", 505},
		"HTTP/1.0 with chunks":       {head("POST "+trust+" HTTP/1.0", hostLine, "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", 505},
		"no Host":                    {head(line), 400},
		"two Hosts":                  {post("Host: " + host), 400},
		"Host with slash":            {head(line, hostLine+"/evil"), 400},
		"chunk line with bare LF":    {post("Transfer-Encoding: chunked") + "3\nabc\r\n0\r\n\r\n", 400},
		"chunk data with bare LF":    {post("Transfer-Encoding: chunked") + "3\r\nabc\n0\r\n\r\n", 400},
		"chunk longer than its size": {post("Transfer-Encoding: chunked") + "3\r\nabcd\r\n0\r\n\r\n", 400},
		"huge chunk size":            {post("Transfer-Encoding: chunked") + "FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", 400},
		"signed chunk size":          {post("Transfer-Encoding: chunked") + "+3\r\nabc\r\n0\r\n\r\n", 400},
		"0x chunk size":              {post("Transfer-Encoding: chunked") + "0x3\r\nabc\r\n0\r\n\r\n", 400},
		"underscored chunk size":     {post("Transfer-Encoding: chunked") + "0_3\r\nabc\r\n0\r\n\r\n", 400},
		"spaced chunk size":          {post("Transfer-Encoding: chunked") + "3 \r\nabc\r\n0\r\n\r\n", 400},
		"no chunk size":              {post("Transfer-Encoding: chunked") + "\r\nabc\r\n0\r\n\r\n", 400},
		"long chunk extension":       {post("Transfer-Encoding: chunked") + "3;" + strings.Repeat("a", 300) + "\r\nabc\r\n0\r\n\r\n", 400},
		"trailer":                    {post("Transfer-Encoding: chunked", "Trailer: X-A") + "3\r\nabc\r\n0\r\nX-A: 9.9.9.9\r\n\r\n", 400},
		"long target":                {head("POST /"+long+" HTTP/1.1", hostLine), 431},
		"long header":                {post("X-A: " + long), 431},
		"endless header":             {line + "\r\nX-A: " + long + long, 431},
		"64 headers":                 {post(repeat("X-A: 1", 63)...), 200},
		"65 headers":                 {post(repeat("X-A: 1", 64)...), 431},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("whole", func(t *testing.T) { frame(t, s, v.raw, v.status, false) })
			if len(v.raw) <= 1000 { // a longer one takes too long byte by byte
				t.Run("bytewise", func(t *testing.T) { frame(t, s, v.raw, v.status, true) })
			}
		})
	}
}

// frame sends raw and checks the answer; after a refusal nothing more comes,
// after an answer another request is served.
func frame(t *testing.T, s *site, raw string, status int, bytewise bool) {
	c := s.dial(t, host)
	next := head("GET "+metadata+" HTTP/1.1", "Host: "+host)
	if bytewise {
		go trickle(c, raw, 1)
	} else if _, err := io.WriteString(c, raw+next); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	got, h, body := read(t, r)
	if got != status {
		t.Fatalf("got status %d and %q, want %d", got, body, status)
	}
	if status != http.StatusOK {
		if h.Get("Connection") != "close" {
			t.Error("the answer does not say that the connection ends")
		}
		ended(t, c, r)
	} else if !bytewise && h.Get("Connection") != "close" {
		if got, _, body := read(t, r); got != 200 || !strings.HasPrefix(body, metadata) {
			t.Errorf("next request: got status %d and %q, want it served", got, body)
		}
	}
}

func repeat(s string, n int) []string { return strings.Split(strings.Repeat(s+"\n", n-1)+s, "\n") }

// DOS-02: the limit is exact, on the first request of a connection and on the
// next.
func TestHeaderLimitIsExact(t *testing.T) {
	s := start(t, echo, nil)
	sized := func(n int) string {
		start, end := "GET "+metadata+" HTTP/1.1\r\nHost: "+host+"\r\nX-A: ", "\r\n\r\n"
		return start + strings.Repeat("a", n-len(start)-len(end)) + end
	}
	for name, v := range map[string]struct{ size, status int }{
		"below": {16383, 200}, "limit": {16384, 200}, "above": {16385, 431},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t, host)
			r := bufio.NewReader(c)
			for _, raw := range []string{sized(1000), sized(v.size)} {
				if _, err := io.WriteString(c, raw); err != nil {
					t.Fatal(err)
				}
				want := v.status
				if len(raw) == 1000 {
					want = 200
				}
				if got, _, _ := read(t, r); got != want {
					t.Errorf("%d bytes: got status %d, want %d", len(raw), got, want)
				}
			}
			if got, _, _ := s.send(t, sized(v.size)); got != v.status {
				t.Errorf("first request: got status %d, want %d", got, v.status)
			}
		})
	}
}

// Requests that come in one record are served one after the other.
func TestPipelining(t *testing.T) {
	s := start(t, echo, nil)
	c := s.dial(t, host)
	one := head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 3") + "abc"
	if _, err := io.WriteString(c, strings.Repeat(one, 50)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for i := range 50 {
		if status, _, body := read(t, r); status != 200 || body != trust+" "+trust+" abc" {
			t.Fatalf("request %d: got status %d and %q", i, status, body)
		}
	}
}

// DOS-01: a client that does not finish its head, its handshake, or that never
// speaks, is let go.
func TestSlowHead(t *testing.T) {
	s := start(t, echo, brief)
	for name, raw := range map[string]string{"silent": "", "half a head": "GET / HTTP/1.1\r\nHo"} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t, host)
			if _, err := io.WriteString(c, raw); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			if raw != "" {
				if status, _, _ := read(t, r); status != 408 {
					t.Errorf("got status %d, want 408", status)
				}
			}
			ended(t, c, r)
		})
	}
	t.Run("idle", func(t *testing.T) {
		c := s.dial(t, host)
		r := bufio.NewReader(c)
		if _, err := io.WriteString(c, head("GET "+metadata+" HTTP/1.1", "Host: "+host)); err != nil {
			t.Fatal(err)
		}
		read(t, r)
		ended(t, c, r)
	})
	t.Run("no handshake", func(t *testing.T) {
		c := s.dialTCP(t)
		ended(t, c, bufio.NewReader(c))
	})
}

// A handler can bound the time for a body, and the time is over once it has
// taken the deadline away.
func TestBodyDeadline(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadAll(r.Body); err != nil {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_ = rc.SetReadDeadline(time.Time{})
		select {
		case <-r.Context().Done():
			t.Error("the request was cancelled by its own deadline")
		case <-time.After(400 * time.Millisecond):
		}
	}, nil)
	start := head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 3")
	if status, _, _ := s.send(t, start+"ab"); status != 400 {
		t.Errorf("slow body: got status %d, want 400", status)
	}
	if status, _, _ := s.send(t, start+"abc"); status != 200 {
		t.Errorf("whole body: got status %d, want 200", status)
	}
}
