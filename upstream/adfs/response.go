package adfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"stsgate/gateway/wstrust"
)

// Limits of an answer (HTTP-12).
const (
	maxHead    = 16 << 10
	maxHeaders = 64
	maxBody    = 1 << 20
	maxInterim = 4
)

// A head is what counts of an answer's status line and headers.
type head struct {
	status int
	// length is Content-Length, -1 where there is none.
	length      int64
	chunked     bool
	close       bool
	contentType string
}

// broken says which rule an answer breaks. It quotes nothing: an answer may
// hold a token.
func broken(rule, format string, args ...any) error {
	return &wstrust.Error{Kind: wstrust.Malformed, Rule: rule, Offset: -1, Msg: "answer: " + fmt.Sprintf(format, args...)}
}

// readHead reads the head of the final answer and swallows the interim ones
// before it. The reader's buffer bounds the head.
func readHead(r *bufio.Reader) (head, error) {
	for range maxInterim + 1 {
		h, err := readOneHead(r)
		if err != nil || h.status >= 200 {
			return h, err
		}
		if h.status == 101 {
			return head{}, broken("HTTP-12", "switches protocols")
		}
	}
	return head{}, broken("HTTP-12", "more than %d interim answers", maxInterim)
}

func readOneHead(r *bufio.Reader) (head, error) {
	for want := 1; ; want = r.Buffered() + 1 {
		_, err := r.Peek(want)
		if errors.Is(err, bufio.ErrBufferFull) {
			return head{}, broken("HTTP-12", "head is larger than %d bytes", r.Size())
		}
		if err != nil {
			return head{}, cut(err)
		}
		b, err := r.Peek(r.Buffered())
		if err != nil {
			return head{}, cut(err)
		}
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			continue
		}
		h, err := parseHead(b[:end])
		if err != nil {
			return head{}, err
		}
		_, err = r.Discard(end + 4)
		return h, err
	}
}

// cut turns the end of the connection within an answer into an error that
// cannot be taken for its regular end.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseHead reads the lines of a head, without the empty line (RFC 9112,
// sections 4 and 5). It accepts no line folding, no bare CR or LF, no space
// before a colon, and no header twice that frames the body.
func parseHead(b []byte) (head, error) {
	h := head{length: -1}
	line, rest, more := bytes.Cut(b, []byte("\r\n"))
	var ok bool
	if h.status, ok = parseStatus(line); !ok {
		return head{}, broken("HTTP-11", "malformed status line")
	}
	for count := 1; more; count++ {
		if count > maxHeaders {
			return head{}, broken("HTTP-12", "more than %d headers", maxHeaders)
		}
		line, rest, more = bytes.Cut(rest, []byte("\r\n"))
		name, value, colon := bytes.Cut(line, []byte(":"))
		if !colon || !isToken(name) || !isValue(value) {
			return head{}, broken("HTTP-11", "malformed header %d", count)
		}
		if err := h.set(name, bytes.Trim(value, " \t")); err != nil {
			return head{}, err
		}
	}
	if h.chunked && h.length >= 0 {
		return head{}, broken("HTTP-11", "both Content-Length and Transfer-Encoding")
	}
	return h, nil
}

// parseStatus reads "HTTP/1.1 200 OK". The phrase may be empty.
func parseStatus(line []byte) (int, bool) {
	const version = "HTTP/1.1 "
	if len(line) < len(version)+4 || string(line[:len(version)]) != version || line[len(version)+3] != ' ' || !isValue(line) {
		return 0, false
	}
	status := 0
	for _, c := range line[len(version) : len(version)+3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		status = status*10 + int(c-'0')
	}
	return status, status >= 100
}

