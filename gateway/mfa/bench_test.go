package mfa_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/refusal"
)

// BenchmarkHeld tells what a request costs while it waits (design.md, section
// 10): its goroutine and all that is kept for it here, with its record in a
// store in memory, and without the exchange around it.
func BenchmarkHeld(b *testing.B) {
	const held = 10_000
	for b.Loop() {
		s := newSite(b, 1, nil, nil)
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ctx, stop := context.WithCancel(context.Background())
		var all sync.WaitGroup
		for i := range held {
			r := s.as(one(i), s.request(hold))
			all.Go(func() {
				if _, err := satisfy(ctx, s.nodes[0], r); refusal.Of(err) != refusal.ClientGone {
					b.Error(err)
				}
			})
		}
		for s.knocked() < held && !b.Failed() {
			<-time.After(10 * time.Millisecond)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/held, "heap-B/held")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/held, "stack-B/held")
		stop()
		all.Wait()
	}
}

func (s *site) knocked() int {
	knocks, _ := s.told()
	return knocks
}

// BenchmarkRemembered is a request with a remembered proof: a look at a copy.
func BenchmarkRemembered(b *testing.B) {
	s := newSite(b, 1, nil, nil)
	m := remembering(granted, time.Hour)
	if err := s.nodes[0].Allow(b.Context(), alice, "payroll", home, true, passkey(alice)); err != nil {
		b.Fatal(err)
	}
	s.heard(alice)
	r := s.request(m)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := satisfy(b.Context(), s.nodes[0], r); err != nil {
			b.Fatal(err)
		}
	}
}
