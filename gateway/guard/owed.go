package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"stsgate/gateway/state"
)

// An owed is a failure that the store did not take. Until it has, no other
// password of the user leaves: else every gateway would forget as many as it saw
// while nothing could be written (security.md, LOCK-06).
type owed struct {
	class class
	mac   []byte
	at    time.Time
}

// payEvery is how often what is owed is tried again.
const payEvery = time.Second

var errOwed = errors.New("a failure of the user is yet to be written")

// owe notes a failure of the try. g.mu is held.
func (t *Try) owe(now time.Time) {
	o := owed{t.class, bytes.Clone(t.mac.at(now)), now}
	t.g.owed[t.user] = append(t.g.owed[t.user], o)
}

// take takes in what was owed, unless the write of which nothing was known was
// made after all. It tells whether that locks.
func (f *failures) take(o owed, l *Limits) (locks bool) {
	i := slices.IndexFunc(f.Wrong, func(w wrong) bool { return bytes.Equal(w.Mac, o.mac) })
	if i >= 0 && !f.Wrong[i].Sent.Before(o.at) {
		return false
	}
	if i >= 0 {
		f.Wrong[i].Sent = o.at
	} else {
		f.Wrong = append(f.Wrong, wrong{Mac: o.mac, Sent: o.at})
	}
	return f.count(o.class, o.at, l)
}

// pay writes what is owed for a user.
func (g *Guard) pay(ctx context.Context, user string) error {
	g.mu.Lock()
	all := slices.Clone(g.owed[user])
	paying := g.paying[user]
	if len(all) == 0 || paying {
		g.mu.Unlock()
		if paying {
			return errOwed
		}
		return nil
	}
	g.paying[user] = true
	r, _, err := g.failuresOf(user, time.Now())
	g.mu.Unlock()

	if err == nil {
		r, err = g.writeOwed(ctx, user, r, all)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.paying, user)
	if err != nil {
		return err
	}
	if rest := g.owed[user][min(len(all), len(g.owed[user])):]; len(rest) > 0 {
		g.owed[user] = rest
	} else {
		delete(g.owed, user)
	}
	g.people.make(user).wrote(r, time.Now())
	return nil
}

func (g *Guard) writeOwed(ctx context.Context, user string, r state.Record, all []owed) (state.Record, error) {
	var locked []class
	r, err := g.update(ctx, r, func(value []byte) ([]byte, time.Duration, error) {
		locked = nil
		f, err := parseFailures(value)
		if err != nil {
			return nil, 0, err
		}
		for _, o := range all {
			if f.take(o, &g.limits) {
				locked = append(locked, o.class)
			}
		}
		next, err := json.Marshal(f)
		return next, f.keep(time.Now(), &g.limits), err
	})
	for _, c := range locked {
		if err == nil {
			g.tellLock(user, c)
		}
	}
	return r, err
}

// payAll writes what is owed for anybody, until ctx ends.
func (g *Guard) payAll(ctx context.Context) {
	for tick := time.NewTicker(payEvery); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, user := range g.owing() {
			if err := g.pay(ctx, user); err != nil {
				break // the others fare no better
			}
		}
	}
}

func (g *Guard) owing() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []string
	for user := range g.owed {
		all = append(all, user)
	}
	return all
}
