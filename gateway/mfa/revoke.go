package mfa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stsgate/gateway/state"
)

// ErrNoGrant says that there is no such grant of the user.
var ErrNoGrant = errors.New("no such grant")

// Revoke ends a grant of the user, on all gateways within a second.
func (s *Service) Revoke(ctx context.Context, user, id string) error {
	return s.revoke(ctx, grantsKey(user), func(k state.Key) bool {
		parts := k.Parts()
		return parts[len(parts)-1] == id
	})
}

// RevokeAll ends all grants of the user, and what was approved for the next try
// of a client. It returns no ErrNoGrant.
func (s *Service) RevokeAll(ctx context.Context, user string) error {
	err := s.revoke(ctx, grantsKey(user), func(state.Key) bool { return true })
	if errors.Is(err, ErrNoGrant) {
		err = nil
	}
	return errors.Join(err, s.spendAll(ctx, user))
}

var errNothingApproved = errors.New("nothing is approved")

// spendAll spends what waits to be redeemed.
func (s *Service) spendAll(ctx context.Context, user string) error {
	all, err := s.approvals(ctx, user)
	if err != nil {
		return err
	}
	for _, k := range all {
		err := update(ctx, s.c.Store, k.key, func(a *approval, _ bool) (time.Duration, error) {
			now := time.Now()
			if !a.redeemable(now) {
				return 0, errNothingApproved
			}
			a.Phase = spent
			return a.keep(now), nil
		})
		if err != nil && !errors.Is(err, errNothingApproved) {
			return fmt.Errorf("revoke an approval: %w", err)
		}
	}
	return nil
}

// revoke deletes the chosen records, read from the store and not from a copy. A
// use that changes one meanwhile does not save it.
func (s *Service) revoke(ctx context.Context, prefix state.Key, chosen func(state.Key) bool) error {
	ctx, done := context.WithTimeout(ctx, state.Deadline)
	defer done()
	for found := false; ; {
		records, err := s.c.Store.List(ctx, prefix)
		if err != nil {
			return fmt.Errorf("revoke: %w", err)
		}
		again := false
		for _, r := range records {
			if !chosen(r.Key) {
				continue
			}
			found = true
			err := s.c.Store.Delete(ctx, r.Key, r.Revision)
			if err != nil && !errors.Is(err, state.ErrConflict) {
				return fmt.Errorf("revoke %s: %w", r.Key, err)
			}
			again = again || err != nil
		}
		switch {
		case again:
		case found:
			return nil
		default:
			return ErrNoGrant
		}
	}
}
