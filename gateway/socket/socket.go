// Package socket reads and writes TCP connections in fewer cycles than package
// net does, on Linux.
//
// Package net tells the scheduler of every system call, since most may block.
// Calls on a socket that does not block are over in microseconds; what they
// cause costs more than they do: each wakes the runtime's monitor, which then
// wakes up every few dozen microseconds to see whether the call is over (about
// a tenth of what a forwarded request costs). This package makes the same calls
// untold. Waiting, deadlines and closing are package net's.
//
// The monitor is also what interrupts a goroutine that computes for 10 ms, and
// what looks at the network while all processors are busy. Once asleep it wakes
// with any other call, of which there is one for each line of audit and log, and
// with each garbage collection: busy processors are without it for a moment only.
package socket

import (
	"errors"
	"net"
	"syscall"
)

// A Conn is a TCP connection. One goroutine may read from it at a time, and one
// may write.
type Conn struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out transfer
}

// A transfer is a read or a write that is under way.
type transfer struct {
	p   []byte
	n   int // bytes of p that are done
	err syscall.Errno

	// Kept, so that no call has to make them.
	try  func(fd uintptr) (done bool)
	look func(fd uintptr)
}

// New returns a Conn that uses c, which must be a *net.TCPConn.
func New(c net.Conn) (*Conn, error) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return nil, errors.New("socket: not a TCP connection")
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &Conn{TCPConn: t, raw: raw}
	s.prepare()
	return s, nil
}
