package mfa

import (
	"context"
	"errors"
	"slices"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// Satisfy meets every second factor that a request owes and returns the proofs,
// or refuses with a *refusal.Refusal. It takes what the request brought with it
// or what was approved before; otherwise it asks the user. Where the client
// waits for the answer it returns a Hold, whose r is then, without its secrets.
//
// What a proof was spent on is spent, whatever becomes of the exchange.
func (s *Service) Satisfy(ctx context.Context, r *Request) ([]Proof, *Hold, error) {
	c := &claim{s: s, r: r}
	h, err := c.run(ctx)
	if h != nil || err != nil {
		return nil, h, err
	}
	return c.finish(ctx), nil, nil
}

// A claim is one request on its way to a second factor.
type claim struct {
	s      *Service
	r      *Request
	owed   []*policy.MFA // what no proof has met yet
	stands time.Duration // for how long a proof may: the shortest of all that was owed
	proofs []Proof
	key    state.Key // of the approval
	answer []byte    // keyed hash of the farm's, nil without one
	until  time.Time // when the request stops waiting
}

// run takes what is there in the order of what it costs the user.
func (c *claim) run(ctx context.Context) (*Hold, error) {
	if len(c.r.Requires) == 0 {
		return nil, refusal.New(refusal.Internal, "a second factor that no rule requires")
	}
	c.owed = slices.Clone(c.r.Requires)
	c.stands = standsFor
	for _, m := range c.owed {
		c.stands = min(c.stands, m.Remember)
	}
	if err := c.unblocked(); err != nil {
		return nil, err
	}
	if err := c.code(ctx); err != nil {
		return nil, err
	}
	if err := c.granted(ctx); err != nil {
		return nil, err
	}
	c.know(ctx)
	return c.ask(ctx)
}

// finish keeps what was proven for later requests, as far as it may be, and
// returns it.
func (c *claim) finish(ctx context.Context) []Proof {
	c.remember(ctx)
	c.s.metrics.satisfied(c.proofs)
	return c.proofs
}

// takes are the shapes that a rule takes from this request: nothing that rests
// on an address binds where there is none (MFA-23), and where there is no portal
// nobody can approve.
func (c *claim) takes(m *policy.MFA) policy.Shapes {
	shapes := m.ShapesFor(c.r.Application)
	if !c.r.Address.IsValid() {
		shapes &= policy.Hold | policy.Code
	}
	if c.s.c.Portal == "" {
		shapes &= policy.Code
	}
	return shapes
}

// meets tells whether a proof is what a rule takes.
func (c *claim) meets(m *policy.MFA, p *Proof) bool {
	return c.takes(m).Has(p.Shape) && m.Factors&p.Factor.Kind.Factors() != 0
}

// meetsSome tells whether a proof is of use.
func (c *claim) meetsSome(p *Proof) bool {
	return slices.ContainsFunc(c.owed, func(m *policy.MFA) bool { return c.meets(m, p) })
}

// meetsAll tells whether nothing is owed beside a proof.
func (c *claim) meetsAll(p *Proof) bool {
	return !slices.ContainsFunc(c.owed, func(m *policy.MFA) bool { return !c.meets(m, p) })
}

// met notes a proof and what it leaves owed.
func (c *claim) met(p Proof) {
	c.proofs = append(c.proofs, p)
	c.owed = slices.DeleteFunc(c.owed, func(m *policy.MFA) bool { return c.meets(m, &p) })
}

// all are the shapes that every rule takes that is still owed.
func (c *claim) all() policy.Shapes {
	shapes := ^policy.Shapes(0)
	for _, m := range c.owed {
		shapes &= c.takes(m)
	}
	return shapes
}

// code spends what stood behind the password.
func (c *claim) code(ctx context.Context) error {
	if len(c.r.Code.Bytes()) == 0 {
		return nil
	}
	if c.s.c.Factors == nil {
		return refusal.New(refusal.Internal, "a code was cut, and nobody has codes")
	}
	f, err := c.s.c.Factors.CheckCode(ctx, c.r.User, c.r.Code, c.factors(policy.Code), factor.Source{Address: c.r.Address})
	if err != nil {
		return codeRefusal(err)
	}
	if f.User != c.r.User.ID {
		return refusal.New(refusal.Internal, "the code is of another user")
	}
	p := Proof{Shape: policy.Code, Factor: f}
	if !c.meetsSome(&p) {
		return refusal.New(refusal.WrongCode, "a code of %s, which no rule takes", f.Kind)
	}
	c.met(p)
	c.s.rested(ctx, c.r.User.ID)
	return nil
}

// know remembers where the user is told. A request that finds no turn for that
// goes on without.
func (c *claim) know(ctx context.Context) {
	if c.s.c.Know == nil {
		return
	}
	done, err := c.s.turn(ctx, time.Now().Add(patience))
	if err != nil {
		c.s.c.Log.Warn("where a user is told is not remembered", "user", c.r.User.ID, "err", err)
		return
	}
	defer done()
	c.s.c.Know(ctx, c.to())
}

// factors are those that rules take in a shape.
func (c *claim) factors(shape policy.Shapes) policy.Factors {
	var all policy.Factors
	for _, m := range c.owed {
		if c.takes(m).Has(shape) {
			all |= m.Factors
		}
	}
	return all
}

// codeRefusal refuses for what became of a code. What is wrong with it looks
// like a wrong password; so does that a server asks for more, which no client of
// this protocol can answer.
func codeRefusal(err error) error {
	for _, e := range []error{factor.ErrWrong, factor.ErrReused, factor.ErrThrottled, factor.ErrDisabled, factor.ErrMissing, factor.ErrOver, factor.ErrChallenge} {
		if errors.Is(err, e) && !errors.Is(err, factor.ErrDown) {
			return &refusal.Refusal{Reason: refusal.WrongCode, Err: err}
		}
	}
	return &refusal.Refusal{Reason: refusal.SecondFactorDown, Err: err}
}
