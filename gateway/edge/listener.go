package edge

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// A listener hands connections to net/http as conns.
type listener struct {
	net.Listener
	server *Server
	done   chan struct{} // closed when nothing comes of it any more
	closed bool
	last   []net.Conn // taken while closing, not yet handed out
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	if !l.closed {
		nc, err := l.Listener.Accept()
		if err == nil {
			return l.server.track(nc), nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		l.close()
	}
	if len(l.last) == 0 {
		return nil, net.ErrClosed
	}
	nc := l.last[0]
	l.last = l.last[1:]
	return l.server.track(nc), nil
}

// stop makes Accept close the listener and hand out what is left.
func (l *listener) stop() {
	if d, ok := l.Listener.(interface{ SetDeadline(time.Time) error }); !ok || d.SetDeadline(time.Unix(1, 0)) != nil {
		_ = l.Close()
	}
}

// close takes every connection that the system has accepted already, and
// closes the listener at once after: closing resets whatever still waits
// there, although its client is connected and may have sent a request.
func (l *listener) close() {
	l.closed = true
	var waiting []int
	if raw, ok := l.Listener.(syscall.Conn); ok {
		if rc, err := raw.SyscallConn(); err == nil {
			_ = rc.Control(func(fd uintptr) { waiting = acceptAll(int(fd)) })
		}
	}
	_ = l.Close()
	for _, fd := range waiting {
		f := os.NewFile(uintptr(fd), "connection")
		if nc, err := net.FileConn(f); err == nil { // on a copy
			l.last = append(l.last, nc)
		}
		_ = f.Close()
	}
}

// acceptAll takes what waits at a listening socket, which never blocks.
func acceptAll(listening int) (fds []int) {
	for {
		fd, _, err := syscall.Accept(listening)
		switch {
		case err == nil:
			syscall.CloseOnExec(fd)
			fds = append(fds, fd)
		case !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.ECONNABORTED):
			return fds
		}
	}
}
