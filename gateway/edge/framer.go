package edge

import (
	"bytes"
	"strconv"
	"strings"
)

// A framer follows the bytes of one connection, request by request, and stops
// it at the first byte that two HTTP parsers could read differently
// (security.md, HTTP-02 to HTTP-05, HDR-03). net/http accepts bare LF, folded
// headers, Content-Length beside Transfer-Encoding, and underscores; behind a
// framer it never sees them. It also knows where a request ends, which is how
// the connection knows whether it is idle.
//
// It works on lines as they come and keeps only the one that is incomplete.
type framer struct {
	limit int // bytes of a request line with its header lines

	stage   stage
	line    []byte // of the line so far
	size    int    // bytes of the request line and header lines so far
	headers int    // header lines so far
	remain  uint64 // bytes of the body or chunk to come
	length  string // Content-Length, empty for none
	chunked bool
	old     bool // HTTP/1.0
}

// A stage is what the next bytes are.
type stage uint8

const (
	requestLine stage = iota
	headerLine
	body
	chunkLine // size of a chunk
	chunk
	chunkEnd // CR LF after a chunk
	lastLine // after the last chunk, where trailers would stand
)

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

// feed reads p and returns how many of its bytes belong to the current
// request, and whether that ends with the last of them.
func (f *framer) feed(p []byte) (n int, end bool, err *violation) {
	for n < len(p) && !end && err == nil {
		if f.stage == body || f.stage == chunk {
			part := min(uint64(len(p)-n), f.remain)
			n += int(part)
			f.remain -= part
			if f.remain == 0 {
				end = f.stage == body
				f.stage = chunkEnd
			}
			continue
		}
		part := p[n:]
		i := bytes.IndexByte(part, '\n')
		if i >= 0 {
			part = part[:i+1]
		}
		n += len(part)
		if err = f.grow(len(part)); err != nil {
			break
		}
		if len(f.line) > 0 || i < 0 {
			f.line = append(f.line, part...)
			part = f.line
		}
		if i >= 0 {
			end, err = f.endLine(part)
			f.line = f.line[:0]
		}
	}
	if end {
		*f = framer{limit: f.limit, line: f.line[:0]}
	}
	return n, end, err
}

// grow counts the bytes of lines against their limits.
func (f *framer) grow(n int) *violation {
	if f.stage > headerLine {
		if len(f.line)+n > maxChunkLine {
			return bad("HTTP-02", "chunk line too long")
		}
		return nil
	}
	if f.size += n; f.size > f.limit {
		return &violation{431, "DOS-02", "request line and headers too large"}
	}
	return nil
}

// endLine reads a complete line, with its line feed.
func (f *framer) endLine(line []byte) (end bool, err *violation) {
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return false, bad("HTTP-03", "line ends in a bare line feed")
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false, bad("HTTP-03", "control character in a line")
		}
	}
	switch {
	case f.stage == requestLine:
		f.stage = headerLine
		return false, f.request(line)
	case f.stage == headerLine && len(line) > 0:
		return false, f.header(line)
	case f.stage == headerLine:
		return f.endHead()
	case f.stage == chunkLine:
		return false, f.chunkSize(line)
	case len(line) > 0:
		return false, bad("HTTP-05", "trailer, or bytes after a chunk's end")
	default: // chunkEnd, lastLine
		end = f.stage == lastLine
		f.stage = chunkLine
		return end, nil
	}
}

// request checks method, target and version, each after one space.
func (f *framer) request(line []byte) *violation {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(target) == 0 || !isName(method) {
		return bad("HTTP-03", "request line is not method, target and version")
	}
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		f.old = true
	default:
		return &violation{505, "HTTP-04", "version is not HTTP/1.1"}
	}
	return nil
}

// header checks one header line and notes how the body is framed.
func (f *framer) header(line []byte) *violation {
	if f.headers++; f.headers > maxHeaders {
		return &violation{431, "DOS-02", "too many header lines"}
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isName(name) {
		return bad("HDR-03", "header name is folded, or has a character other than letters, digits and hyphens")
	}
	switch len(name) { // only names of these lengths are looked at
	case len("Content-Length"):
		if strings.EqualFold(string(name), "Content-Length") {
			return f.contentLength(string(bytes.Trim(value, " \t")))
		}
	case len("Transfer-Encoding"):
		if strings.EqualFold(string(name), "Transfer-Encoding") {
			if f.chunked || !strings.EqualFold(string(bytes.Trim(value, " \t")), "chunked") {
				return bad("HTTP-02", "Transfer-Encoding is not one chunked")
			}
			f.chunked = true
		}
	}
	return nil
}

func (f *framer) contentLength(value string) *violation {
	n, err := strconv.ParseUint(value, 10, 63)
	if f.length != "" || err != nil || value[0] == '+' {
		return bad("HTTP-02", "Content-Length is not one number")
	}
	f.length, f.remain = value, n
	return nil
}

// endHead decides what follows the empty line.
func (f *framer) endHead() (end bool, err *violation) {
	switch {
	case f.chunked && f.length != "":
		return false, bad("HTTP-02", "Content-Length beside Transfer-Encoding")
	case f.old && (f.chunked || f.remain > 0):
		return false, &violation{505, "HTTP-04", "body in HTTP/1.0"}
	case f.chunked:
		f.stage = chunkLine
	case f.remain > 0:
		f.stage = body
	default:
		end = true
	}
	return end, nil
}

// chunkSize reads the line before a chunk. What follows a semicolon is an
// extension, which nobody passes on.
func (f *framer) chunkSize(line []byte) *violation {
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseUint(string(size), 16, 32)
	if err != nil || size[0] == '+' {
		return bad("HTTP-02", "chunk size is not a hexadecimal number")
	}
	f.stage, f.remain = chunk, n
	if n == 0 {
		f.stage = lastLine
	}
	return nil
}

// isName accepts a token of ASCII letters, digits and hyphens.
func isName(s []byte) bool {
	for _, c := range s {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return len(s) > 0
}
