package mfa

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// A grant is a proof that stands for later requests: one made beforehand in the
// portal, or one of a request that is remembered.
type grant struct {
	Application string        `json:"application"`
	Address     netip.Prefix  `json:"address"`
	Shape       policy.Shapes `json:"shape"`
	Factor      factor.Proof  `json:"factor"`
	// Used is when it was used, to noteUse; zero for one made beforehand that
	// waits for its first use.
	Used time.Time `json:"used,omitzero"`
	// Until is when rules took it no more, as they were at the last use that was
	// noted: to be shown, and to decide nothing.
	Until time.Time `json:"until,omitzero"`
}

func (g *grant) proof() Proof {
	return Proof{Shape: g.Shape, Factor: g.Factor, Remembered: !g.Used.IsZero()}
}

// end is when the grant is worth nothing any more, whatever rules say.
func (g *grant) end() time.Time {
	if g.Used.IsZero() {
		return g.Factor.At.Add(firstUse)
	}
	end, idle := g.Factor.At.Add(standsFor), g.Used.Add(idleFor)
	if idle.Before(end) {
		return idle
	}
	return end
}

// shownUntil is when the grant ends as its user is told.
func (g *grant) shownUntil() time.Time {
	if end := g.end(); g.Until.IsZero() || end.Before(g.Until) {
		return end
	}
	return g.Until
}

// stands tells whether a grant meets a rule for a request from an address. Its
// first use is from its own; later ones may be from its network where the rule
// says so (MFA-15, MFA-23).
func (g *grant) stands(m *policy.MFA, from netip.Addr, remember time.Duration, now time.Time) bool {
	if !now.Before(g.end()) {
		return false
	}
	if g.Used.IsZero() {
		return g.Address == bound(from)
	}
	if now.Sub(g.Factor.At) >= remember {
		return false
	}
	return g.Address == bound(from) || m.ByNetwork && network(g.Address.Addr()) == network(from)
}

// granted takes the grants that stand, those that meet most first.
func (c *claim) granted(ctx context.Context) error {
	if !c.r.Address.IsValid() || len(c.owed) == 0 {
		return nil
	}
	all, err := c.s.grantsOf(c.r.User.ID)
	if err != nil {
		return down(err)
	}
	for len(c.owed) > 0 {
		best, meets := -1, 0
		for i := range all {
			if n := c.grantMeets(&all[i].grant); n > meets {
				best, meets = i, n
			}
		}
		if best < 0 {
			return nil
		}
		if err := c.use(ctx, &all[best]); err != nil {
			return err
		}
		all = slices.Delete(all, best, best+1)
	}
	return nil
}

// grantMeets tells how much of what is owed a grant meets.
func (c *claim) grantMeets(g *grant) (n int) {
	if g.Application != c.r.Application.Name {
		return 0
	}
	p, now := g.proof(), time.Now()
	for _, m := range c.owed {
		if c.meets(m, &p) && g.stands(m, c.r.Address, c.stands, now) {
			n++
		}
	}
	return n
}

// use notes the use of a grant: the first one at once and before anything
// rests on it, later ones now and then.
func (c *claim) use(ctx context.Context, k *kept) error {
	if k.grant.noted(time.Now()) {
		c.metGrant(&k.grant)
		return nil
	}
	leave, err := c.s.turn(ctx, c.end())
	if err != nil {
		return c.lost(ctx, err)
	}
	defer leave()
	ctx, done := context.WithTimeout(ctx, state.Deadline)
	defer done()
	for {
		err := c.note(ctx, k)
		if err == nil {
			c.metGrant(&k.grant)
			return nil
		}
		if !errors.Is(err, state.ErrConflict) {
			return down(fmt.Errorf("use a grant: %w", err))
		}
		// Revoked, or used by another request: what is there now may stand too.
		if k.grant, k.revision, err = read[grant](ctx, c.s.c.Store, k.key); err != nil {
			return down(err)
		}
		if k.revision == 0 || c.grantMeets(&k.grant) == 0 {
			return nil
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return down(err)
		}
	}
}

// noted tells that a use of the grant was noted not long ago.
func (g *grant) noted(now time.Time) bool { return !g.Used.IsZero() && now.Sub(g.Used) < noteUse }

