package clock

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"time"
)

// steady is how long the machine has run, sleep included, to 10 ms. Go's own
// monotonic clock stands still while the machine sleeps, and a clock that goes on
// would look stepped.
func steady() (time.Duration, error) {
	b, err := os.ReadFile("/proc/uptime")
	text, _, _ := bytes.Cut(b, []byte(" "))
	d, parseErr := time.ParseDuration(string(text) + "s")
	return d, errors.Join(err, parseErr)
}

// source asks the kernel, which is told by whatever keeps its clock right.
func source() Source {
	const notSynchronized = 0x40 // STA_UNSYNC
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	switch {
	case err != nil:
		return Unknown
	case state == 5, t.Status&notSynchronized != 0: // TIME_ERROR
		return Unsynchronized
	default:
		return Synchronized
	}
}
