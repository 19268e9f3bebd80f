package guard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"stsgate/gateway/state"
)

// wrong counts a wrong password for its user and for where it came from.
func (t *Try) wrong(ctx context.Context, now time.Time) error {
	sourced := make(chan error, 1)
	go func() { sourced <- t.g.failedFrom(ctx, t.user, t.sources, now) }()
	err := t.countWrong(ctx, now)
	return cmp.Or(<-sourced, err)
}

// countWrong counts it for the user.
func (t *Try) countWrong(ctx context.Context, now time.Time) error {
	g := t.g
	r, vouched, err := t.before(now)
	if err != nil {
		return err
	}
	locks := false
	written, err := g.update(ctx, r, func(value []byte) ([]byte, time.Duration, error) {
		f, err := parseFailures(value)
		if err != nil {
			return nil, 0, err
		}
		if vouched && f.known(now, &g.limits, &t.mac) != nil {
			return nil, 0, errCounted
		}
		locks = f.fail(t.class, now, &g.limits, &t.mac)
		next, err := json.Marshal(f)
		return next, f.keep(now, &g.limits), err
	})
	if errors.Is(err, errCounted) {
		return nil
	}
	t.after(written, err, now)
	if err == nil && locks {
		g.metrics.locks[t.class].Inc()
		g.log.Warn("user locked", "user", t.user, "addresses", t.class.String())
	}
	return err
}

// errCounted says that another of many tries with a password that was right
// until now has counted for all: they went out at once.
var errCounted = errors.New("counted already")

// before returns the record that the next one follows, and whether the password
// was the last right one.
func (t *Try) before(now time.Time) (state.Record, bool, error) {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	vouched := t.place == outside
	p := g.people.make(t.user)
	if p.isRight([]byte(t.today)) {
		p.right = nil
	}
	r, _, err := g.failuresOf(t.user, now)
	return r, vouched, err
}

// after keeps what was written until the mirror has it. What could not be
// written counts here at least.
func (t *Try) after(written state.Record, failed error, now time.Time) {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.people.make(t.user)
	if failed == nil {
		if p.lost || written.Revision > p.written.Revision {
			p.written, p.writtenAt, p.lost = written, now, false
		}
		return
	}
	_, f, err := g.failuresOf(t.user, now)
	if err != nil {
		f = new(failures)
	}
	f.fail(t.class, now, &g.limits, &t.mac)
	if value, err := json.Marshal(f); err == nil {
		p.written.Value, p.writtenAt, p.lost = value, now, true
	}
}