func (c *claim) note(ctx context.Context, k *kept) error {
	now := time.Now()
	if k.grant.noted(now) {
		return nil
	}
	next := k.grant
	next.Used, next.Until = now, next.Factor.At.Add(c.stands)
	return write(ctx, c.s.c.Store, k.key, k.revision, &next, next.end().Sub(now)+time.Minute)
}

// metGrant is met for a grant, which stands for some rules and not for others.
func (c *claim) metGrant(g *grant) {
	p, now := g.proof(), time.Now()
	c.proofs = append(c.proofs, p)
	c.owed = slices.DeleteFunc(c.owed, func(m *policy.MFA) bool {
		return c.meets(m, &p) && g.stands(m, c.r.Address, c.stands, now)
	})
}

// remember keeps what was proven now for later requests, as far as all rules
// allow. Where it cannot be kept, the next request needs its own.
func (c *claim) remember(ctx context.Context) {
	if c.stands == 0 || !c.r.Address.IsValid() {
		return
	}
	now, address := time.Now(), bound(c.r.Address)
	for _, p := range c.proofs {
		if p.Remembered || p.Shape == policy.Grant {
			continue
		}
		g := grant{Application: c.r.Application.Name, Address: address, Shape: p.Shape, Factor: p.Factor, Used: now, Until: p.Factor.At.Add(c.stands)}
		if err := c.keepGrant(context.WithoutCancel(ctx), g); err != nil {
			c.s.c.Log.Warn("a second factor is not remembered", "transaction", c.r.Transaction, "err", err)
		}
	}
}

func (c *claim) keepGrant(ctx context.Context, g grant) error {
	done, err := c.s.turn(ctx, time.Now().Add(patience))
	if err != nil {
		return err
	}
	defer done()
	return c.s.keepGrant(ctx, c.r.User.ID, g)
}

func (s *Service) keepGrant(ctx context.Context, user string, g grant) error {
	key := s.grantKey(user, g.Application, g.Address, g.Shape)
	return update(ctx, s.c.Store, key, func(old *grant, _ bool) (time.Duration, error) {
		*old = g
		return time.Until(g.end()) + time.Minute, nil
	})
}

// A kept is a grant with its record.
type kept struct {
	key      state.Key
	revision uint64
	grant    grant
}

// grantsOf returns the grants of a user, from a copy that is at most 1 s old.
func (s *Service) grantsOf(user string) ([]kept, error) {
	records, err := s.grants.List(grantsKey(user))
	if err != nil {
		return nil, fmt.Errorf("grants of %s: %w", user, err)
	}
	return readGrants(records)
}

func readGrants(records []state.Record) ([]kept, error) {
	all := make([]kept, len(records))
	for i, r := range records {
		all[i] = kept{key: r.Key, revision: r.Revision}
		if err := json.Unmarshal(r.Value, &all[i].grant); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", r.Key, state.ErrCorrupt, err)
		}
	}
	return all, nil
}

// A Grant is a proof that stands for later requests, as the portal shows it.
type Grant struct {
	ID          string
	Application string
	Address     netip.Prefix
	Proof       Proof
	Made        time.Time
	// Used is when it was used, to 5 minutes; zero for never.
	Used time.Time
	// Until is when it ends if it is not used before, and at the latest. Rules
	// that change may end it sooner.
	Until time.Time
}

// Grants returns what stands for a user, the newest first. It asks the store:
// who sees it has perhaps just made one.
func (s *Service) Grants(ctx context.Context, user string) ([]Grant, error) {
	records, err := s.c.Store.List(ctx, grantsKey(user))
	if err != nil {
		return nil, fmt.Errorf("grants of %s: %w", user, err)
	}
	all, err := readGrants(records)
	if err != nil {
		return nil, err
	}
	var shown []Grant
	for _, k := range all {
		g := &k.grant
		if !time.Now().Before(g.shownUntil()) {
			continue
		}
		parts := k.key.Parts()
		shown = append(shown, Grant{
			ID: parts[len(parts)-1], Application: g.Application, Address: g.Address, Proof: g.proof(),
			Made: g.Factor.At, Used: g.Used, Until: g.shownUntil(),
		})
	}
	slices.SortFunc(shown, func(a, b Grant) int { return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(a.ID, b.ID)) })
	return shown, nil
}

