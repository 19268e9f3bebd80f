package guard

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"stsgate/gateway/state"
)

// homeFor is for how long an address stays familiar without another sign-in
// from there.
const homeFor = 60 * 24 * time.Hour

// Learn makes addresses familiar to a user on all gateways, after a sign-in
// with two factors: one that knows only the password must not become familiar,
// since rules may ask less of who is (security.md, LOCK-02).
func (g *Guard) Learn(ctx context.Context, user string, addresses []netip.Addr) error {
	for _, s := range g.sourcesOf(addresses) {
		r, err := found(g.grants, homeKey(user, s.address))
		if err != nil {
			return err
		}
		if r.Revision > 0 && time.Until(r.Expires) > homeFor/2 {
			continue
		}
		_, err = g.update(ctx, r, func([]byte) ([]byte, time.Duration, error) { return []byte("{}"), homeFor, nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// Forget makes an address unfamiliar to a user, on all gateways within a second.
// What another gateway only keeps in memory of sign-ins that passed stays there, and
// no rule asks about that.
func (g *Guard) Forget(ctx context.Context, user string, address netip.Addr) error {
	ctx, done := state.Bound(ctx)
	defer done()
	for _, s := range g.sourcesOf([]netip.Addr{address}) {
		g.left(user, s.address)
		if err := g.remove(ctx, homeKey(user, s.address)); err != nil && !errors.Is(err, ErrNothing) {
			return err
		}
	}
	return nil
}

// left forgets in memory that a user came from an address.
func (g *Guard) left(user string, address netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.people.get(user); p != nil {
		p.homes = slices.DeleteFunc(p.homes, func(h netip.Prefix) bool { return h == address })
	}
}

// Familiar tells whether the user has signed in with two factors from every one
// of the addresses. The error is that it is not known.
func (g *Guard) Familiar(user string, addresses []netip.Addr) (bool, error) {
	return g.learned(user, g.sourcesOf(addresses))
}

func (g *Guard) learned(user string, sources []source) (bool, error) {
	for _, s := range sources {
		r, err := found(g.grants, homeKey(user, s.address))
		if err != nil || r.Revision == 0 {
			return false, err
		}
	}
	return len(sources) > 0, nil
}

// atHome tells whether failures count as from familiar addresses: learned, or
// those of sign-ins here that were not refused. Who has passed so has nothing
// to guess.
func (g *Guard) atHome(user string, sources []source) (bool, error) {
	if g.remembered(user, sources) {
		return true, nil
	}
	return g.learned(user, sources)
}

func (g *Guard) remembered(user string, sources []source) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.people.get(user)
	if p == nil || len(sources) == 0 {
		return false
	}
	for _, s := range sources {
		if !p.atHome(s.address) {
			return false
		}
	}
	return true
}

// Failures returns how many users failed from the client's addresses within
// SprayWindow, and how often; of several addresses the most. The error is that
// it is not known.
func (g *Guard) Failures(addresses []netip.Addr) (users, failures int, err error) {
	for _, s := range g.sourcesOf(addresses) {
		f, err := g.failing(s)
		if err != nil {
			return 0, 0, err
		}
		users, failures = max(users, f.users), max(failures, f.failures)
	}
	return users, failures, nil
}
