//go:build linux && !race

package socket

import (
	"syscall"
	"unsafe"
)

func (c *Conn) prepare() {
	c.in.try, c.in.look, c.out.try = c.receive, func(fd uintptr) { c.receive(fd) }, c.send
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.in.p = p
	err := c.raw.Read(c.in.try)
	return c.received(err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	c.out.p, c.out.n, c.out.err = p, 0, 0
	err := c.raw.Write(c.out.try)
	c.out.p = nil
	if err == nil && c.out.err != 0 {
		err = c.failed("write", c.out.err)
	}
	return c.out.n, err
}

// send writes until all is written, the system takes no more for now, or fails.
func (c *Conn) send(fd uintptr) bool {
	for c.out.err == 0 && c.out.n < len(c.out.p) {
		n, errno := transferred(syscall.SYS_SENDTO, fd, c.out.p[c.out.n:], syscall.MSG_NOSIGNAL)
		if errno == syscall.EAGAIN {
			return false
		}
		c.out.n, c.out.err = c.out.n+n, errno
	}
	return true
}

func receive(fd uintptr, p []byte) (int, syscall.Errno) {
	return transferred(syscall.SYS_RECVFROM, fd, p, 0)
}

// transferred calls recvfrom or sendto, which return at once on a socket that
// does not block.
func transferred(call, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
