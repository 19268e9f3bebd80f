package gateway

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
)

// CheckPassword proves a password in the directory behind the same guard as an
// exchange's, for somebody who may be at these addresses: the portal has no
// check of its own (security.md, PORT-11). The error is a *refusal.Refusal.
// Unless Down says so of it, it is for whoever sees it a wrong password: the
// same work was done, whichever of name, password, lock and ban it was.
//
// It is told at the end of a slot. The caller wipes the password.
func (g *Gateway) CheckPassword(ctx context.Context, name string, p account.Password, addresses []netip.Addr) (account.Account, error) {
	received := time.Now()
	a, err := g.checkPassword(ctx, name, p, addresses)
	if err != nil && !Down(err) {
		g.slots.wait(ctx, received)
	}
	return a, err
}

func (g *Gateway) checkPassword(ctx context.Context, name string, p account.Password, addresses []netip.Addr) (account.Account, error) {
	if g.c.Directory == nil {
		return account.Account{}, refusal.New(refusal.Internal, "without a directory no password can be checked but by the farm")
	}
	a, why := g.lookUp(ctx, name)
	if why != nil && refusal.Of(why) != refusal.UnknownUser {
		return account.Account{}, why
	}
	parsed, _ := account.ParseName(name)
	attempt := guard.Attempt{User: g.c.Guard.UserKey(a.ID, parsed), Password: p, PasswordSet: a.PasswordSet, Addresses: addresses}
	if why != nil {
		if err := g.c.Guard.FailedUnknown(ctx, attempt); err != nil {
			return account.Account{}, err
		}
		return account.Account{}, g.workless(ctx, p, why)
	}
	if err := g.blocked(a.ID, addresses); err != nil {
		return account.Account{}, g.workless(ctx, p, err)
	}
	t, err := g.c.Guard.Take(ctx, attempt)
	if err != nil {
		return account.Account{}, g.workless(ctx, p, err)
	}
	defer t.Settle(ctx, guard.Unsettled) // unless it was settled
	outcome := guard.Proven
	if err = g.c.Directory.Verify(ctx, a, p); err != nil {
		outcome, err = verified(ctx, err)
		a = account.Account{}
	}
	if failed := t.Settle(ctx, outcome); failed != nil {
		return account.Account{}, failed
	}
	return a, err
}

// FindAccount finds the account of somebody who may be at these addresses and has
// shown by something else than a password who it is. The error is account.ErrUnknown
// for nobody and for whom an operator banned, or a *refusal.Refusal for what is down.
func (g *Gateway) FindAccount(ctx context.Context, name string, addresses []netip.Addr) (account.Account, error) {
	a, err := g.lookUp(ctx, name)
	if err != nil {
		return account.Account{}, err
	}
	err = g.c.Guard.Banned(a.ID, addresses)
	if refusal.Of(err) == refusal.Banned {
		err = errors.Join(account.ErrUnknown, err)
	}
	if err != nil {
		return account.Account{}, err
	}
	return a, nil
}

// lookUp finds the account of a name as it was typed.
func (g *Gateway) lookUp(ctx context.Context, name string) (account.Account, error) {
	parsed, err := account.ParseName(name)
	if err != nil {
		return account.Account{}, &refusal.Refusal{Reason: refusal.UnknownUser, Err: err}
	}
	a, err := g.c.Directory.Lookup(ctx, parsed)
	switch {
	case err == nil:
		return a, nil
	case errors.Is(err, account.ErrUnknown):
		return account.Account{}, &refusal.Refusal{Reason: refusal.UnknownUser, Err: err}
	default:
		return account.Account{}, failure(ctx, refusal.DirectoryDown, "look up account: %w", err)
	}
}

// workless does the work of a wrong password for one that is refused without
// it, and returns why.
func (g *Gateway) workless(ctx context.Context, p account.Password, why error) error {
	if !Down(why) {
		_ = g.c.Directory.Verify(ctx, account.Account{}, p)
	}
	return why
}

// verified reads what the directory said of a password that it did not take.
func verified(ctx context.Context, err error) (guard.Outcome, error) {
	if errors.Is(err, account.ErrDenied) {
		return guard.Wrong, &refusal.Refusal{Reason: refusal.WrongPassword, Err: err}
	}
	return guard.Unsettled, failure(ctx, refusal.DirectoryDown, "verify: %w", err)
}

// Down tells that an error of CheckPassword says nothing of the user: somebody
// else did not answer, or the client has gone.
func Down(err error) bool { return !refusal.Of(err).LikeWrongPassword() }
