package edge

import (
	"context"
	"errors"
	"os"
	"time"
)

// A sleep is an exchange's, from when its handler returned without an answer
// until it goes on.
type sleep struct {
	conn  *conn
	next  func()
	woken chan struct{} // holds a token when next is to go on
}

// sleepingSize holds the beginning of what a client sends while its request
// sleeps, in bytes.
const sleepingSize = 64

func (s *sleep) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asleep == s {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

// sleep waits until an exchange is woken, or its client goes away, for which the
// connection's own goroutine watches meanwhile. Of one that has gone before it is
// not told again.
func (c *conn) sleep(ctx context.Context, s *sleep) {
	c.compact()
	if c.end == 0 {
		c.in = make([]byte, sleepingSize)
	}
	c.mu.Lock()
	c.asleep = s
	_ = c.SetReadDeadline(time.Time{})
	c.mu.Unlock()
	if len(s.woken) == 0 && ctx.Err() == nil {
		n, err := c.Read(c.in[c.end:])
		c.end += n
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.cancel()
			s.wake()
		}
	}
	<-s.woken
	c.widen()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asleep = nil
}

// widen gives the connection a buffer of its usual size again.
func (c *conn) widen() {
	if len(c.in) < bufferSize {
		in := make([]byte, bufferSize)
		copy(in, c.in[:c.end])
		clear(c.in)
		c.in = in
	}
}

// goOn waits with an exchange that sleeps and goes on with it, and then with
// those that follow on the connection. It is a goroutine of its own: the stack of
// the one that began the exchange is several times what waiting takes, and ends
// with that.
func (c *conn) goOn(x *exchange) {
	over := true
	defer func() {
		if over {
			c.leave()
		}
	}()
	defer c.recover()
	for s := x.answer.sleep; s != nil; s = x.answer.sleep {
		c.sleep(x.request.Context(), s)
		x.answer.sleep = nil
		c.startWatch()
		c.server.goOn(&x.answer, s.next)
		c.endWatch()
	}
	if c.finish(x) {
		over = c.requests(c.server.idleTimeout)
	} else {
		clear(c.in)
	}
}
