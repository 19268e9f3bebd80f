//go:build unix

package adfs

import (
	"io"
	"os"
	"syscall"
)

// readNow reads what has arrived. The socket does not block, and Control,
// unlike Read, does not mind the deadline of the previous exchange.
func (w *wire) readNow(p []byte) (int, error) {
	w.p = p
	if err := w.raw.Control(w.attempt); err != nil {
		return 0, err
	}
	w.p = nil
	switch {
	case w.err == syscall.EAGAIN:
		return 0, os.ErrDeadlineExceeded
	case w.err != nil:
		return 0, w.err
	case w.n == 0:
		return 0, io.EOF
	}
	return w.n, nil
}

func (w *wire) try(fd uintptr) {
	for {
		if w.n, w.err = syscall.Read(int(fd), w.p); w.err != syscall.EINTR {
			return
		}
	}
}
