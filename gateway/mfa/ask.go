package mfa

import (
	"context"
	"errors"
	"time"

	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// ask meets what is still owed by an approval: one that waits to be redeemed, or
// one that the user is asked for now.
func (c *claim) ask(ctx context.Context) (*Hold, error) {
	if len(c.owed) == 0 {
		return nil, nil
	}
	way := c.way()
	if way == 0 {
		return nil, c.refuse(ctx)
	}
	if c.all().Has(policy.Grant) {
		c.saw(ctx)
	}
	c.key = c.s.approvalKey(c.r)
	c.answer = c.s.answerHash(c.r.Answer)
	if way == policy.Hold {
		return c.hold(ctx)
	}
	return nil, c.join(ctx, way)
}

// way is how the user can be asked: hold where the client waits, else challenge.
func (c *claim) way() policy.Shapes {
	switch all := c.all(); {
	case len(c.r.Application.Name) == 0:
		return 0
	case all.Has(policy.Hold) && c.s.budget(c.r.Family) > 0:
		return policy.Hold
	case all.Has(policy.Challenge):
		return policy.Challenge
	}
	return 0
}

// end is when the client stops waiting.
func (c *claim) end() time.Time {
	return c.r.Start.Add(max(c.s.budget(c.r.Family), patience))
}

// lost refuses a request that did not come to the store.
func (c *claim) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &refusal.Refusal{Reason: refusal.ClientGone, Err: ctx.Err()}
	}
	return down(err)
}

// budget is how long a client of the family waits for its answer.
func (s *Service) budget(family string) time.Duration {
	if d, ok := s.c.Hold[family]; ok {
		return d
	}
	return s.c.DefaultHold
}

// refuse says what the user can do where nobody can be asked.
func (c *claim) refuse(ctx context.Context) error {
	if !c.all().Has(policy.Grant) {
		return refusal.New(refusal.SecondFactor, "the rules take %s, and this request can bring none of them", c.shapes())
	}
	c.saw(ctx)
	return c.refusal(refusal.SecondFactorApprove, errors.New("it can be approved beforehand, in the portal"))
}

// shapes names what the rules take that is owed, for the operator.
func (c *claim) shapes() policy.Shapes {
	var any policy.Shapes
	for _, m := range c.owed {
		any |= m.Shapes
	}
	return any
}

func (c *claim) refusal(reason refusal.Reason, err error) *refusal.Refusal {
	return &refusal.Refusal{Reason: reason, Err: err, Portal: c.s.c.Portal}
}

// A step is what becomes of an approval when a request comes to it.
type step uint8

const (
	redeems step = iota + 1 // the request takes what was approved
	joins                   // it waits with others
	tells                   // it is told the number that others were
	counts                  // a new prompt is due, and must be counted first
	opens                   // the user is asked anew
)

// join redeems what was approved for the request, or makes it wait for an
// answer: with those that wait already, or by asking the user anew. For a
// challenge it refuses with the number.
func (c *claim) join(ctx context.Context, way policy.Shapes) error {
	leave, err := c.s.turn(ctx, c.end())
	if err != nil {
		return c.lost(ctx, err)
	}
	defer leave()
	ctx, done := context.WithTimeout(ctx, state.Deadline)
	defer done()
	for counted := false; ; {
		a, revision, err := read[approval](ctx, c.s.c.Store, c.key)
		if err != nil {
			return down(err)
		}
		now := time.Now()
		step, err := c.step(&a, way, counted, now)
		switch {
		case err != nil:
			return err
		case step == tells:
			return c.tell(&a)
		case step == counts:
			if counted, err = c.count(ctx); err != nil {
				return err
			}
			continue // the record may have changed meanwhile
		}
		err = write(ctx, c.s.c.Store, c.key, revision, &a, a.keep(now))
		if err == nil {
			return c.joined(&a, step)
		}
		if !errors.Is(err, state.ErrConflict) && !errors.Is(err, state.ErrExists) {
			return down(err)
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return down(err)
		}
	}
}

// step changes the approval for the request.
func (c *claim) step(a *approval, way policy.Shapes, counted bool, now time.Time) (step, error) {
	step := joins
	switch {
	case a.redeemable(now) && c.meetsAll(a.proof()):
		a.Phase = spent
		return redeems, nil
	case a.live(now) && a.Way != way:
		return 0, c.refusal(refusal.SecondFactorStopped, errors.New("another request for the application waits in another shape"))
	case a.live(now) && way == policy.Challenge:
		return tells, nil
	case a.live(now):
	case !counted:
		return counts, nil
	default:
		step = opens
		c.open(a, way, now)
	}
	if way != policy.Hold {
		return step, nil
	}
	c.until = a.Until
	if end := c.end(); end.Before(c.until) {
		c.until = end
	}
	if err := a.join(waiting{c.r.Transaction, c.answer, c.until}, now); err != nil {
		return 0, c.refusal(refusal.SecondFactorApprove, err)
	}
	return step, nil
}

// open asks anew.
func (c *claim) open(a *approval, way policy.Shapes, now time.Time) {
	a.open(now)
	a.Way, a.Application, a.Family = way, c.r.Application.Name, c.r.Family
	a.Place, a.New, a.Factors = c.r.Place, c.r.New, c.common()
	if c.r.Address.IsValid() {
		a.Address = bound(c.r.Address)
	}
}

// common are the factors that every rule takes that is still owed.
func (c *claim) common() policy.Factors {
	all := ^policy.Factors(0)
	for _, m := range c.owed {
		all &= m.Factors
	}
	return all
}

// answerHash is the keyed hash of an answer that waits, nil where there is none.
func (s *Service) answerHash(answer []byte) []byte {
	if answer == nil {
		return nil
	}
	return s.mac("answer", answer)
}

// joined goes on from what was written.
func (c *claim) joined(a *approval, step step) error {
	if step == redeems {
		c.met(*a.proof())
		return nil
	}
	if step == opens {
		c.s.metrics.prompts[a.Way].Inc()
	}
	if a.Way == policy.Challenge {
		return c.tell(a)
	}
	if step == opens && c.s.c.Knock != nil {
		c.s.c.Knock(knock.Prompt{To: c.to(), Application: a.Application, Place: a.Place, At: a.Opened})
	}
	return nil
}

func (c *claim) to() knock.Recipient {
	return knock.Recipient{ID: c.r.User.ID, Name: c.r.User.UPN, Mail: c.r.Mail}
}

// tell refuses with the number of a challenge.
func (c *claim) tell(a *approval) error {
	r := c.refusal(refusal.SecondFactorNumber, errors.New("the number is to be typed in the portal"))
	r.Number = c.s.number(a.Seed)
	return r
}
