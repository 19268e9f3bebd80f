package gateway

import (
	"context"
	"net/netip"

	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// attempt is what the guard is told of the password.
func (x *exchange) attempt() guard.Attempt {
	return guard.Attempt{
		User:        x.g.c.Guard.UserKey(x.account.ID, x.name),
		Password:    x.request.Password,
		PasswordSet: x.account.PasswordSet,
		Addresses:   x.sources(),
	}
}

// sources are the addresses that failures are counted for: a server of Exchange
// Online's is to blame for nobody whom it does not name.
func (x *exchange) sources() []netip.Addr {
	if x.client.ExchangeOnline && len(x.client.Forwarded) == 0 {
		return nil
	}
	return x.client.Addresses()
}

// take takes a try from the guard. What it refuses for the user's sake looks
// like a wrong password, after the same work.
func (x *exchange) take(ctx context.Context) error {
	err := x.g.blocked(x.account.ID, x.sources())
	if err == nil {
		x.try, err = x.g.c.Guard.Take(ctx, x.attempt())
	}
	if refusal.Of(err) == refusal.StateDown && x.relaxed() {
		x.degraded = stateRelaxed
		x.try, err = x.g.c.Spare.Take(ctx, x.attempt())
	}
	switch refusal.Of(err) {
	case refusal.Locked, refusal.WrongPassword, refusal.AddressBlocked:
		return x.refuseUser(ctx, err)
	}
	return err
}

// blocked refuses a user at an address of which the user said that somebody
// else was there (security.md, MFA-07).
func (g *Gateway) blocked(user string, addresses []netip.Addr) error {
	if g.c.MFA == nil || user == "" {
		return nil
	}
	for _, a := range addresses {
		if err := g.c.MFA.Blocked(user, a); err != nil {
			return err
		}
	}
	return nil
}

// stateRelaxed labels what passes although the store is down.
const stateRelaxed = "state"

// relaxed tells that the application may go on without the store, and this request
// with it (security.md, FAIL-03).
func (x *exchange) relaxed() bool {
	return x.g.c.Spare != nil && x.decision.Application.Relaxed(x.start) != nil && x.set.Exempt(&x.decision)
}

// settle tells the guard what became of the try. A password that could not be
// counted as wrong is refused for that.
func (x *exchange) settle(ctx context.Context, err error) error {
	outcome := guard.Unsettled
	switch {
	case err == nil:
		outcome = guard.Proven
	case refusal.Of(err) == refusal.WrongPassword:
		outcome = guard.Wrong
	case refusal.Of(err) == refusal.FarmDenied, refusal.Of(err) == refusal.FarmUnknownApplication:
		outcome = guard.Proven // and the farm's own rules refused (LOCK-09)
	}
	if failed := x.try.Settle(ctx, outcome); failed != nil {
		return failed
	}
	return err
}

// atHome notes where the user has signed in from: in memory, and on all gateways
// when a second factor was proven (security.md, LOCK-02).
func (x *exchange) atHome(ctx context.Context) {
	x.try.Completed()
	x.learn(ctx)
}

// spend uses up what the message may be answered for once: its nonce. A message
// with a plain password and without one is not marked, since whoever can replay
// it has the password (design.md, section 7).
func (x *exchange) spend(ctx context.Context) error {
	if x.request.Nonce == "" {
		return nil
	}
	return x.g.c.Guard.Spend(ctx, x.attempt().User, x.request.Nonce, x.request.NonceCreated)
}

// stranger counts a name that the directory does not have, for where it came
// from, and returns why the user is refused.
func (x *exchange) stranger(ctx context.Context) error {
	if refusal.Of(x.absence) != refusal.UnknownUser {
		return x.absence
	}
	if err := x.g.c.Guard.FailedUnknown(ctx, x.attempt()); err != nil {
		return err
	}
	return x.absence
}

const (
	familiarFact policy.FactSet = 1 << policy.ClientFamiliar
	sourceFacts  policy.FactSet = 1<<policy.SourceFailedUsers | 1<<policy.SourceFailures
)

// gatherGuard asks the guard what a rule or the record asks for. What it does
// not know now is unknown, and so is whatever rests on an address or a user that
// is not known.
func (x *exchange) gatherGuard() {
	asked := (x.set.Mentions() | x.g.c.Record) & (familiarFact | sourceFacts)
	x.read |= asked
	if asked == 0 || x.client.Doubtful {
		return
	}
	if asked&sourceFacts != 0 {
		users, failures, err := x.g.c.Guard.Failures(x.sources())
		x.facts.Source = policy.Source{FailedUsers: users, Failures: failures}
		x.know(sourceFacts, err)
	}
	if asked.Has(policy.ClientFamiliar) && !x.userUnclear() {
		familiar, err := x.g.c.Guard.Familiar(x.attempt().User, x.sources())
		x.facts.Client.Familiar = familiar
		x.know(familiarFact, err)
	}
}

// userUnclear tells that the directory did not say whose name it is.
func (x *exchange) userUnclear() bool {
	return x.absence != nil && refusal.Of(x.absence) != refusal.UnknownUser
}

func (x *exchange) know(facts policy.FactSet, err error) {
	if err == nil {
		x.facts.Known |= facts
	}
}
