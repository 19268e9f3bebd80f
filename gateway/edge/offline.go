package edge

import (
	"bytes"
	"net/http"
)

// A HeadError says why a connection would end at lines that were captured. It
// never quotes them.
type HeadError struct {
	Rule   string // of security.md
	Offset int    // of the line
	Msg    string
}

// Error implements error.
func (e *HeadError) Error() string { return e.Rule + ": " + e.Msg }

// ReadHead reads the request line and the header lines that b begins with by
// the rules of a connection, of which limit bytes are the most. The request has
// no body, which begins at b[size:], and neither URL nor address; of its host
// nothing is judged but the form. The error is a *HeadError.
func ReadHead(b []byte, limit int) (r *http.Request, size int, err error) {
	h := head{limit: limit}
	done, v := h.feed(b)
	switch {
	case v != nil:
		line := bytes.LastIndexByte(b[:max(h.size-1, 0)], '\n') + 1
		switch {
		case v.status == http.StatusRequestHeaderFieldsTooLarge && len(h.fields) < maxHeaders:
			line = h.size // which is not counted yet
		case line == h.size-len("\r\n"):
			line = 0 // it takes all lines to see it
		}
		return nil, 0, &HeadError{Rule: v.rule, Offset: line, Msg: v.msg}
	case !done:
		return nil, 0, &HeadError{Rule: "HTTP-15", Offset: len(b), Msg: "the head is cut short"}
	}
	r = new(http.Request)
	h.fill(r, string(b[:h.size]))
	return r, h.size, nil
}

// ReadChunkLine reads the line before a chunk that b begins with by the rules of
// a connection, and returns the size of the chunk, which begins at b[line:]. The
// error is a *HeadError.
func ReadChunkLine(b []byte) (size uint64, line int, err error) {
	text, line, v := chunkLine(b)
	if v == nil && line == 0 {
		return 0, 0, &HeadError{Rule: "HTTP-15", Offset: len(b), Msg: "the body is cut short: its last chunk is missing"}
	}
	if v == nil {
		size, v = chunkSize(text)
	}
	if v != nil {
		return 0, 0, &HeadError{Rule: v.rule, Msg: v.msg}
	}
	return size, line, nil
}
