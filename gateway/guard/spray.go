package guard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"stsgate/gateway/refusal"
)

// A tally is the record of one user's failures from one address.
type tally struct {
	N int `json:"n"`
}

// saw notes in memory how a try of the user went. g.mu is held.
func (g *Guard) saw(s source, user string, now time.Time, failed bool) {
	one := seen{user: g.userHash(user), at: g.seconds(now), failed: failed}
	window := uint32(g.limits.SprayWindow / time.Second)
	g.sources.note(s.address, one, window)
	g.sources.note(s.network, one, window)
}

// FailedUnknown counts a try for a name that the directory does not have, for
// where it came from. The error is a *refusal.Refusal for StateDown.
func (g *Guard) FailedUnknown(ctx context.Context, a Attempt) error {
	sources, now := g.sourcesOf(a.Addresses), time.Now()
	switch why := g.banned(a.User, sources, now); {
	case why != nil && why.Reason == refusal.StateDown:
		return g.unlessReportOnly(why)
	case why != nil:
		return nil // it makes no difference
	}
	if err := g.failedFrom(context.WithoutCancel(ctx), a.User, sources, now); err != nil {
		return g.unlessReportOnly(stateDown(err))
	}
	return nil
}

func (g *Guard) unlessReportOnly(why *refusal.Refusal) error {
	if g.reportOnly {
		return nil
	}
	return why
}

// failedFrom counts a failure for where it came from, and blocks that if need be.
func (g *Guard) failedFrom(ctx context.Context, user string, sources []source, now time.Time) error {
	g.noteFailure(user, sources, now)
	var failed error
	for _, s := range sources {
		failed = cmp.Or(failed, g.countFrom(ctx, s, user), g.judge(ctx, s, user, now))
	}
	return failed
}

func (g *Guard) noteFailure(user string, sources []source, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range sources {
		g.saw(s, user, now, true)
	}
	one := seen{user: g.userHash(user), at: g.seconds(now), failed: true}
	if g.surge.note(one, &g.limits, now) {
		g.log.Error("more users fail than usual, limits for sources are a quarter", "until", g.surge.until.UTC().Format(time.RFC3339))
	}
}

// countFrom counts it on all gateways.
func (g *Guard) countFrom(ctx context.Context, s source, user string) error {
	r, err := found(g.counters, tallyKey(s, user))
	if err != nil {
		return err
	}
	_, err = g.update(ctx, r, func(value []byte) ([]byte, time.Duration, error) {
		var t tally
		if len(value) > 0 {
			if err := json.Unmarshal(value, &t); err != nil {
				return nil, 0, err
			}
		}
		t.N++
		next, err := json.Marshal(t)
		return next, g.limits.SprayWindow, err
	})
	return err
}

// A failing is what all gateways counted in one network within the window.
type failing struct {
	users, failures int            // from one address
	networkUsers    map[string]int // failures by user, from everywhere in its network
	addresses       map[string]int
	// cleared and networkCleared are since when the address and its network count.
	cleared, networkCleared time.Time
}

func (g *Guard) failing(s source) (failing, error) {
	f := failing{networkUsers: map[string]int{}, addresses: map[string]int{}}
	var err error
	if f.cleared, err = g.cleared(s.address); err != nil {
		return f, err
	}
	if f.networkCleared, err = g.cleared(s.network); err != nil {
		return f, err
	}
	records, err := g.counters.List(talliesKey(s.network))
	if err != nil {
		return f, err
	}
	address := prefixName(s.address)
	for _, r := range records {
		var t tally
		parts := r.Key.Parts()
		if err := json.Unmarshal(r.Value, &t); err != nil {
			return f, err
		}
		if r.Written.After(f.networkCleared) {
			f.networkUsers[parts[2]]++
			f.addresses[parts[1]]++
		}
		if parts[1] == address && r.Written.After(f.cleared) {
			f.users++
			f.failures += t.N
		}
	}
	return f, nil
}

// cleared is when an operator last ended the block of a prefix: what failed from
// there before does not count. It is zero where nobody did lately.
func (g *Guard) cleared(p netip.Prefix) (time.Time, error) {
	r, err := found(g.locks, blockKey(p))
	if err != nil || r.Revision == 0 {
		return time.Time{}, err
	}
	var b block
	err = json.Unmarshal(r.Value, &b)
	return b.Cleared, err
}

// leastAddresses is from how many addresses a network must fail to be blocked
// as one.
const leastAddresses = 3

// judge blocks the address or its network if most users from there fail.
func (g *Guard) judge(ctx context.Context, s source, user string, now time.Time) error {
	f, err := g.failing(s)
	if err != nil {
		return err
	}
	f.networkUsers[user]++ // the mirror may not have it yet
	f.addresses[prefixName(s.address)]++
	switch {
	case g.sprays(s.address, f.users, f.cleared, now):
		return g.block(ctx, s.address, now)
	case s.network != s.address && len(f.addresses) >= leastAddresses && g.sprays(s.network, len(f.networkUsers), f.networkCleared, now):
		return g.block(ctx, s.network, now)
	}
	return nil
}

// sprays tells whether so many users fail from a prefix that it is not an
// office: who succeeds is known only on this gateway, so that half of the
// failures must have been seen here, too (security.md, LOCK-03). The few that
// are enough in a surge must be nearly all users: three of an office's first
// five may have mistyped.
func (g *Guard) sprays(p netip.Prefix, everywhere int, cleared, now time.Time) bool {
	window := min(g.limits.SprayWindow, now.Sub(cleared))
	g.mu.Lock()
	defer g.mu.Unlock()
	all, here := g.sources.count(p, g.seconds(now), uint32(window/time.Second))
	everywhere = max(everywhere, here)
	enough := func(need int) bool { return everywhere >= need && 2*here >= need }
	if enough(g.limits.SprayUsers) && 2*here >= all {
		return true
	}
	return now.Before(g.surge.until) && enough(max(g.limits.SprayUsers/tighter, 2)) && 5*here >= 4*all
}

// A block is the record of a source that is refused.
type block struct {
	Until time.Time `json:"until"`
	// Blocks are those that followed one another within a day.
	Blocks int `json:"blocks"`
	// Cleared is when an operator ended it.
	Cleared time.Time `json:"cleared,omitzero"`
}

func (g *Guard) block(ctx context.Context, p netip.Prefix, now time.Time) error {
	r, err := found(g.locks, blockKey(p))
	if err != nil {
		return err
	}
	var b block
	_, err = g.update(ctx, r, func(value []byte) ([]byte, time.Duration, error) {
		b = block{}
		if len(value) > 0 {
			if err := json.Unmarshal(value, &b); err != nil {
				return nil, 0, err
			}
		}
		if now.Before(b.Until) {
			return nil, 0, errCounted
		}
		b.Until = now.Add(grown(g.limits.Block, g.limits.LongestBlock, b.Blocks))
		b.Blocks++
		next, err := json.Marshal(b)
		return next, b.Until.Add(memory).Sub(now), err
	})
	if errors.Is(err, errCounted) {
		return nil
	}
	if err == nil {
		g.metrics.blocks.Inc()
		g.log.Warn("source blocked, most users from it fail", "source", p.String(), "until", b.Until.UTC().Format(time.RFC3339))
	}
	return err
}
