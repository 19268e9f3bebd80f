package adfs

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

const (
	// maxForwarded is the most addresses that a request may have come through.
	maxForwarded = 20
	// maxUserAgent is the longest user agent that is passed on (HDR-01).
	maxUserAgent = 256
	// maxClaim is the longest claim of Exchange Online's that is passed on
	// (protocol.md, section 6.4).
	maxClaim = 512
	// maxKept is the largest request buffer that is kept for another request.
	maxKept = 64 << 10
)

// A scratch holds the buffers of one exchange.
type scratch struct {
	out  []byte
	in   *bufio.Reader
	room []byte // for the answer's body, empty
}

func (f *Farm) acquire() *scratch {
	if s, ok := f.scratch.Get().(*scratch); ok {
		return s
	}
	return &scratch{out: make([]byte, 0, 8<<10), in: bufio.NewReaderSize(nil, maxHead)}
}

// release wipes the request, which holds a password, and what was read ahead of
// the answer, which may be a token.
func (f *Farm) release(s *scratch) {
	clear(s.out)
	s.out = s.out[:0]
	s.in.Reset(blank{})
	_, _ = s.in.Peek(s.in.Size())
	s.in.Reset(nil)
	s.room = nil
	if cap(s.out) <= maxKept {
		f.scratch.Put(s)
	}
}

// A blank reads as zeros, which overwrite whatever buffer it is read into.
type blank struct{}

// Read implements io.Reader.
func (blank) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// post writes the request that forwards r. Every header is made from a typed
// value; none but the user agent is the client's, and two are Exchange Online's
// (HDR-01, HDR-06, HDR-09, and protocol.md, appendix C, row 14: never
// X-Forwarded-For).
func (s *scratch) post(c *Config, r *wstrust.Request, o wstrust.Origin) error {
	switch {
	case !trustPath(o.Path):
		return fmt.Errorf("path %q cannot be forwarded", o.Path)
	case !o.Client.IsValid():
		return errors.New("the client's address is missing")
	case len(o.Forwarded) > maxForwarded:
		return fmt.Errorf("%d forwarded addresses are more than %d", len(o.Forwarded), maxForwarded)
	case len(r.Body) == 0:
		return errors.New("the request is empty")
	}
	b := append(s.out[:0], "POST "...)
	b = append(b, o.Path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.Host...)
	b = append(b, "\r\nContent-Type: "...)
	b = append(b, r.SOAP.ContentType()...)
	if r.SOAP == soap.V11 {
		b = append(b, "\r\nSOAPAction: \""...)
		b = append(b, r.Version.Namespace()...)
		b = append(b, "/RST/Issue\""...)
	}
	b = appendText(b, "User-Agent", o.UserAgent, maxUserAgent)
	b = append(b, "\r\nX-MS-Proxy: "...)
	b = append(b, c.Name...)
	b = append(b, "\r\nX-MS-Forwarded-Client-IP: "...)
	for _, a := range o.Forwarded {
		if !a.IsValid() {
			return errors.New("a forwarded address is missing")
		}
		b = a.Unmap().WithZone("").AppendTo(b)
		b = append(b, ',')
	}
	b = o.Client.Unmap().WithZone("").AppendTo(b)
	b = append(b, "\r\nX-MS-ADFS-Proxy-Client-IP: "...)
	b = o.Client.Unmap().WithZone("").AppendTo(b)
	b = appendText(b, "X-MS-Client-Application", o.ClientApplication, maxClaim)
	b = appendText(b, "X-MS-Client-User-Agent", o.ClientUserAgent, maxClaim)
	b = append(b, "\r\nX-MS-Endpoint-Absolute-Path: "...)
	b = append(b, o.Path...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(r.Body)), 10)
	b = append(b, "\r\n\r\n"...)
	s.out = append(b, r.Body...)
	return nil
}

// get writes a request for a public document.
func (s *scratch) get(c *Config, path string) {
	s.out = fmt.Appendf(s.out[:0], "GET %s HTTP/1.1\r\nHost: %s\r\nX-MS-Proxy: %s\r\n\r\n", path, c.Host, c.Name)
}

// trustPath reports whether p is a path that needs no encoding and cannot be
// read in two ways: letters, digits and hyphens between single slashes.
func trustPath(p string) bool {
	if len(p) < 2 || len(p) > 128 || p[0] != '/' || p[len(p)-1] == '/' {
		return false
	}
	for i := 1; i < len(p); i++ {
		switch c := p[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
		case c == '/' && p[i-1] != '/':
		default:
			return false
		}
	}
	return true
}

// appendText writes a header whose value was a client's, if it can be passed on.
func appendText(b []byte, name, value string, most int) []byte {
	if value == "" || len(value) > most {
		return b
	}
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return b
		}
	}
	b = append(b, "\r\n"...)
	b = append(b, name...)
	b = append(b, ": "...)
	return append(b, value...)
}
