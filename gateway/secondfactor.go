package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/refusal"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// cut cuts a code off the password, where a rule that applies takes codes and
// the user has one to type (security.md, MFA-24). From then on the message is
// the one that the client would have sent without it.
func (x *exchange) cut() error {
	if x.g.c.MFA == nil || x.account.ID == "" || !x.decision.Obligations.SecondFactor || x.request.Signed || x.request.Credential != wstrust.CredentialUsername {
		return nil
	}
	password, code, ok, err := x.g.c.MFA.Cut(x.account.ID, x.decision.Application, x.requires(), x.request.Password.Bytes())
	if err != nil {
		return &refusal.Refusal{Reason: refusal.StateDown, Err: fmt.Errorf("whether a code stands behind the password: %w", err)}
	}
	if !ok {
		return nil
	}
	in := x.head
	in.Body, in.Now = x.body, x.start
	short, err := x.request.Shorten(in, len(password))
	if err != nil {
		return refusal.New(refusal.Internal, "cut a code off the password: %w", err)
	}
	x.code = account.NewPassword(bytes.Clone(code))
	x.whole, x.request = x.request, short
	return nil
}

// requires are the second factors of the rules that apply.
func (x *exchange) requires() []*policy.MFA {
	var all []*policy.MFA
	for r := range x.decision.Obligations.Rules() {
		if r.MFA != nil {
			all = append(all, r.MFA)
		}
	}
	return all
}

// requiring names the rules that require a second factor.
func (x *exchange) requiring() string {
	var all []string
	for r := range x.decision.Obligations.Rules() {
		if r.MFA != nil {
			all = append(all, strconv.Quote(r.Name))
		}
	}
	return strings.Join(all, ", ")
}

// secondFactor settles the second factors that are owed, which may take as long
// as the user needs to approve. It is asked of the account that the password
// proved (security.md, MFA-26).
func (x *exchange) secondFactor(ctx context.Context) error {
	switch {
	case !x.decision.Obligations.SecondFactor:
		return nil
	case x.g.c.MFA == nil || x.account.ID == "":
		return refusal.New(refusal.SecondFactor, "required by %s, and without a directory nobody's factor is known", x.requiring())
	case x.kept != nil && x.kept.Encrypted:
		return refusal.New(refusal.SecondFactor, "required by %s; the farm's token is encrypted, so nobody can tell whose factor it needs: with mfa.hold.prove: directory one can", x.requiring())
	}
	rest(x.w)
	waiting, done := x.waiting(ctx)
	defer done()
	r := x.owing()
	x.stale = x.g.c.MFA.Answered(r)
	proofs, hold, err := x.g.c.MFA.Satisfy(waiting, r)
	if hold != nil {
		x.hold = hold
		x.shed()
		return errAsked
	}
	return x.satisfied(ctx, proofs, err)
}

// satisfied goes on from what became of the second factors.
func (x *exchange) satisfied(ctx context.Context, proofs []mfa.Proof, err error) error {
	if err != nil {
		return err
	}
	if ctx.Err() != nil && !x.g.repeats.joinedBy(x) {
		return refusal.New(refusal.ClientGone, "while the user was asked: %w", ctx.Err())
	}
	x.proofs = proofs
	return x.decideAgain(ctx)
}

// owing says of the exchange what package mfa must know.
func (x *exchange) owing() *mfa.Request {
	x.gatherFamily()
	a := x.bound()
	familiar, err := x.g.c.Guard.Familiar(x.account.ID, x.sources())
	r := &mfa.Request{
		User:        factor.User{ID: x.account.ID, UPN: x.account.UPN, SAM: x.account.SAM},
		Transaction: x.id,
		Start:       x.start,
		Application: x.decision.Application,
		Requires:    x.requires(),
		Address:     a,
		New:         err != nil || !familiar,
		Place:       x.place(a),
		Family:      x.facts.Client.Family,
		Password:    x.request.Password,
		Code:        x.code,
	}
	if all := x.account.Attributes["mail"]; len(all) > 0 {
		r.Mail = all[0]
	}
	if x.kept != nil {
		r.Answer = x.kept.Body
	}
	return r
}

// bound is the address that a proof is bound to: the zero Addr where many are
// behind it, or where nobody knows which it is (security.md, MFA-23).
func (x *exchange) bound() netip.Addr {
	all := x.sources()
	if len(all) != 1 || x.g.c.Guard.Shared(all[0]) {
		return netip.Addr{}
	}
	return all[0]
}

