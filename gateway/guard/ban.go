package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
)

// banBits are the lengths of the prefixes that can be banned.
var banBits = map[bool][]int{true: {32, 24, 16}, false: {128, 64, 48, 32}}

// BanSource refuses a prefix: 16, 24 or 32 bits of IPv4, or 32, 48, 64 or 128
// of IPv6. One that is banned gets the new end. What is exempt cannot be banned.
func (g *Guard) BanSource(ctx context.Context, p netip.Prefix, b Hold) error {
	if p != p.Masked() || p.Addr().Is4In6() {
		return fmt.Errorf("%s has bits of a host set", p)
	}
	if !slices.Contains(banBits[p.Addr().Is4()], p.Bits()) {
		return fmt.Errorf("%s: prefixes of %v bits can be banned", p, banBits[p.Addr().Is4()])
	}
	if g.exempt.OverlapsPrefix(p) {
		return fmt.Errorf("%s holds addresses of clients.proxies or clients.exchange_online, behind which are many", p)
	}
	return g.ban(ctx, sourceBanKey(p), b)
}

// BanUser refuses a user, by UserKey.
func (g *Guard) BanUser(ctx context.Context, user string, b Hold) error {
	return g.ban(ctx, userBanKey(user), b)
}

func (g *Guard) ban(ctx context.Context, key state.Key, b Hold) error {
	if !b.Until.IsZero() && !time.Now().Before(b.Until) {
		return errors.New("the end of the ban is past")
	}
	value, err := json.Marshal(b)
	if err != nil {
		return err
	}
	_, err = g.update(ctx, state.Record{Key: key}, func([]byte) ([]byte, time.Duration, error) { return value, 0, nil })
	return err
}

// banned refuses what an operator banned, and sources that are blocked.
func (g *Guard) banned(user string, sources []source, now time.Time) *refusal.Refusal {
	if why := g.bannedByOperator(user, sources, now); why != nil {
		return why
	}
	switch nobody, err := g.locks.Empty(); {
	case err != nil:
		return stateDown(fmt.Errorf("locks: %w", err))
	case nobody:
		return nil
	}
	for _, s := range sources {
		for _, p := range []netip.Prefix{s.address, s.network} {
			if why := g.blocked(p, now); why != nil {
				return why
			}
		}
	}
	return nil
}

// Banned refuses what an operator banned, for whoever gives no password to take a
// try for. The error is a *refusal.Refusal for Banned or StateDown.
func (g *Guard) Banned(user string, addresses []netip.Addr) error {
	if why := g.bannedByOperator(user, g.sourcesOf(addresses), time.Now()); why != nil {
		return g.unlessReportOnly(why)
	}
	return nil
}

// bannedByOperator looks at four keys for a source, and at most times nobody is
// banned.
func (g *Guard) bannedByOperator(user string, sources []source, now time.Time) *refusal.Refusal {
	switch nobody, err := g.bans.Empty(); {
	case err != nil:
		return stateDown(fmt.Errorf("bans: %w", err))
	case nobody:
		return nil
	}
	if why := g.bannedAt(userBanKey(user), now); why != nil {
		return why
	}
	for _, s := range sources {
		for _, bits := range banBits[s.address.Addr().Is4()] {
			p := prefix(s.host, bits)
			if why := g.bannedAt(sourceBanKey(p), now); why != nil {
				return why
			}
		}
	}
	return nil
}

func (g *Guard) bannedAt(key state.Key, now time.Time) *refusal.Refusal {
	r, err := found(g.bans, key)
	if err != nil {
		return stateDown(err)
	}
	if r.Revision == 0 {
		return nil
	}
	var b Hold
	if err := json.Unmarshal(r.Value, &b); err != nil {
		return stateDown(fmt.Errorf("%s: %w", key, err))
	}
	if !b.stands(now) {
		return nil
	}
	return refusal.New(refusal.Banned, "an operator banned %s", key)
}

func (g *Guard) blocked(p netip.Prefix, now time.Time) *refusal.Refusal {
	r, err := found(g.locks, blockKey(p))
	if err != nil {
		return stateDown(err)
	}
	if r.Revision == 0 {
		return nil
	}
	var b block
	if err := json.Unmarshal(r.Value, &b); err != nil {
		return stateDown(fmt.Errorf("%s: %w", r.Key, err))
	}
	if now.Before(b.Until) {
		return refusal.New(refusal.Banned, "%s is blocked until %s, since most users from there fail", p, b.Until.UTC().Format(time.RFC3339))
	}
	return nil
}
