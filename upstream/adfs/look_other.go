//go:build !unix

package adfs

import "time"

// readNow waits a millisecond for what may have arrived. The deadline is set
// anew by the exchange that follows.
func (w *wire) readNow(p []byte) (int, error) {
	if err := w.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	return w.TCPConn.Read(p)
}

func (w *wire) try(uintptr) {}
