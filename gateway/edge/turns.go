package edge

import (
	"runtime"
	"time"
)

// breath is how long a turn stays free of work. The scheduler looks at the
// network once nothing else can run: it takes that look in this time.
const breath = 50 * time.Microsecond

// turns are few, one for each core, and are for work of which strangers can have
// much done at once: handshakes, and requests that do not wait for the answer to
// the one before. What waits for a turn keeps no core busy, so that a request on
// another connection is behind one piece of such work and not behind all.
type turns chan struct{}

func newTurns() turns { return make(turns, runtime.GOMAXPROCS(0)) }

// take waits for a turn, and reports whether there was one in time.
func (t turns) take(within time.Duration) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-late.C:
		return false
	}
}

// pass lets the next one have the turn, after a breath.
func (t turns) pass() { time.AfterFunc(breath, func() { <-t }) }
