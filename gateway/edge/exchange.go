package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"time"
)

// An exchange is one request with its answer.
type exchange struct {
	request *http.Request
	body    body
	answer  answer
	url     url.URL
}

// exchange reads one request, has it answered, and reports whether the
// connection goes on. One that is to be answered later is returned.
func (c *conn) exchange() (more bool, sleeps *exchange) {
	if !c.readHead() {
		return false, nil
	}
	if over := c.server.gate.full(c.source); over != unlimited {
		c.turnAway(over)
		return false, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	x := new(exchange)
	x.answer.x = x
	x.request = c.request(ctx, x)
	if x.body.whole() {
		c.arrived()
	}
	c.server.answer(&x.answer, x.request)
	if x.body.whole() {
		c.answered(x.answer.rests)
	}
	if x.answer.sleep != nil {
		return false, x
	}
	return c.finish(x), nil
}

// finish sends the answer, and reports whether the connection goes on.
func (c *conn) finish(x *exchange) (more bool) {
	defer c.cancel()
	c.compact()
	return c.respond(x, x.request)
}

// readHead reads the head of a request into c.head.
func (c *conn) readHead() bool {
	c.head.reset()
	var deadline time.Time
	for {
		done, v := c.head.feed(c.in[c.next:c.end])
		if v != nil {
			c.refuse(v)
		}
		if done || v != nil {
			return v == nil
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(c.server.headerTimeout)
		}
		if err := c.more(deadline); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.refuse(&violation{408, "DOS-01", "head took too long"})
			}
			return false
		}
	}
}

// request makes of the head what a handler gets.
func (c *conn) request(ctx context.Context, x *exchange) *http.Request {
	h := &c.head
	text := string(c.in[c.next : c.next+h.size])
	c.next += h.size
	x.body = body{conn: c, remain: h.bytes, chunked: h.chunked, expect: h.expect}
	if !h.chunked && h.bytes == 0 {
		x.body.err = io.EOF
	}
	r := c.server.blank.WithContext(ctx)
	h.fill(r, text)
	if c.own {
		for _, name := range c.server.speaking {
			delete(r.Header, name)
		}
	}
	r.URL, r.Body = &x.url, &x.body
	r.RemoteAddr, r.TLS = c.peer, c.state
	return r
}

// answer has the request answered.
func (s *Server) answer(a *answer, r *http.Request) {
	defer s.rescue(a)
	s.serve(a, r)
}

// goOn has a request answered that slept.
func (s *Server) goOn(a *answer, next func()) {
	defer s.rescue(a)
	next()
}

// rescue makes of a panic one request's end and not the gateway's (security.md,
// FAIL-05).
func (s *Server) rescue(a *answer) {
	if v := recover(); v != nil {
		s.logPanic(v)
		s.release(a.room())
		a.body, a.header, a.sleep = nil, http.Header{"Connection": {"close"}}, nil
		a.status = http.StatusInternalServerError
	}
}

// logPanic logs where a panic was, but not its value, which may hold a piece of
// a message.
func (s *Server) logPanic(v any) {
	s.log.Error("panic", "err", fmt.Sprintf("panic of type %T", v), "stack", string(debug.Stack()))
}

// respond sends the answer, and reports whether another request may follow it
// on the connection.
func (c *conn) respond(x *exchange, r *http.Request) (more bool) {
	whole := x.body.whole()
	last := !whole || c.head.close || x.answer.closes() || c.server.draining.Load()
	defer c.server.release(x.answer.room())
	if x.answer.flows {
		_ = c.send(x.answer.body.body())
		return false
	}
	message, err := x.answer.message(r.Method == http.MethodHead, last, time.Now())
	if err != nil {
		c.server.log.Error("answer cannot be sent", "peer", c.peer, "err", err)
		return false
	}
	sent := c.send(message) == nil
	if sent && last && (!whole || c.next < c.end) {
		c.flush()
	}
	return sent && !last
}