// place is where an address is, in few words: "DE, AS64500".
func (x *exchange) place(a netip.Addr) string {
	var words []string
	if country, err := x.g.c.Places.Country(a); err == nil && country != "" {
		words = append(words, country)
	}
	if asn, err := x.g.c.Places.ASN(a); err == nil && asn != 0 {
		words = append(words, "AS"+strconv.FormatUint(uint64(asn), 10))
	}
	return strings.Join(words, ", ")
}

// waiting is the context in which the user is asked. done must be called.
func (x *exchange) waiting(ctx context.Context) (waiting context.Context, done func()) {
	waiting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		pause, over := context.WithTimeout(waiting, farewell)
		defer over()
		<-pause.Done()
		if waiting.Err() == nil && !x.g.repeats.joinedBy(x) {
			cancel(context.Cause(ctx))
		}
	})
	return waiting, func() {
		cancel(nil)
		if !stop() {
			<-ended // it looks at x, which is about to be another exchange
		}
	}
}

// decideAgain decides anew where the policy changed while the user was asked.
func (x *exchange) decideAgain(ctx context.Context) error {
	set := x.g.c.Policy.Load()
	if set.Revision() == x.set.Revision() {
		return nil
	}
	was, met := x.decision, x.requires()
	x.set = set
	x.gather(ctx) // it may ask about more
	if err := x.decide(ctx); err != nil {
		return err
	}
	now := &x.decision
	if now.Answer != was.Answer {
		return refusal.New(refusal.Denied, "the policy was changed while the request waited, and answers it by %s, not by %s", now.Answer, was.Answer)
	}
	same := now.Application.Name == was.Application.Name && now.Application.Hide == was.Application.Hide
	for _, m := range x.requires() {
		same = same && slices.ContainsFunc(met, func(old *policy.MFA) bool { return *old == *m })
	}
	if !same {
		return refusal.New(refusal.SecondFactor, "the policy was changed while the request waited, and now asks for something else")
	}
	return x.check(ctx)
}

// forwardLate asks the farm where that waited for the second factor.
func (x *exchange) forwardLate(ctx context.Context) error {
	if x.kept == nil {
		if err := x.proveByFarm(ctx); err != nil {
			return err
		}
		if err := x.check(ctx); err != nil {
			return err
		}
	}
	return x.checkFactor()
}

// checkFactor refuses a token of the farm that says that its user proved a
// second factor, where one that is issued would not (security.md, TOK-02).
func (x *exchange) checkFactor() error {
	if x.kept.Encrypted || !x.kept.Assertion.MultipleAuthn || x.multipleAuthn() {
		return nil
	}
	if !x.decision.Application.TrustFarmMFA {
		x.g.metrics.farmFactors[refused].Inc()
		return refusal.New(refusal.AnswerMismatch, "the farm's token says multipleauthn, no second factor that may say so was proven here, and the application does not say trust_farm_mfa")
	}
	x.g.metrics.farmFactors[released].Inc()
	return nil
}

// What became of tokens that claim a factor of their own, as metrics name it.
const (
	released = "released"
	refused  = "refused"
)

// multipleAuthn tells whether a token may say that a second factor was proven: in
// this exchange, and well enough for the application (security.md, TOK-02, MFA-20).
func (x *exchange) multipleAuthn() bool {
	return slices.ContainsFunc(x.proofs, func(p mfa.Proof) bool {
		switch {
		case p.Remembered:
			return false
		case p.Shape == policy.Hold:
			return x.decision.Application.AcceptApprove
		}
		return p.Shape == policy.Code || p.Shape == policy.Challenge
	})
}

// learn makes the address familiar to a user who has proven two factors from
// there. That it could not be learned refuses nobody.
func (x *exchange) learn(ctx context.Context) {
	proven := slices.ContainsFunc(x.proofs, func(p mfa.Proof) bool { return !p.Remembered })
	a := x.bound()
	if !proven || !a.IsValid() {
		return
	}
	if err := x.g.c.Guard.Learn(ctx, x.account.ID, []netip.Addr{a}); err != nil {
		x.g.c.Log.Warn("address not learned as familiar", "transaction", x.id, "err", err)
	}
}
