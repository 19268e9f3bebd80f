package gateway

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/refusal"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// A second factor is owed by whoever a rule names. What proves one is settled by
// package mfa; here is what an exchange has to do with it: it cuts a code off the
// password before that leaves, asks once the answer is checked, and waits.

// owed are the second factors of all rules that apply.
func (x *exchange) owed() []*policy.MFA {
	var all []*policy.MFA
	for rule := range x.decision.Obligations.Rules() {
		if rule.MFA != nil {
			all = append(all, rule.MFA)
		}
	}
	return all
}

// cut takes a code off the end of the password, where a rule takes codes and the
// user has some. The message that goes on is the received one without it.
func (x *exchange) cut() error {
	if !x.decision.Obligations.SecondFactor || x.g.c.MFA == nil || x.account.ID == "" ||
		x.request.Credential != wstrust.CredentialUsername || x.request.Signed {
		return nil
	}
	text := x.request.Password.Bytes()
	password, code, ok, err := x.g.c.MFA.Cut(x.account.ID, x.decision.Application, x.owed(), text)
	if err != nil || !ok {
		return err
	}
	in := x.head
	in.Memory, in.Now = new(wstrust.Memory), x.start
	request, err := x.request.Cut(in, text[len(password):])
	if err != nil {
		return refusal.New(refusal.WrongPassword, "cut the code off: %w", err)
	}
	x.code = account.NewPassword(bytes.Clone(code))
	x.cutBody, x.cutMemory, x.request = request.Body, in.Memory, request
	return nil
}

// secondFactor has every second factor proven that is owed.
func (x *exchange) secondFactor(ctx context.Context) error {
	switch {
	case !x.decision.Obligations.SecondFactor:
		return nil
	case x.g.c.MFA == nil || x.account.ID == "":
		return refusal.New(refusal.SecondFactor, "required by %s, and without a directory nobody's factor is known", x.requiring())
	case x.kept != nil && x.kept.Encrypted: // MFA-26
		return refusal.New(refusal.SecondFactor, "required by %s, and nobody can read whose the encrypted token is", x.requiring())
	}
	held, over := x.holding(ctx)
	defer over()
	var err error
	x.claimed = x.claim()
	if x.proofs, err = x.g.c.MFA.Satisfy(held, x.claimed); err != nil {
		return err
	}
	return x.decideAgain(held)
}

// claim is what package mfa is told.
func (x *exchange) claim() *mfa.Request {
	r := &mfa.Request{
		User:        factor.User{ID: x.account.ID, UPN: x.account.UPN, SAM: x.account.SAM},
		Transaction: x.id, Start: x.start,
		Application: x.decision.Application, Requires: x.owed(),
		Address: x.bound(), Family: x.facts.Client.Family,
		Password: x.request.Password, Code: x.code,
	}
	if mail := x.account.Attributes["mail"]; len(mail) > 0 {
		r.Mail = mail[0]
	}
	if x.kept != nil {
		r.Answer = x.kept.Body
	}
	familiar, err := x.g.c.Guard.Familiar(x.attempt().User, x.sources())
	r.New = err != nil || !familiar
	if country, err := x.g.c.Places.Country(r.Address); err == nil {
		r.Place = country
	}
	return r
}

// bound is the address that a proof binds to: none where many are behind it, or
// where it is not known whose the request is (security.md, MFA-23).
func (x *exchange) bound() netip.Addr {
	all := x.client.Addresses()
	if len(all) != 1 || x.g.c.Guard.Shared(all[0]) {
		return netip.Addr{}
	}
	return all[0]
}

// abandoned is for how long a request is held whose client has gone: it may be
// about to ask again (security.md, MFA-16).
const abandoned = 10 * time.Second

// holding returns a context for waiting that outlives the client by a while,
// and for as long as repeats wait. The caller must call over.
func (x *exchange) holding(ctx context.Context) (held context.Context, over func()) {
	held, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var timer *time.Timer
	done := false
	leave := func() {
		mu.Lock()
		defer mu.Unlock()
		if !done && !x.g.repeats.joinedBy(x) {
			cancel()
		}
	}
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !done {
			timer = time.AfterFunc(abandoned, leave)
		}
	})
	return held, func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if done = true; timer != nil {
			timer.Stop()
		}
		cancel()
	}
}

// decideAgain holds a request that waited to the policy set that is in force
// now: it must be allowed there, answered in the same way, and owe nothing that
// was not proven.
func (x *exchange) decideAgain(ctx context.Context) error {
	now := x.g.c.Policy.Load()
	if now == x.set {
		return nil
	}
	answer := x.decision.Answer
	x.set = now
	x.gather(ctx)
	if err := x.decide(ctx); err != nil {
		return err
	}
	if x.decision.Answer != answer {
		return refusal.New(refusal.Denied, "while the request was held policy came to say %s instead of %s", x.decision.Answer, answer)
	}
	for _, m := range x.owed() {
		if !x.proves(m) {
			return refusal.New(refusal.SecondFactor, "while the request was held policy came to require another second factor, by %s", x.requiring())
		}
	}
	return x.check(ctx)
}

// proves tells that a proof of this exchange is what a rule takes.
func (x *exchange) proves(m *policy.MFA) bool {
	for i := range x.proofs {
		p := &x.proofs[i]
		if m.ShapesFor(x.decision.Application).Has(p.Shape) && m.Factors.Has(p.Factor.Kind.Factors()) {
			return true
		}
	}
	return false
}

// multipleAuthn tells that a second factor was proven in this exchange by more
// than a click: a code, or a number that was typed (security.md, TOK-02, MFA-20).
func (x *exchange) multipleAuthn() bool {
	for i := range x.proofs {
		switch p := &x.proofs[i]; {
		case p.Remembered:
		case p.Shape == policy.Code, p.Shape == policy.Challenge:
			return true
		}
	}
	return false
}

// The claim by which a token says so (protocol.md, section 8.4).
var multipleAuthn = wstrust.Claim{
	URI:    "http://schemas.microsoft.com/claims/authnmethodsreferences",
	Values: []string{"http://schemas.microsoft.com/claims/multipleauthn"},
}

// auditProofs are shapes, labels of assurance and factors of what was proven.
func (x *exchange) auditProofs() (shapes, assurance, factors string) {
	var s, a, f []string
	for i := range x.proofs {
		p := &x.proofs[i]
		s, a, f = append(s, p.Shape.String()), append(a, p.Assurance()), append(f, p.Method())
	}
	return strings.Join(s, ","), strings.Join(a, ","), strings.Join(f, ",")
}
