package clock_test

import (
	"log/slog"
	"testing"
	"time"

	"stsgate/gateway/clock"
)

// A machine has clocks that a test sets.
type machine struct {
	wall   time.Time
	steady time.Duration
	source clock.Source
	watch  *clock.Watch
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{wall: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), steady: time.Hour, source: clock.Unsynchronized}
	var err error
	m.watch, err = clock.New(clock.Config{
		Log:    slog.New(slog.DiscardHandler),
		Wall:   func() time.Time { return m.wall },
		Steady: func() (time.Duration, error) { return m.steady, nil },
		Source: func() clock.Source { return m.source },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// passes lets time pass, a look each second.
func (m *machine) passes(d time.Duration) {
	for ; d > 0; d -= time.Second {
		m.wall, m.steady = m.wall.Add(time.Second), m.steady+time.Second
		m.watch.Look()
	}
}

func (m *machine) step(d time.Duration) {
	m.wall = m.wall.Add(d)
	m.passes(time.Second)
}

// Section 12 of security.md: above 30 s, forward or back, nothing may rest on
// the time, from the next look on; set right again it may at once.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name  string
		by    time.Duration
		ready bool
		steps int
	}{
		{"none", 0, true, 0},
		{"a leap second", -time.Second, true, 0},
		{"six seconds", 6 * time.Second, true, 1},
		{"30 s forward", 30 * time.Second, true, 1},
		{"31 s forward", 31 * time.Second, false, 1},
		{"31 s back", -31 * time.Second, false, 1},
		{"a year back", -365 * 24 * time.Hour, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			m.passes(time.Minute)
			m.step(c.by)
			if err := m.watch.Ready(); (err == nil) != c.ready {
				t.Errorf("got %v, want ready %v", err, c.ready)
			}
			if s := m.watch.State(); s.Offset != c.by || s.Steps != c.steps || s.Source != clock.Unsynchronized {
				t.Errorf("got %+v, want offset %v and %d steps", s, c.by, c.steps)
			}
			m.passes(time.Hour) // nobody keeps it right: that is no reason to believe it
			if err := m.watch.Ready(); (err == nil) != c.ready {
				t.Errorf("an hour later: got %v, want ready %v", err, c.ready)
			}
			m.step(-c.by)
			if err := m.watch.Ready(); err != nil {
				t.Errorf("set right: %v", err)
			}
		})
	}
}

// Many small steps are one large one.
func TestStepsAddUp(t *testing.T) {
	m := newMachine(t)
	for range 16 {
		m.step(-2 * time.Second)
	}
	if s := m.watch.State(); m.watch.Ready() == nil || s.Steps != 16 {
		t.Errorf("got %+v and ready after 32 s in 16 steps", s)
	}
}

// A clock that is kept right is believed again when it has gone on for 5
// minutes: it was wrong at the start.
func TestBelievedAgain(t *testing.T) {
	m := newMachine(t)
	m.source = clock.Synchronized
	m.step(time.Hour)
	m.passes(4 * time.Minute)
	if m.watch.Ready() == nil {
		t.Error("believed after 4 minutes")
	}
	m.passes(2 * time.Minute)
	if err := m.watch.Ready(); err != nil || m.watch.State().Offset != 0 {
		t.Errorf("after 6 minutes: %v, %+v", err, m.watch.State())
	}
	m.step(-time.Hour)
	if m.watch.Ready() == nil {
		t.Error("the next step is not seen")
	}
}

// The machine's own clocks agree with each other.
func TestThisMachine(t *testing.T) {
	w, err := clock.New(clock.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.Look()
	if s := w.State(); s.Offset.Abs() > 100*time.Millisecond || s.Steps != 0 || s.Source == "" {
		t.Errorf("got %+v", s)
	}
}