// set notes a header that counts.
func (h *head) set(name, value []byte) error {
	switch {
	case is(name, "Content-Length"):
		n, ok := parseLength(value)
		if !ok || h.length >= 0 {
			return broken("HTTP-11", "malformed or second Content-Length")
		}
		h.length = n
	case is(name, "Transfer-Encoding"):
		if h.chunked || !is(value, "chunked") {
			return broken("HTTP-11", "unknown or second Transfer-Encoding")
		}
		h.chunked = true
	case is(name, "Content-Encoding"):
		return broken("HTTP-12", "an encoded body was not asked for")
	case is(name, "Connection"):
		for option := range bytes.SplitSeq(value, []byte(",")) {
			h.close = h.close || !is(bytes.Trim(option, " \t"), "keep-alive")
		}
	case is(name, "Content-Type"):
		if h.contentType != "" {
			return broken("HTTP-12", "second Content-Type")
		}
		h.contentType = string(value)
	}
	return nil
}

// is compares a name without case and without allocating.
func is(b []byte, name string) bool {
	return len(b) == len(name) && bytes.EqualFold(b, []byte(name))
}

// parseLength reads digits; whatever is beyond maxBody is as large as it gets.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// isToken reports whether b is a header name (RFC 9110, section 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
		case bytes.IndexByte([]byte("!#$%&'*+.^_`|~"), c) >= 0:
		default:
			return false
		}
	}
	return len(b) > 0
}

// isValue reports whether b holds no control character but tabs.
func isValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// readBody reads the body to its exact end, into room if it fits. complete reports, after the node
// closed a connection whose end is the body's, that nothing is missing. With an
// error it returns what was read.
func readBody(r *bufio.Reader, room []byte, h head, complete func() bool) ([]byte, error) {
	switch {
	case h.chunked:
		return readChunks(r, room)
	case h.length > maxBody:
		return nil, broken("HTTP-12", "body is larger than %d bytes", maxBody)
	case h.length >= 0:
		b := grow(room, int(h.length))[:h.length]
		_, err := io.ReadFull(r, b)
		return b, cut(err)
	default:
		return readToEnd(r, room, complete)
	}
}

// grow returns b with room for n bytes more. The bytes that it leaves behind
// are wiped: they may be the beginning of a token.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	larger := slices.Grow(b, n)
	clear(b)
	return larger
}

// readToEnd reads a body that ends with its connection.
func readToEnd(r *bufio.Reader, b []byte, complete func() bool) ([]byte, error) {
	for {
		b = grow(b, 512)
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > maxBody:
			return b, broken("HTTP-12", "body is larger than %d bytes", maxBody)
		case err == io.EOF && complete():
			return b, nil
		case err != nil:
			return b, cut(err)
		}
	}
}

// readChunks reads a chunked body (RFC 9112, section 7.1). Extensions and
// trailers are refused: AD FS sends none.
func readChunks(r *bufio.Reader, b []byte) ([]byte, error) {
	for {
		size, err := readChunkSize(r)
		if err != nil {
			return b, err
		}
		if size > maxBody-len(b) {
			return b, broken("HTTP-12", "body is larger than %d bytes", maxBody)
		}
		start := len(b)
		b = grow(b, size)[:start+size]
		if _, err := io.ReadFull(r, b[start:]); err != nil {
			return b, cut(err)
		}
		var end [2]byte
		if _, err := io.ReadFull(r, end[:]); err != nil {
			return b, cut(err)
		}
		if end != [2]byte{'\r', '\n'} {
			return b, broken("HTTP-11", "chunk does not end where it says")
		}
		if size == 0 {
			return b, nil
		}
	}
}

// readChunkSize reads one to six hexadecimal digits and CR LF.
func readChunkSize(r *bufio.Reader) (int, error) {
	size := 0
	for digits := 0; ; digits++ {
		c, err := r.ReadByte()
		if err != nil {
			return 0, cut(err)
		}
		switch {
		case digits > 0 && c == '\r':
			if c, err = r.ReadByte(); err == nil && c != '\n' {
				err = broken("HTTP-11", "malformed chunk size")
			}
			return size, cut(err)
		case digits == 6:
			return 0, broken("HTTP-11", "malformed or too large chunk size")
		case c >= '0' && c <= '9':
			size = size<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			size = size<<4 | int(c|0x20-'a') + 10
		default:
			return 0, broken("HTTP-11", "malformed chunk size")
		}
	}
}
