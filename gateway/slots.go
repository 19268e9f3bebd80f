package gateway

import (
	"container/list"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// mostInSlots bounds the failures that wait for the end of their slot. Beyond it
// the oldest leave early: a flood of them must not fill the gateway.
const mostInSlots = 5000

// slots keep back every answer that looks like a wrong password until the end of
// a slot since its receipt, whatever it took to find out: an unknown name, a
// directory, a slow farm. Success is never delayed (security.md, SOAP-14).
type slots struct {
	length   time.Duration
	overruns prometheus.Counter
	early    prometheus.Counter

	mu      sync.Mutex
	waiting list.List // of chan struct{}, the oldest first; closed to leave early
}

func newSlots(length time.Duration, reg prometheus.Registerer) (*slots, error) {
	s := &slots{
		length: length,
		overruns: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stsgate_slot_overruns_total",
			Help: "Failures that took longer than a slot (oracle.slot) to find out, so that the time of their answer tells something.",
		}),
		early: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stsgate_slot_early_total",
			Help: "Failures that left before the end of their slot, since 5,000 others waited.",
		}),
	}
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stsgate_slot_waiting",
		Help: "Failures that wait for the end of their slot.",
	}, func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(s.waiting.Len())
	})
	for _, c := range []prometheus.Collector{s.overruns, s.early, gauge} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return s, nil
}

// left is how long it is until the end of the slot that began at the receipt.
func (s *slots) left(received time.Time) time.Duration {
	passed := time.Since(received)
	return s.length - passed%s.length
}

// wait returns at the end of a slot since the receipt, or when the client goes.
func (s *slots) wait(ctx context.Context, received time.Time) {
	if time.Since(received) > s.length {
		s.overruns.Inc()
	}
	early := make(chan struct{})
	place := s.enter(early)
	defer s.leave(place)
	end := time.NewTimer(s.left(received))
	defer end.Stop()
	select {
	case <-end.C:
	case <-ctx.Done():
	case <-early:
		s.early.Inc()
	}
}

func (s *slots) enter(early chan struct{}) *list.Element {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting.Len() >= mostInSlots {
		close(s.waiting.Remove(s.waiting.Front()).(chan struct{}))
	}
	return s.waiting.PushBack(early)
}

func (s *slots) leave(place *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting.Remove(place) // nothing, if it was told to leave
}

// rest tells package edge that the request holds no place among those that are
// being answered: it waits for a time or for a person.
func rest(w http.ResponseWriter) {
	if w, ok := w.(interface{ Rest() }); ok {
		w.Rest()
	}
}
