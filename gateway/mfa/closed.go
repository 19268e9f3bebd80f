package mfa

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

// A Closed is an address that is closed to a user, who said that a sign-in from
// there was somebody else's.
type Closed struct {
	User    string
	Address netip.Prefix
	Until   time.Time
}

// Closed returns what is closed to users now, in no order. What cannot be read is
// an error, beside the rest.
func (s *Service) Closed(ctx context.Context) ([]Closed, error) {
	records, err := s.c.Store.List(ctx, state.Locks.Key())
	var all []Closed
	for _, r := range records {
		parts := r.Key.Parts()
		user, ok := strings.CutPrefix(parts[0], ofFactors)
		if !ok || len(parts) != 2 {
			continue // of others
		}
		var b block
		p, e := netip.ParsePrefix(parts[1])
		if e = errors.Join(e, json.Unmarshal(r.Value, &b)); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w: %w", r.Key, state.ErrCorrupt, e))
			continue
		}
		all = append(all, Closed{user, p, b.At.Add(blockFor)})
	}
	return all, err
}

// ErrOpen says that no address is closed to the user.
var ErrOpen = errors.New("no address is closed to the user")

// Reopen opens all addresses to a user again, on all gateways within a second. It
// is for operators.
func (s *Service) Reopen(ctx context.Context, user string) error {
	err := s.revoke(ctx, state.Locks.Key(ofFactors+user), func(state.Key) bool { return true })
	if errors.Is(err, ErrNoGrant) {
		return ErrOpen
	}
	return err
}
