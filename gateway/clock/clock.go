// Package clock watches this machine's wall clock: it holds it, once a second,
// against one that nobody can set, and asks the kernel whether something keeps
// it right.
//
// It is a leaf. It says how far the clock was stepped and decides nothing.
package clock

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// Interval is how often the clock is looked at.
	Interval = time.Second
	// MaxOffset is by how much the clock may have been stepped before nothing may
	// rest on the time (security.md, section 12).
	MaxOffset = 30 * time.Second
	// leastStep is the least change from one look to the next that is a step: a
	// leap second is none.
	leastStep = 1100 * time.Millisecond
	// settled is how long a clock that is kept right must go on without a step
	// before it is believed again.
	settled = 5 * time.Minute
)

// A Source says what keeps the clock right.
type Source string

// The sources.
const (
	Synchronized   Source = "synchronized"   // the kernel says that something does
	Unsynchronized Source = "unsynchronized" // it says that nothing does
	Unknown        Source = "unknown"        // it does not say
)

// Config configures a Watch. Log is needed, and the other fields are for tests;
// zero is this machine's clocks.
type Config struct {
	Log *slog.Logger
	// Wall is the clock that is watched, and Steady the time since some moment, by
	// one that goes on while the machine sleeps.
	Wall   func() time.Time
	Steady func() (time.Duration, error)
	Source func() Source
}

// A State is what is known of the clock.
type State struct {
	Source Source
	// Offset is how far the clock was stepped since the start, or since it was
	// believed again; forward is positive.
	Offset time.Duration
	// Steps is how many steps were seen.
	Steps int
}

// A Watch watches. It is safe for concurrent use.
type Watch struct {
	c Config

	mu     sync.Mutex
	state  State
	base   time.Time     // what the wall clock would show when the steady one began
	looked time.Duration // the offset at the latest look
	since  time.Duration // of the latest step, by the steady clock
}

// New looks at the clock for the first time: as it is now it is believed.
func New(c Config) (*Watch, error) {
	if c.Wall == nil {
		c.Wall = func() time.Time { return time.Now().Round(0) } // without its monotonic part
	}
	if c.Steady == nil {
		c.Steady = steady
	}
	if c.Source == nil {
		c.Source = source
	}
	w := &Watch{c: c, state: State{Source: c.Source()}}
	var err error
	if w.since, err = c.Steady(); err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	w.base = c.Wall().Add(-w.since)
	return w, nil
}

// Run looks once in every Interval until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.Look()
		case <-ctx.Done():
			return
		}
	}
}

// Look looks at the clock now.
func (w *Watch) Look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	steady, err := w.c.Steady()
	if err != nil {
		return // it was there at the start, and the next look is a second away
	}
	wall := w.c.Wall()
	offset := wall.Sub(w.base.Add(steady))
	w.state.Source = w.c.Source()
	if d := (offset - w.looked).Abs(); d > leastStep {
		w.state.Steps++
		w.since = steady
		w.c.Log.Error("the clock was stepped", "by", (offset - w.looked).Round(time.Millisecond).String(), "offset", offset.Round(time.Millisecond).String(), "clock", string(w.state.Source))
	}
	w.looked, w.state.Offset = offset, offset
	if offset.Abs() > leastStep && w.state.Source == Synchronized && steady-w.since >= settled {
		w.c.Log.Warn("the clock is believed again", "offset", offset.Round(time.Millisecond).String())
		w.base, w.looked, w.state.Offset = wall.Add(-steady), 0, 0
	}
}

// State returns what is known since the latest look.
func (w *Watch) State() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// Ready reports why nothing may rest on the time, nil when it may.
func (w *Watch) Ready() error {
	s := w.State()
	if s.Offset.Abs() <= MaxOffset {
		return nil
	}
	return fmt.Errorf("the clock was stepped by %s and is %s", s.Offset.Round(time.Second), s.Source)
}
