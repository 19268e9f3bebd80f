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
	var panicked any // it ends the exchange, as it would without a goroutine
	go func() {
		defer close(sourced)
		defer func() {
			if p := recover(); p != nil { // else the other side reads it already
				panicked = p
			}
		}()
		sourced <- t.g.failedFrom(ctx, t.user, t.sources, now)
	}()
	err := t.countWrong(ctx, now)
	err = cmp.Or(<-sourced, err)
	if panicked != nil {
		panic(panicked)
	}
	return err
}

// countWrong counts it for the user.
func (t *Try) countWrong(ctx context.Context, now time.Time) error {
	g := t.g
	r, vouched, err := t.before(now)
	if err != nil {
		t.after(r, err, now)
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
		g.tellLock(t.user, t.class)
	}
	return err
}

func (g *Guard) tellLock(user string, c class) {
	g.metrics.locks[c].Inc()
	g.log.Warn("user locked", "user", user, "addresses", c.String())
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

// after keeps what was written, and what could not be.
func (t *Try) after(written state.Record, failed error, now time.Time) {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	if failed != nil {
		t.owe(now)
		return
	}
	t.g.people.make(t.user).wrote(written, now)
}
