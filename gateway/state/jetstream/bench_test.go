package jetstream

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stsgate/gateway/state"
)

// timed runs do b.N times in the given number of goroutines and reports
// percentiles.
func timed(b *testing.B, workers int, do func(i int)) {
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				start := time.Now()
				do(i)
				took[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func BenchmarkStore(b *testing.B) {
	for _, encrypt := range []bool{false, true} {
		keys := newKeys(b)
		s := state.Seal(open(b, Config{Dir: b.TempDir(), Keys: keys, Encrypt: encrypt}), keys)
		b.Run(fmt.Sprintf("encrypted=%t", encrypt), func(b *testing.B) { benchmark(b, s) })
	}
}

var value = make([]byte, 300)

func benchmark(b *testing.B, s *state.Sealed) {
	var run atomic.Int64
	ctx := context.Background()
	fail := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}
	for _, workers := range []int{1, 16} {
		b.Run(fmt.Sprintf("create/%d", workers), func(b *testing.B) {
			n := run.Add(1)
			timed(b, workers, func(i int) {
				_, err := s.Create(ctx, state.Marks.Key(fmt.Sprint(n), fmt.Sprint(i)), value, time.Hour)
				fail(err)
			})
		})
		b.Run(fmt.Sprintf("swap/%d", workers), func(b *testing.B) {
			n := run.Add(1)
			revisions := make([]uint64, b.N)
			for i := range b.N {
				var err error
				revisions[i], err = s.Create(ctx, state.Counters.Key(fmt.Sprint(n), fmt.Sprint(i)), value, time.Hour)
				fail(err)
			}
			timed(b, workers, func(i int) {
				_, err := s.CompareAndSwap(ctx, state.Counters.Key(fmt.Sprint(n), fmt.Sprint(i)), revisions[i], value, time.Hour)
				fail(err)
			})
		})
	}
	k := state.Grants.Key("a")
	_, err := s.Create(ctx, k, value, time.Hour)
	if err != nil {
		_, err = s.Get(ctx, k)
	}
	fail(err)
	b.Run("create of what exists/1", func(b *testing.B) {
		timed(b, 1, func(int) { _, _ = s.Create(ctx, k, value, time.Hour) })
	})
	b.Run("get/1", func(b *testing.B) { timed(b, 1, func(int) { _, err := s.Get(ctx, k); fail(err) }) })
	b.Run("get/16", func(b *testing.B) { timed(b, 16, func(int) { _, err := s.Get(ctx, k); fail(err) }) })
	b.Run("get of nothing/1", func(b *testing.B) {
		timed(b, 1, func(int) { _, _ = s.Get(ctx, state.Grants.Key("none")) })
	})
	b.Run("list of one/1", func(b *testing.B) {
		timed(b, 1, func(int) { _, err := s.List(ctx, state.Grants.Key()); fail(err) })
	})
}

// STATE-13: a full sign-in with a second factor makes four synced writes: an
// approval, its answer, its use, and a mark for the code.
func BenchmarkSignIn(b *testing.B) {
	keys := newKeys(b)
	s := state.Seal(open(b, Config{Dir: b.TempDir(), Keys: keys}), keys)
	ctx := context.Background()
	timed(b, 16, func(i int) {
		k := state.Approvals.Key(fmt.Sprint(i))
		revision, err := s.Create(ctx, k, value, 10*time.Minute)
		for range 2 {
			if err == nil {
				revision, err = s.CompareAndSwap(ctx, k, revision, value, 10*time.Minute)
			}
		}
		if err == nil {
			_, err = s.Create(ctx, state.Marks.Key(fmt.Sprint(i)), nil, 2*time.Minute)
		}
		if err != nil {
			b.Error(err)
		}
	})
}

// BenchmarkCluster is of three servers in this process, through one of them.
func BenchmarkCluster(b *testing.B) {
	c := newCluster(b)
	s := state.Seal(open(b, c.config(0)), c.keys)
	benchmark(b, s)
}

// BenchmarkIdle reports what an idle store with a mirror of each bucket that
// stands or closes costs: memory, and CPU for a second.
func BenchmarkIdle(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := open(b, Config{Dir: b.TempDir(), Keys: newKeys(b)})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, bucket := range []state.Bucket{state.Locks, state.Counters, state.Grants, state.Bans, state.Enrolments} {
		m := state.NewMirror(s, bucket)
		wg.Go(func() { m.Run(ctx) })
		if err := m.Wait(ctx); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ResetTimer()
	cpu := cpuTime()
	for range b.N {
		<-time.After(time.Second)
	}
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-µs/s")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "heap-MB")
	cancel()
	wg.Wait()
}
