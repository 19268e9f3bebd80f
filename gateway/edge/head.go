package edge

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// A head is the request line and the header lines of one request, read line by
// line as they arrive, up to the first byte that two HTTP parsers could read
// differently (security.md, HTTP-02 to HTTP-06, HDR-03). What it accepts
// stands in it as offsets.
type head struct {
	limit int // bytes of the request line with all header lines

	size   int // bytes of the lines so far
	method int // where the method ends
	target int // where the target ends
	fields []field
	host   string
	hosts  int    // Host lines
	length string // Content-Length, empty for none
	bytes  uint64 // its value
	// What else of the lines concerns the connection.
	chunked, expect, close, old bool // old: HTTP/1.0
}

// A field is a header line.
type field struct{ name, colon, value, end int }

const (
	maxHeaders   = 64  // security.md, DOS-02
	maxChunkLine = 256 // bytes, extensions included
)

// A violation is a request that is refused before it is one.
type violation struct {
	status int    // of the answer
	rule   string // of security.md
	msg    string
}

// Error implements error, for the operator.
func (v *violation) Error() string { return v.rule + ": " + v.msg }

func bad(rule, msg string) *violation { return &violation{400, rule, msg} }

func (h *head) reset() { *h = head{limit: h.limit, fields: h.fields[:0]} }

// feed goes on reading in b, which holds all bytes since the head began, and
// reports whether the head is complete. It then has h.size bytes.
func (h *head) feed(b []byte) (done bool, err *violation) {
	for err == nil && !done {
		start := h.size
		i := bytes.IndexByte(b[start:], '\n')
		if i < 0 || start+i >= h.limit {
			if len(b) > h.limit {
				err = &violation{431, "DOS-02", "request line and headers too large"}
			}
			return false, err
		}
		h.size += i + 1
		var line []byte
		if line, err = plain(b[start:h.size]); err != nil {
			return false, err
		}
		switch {
		case start == 0:
			err = h.requestLine(line)
		case len(line) > 0:
			err = h.headerLine(start, line)
		default:
			done, err = true, h.check()
		}
	}
	return done, err
}

// plain cuts the end off a line, and refuses what must not stand in one.
func plain(line []byte) ([]byte, *violation) {
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, bad("HTTP-03", "line ends in a bare line feed")
	}
	if !isText(line) {
		return nil, bad("HTTP-03", "control character in a line")
	}
	return line, nil
}

// requestLine reads method, target and version, each after one space.
func (h *head) requestLine(line []byte) *violation {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(target) == 0 || !isName(method) {
		return bad("HTTP-03", "request line is not method, target and version")
	}
	h.method = len(method)
	h.target = h.method + 1 + len(target)
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.old, h.close = true, true
	default:
		return &violation{505, "HTTP-04", "version is not HTTP/1.1"}
	}
	if h.old && string(method) != http.MethodGet {
		return &violation{505, "HTTP-04", "HTTP/1.0 with another method than GET"}
	}
	return nil
}

// headerLine reads the header line that begins at start.
func (h *head) headerLine(start int, line []byte) *violation {
	if len(h.fields) == maxHeaders {
		return &violation{431, "DOS-02", "too many header lines"}
	}
	name, rest, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isName(name) {
		return bad("HDR-03", "header name is folded, or has a character other than letters, digits and hyphens")
	}
	value := bytes.TrimLeft(rest, " \t")
	f := field{name: start, colon: start + len(name), value: start + len(line) - len(value)}
	value = bytes.TrimRight(value, " \t")
	f.end = f.value + len(value)
	h.fields = append(h.fields, f)
	switch len(name) { // only names of these lengths are looked at
	case len("Host"), len("Expect"), len("Connection"), len("Content-Length"), len("Transfer-Encoding"):
		return h.framing(string(name), string(value))
	}
	return nil
}

// framing notes the headers that concern the connection.
func (h *head) framing(name, value string) *violation {
	switch {
	case equalFold(name, "Host"):
		h.hosts++
		h.host = value
	case equalFold(name, "Connection"):
		h.close = h.close || lists(value, "close")
	case equalFold(name, "Expect"):
		if !equalFold(value, "100-continue") {
			return &violation{417, "HTTP-06", "Expect is not 100-continue"}
		}
		h.expect = true
	case equalFold(name, "Content-Length"):
		n, err := strconv.ParseUint(value, 10, 63)
		if h.length != "" || err != nil {
			return bad("HTTP-02", "Content-Length is not one number")
		}
		h.length, h.bytes = value, n
	case equalFold(name, "Transfer-Encoding"):
		if h.chunked || !equalFold(value, "chunked") {
			return bad("HTTP-02", "Transfer-Encoding is not one chunked")
		}
		h.chunked = true
	}
	return nil
}

// check looks at what only the whole head shows.
func (h *head) check() *violation {
	switch {
	case h.chunked && h.length != "":
		return bad("HTTP-02", "Content-Length beside Transfer-Encoding")
	case h.old && (h.chunked || h.bytes > 0):
		return &violation{505, "HTTP-04", "body in HTTP/1.0"}
	case h.hosts > 1 || h.hosts == 0 && !h.old:
		return bad("HTTP-09", "not exactly one Host")
	case !isHost(h.host):
		return bad("HTTP-09", "Host is not a name or an address")
	}
	return nil
}

// fill writes into r what a head says whose text is given.
func (h *head) fill(r *http.Request, text string) {
	r.Method, r.RequestURI, r.Host = text[:h.method], text[h.method+1:h.target], h.host
	// The host of an absolute target counts (RFC 9112, section 3.2.2).
	if _, rest, ok := strings.Cut(r.RequestURI, "://"); ok && r.RequestURI[0] != '/' {
		r.Host, _, _ = strings.Cut(rest, "/")
	}
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	if h.old {
		r.Proto, r.ProtoMinor = "HTTP/1.0", 0
	}
	r.Header, r.ContentLength = h.header(text), int64(h.bytes)
	if h.chunked {
		r.ContentLength = -1
	}
}

// header returns the header lines but Host, with names in canonical form.
func (h *head) header(text string) http.Header {
	header := make(http.Header, len(h.fields))
	values := make([]string, len(h.fields))
	for i, f := range h.fields {
		name := textproto.CanonicalMIMEHeaderKey(text[f.name:f.colon])
		if name == "Host" {
			continue
		}
		values[i] = text[f.value:f.end]
		if before, ok := header[name]; ok {
			header[name] = append(before, values[i])
		} else {
			header[name] = values[i : i+1 : i+1]
		}
	}
	return header
}

// isText accepts everything but control characters other than tabs.
func isText[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isName accepts a token of ASCII letters, digits and hyphens.
func isName[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '-' {
			return false
		}
	}
	return len(s) > 0
}

// isHost accepts the characters of names, addresses and ports.
func isHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && strings.IndexByte("-_.:[]", c) < 0 {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' }
