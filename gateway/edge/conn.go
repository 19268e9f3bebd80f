package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"stsgate/gateway/socket"
)

const (
	// linger is how long after its last answer, or after it was accepted, a
	// connection without a request is still expected to bring one while the
	// server drains. A client that is answered now may be sending already: to
	// close under its hands would lose a request that it cannot safely repeat.
	linger = time.Second
	// patience is how long an exchange lasts before its connection is watched
	// for a client that goes away. Most are over by then and cost no more.
	patience = 50 * time.Millisecond
	// bufferSize holds the head of most requests, in bytes. What is behind it is
	// read past the buffer, and costs no further call of the system as long as
	// it is of the same TLS record.
	bufferSize = 1 << 10
)

// A wire counts what is read below TLS, so that a record that has arrived in
// part is not taken for silence.
type wire struct {
	net.Conn
	received atomic.Uint64 // bytes
	ahead    []byte        // arrived with a PROXY header and is not yet read
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.ahead) > 0 {
		n := copy(p, w.ahead)
		w.ahead = w.ahead[n:]
		return n, nil
	}
	n, err := w.Conn.Read(p)
	w.received.Add(uint64(max(n, 0)))
	return n, err
}

// A conn is one client's connection. One goroutine at a time reads requests from
// it, has them answered, and writes the answers. Only that goroutine ever closes
// it for being idle, because only the reader knows that it has read nothing:
// draining interrupts the reader by a deadline in the past.
type conn struct {
	net.Conn // above TLS
	wire     *wire
	server   *Server
	peer     string               // address that connected, here or to a proxy that announced it
	own      bool                 // of a proxy, which named no source
	source   *source              // nil before it is admitted
	state    *tls.ConnectionState // since the handshake

	// The goroutine's own, and the watch's while that reads.
	in        []byte // in[next:end] was read and is not yet used
	next, end int
	head      head
	writeBy   time.Time          // the deadline for writing
	cancel    context.CancelFunc // of the request's context
	timer     *time.Timer        // of the watch
	watched   chan struct{}      // gets one value when a watch has ended

	mu       sync.Mutex
	idle     bool      // nothing of a new request was read since the last answer
	since    time.Time // when it became idle
	silent   uint64    // wire.received when it became idle
	deadline time.Time // for reading while it is idle
	kicked   bool      // a deadline in the past stands instead
	watching bool      // a watch may read
	asleep   *sleep    // that an exchange of it is in
}

func (s *Server) newConn(tcp net.Conn) *conn {
	w := &wire{Conn: tcp}
	if fast, err := socket.New(tcp); err == nil {
		w.Conn = fast
	}
	return &conn{
		Conn: tls.Server(w, s.tls), wire: w, server: s, peer: tcp.RemoteAddr().String(),
		in: make([]byte, bufferSize), head: head{limit: s.headerBytes}, watched: make(chan struct{}, 1),
		idle: true, since: time.Now(),
	}
}

// serve does the handshake and answers requests. The handshake has a goroutine
// of its own, because it takes a stack of several times the size that waiting for
// a client does, which ends with it.
func (c *conn) serve() {
	over := true
	defer func() {
		if over {
			c.leave()
		}
	}()
	defer c.recover()
	ready := make(chan bool)
	go func() {
		defer close(ready)
		defer c.recover()
		ready <- c.handshake()
	}()
	if <-ready {
		over = c.requests(c.server.headerTimeout)
	}
}

// requests answers one request after the other, of which the first may keep the
// connection waiting that long, until the connection is over, or until one of them
// sleeps: from then on the connection is goOn's. What was not read of the last
// one's body is wiped.
func (c *conn) requests(first time.Duration) (over bool) {
	for timeout, more := first, true; more && c.await(timeout); timeout = c.server.idleTimeout {
		var sleeps *exchange
		if more, sleeps = c.exchange(); sleeps != nil {
			go c.goOn(sleeps)
			return false
		}
	}
	clear(c.in)
	return true
}

