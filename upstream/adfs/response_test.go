package adfs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"stsgate/gateway/wstrust"
)

// readResponse reads a whole answer.
func readResponse(r io.Reader) (h head, body []byte, err error) {
	b := bufio.NewReaderSize(r, maxHead)
	if h, err = readHead(b); err != nil {
		return h, nil, err
	}
	body, err = readBody(b, nil, h, func() bool { return true })
	return h, body, err
}

// TestFraming is the table of what an answer may look like (HTTP-11, HTTP-12).
func TestFraming(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	many := strings.Repeat("X: y\r\n", maxHeaders)
	for name, c := range map[string]struct {
		in   string
		body string
		want string // rule, "cut", or empty
	}{
		"length":             {ok + "Content-Length: 3\r\n\r\nabc", "abc", ""},
		"length 0":           {ok + "Content-Length: 0\r\n\r\n", "", ""},
		"white space":        {ok + "content-length: \t3 \t\r\n\r\nabc", "abc", ""},
		"no phrase":          {"HTTP/1.1 500 \r\nContent-Length: 3\r\n\r\nabc", "abc", ""},
		"chunks":             {ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n00000A\r\n0123456789\r\n0\r\n\r\n", "ab0123456789", ""},
		"chunked spelling":   {ok + "transfer-encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "a", ""},
		"until the end":      {ok + "\r\nabc", "abc", ""},
		"interim":            {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\nX: y\r\n\r\n" + ok + "Content-Length: 1\r\n\r\na", "a", ""},
		"64 headers":         {ok + many[6:] + "Content-Length: 1\r\n\r\na", "a", ""},
		"bytes beyond UTF-8": {ok + "X: \xff\r\nContent-Length: 1\r\n\r\na", "a", ""},

		"65 headers":             {ok + many + "Content-Length: 1\r\n\r\na", "", "HTTP-12"},
		"head of 16 KiB":         {ok + "X: " + strings.Repeat("y", maxHead) + "\r\n\r\n", "", "HTTP-12"},
		"endless interim":        {strings.Repeat("HTTP/1.1 100 C\r\n\r\n", maxInterim+1) + ok + "\r\n", "", "HTTP-12"},
		"switching":              {"HTTP/1.1 101 S\r\n\r\n", "", "HTTP-12"},
		"length beyond limit":    {ok + "Content-Length: 1048577\r\n\r\n", "", "HTTP-12"},
		"body beyond limit":      {ok + "\r\n" + strings.Repeat("x", maxBody+1), "", "HTTP-12"},
		"chunk beyond limit":     {ok + "Transfer-Encoding: chunked\r\n\r\n100001\r\n", "", "HTTP-12"},
		"chunks beyond limit":    {ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n100000\r\n", "", "HTTP-12"},
		"encoded":                {ok + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", "", "HTTP-12"},
		"two types":              {ok + "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n", "", "HTTP-12"},
		"HTTP/1.0":               {"HTTP/1.0 200 OK\r\n\r\n", "", "HTTP-11"},
		"HTTP/2":                 {"HTTP/2 200 OK\r\n\r\n", "", "HTTP-11"},
		"no status":              {"HTTP/1.1 \r\n\r\n", "", "HTTP-11"},
		"status of four":         {"HTTP/1.1 2000 OK\r\n\r\n", "", "HTTP-11"},
		"status of letters":      {"HTTP/1.1 2x0 OK\r\n\r\n", "", "HTTP-11"},
		"status 099":             {"HTTP/1.1 099 OK\r\n\r\n", "", "HTTP-11"},
		"leading line":           {"\r\n" + ok + "\r\n", "", "HTTP-11"},
		"bare LF":                {ok + "X: y\nContent-Length: 1\r\n\r\na", "", "HTTP-11"},
		"bare CR":                {ok + "X: y\rz\r\n\r\n", "", "HTTP-11"},
		"NUL":                    {ok + "X: \x00\r\n\r\n", "", "HTTP-11"},
		"folded line":            {ok + "X: y\r\n z\r\n\r\n", "", "HTTP-11"},
		"no colon":               {ok + "X\r\n\r\n", "", "HTTP-11"},
		"no name":                {ok + ": y\r\n\r\n", "", "HTTP-11"},
		"space before colon":     {ok + "Content-Length : 1\r\n\r\na", "", "HTTP-11"},
		"two lengths":            {ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "", "HTTP-11"},
		"list of lengths":        {ok + "Content-Length: 1, 1\r\n\r\na", "", "HTTP-11"},
		"signed length":          {ok + "Content-Length: +1\r\n\r\na", "", "HTTP-11"},
		"hexadecimal length":     {ok + "Content-Length: 0x1\r\n\r\na", "", "HTTP-11"},
		"empty length":           {ok + "Content-Length:\r\n\r\na", "", "HTTP-11"},
		"length that overflows":  {ok + "Content-Length: 18446744073709551617\r\n\r\na", "", "HTTP-11"},
		"length and chunked":     {ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "", "HTTP-11"},
		"two encodings":          {ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "", "HTTP-11"},
		"gzip, chunked":          {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", "", "HTTP-11"},
		"identity":               {ok + "Transfer-Encoding: identity\r\n\r\n", "", "HTTP-11"},
		"chunk extension":        {ok + "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n0\r\n\r\n", "", "HTTP-11"},
		"chunk size with LF":     {ok + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", "", "HTTP-11"},
		"chunk size with CR":     {ok + "Transfer-Encoding: chunked\r\n\r\n1\rx", "", "HTTP-11"},
		"no chunk size":          {ok + "Transfer-Encoding: chunked\r\n\r\n\r\n", "", "HTTP-11"},
		"chunk size of 7":        {ok + "Transfer-Encoding: chunked\r\n\r\n0000001\r\na\r\n0\r\n\r\n", "", "HTTP-11"},
		"chunk longer than said": {ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", "", "HTTP-11"},
		"trailer":                {ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", "", "HTTP-11"},

		"nothing":       {"", "", "cut"},
		"half a head":   {ok + "Content-Le", "", "cut"},
		"half a body":   {ok + "Content-Length: 3\r\n\r\nab", "", "cut"},
		"no body":       {ok + "Content-Length: 3\r\n\r\n", "", "cut"},
		"half a chunk":  {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nab", "", "cut"},
		"no last chunk": {ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "", "cut"},
		"no last line":  {ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", "", "cut"},
	} {
		t.Run(name, func(t *testing.T) {
			for pace, r := range map[string]io.Reader{
				"whole":        strings.NewReader(c.in),
				"byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
			} {
				_, body, err := readResponse(r)
				switch {
				case c.want == "" && (err != nil || string(body) != c.body):
					t.Errorf("%s: got %q, %v, want %q", pace, body, err, c.body)
				case c.want == "cut" && !errors.Is(err, io.ErrUnexpectedEOF):
					t.Errorf("%s: got %v, want %v", pace, err, io.ErrUnexpectedEOF)
				case strings.HasPrefix(c.want, "HTTP"):
					if e, ok := errors.AsType[*wstrust.Error](err); !ok || e.Rule != c.want {
						t.Errorf("%s: got %v, want rule %s", pace, err, c.want)
					}
				}
			}
		})
	}
}

// TestHead is about the headers that do not frame.
func TestHead(t *testing.T) {
	for name, c := range map[string]struct {
		headers string
		close   bool
		media   string
	}{
		"nothing":       {"X: y", false, ""},
		"close":         {"Connection: close", true, ""},
		"Close":         {"connection: Close", true, ""},
		"in a list":     {"Connection: keep-alive, close", true, ""},
		"keep-alive":    {"Connection: Keep-Alive", false, ""},
		"unknown":       {"Connection: upgrade", true, ""},
		"empty":         {"Connection: ", true, ""},
		"SOAP":          {"Content-Type: application/soap+xml; charset=utf-8", false, "application/soap+xml; charset=utf-8"},
		"other headers": {"Set-Cookie: secret=1\r\nWWW-Authenticate: Negotiate", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := parseHead([]byte("HTTP/1.1 200 OK\r\n" + c.headers))
			if err != nil || h.close != c.close || h.contentType != c.media || h.status != 200 {
				t.Errorf("got %+v, %v, want close %v, type %q", h, err, c.close, c.media)
			}
		})
	}
}

// TestUnannouncedEnd: a body without a length is complete only if TLS said so.
func TestUnannouncedEnd(t *testing.T) {
	_, err := readBody(bufio.NewReader(strings.NewReader("abc")), nil, head{length: -1}, func() bool { return false })
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// FuzzResponse holds the reader against net/http's: what this one accepts,
// that one reads in the same way.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/xml\r\n\r\nabc",
		"HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, body, err := readResponse(bytes.NewReader(in))
		if err != nil || h.status == 204 || h.status == 304 {
			return
		}
		r := bufio.NewReader(bytes.NewReader(in))
		var twin *http.Response
		for {
			if twin, err = http.ReadResponse(r, nil); err != nil {
				t.Fatalf("accepted what net/http refuses: %v: %q", err, in)
			}
			if twin.StatusCode >= 200 {
				break
			}
		}
		want, err := io.ReadAll(twin.Body)
		if err != nil || twin.StatusCode != h.status || !bytes.Equal(body, want) {
			t.Fatalf("got %d %q, net/http reads %d %q, %v", h.status, body, twin.StatusCode, want, err)
		}
		if twin.Close && h.length >= 0 && !h.close {
			t.Fatalf("net/http closes the connection: %q", in)
		}
	})
}
