//go:build unix && (!linux || race)

package socket

import (
	"errors"
	"syscall"
)

// prepare leaves reading and writing to package net. The race detector takes a
// message from one goroutine to another for an order of events only there.
func (c *Conn) prepare() { c.in.look = func(fd uintptr) { c.receive(fd) } }

func receive(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Read(int(fd), p)
		var errno syscall.Errno
		if errors.As(err, &errno); errno != syscall.EINTR {
			return n, errno
		}
	}
}
