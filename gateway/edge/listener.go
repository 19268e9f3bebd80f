package edge

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// A listener is one that is served.
type listener struct {
	net.Listener
	done chan struct{} // closed when nothing comes of it any more
}

// serve hands connections to begin until the listener is stopped or fails.
func (l *listener) serve(begin func(net.Conn)) error {
	pause := time.Millisecond
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = time.Millisecond
			begin(nc)
		case errors.Is(err, os.ErrDeadlineExceeded):
			for _, nc := range l.close() {
				begin(nc)
			}
			return net.ErrClosed
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
			time.Sleep(pause) // until a connection ends
			pause = min(2*pause, time.Second)
		default:
			return err
		}
	}
}

// stop makes serve close the listener and hand out what is left.
func (l *listener) stop() {
	if d, ok := l.Listener.(interface{ SetDeadline(time.Time) error }); !ok || d.SetDeadline(time.Unix(1, 0)) != nil {
		_ = l.Close()
	}
}

// close takes every connection that the system has accepted already, and
// closes the listener at once after: closing resets whatever still waits
// there, although its client is connected and may have sent a request.
func (l *listener) close() (last []net.Conn) {
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
			last = append(last, nc)
		}
		_ = f.Close()
	}
	return last
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