var (
	// ErrUnseen says that the user's password was not proven from an address, so
	// that no grant is made for it.
	ErrUnseen = errors.New("no request with the right password came from that address")
	// ErrOldFactor says that the factor was proven too long ago for what it is
	// to approve.
	ErrOldFactor = errors.New("the factor was proven too long ago")
)

// Allow approves an application from an address beforehand: the first use is
// within 10 minutes, and rules say for how long it stands then. The address is
// one of Seen, or where the portal's session itself is, which own tells. The
// factor is at most 5 minutes old. Errors are ErrUnseen, ErrOldFactor, or the
// store's.
func (s *Service) Allow(ctx context.Context, user, application string, address netip.Addr, own bool, f factor.Proof) error {
	now := time.Now()
	if !address.IsValid() {
		return ErrUnseen
	}
	if !fresh(f, user, now) {
		return ErrOldFactor
	}
	if !own {
		seen, err := s.Seen(ctx, user)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(seen, func(p Place) bool { return bound(p.Address) == bound(address) }) {
			return ErrUnseen
		}
	}
	f.At = now // the window begins when it is made
	return s.keepGrant(ctx, user, grant{Application: application, Address: bound(address), Shape: policy.Grant, Factor: f})
}

func fresh(f factor.Proof, user string, now time.Time) bool {
	age := now.Sub(f.At)
	return f.User == user && f.Kind.Factors() != 0 && age >= -skew && age <= freshFor
}

// A Place is where a request with the right password came from that owed a
// second factor.
type Place struct {
	Application string     `json:"application"`
	Address     netip.Addr `json:"address"`
	Family      string     `json:"family"`
	Place       string     `json:"place,omitzero"`
	At          time.Time  `json:"at"`
}

// Seen returns the places of the last hour from which a request of the user's
// owed a factor, the newest first.
func (s *Service) Seen(ctx context.Context, user string) ([]Place, error) {
	records, err := s.c.Store.List(ctx, seenKey(user))
	if err != nil {
		return nil, fmt.Errorf("places of %s: %w", user, err)
	}
	all := make([]Place, len(records))
	for i, r := range records {
		if err := json.Unmarshal(r.Value, &all[i]); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", r.Key, state.ErrCorrupt, err)
		}
	}
	slices.SortFunc(all, func(a, b Place) int { return b.At.Compare(a.At) })
	return all, nil
}

// saw notes where a request came from that a grant could have met. Whoever has
// the password must not fill the store.
func (c *claim) saw(ctx context.Context) {
	r := c.r
	done, err := c.s.turn(ctx, c.end())
	if err != nil {
		return
	}
	defer done()
	key := state.Approvals.Key("seen-"+r.User.ID, c.s.name("seen", []byte(r.Application.Name), []byte(bound(r.Address).String())))
	known, err := c.s.c.Store.List(ctx, seenKey(r.User.ID))
	if err != nil || len(known) >= mostSeen || slices.ContainsFunc(known, func(o state.Record) bool { return o.Key == key }) {
		return
	}
	p := Place{Application: r.Application.Name, Address: r.Address, Family: r.Family, Place: r.Place, At: time.Now()}
	if err := write(ctx, c.s.c.Store, key, 0, &p, seenFor); err != nil && !errors.Is(err, state.ErrExists) {
		c.s.c.Log.Warn("an address cannot be granted", "transaction", r.Transaction, "err", err)
	}
}

// unblocked refuses a user from where the user said that it was somebody else.
func (c *claim) unblocked() error {
	if err := c.s.Blocked(c.r.User.ID, c.r.Address); err != nil {
		return err
	}
	return nil
}

// Blocked refuses a user at an address of which the user said that it was
// somebody else (MFA-07). It reads a copy that is at most 1 s old, and costs
// little: ask before a password leaves.
func (s *Service) Blocked(user string, address netip.Addr) error {
	if !address.IsValid() {
		return nil
	}
	_, err := s.locks.Get(blockKey(user, bound(address)))
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil
	case err != nil:
		return down(err)
	}
	return refusal.New(refusal.AddressBlocked, "the user said that a sign-in from %s was somebody else's", bound(address))
}
