package edge

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// linger is how long after its last answer, or after it was accepted, a
// connection without a request is still expected to bring one while the
// server drains. A client that is answered now may be sending already: to
// close under its hands would lose a request that it cannot safely repeat.
const linger = time.Second

// A wire counts what is read below TLS, so that a record that has arrived in
// part is not taken for silence.
type wire struct {
	net.Conn
	received atomic.Uint64 // bytes
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.received.Add(uint64(max(n, 0)))
	return n, err
}

// A conn is one client's connection as net/http sees it: above TLS and behind
// a framer. It knows at any time whether bytes of a request that is not yet
// answered have been read. Only its own reader ever closes it for being idle,
// because only the reader knows that it has read nothing: draining interrupts
// the reader by a deadline in the past.
type conn struct {
	*tls.Conn
	wire   *wire
	server *Server

	// The reader's own: net/http reads from one goroutine at a time.
	framer  framer
	pending []byte // read beyond the end of the current request
	failed  error  // what every further Read returns

	mu       sync.Mutex
	active   bool      // net/http is working on a request
	idle     bool      // nothing of a new request was handed on since the last answer
	since    time.Time // when it became idle
	silent   uint64    // wire.received when it became idle
	deadline time.Time // for reading, as net/http or the exchange set it
	kicked   bool      // a deadline in the past stands instead
}

func (s *Server) newConn(tcp net.Conn) *conn {
	w := &wire{Conn: tcp}
	return &conn{
		Conn: tls.Server(w, s.tls), wire: w, server: s,
		framer: framer{limit: s.headerBytes},
		idle:   true, since: time.Now(),
	}
}

// ConnectionState shakes hands and returns what was agreed. net/http calls it
// once, in the connection's goroutine before it reads, and gives the result to
// each request as Request.TLS.
func (c *conn) ConnectionState() tls.ConnectionState {
	deadline := time.Now().Add(c.server.headerTimeout)
	_ = c.SetReadDeadline(deadline)
	_ = c.SetWriteDeadline(deadline)
	if err := c.Handshake(); err != nil {
		c.failed = io.EOF // closes without an answer
		c.server.log.Debug("tls handshake failed", "peer", c.RemoteAddr(), "err", err)
	}
	_ = c.SetWriteDeadline(time.Time{})
	return c.Conn.ConnectionState()
}

// Read implements net.Conn. It hands on bytes of one request at a time, and
// none of a line that the framer has not passed.
func (c *conn) Read(p []byte) (int, error) {
	if c.failed != nil || len(p) == 0 {
		return 0, c.failed
	}
	var n int
	if len(c.pending) > 0 {
		n = copy(p, c.pending)
		c.pending = c.pending[n:]
	} else {
		var err error
		if n, err = c.receive(p); err != nil {
			return 0, err
		}
	}
	c.busy()
	used, _, violation := c.framer.feed(p[:n])
	if violation != nil {
		return 0, c.refuse(violation)
	}
	if used < n {
		c.pending = append([]byte(nil), append(p[used:n:n], c.pending...)...)
	}
	return used, nil
}

// receive reads at least one byte from TLS, or returns an error.
func (c *conn) receive(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if n > 0 || err == nil {
			return n, nil // an error will come again
		}
		if !c.resume() {
			return 0, err
		}
	}
}

// resume tells that a read that draining interrupted goes on, because part of
// a request had arrived.
func (c *conn) resume() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.kicked || c.wire.received.Load() == c.silent {
		return false
	}
	c.kicked = false
	return c.Conn.SetReadDeadline(c.deadline) == nil
}

// busy notes that bytes of a request are handed to net/http.
func (c *conn) busy() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = false
	if c.kicked {
		c.kicked = false
		_ = c.Conn.SetReadDeadline(c.deadline)
	}
}

// state is told what net/http does with the connection.
func (c *conn) state(s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s {
	case http.StateActive:
		c.active = true
	case http.StateIdle:
		c.active = false
		c.idle = len(c.pending) == 0 && c.framer.size == 0
		c.since, c.silent = time.Now(), c.wire.received.Load()
	}
}

// kick interrupts the reader if the connection has been idle for long enough
// that nothing is to be expected of it. It never closes: what the reader has
// read meanwhile is answered.
func (c *conn) kick(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.idle || c.kicked || now.Sub(c.since) < linger || c.wire.received.Load() != c.silent {
		return
	}
	c.kicked = true
	_ = c.Conn.SetReadDeadline(now.Add(-time.Second))
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if c.kicked {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// CloseWrite tells the client that no more will come, in TLS and in TCP.
func (c *conn) CloseWrite() error {
	if err := c.Conn.CloseWrite(); err != nil {
		return err
	}
	if tcp, ok := c.wire.Conn.(interface{ CloseWrite() error }); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// refuse ends the connection for a violation, and answers it when nothing else
// does: a body is read by the exchange, which then answers; beside an answer
// that is being written there is no place for another. What else the client
// sends is read for a moment, so that the answer is not lost to a reset
// (security.md, HTTP-15).
func (c *conn) refuse(v *violation) error {
	c.failed = v
	c.server.log.Info("request refused", "peer", c.RemoteAddr(), "status", v.status, "err", v)
	c.mu.Lock()
	active := c.active
	c.mu.Unlock()
	if active {
		return v
	}
	c.failed = os.ErrDeadlineExceeded // net/http adds no answer to a timeout
	deadline := time.Now().Add(c.server.headerTimeout)
	_ = c.Conn.SetDeadline(deadline)
	text := http.StatusText(v.status)
	_, err := fmt.Fprintf(c.Conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		v.status, text, len(text)+1, text)
	if err == nil && c.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		_, _ = io.CopyN(io.Discard, c.Conn, 64<<10)
	}
	return c.failed
}
