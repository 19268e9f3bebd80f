//go:build unix

package socket

import (
	"io"
	"net"
	"os"
	"syscall"
)

// ReadNow reads what has arrived into p, which is not empty. If nothing has, its
// error is os.ErrDeadlineExceeded. It does not mind deadlines.
func (c *Conn) ReadNow(p []byte) (int, error) {
	c.in.p = p
	err := c.raw.Control(c.in.look)
	return c.received(err)
}

// received returns how a read ended that package net let happen, or did not.
func (c *Conn) received(err error) (int, error) {
	c.in.p = nil
	switch {
	case err != nil:
		return 0, err
	case c.in.err == syscall.EAGAIN:
		return 0, os.ErrDeadlineExceeded
	case c.in.err != 0:
		return 0, c.failed("read", c.in.err)
	case c.in.n == 0:
		return 0, io.EOF
	}
	return c.in.n, nil
}

// receive reads once, and reports whether that did something.
func (c *Conn) receive(fd uintptr) bool {
	c.in.n, c.in.err = receive(fd, c.in.p)
	return c.in.err != syscall.EAGAIN
}

// failed returns an error as package net words it.
func (c *Conn) failed(op string, err syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}