// leave closes the connection and forgets it.
func (c *conn) leave() {
	_ = c.Close()
	s := c.server
	s.gate.disconnect(c.source)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// recover makes of a panic the end of one connection.
func (c *conn) recover() {
	if v := recover(); v != nil {
		c.server.logPanic(v)
	}
}

func (c *conn) handshake() bool {
	t := c.Conn.(*tls.Conn)
	_ = t.SetDeadline(time.Now().Add(c.server.headerTimeout))
	if !c.announced() || !c.admitted() {
		return false
	}
	if err := t.Handshake(); err != nil {
		c.server.log.Debug("tls handshake failed", "peer", c.peer, "err", err)
		return false
	}
	state := t.ConnectionState()
	c.state = &state
	return t.SetWriteDeadline(time.Time{}) == nil
}

// admitted asks the gate, which knows clients by the address that is the peer's
// or that a proxy has announced.
func (c *conn) admitted() bool {
	peer, err := netip.ParseAddrPort(c.peer)
	if err != nil {
		c.server.log.Error("peer has no address", "peer", c.peer, "err", err)
		return false
	}
	source, over := c.server.gate.admit(peer.Addr(), time.Now())
	if over != unlimited {
		c.server.log.Debug("connection refused", "peer", c.peer, "limit", over.String())
		return false
	}
	c.source = source
	return true
}

// await waits for the first byte of a request.
func (c *conn) await(timeout time.Duration) bool {
	if c.next < c.end {
		return true // it came with the request before
	}
	if len(c.in) > bufferSize {
		c.in = make([]byte, bufferSize)
	}
	now := time.Now()
	c.mu.Lock()
	c.idle, c.since, c.silent = true, now, c.wire.received.Load()
	c.kicked, c.deadline = false, now.Add(timeout)
	_ = c.SetReadDeadline(c.deadline)
	c.mu.Unlock()
	for {
		n, err := c.Read(c.in)
		c.end = n
		if n > 0 {
			c.mu.Lock()
			c.idle = false
			c.mu.Unlock()
			return true
		}
		if err != nil && !c.resume() {
			return false
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
	return c.SetReadDeadline(c.deadline) == nil
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
	_ = c.SetReadDeadline(now.Add(-time.Second))
}

// receive reads from the client, who is in the middle of a request.
func (c *conn) receive(p []byte, deadline time.Time) (int, error) {
	_ = c.SetReadDeadline(deadline)
	n, err := c.Read(p)
	if n > 0 {
		err = nil // it will come again
	}
	return n, err
}

// more reads into the buffer, which grows if it is full.
func (c *conn) more(deadline time.Time) error {
	if c.end == len(c.in) {
		c.compact()
	}
	if c.end == len(c.in) {
		c.in = append(c.in, make([]byte, len(c.in))...)
	}
	n, err := c.receive(c.in[c.end:], deadline)
	c.end += n
	return err
}

// compact drops what was used from the buffer, and wipes it: it may hold a
// password.
func (c *conn) compact() {
	n := copy(c.in, c.in[c.next:c.end])
	clear(c.in[n:c.end])
	c.next, c.end = 0, n
}

// send writes to the client, for answerTimeout or up to a second less: to set a
// deadline costs more than to see that the last one will do.
func (c *conn) send(p []byte) error {
	if until := time.Now().Add(answerTimeout); until.Sub(c.writeBy) > time.Second {
		if err := c.SetWriteDeadline(until); err != nil {
			return err
		}
		c.writeBy = until
	}
	_, err := c.Write(p)
	return err
}

// arrived counts a request of which the last byte was read, and has its
// client watched. When the handler is done answered takes that back.
func (c *conn) arrived() {
	c.server.gate.begin(c.source)
	c.startWatch()
}

func (c *conn) answered(ended bool) {
	c.endWatch()
	if !ended {
		c.server.gate.end(c.source)
	}
}

// startWatch has the connection watched from some time on, since its own
// goroutine reads nothing before the handler is done.
func (c *conn) startWatch() {
	c.compact()
	c.mu.Lock()
	c.watching = true
	c.mu.Unlock()
	if c.timer == nil {
		c.timer = time.AfterFunc(patience, c.watch)
	} else {
		c.timer.Reset(patience)
	}
}

// watch cancels the request if the client goes away. What it reads instead is
// the next request's, and stays in the buffer.
func (c *conn) watch() {
	c.mu.Lock()
	if c.watching {
		_ = c.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
	n, err := c.Read(c.in[c.end:])
	c.end += n
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.cancel()
	}
	c.watched <- struct{}{}
}

// endWatch gives the connection back to its own goroutine.
func (c *conn) endWatch() {
	c.mu.Lock()
	c.watching = false
	c.mu.Unlock()
	if !c.timer.Stop() {
		_ = c.SetReadDeadline(time.Unix(1, 0))
		<-c.watched
	}
}

// refuse answers what is not a request, as the connection's last.
func (c *conn) refuse(v *violation) {
	c.server.gate.framing[v.status].Inc()
	c.server.log.Info("request refused", "peer", c.peer, "status", v.status, "err", v)
	if c.server.refusedFraming != nil {
		c.server.refusedFraming(c.peer, v.status, v)
	}
	c.dismiss(v.status, http.Header{})
}

// turnAway answers a request for which there is no room, before its body is
// read (security.md, DOS-07).
func (c *conn) turnAway(over limit) {
	c.server.log.Debug("request refused", "peer", c.peer, "limit", over.String())
	c.dismiss(http.StatusServiceUnavailable, http.Header{"Retry-After": {"1"}})
}

// dismiss sends a plain status as the connection's last answer.
func (c *conn) dismiss(status int, h http.Header) {
	h.Set("Content-Type", "text/plain; charset=utf-8")
	body := c.server.buffer()
	defer c.server.release(body)
	body.b = append(body.b, http.StatusText(status)+"\n"...)
	a := answer{status: status, header: h, body: body}
	if message, err := a.message(false, true, time.Now()); err == nil && c.send(message) == nil {
		c.flush()
	}
}

// flush reads for a moment what the client still sends, after the last answer:
// closing on it would reset the connection and take the answer back
// (security.md, HTTP-15).
func (c *conn) flush() {
	for _, layer := range []net.Conn{c.Conn, c.wire.Conn} {
		if half, ok := layer.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
			return
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	for left := 64 << 10; left > 0; {
		n, err := c.Read(c.in)
		if err != nil {
			return
		}
		left -= n
	}
}
