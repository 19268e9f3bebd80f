//go:build !unix

package socket

import "time"

func (c *Conn) prepare() {}

// ReadNow waits a millisecond for what may have arrived. If nothing has, its
// error is os.ErrDeadlineExceeded. It leaves a deadline in the past.
func (c *Conn) ReadNow(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	return c.Read(p)
}
