package main

import (
	"context"
	"runtime/debug"
	measure "runtime/metrics"
	"time"
)

const (
	// lookForGarbage is how often garbage is looked for that the system may have
	// back, and rest for how long it is left alone after that: to collect 10,000
	// held requests takes some 0.2 s of CPU.
	lookForGarbage = time.Second
	rest           = 5 * time.Second
	// worthReturning is how much of it is worth a collection, in bytes. It is
	// more than there ever is where nothing waits.
	worthReturning = 32 << 20
)

// returnMemory gives back to the system, until ctx ends, what a burst has left
// behind. The runtime does so by itself over minutes, and keeps a share of all
// that is in use: with thousands of requests that wait, more than those need.
func returnMemory(ctx context.Context) {
	look := time.NewTicker(lookForGarbage)
	defer look.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-look.C:
			if now.Sub(last) >= rest && returnable() >= worthReturning {
				debug.FreeOSMemory()
				last = now
			}
		}
	}
}

// returnable is about how much memory holds nothing, in bytes.
func returnable() uint64 {
	m := []measure.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/live:bytes"},
	}
	measure.Read(m)
	objects, free, live := m[0].Value.Uint64(), m[1].Value.Uint64(), m[2].Value.Uint64()
	return free + objects - min(objects, live)
}
