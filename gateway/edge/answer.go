package edge

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// answerTimeout is how long a client may take to read its answer. It frees
// what a slow reader holds.
const answerTimeout = 30 * time.Second

// maxKept is the largest buffer that is kept for another answer, in bytes.
const maxKept = 64 << 10

// headRoom is what a buffer leaves free for the head of the answer, in bytes, so
// that the body, which is written first, need not move.
const headRoom = 512

// A buffer holds an answer, its body behind headRoom. It is wiped before another
// uses it: it may be a token.
type buffer struct{ b []byte }

// body returns what was written.
func (b *buffer) body() []byte { return b.b[headRoom:] }

// wipe makes it empty.
func (b *buffer) wipe() {
	clear(b.b)
	b.b = b.b[:headRoom]
}

func (s *Server) buffer() *buffer {
	if b, ok := s.buffers.Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, headRoom, 8<<10)}
}

func (s *Server) release(b *buffer) {
	if b.wipe(); cap(b.b) <= maxKept {
		s.buffers.Put(b)
	}
}

// An answer collects what a handler writes, so that it leaves in one piece
// with its length before it, and nothing leaves of one that panics.
type answer struct {
	x      *exchange
	header http.Header
	status int     // 0 before it is known
	body   *buffer // nil before the first byte
	flows  bool    // its head was sent, without a length
	rests  bool    // it is none that waits to be answered
	sleep  *sleep  // until it goes on; nil where the handler has answered
}

// Header implements http.ResponseWriter. The header may be changed until the
// handler returns.
func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}

// WriteHeader implements http.ResponseWriter. The first final status counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	body := a.room()
	body.b = append(body.b, p...)
	return len(p), nil
}

// room returns the buffer for the body, and takes one if there is none yet.
func (a *answer) room() *buffer {
	if a.body == nil {
		a.body = a.x.body.conn.server.buffer()
	}
	return a.body
}

// FlushError serves http.ResponseController: what was written leaves at once.
// An answer whose length is not known ends with its connection. From then on
// its request is none that waits for an answer.
func (a *answer) FlushError() error {
	c := a.x.body.conn
	if !a.x.body.whole() {
		return http.ErrNotSupported // the client is still heard
	}
	body := a.room()
	defer body.wipe()
	if a.flows {
		return c.send(body.body())
	}
	a.flows = true
	a.Rest()
	message, err := a.message(false, true, time.Now())
	if err != nil {
		return err
	}
	return c.send(message)
}

// Rest tells that the request waits for a person or a time, and costs nothing
// meanwhile: from then on it is none that waits for an answer.
func (a *answer) Rest() {
	if a.rests || !a.x.body.whole() {
		return
	}
	a.rests = true
	c := a.x.body.conn
	c.server.gate.end(c.source)
}

// Later has the handler return without an answer, after the request's body was
// read. When wake was called, or the client has gone away, next goes on in its
// place; it answers or calls Later again. Meanwhile the request rests, and takes
// no more memory than an idle connection beside what next keeps. wake never
// blocks, and may be called at any time and more than once.
func (a *answer) Later(next func()) (wake func()) {
	if !a.x.body.whole() {
		panic("edge: Later before the body was read")
	}
	a.Rest()
	a.sleep = &sleep{conn: a.x.body.conn, next: next, woken: make(chan struct{}, 1)}
	return a.sleep.wake
}

// SetReadDeadline serves http.ResponseController. It bounds the time for the
// request's body, and nothing else.
func (a *answer) SetReadDeadline(t time.Time) error {
	a.x.body.deadline = t
	return nil
}

// closes tells that the handler ends the connection with this answer.
func (a *answer) closes() bool {
	values := a.header["Connection"]
	return len(values) > 0 && lists(values[0], "close")
}

// message returns the answer as it is sent, in its buffer. It fails for a header
// that would not be one.
func (a *answer) message(headOnly, last bool, now time.Time) ([]byte, error) {
	a.WriteHeader(http.StatusOK)
	body := a.room()
	head, err := a.appendHead(body.b[:0:headRoom], last, now)
	if err != nil {
		return nil, err
	}
	switch {
	case headOnly || !a.hasBody():
		return head, nil
	case len(head) > headRoom: // and elsewhere
		message := append(head, body.body()...)
		clear(body.b)
		body.b = message
		return message, nil
	}
	start := headRoom - len(head)
	copy(body.b[start:], head)
	return body.b[start:], nil
}

// hasBody tells that an answer of its status has a body (RFC 9110, section 6.4.1).
func (a *answer) hasBody() bool {
	return a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

func (a *answer) appendHead(b []byte, last bool, now time.Time) ([]byte, error) {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(a.status)...)
	b = append(b, "\r\nDate: "...)
	b = now.UTC().AppendFormat(b, http.TimeFormat)
	for name, values := range a.header {
		switch name {
		case "Connection", "Content-Length", "Date", "Transfer-Encoding": // the edge's own
			continue
		}
		for _, v := range values {
			if !isName(name) || !isText(v) {
				return nil, fmt.Errorf("header %q of the answer is malformed", name)
			}
			b = append(b, "\r\n"...)
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
		}
	}
	if last {
		b = append(b, "\r\nConnection: close"...)
	}
	if a.hasBody() && !a.flows {
		b = append(b, "\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(a.body.body())), 10)
	}
	return append(b, "\r\n\r\n"...), nil
}
