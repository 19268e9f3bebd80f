package adfs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"stsgate/gateway/socket"
)

// A conn is a connection to a node, used by one exchange at a time.
type conn struct {
	node     *node
	wire     *wire
	tls      *tls.Conn
	since    time.Time // unused since then
	deadline time.Time // that stands
	exact    bool      // the last answer was read to its exact end
	abort    func()    // close, kept so that no exchange has to make it
	one      [1]byte

	distrusted atomic.Bool // an answer on it was not what was asked for
	distrust   func()      // says so
}

// dial connects and makes the handshake.
func (n *node) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, n.c.DialTimeout)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", n.name)
	if err != nil {
		return nil, err
	}
	s, err := socket.New(raw)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	w := &wire{Conn: s}
	t := tls.Client(w, n.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	c := &conn{node: n, wire: w, tls: t}
	c.abort, c.distrust = c.close, func() { c.distrusted.Store(true) }
	return c, nil
}

// close ends the connection at once, and with it an exchange that is under
// way. It may be called at any time, by any goroutine.
func (c *conn) close() { _ = c.wire.Close() }

// quiet reports whether the connection is open, not distrusted, and the node
// has sent nothing on it. Records that belong to TLS itself, such as session tickets, are read
// and do not count.
func (c *conn) quiet() bool {
	if c.distrusted.Load() {
		return false
	}
	c.wire.look = true
	_, err := c.tls.Read(c.one[:])
	c.wire.look = false
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// A wire is the TCP connection below TLS.
type wire struct {
	*socket.Conn
	// look makes Read return os.ErrDeadlineExceeded instead of waiting.
	look bool
	// ended tells that the node closed the TCP connection. A node that only
	// ended TLS has said that its answer is complete.
	ended bool
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	read := w.Conn.Read
	if w.look {
		read = w.ReadNow
	}
	n, err := read(p)
	w.ended = w.ended || errors.Is(err, io.EOF)
	return n, err
}
