package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"stsgate/gateway/state"
)

// ErrNothing says that there is nothing to clear or to remove.
var ErrNothing = errors.New("there is none")

// A Hold is what an operator closed: a user for a while (a lock), or a user or a
// source until it is removed (a ban).
type Hold struct {
	// Until is its end; zero for none, which a lock must have.
	Until time.Time `json:"until,omitzero"`
	// Name is the user as the operator wrote it; empty for a source.
	Name string `json:"name,omitempty"`
	// By and Why are for whoever reads of it later.
	By  string `json:"by"`
	Why string `json:"why"`
}

// stands tells whether it is in force.
func (h *Hold) stands(now time.Time) bool {
	return h != nil && (h.Until.IsZero() || now.Before(h.Until))
}

// A Closed is one user or source that is refused now.
type Closed struct {
	Hold
	// User is a UserKey; empty for a source.
	User string
	// Source is a prefix; invalid for a user.
	Source netip.Prefix
	// Addresses are those that a lock is for: familiar, unfamiliar, or all.
	Addresses string
}

// LongestHold bounds the locks of operators. What is to last longer is a ban.
const LongestHold = 7 * 24 * time.Hour

// LockUser refuses a user, by UserKey, from all addresses until h.Until. Another
// lock of an operator is replaced; those that failures brought stay.
func (g *Guard) LockUser(ctx context.Context, user string, h Hold) error {
	now := time.Now()
	if d := h.Until.Sub(now); d <= 0 || d > LongestHold {
		return fmt.Errorf("a lock lasts from a second to %s", LongestHold)
	}
	return g.changeFailures(ctx, user, func(f *failures) error {
		f.Held = &h
		return nil
	})
}

// UnlockUser ends the locks of a user and forgets the failures, on all gateways.
// ErrNothing is that there are none. The directory's own count stays as it is:
// whoever guesses has as many guesses again.
func (g *Guard) UnlockUser(ctx context.Context, user string) error {
	return g.changeFailures(ctx, user, func(f *failures) error {
		if f.blank() {
			return ErrNothing
		}
		*f = failures{}
		return nil
	})
}

// changeFailures changes the record of a user. What is only known here is then
// forgotten. A cleared record is written, not deleted: gateways that wrote the
// one before take it for newer.
func (g *Guard) changeFailures(ctx context.Context, user string, change func(*failures) error) error {
	now := time.Now()
	r, err := g.read(ctx, state.Record{Key: failuresKey(user)})
	if err != nil {
		return err
	}
	_, err = g.update(ctx, r, func(value []byte) ([]byte, time.Duration, error) {
		f, err := parseFailures(value)
		if err != nil {
			return nil, 0, err
		}
		if err := change(f); err != nil {
			return nil, 0, err
		}
		next, err := json.Marshal(f)
		return next, f.keep(now, &g.limits), err
	})
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.owed, user)
	return nil
}

// UnblockSource ends the block of a prefix, and what failed from there before
// counts no more towards the next one. ErrNothing is that it is not blocked.
func (g *Guard) UnblockSource(ctx context.Context, p netip.Prefix) error {
	now := time.Now()
	r, err := g.read(ctx, state.Record{Key: blockKey(p)})
	if err != nil {
		return err
	}
	_, err = g.update(ctx, r, func(value []byte) ([]byte, time.Duration, error) {
		var b block
		if len(value) > 0 {
			if err := json.Unmarshal(value, &b); err != nil {
				return nil, 0, err
			}
		}
		if !now.Before(b.Until) {
			return nil, 0, ErrNothing
		}
		next, err := json.Marshal(block{Cleared: now})
		return next, g.limits.SprayWindow + slack, err
	})
	return err
}

// Locks returns who is locked and which sources are blocked now, in no order. Of
// an error that joins [state.ErrCorrupt] the others are returned all the same.
func (g *Guard) Locks(ctx context.Context) ([]Closed, error) {
	now := time.Now()
	counted, err := g.store.List(ctx, state.Counters.Key())
	blocks, e := g.store.List(ctx, state.Locks.Key())
	err = errors.Join(err, e)
	var all []Closed
	for _, r := range counted {
		user, ok := strings.CutPrefix(r.Key.Parts()[0], "user-")
		if !ok {
			continue
		}
		f, e := parseFailures(r.Value)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.Key, e))
			continue
		}
		all = append(all, f.locks(user, now)...)
	}
	for _, r := range blocks {
		var b block
		name, ok := strings.CutPrefix(r.Key.Parts()[0], "source-")
		if !ok {
			continue // of others
		}
		p, e := parsePrefixName(name)
		if e = errors.Join(e, json.Unmarshal(r.Value, &b)); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.Key, e))
		} else if now.Before(b.Until) {
			all = append(all, Closed{Source: p, Hold: Hold{Until: b.Until}})
		}
	}
	return all, err
}

// locks are those of one user.
func (f *failures) locks(user string, now time.Time) []Closed {
	var all []Closed
	for c, k := range f.Chains {
		if k.locked(now) {
			all = append(all, Closed{User: user, Addresses: class(c).String(), Hold: Hold{Until: k.Until}})
		}
	}
	if f.Held.stands(now) {
		all = append(all, Closed{User: user, Addresses: "all", Hold: *f.Held})
	}
	return all
}

// Bans returns what operators banned and did not end, in no order; an error as
// for Locks.
func (g *Guard) Bans(ctx context.Context) ([]Closed, error) {
	now := time.Now()
	records, err := g.store.List(ctx, state.Bans.Key())
	var all []Closed
	for _, r := range records {
		c, e := parseBan(r)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.Key, e))
		} else if c.stands(now) {
			all = append(all, c)
		}
	}
	return all, err
}

func parseBan(r state.Record) (Closed, error) {
	var c Closed
	if err := json.Unmarshal(r.Value, &c.Hold); err != nil {
		return c, err
	}
	name := r.Key.Parts()[0]
	if user, ok := strings.CutPrefix(name, "user-"); ok {
		c.User = user
		return c, nil
	}
	var err error
	c.Source, err = parsePrefixName(strings.TrimPrefix(name, "source-"))
	return c, err
}

// UnbanUser and UnbanSource remove a ban. ErrNothing is that there is none.
func (g *Guard) UnbanUser(ctx context.Context, user string) error {
	return g.remove(ctx, userBanKey(user))
}

// UnbanSource is UnbanUser for a prefix.
func (g *Guard) UnbanSource(ctx context.Context, p netip.Prefix) error {
	return g.remove(ctx, sourceBanKey(p))
}

// remove removes a record. ErrNothing is that there is none.
func (g *Guard) remove(ctx context.Context, key state.Key) error {
	r, err := g.store.Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) {
		return ErrNothing
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if err := g.store.Delete(ctx, key, r.Revision); err != nil {
		return fmt.Errorf("remove %s: %w", key, err)
	}
	return nil
}

// Knows tells whether anything is kept of a user, by UserKey: failures, locks, or
// a ban.
func (g *Guard) Knows(ctx context.Context, user string) (bool, error) {
	for _, key := range []state.Key{failuresKey(user), userBanKey(user)} {
		_, err := g.store.Get(ctx, key)
		if !errors.Is(err, state.ErrNotFound) {
			return err == nil, err
		}
	}
	return false, nil
}
