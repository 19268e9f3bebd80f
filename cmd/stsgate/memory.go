package main

import (
	"context"
	"runtime/debug"
	measure "runtime/metrics"
	"time"
)

const (
	// mostReserve is about how much is allocated at most between two
	// collections, in bytes, as long as that is not less than leastPercent of the
	// heap: with thousands of requests that wait, percent of it would be more
	// than is ever in use for others. To collect the heap of 10,000 held requests
	// takes some 0.2 s of CPU.
	mostReserve  = 32 << 20
	leastPercent = 5
	// worthReturning is how much memory that holds nothing is worth a collection
	// while so much is in use, in bytes, and resting how long it is at least until
	// another.
	worthReturning = 16 << 20
	resting        = 5 * time.Second
)

// tendMemory keeps memory that holds nothing from growing with what waits, until
// ctx ends. The runtime returns what a burst has left behind over minutes, and
// keeps a tenth of all that was in use.
func tendMemory(ctx context.Context) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	now, returned := percent, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		live, returnable := heap()
		if next := min(max(int(mostReserve*100/live), leastPercent), percent); next != now {
			debug.SetGCPercent(next)
			now = next
		}
		if now < percent && returnable >= worthReturning && time.Since(returned) >= resting {
			debug.FreeOSMemory()
			returned = time.Now()
		}
	}
}

// heap returns how much of it was in use after the last collection, in bytes,
// and about how much memory holds nothing.
func heap() (live, returnable uint64) {
	m := []measure.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	measure.Read(m)
	live = max(m[0].Value.Uint64(), 1)
	objects, free := m[1].Value.Uint64(), m[2].Value.Uint64()
	return live, free + objects - min(objects, live)
}
