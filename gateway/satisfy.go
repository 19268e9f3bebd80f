package gateway

import (
	"context"
	"time"

	"stsgate/gateway/refusal"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// Skew is how far apart clocks may be: a token that is issued begins to be
// valid so long before now, for applications whose clocks are behind.
const skew = 5 * time.Minute

// satisfy settles what is owed before a token beside the factors: the limits of
// what is released. What is about to be issued it bounds by the application's
// lifetime, by policy's and by the client's wish, and it evaluates the
// application's claims.
func (x *exchange) satisfy(ctx context.Context) error {
	if x.decision.Answer == policy.Forward {
		if err := x.forwardLate(ctx); err != nil {
			return err
		}
		if err := x.capAnswer(); err != nil {
			return err
		}
	} else if err := x.describe(); err != nil {
		return err
	}
	return x.limit()
}

// describe says what is to be issued.
func (x *exchange) describe() error {
	app := x.decision.Application
	kind, _ := x.request.TokenKind()
	if x.request.TokenType == "" && app.Token == policy.SAML20 {
		kind = wstrust.SAML20
	}
	u := user(x.proven)
	subject, claims, err := app.Evaluate(&u, kind.String())
	if err != nil {
		return refusal.New(refusal.IssuerFailed, "claims of application %s: %w", app.Name, err)
	}
	g := &wstrust.Grant{
		Audience:      x.request.AppliesTo,
		Kind:          kind,
		Lifetime:      x.lifetime(app.Lifetime, x.decision.Obligations.Lifetime),
		Authenticated: x.start,
		SecondFactor:  x.multipleAuthn(),
		NameID:        subject.NameID,
		NameFormat:    subject.Format,
	}
	for _, c := range claims {
		g.Claims = append(g.Claims, wstrust.Claim{URI: c.Type, Values: c.Values})
	}
	x.grant = g
	return nil
}

// capAnswer holds a forwarded token to the longest that policy allows, by
// clocks that may differ.
func (x *exchange) capAnswer() error {
	longest := x.decision.Obligations.Lifetime
	if longest == 0 {
		return nil
	}
	if _, until := validity(x.kept); until.Sub(x.start) > longest+skew {
		return refusal.New(refusal.AnswerMismatch, "the farm's token is valid for %s, and policy allows %s", until.Sub(x.start).Round(time.Second), longest)
	}
	return nil
}

// lifetime is the span of a token that is issued now: the application's, or
// what the client wishes or policy allows if that is less.
func (x *exchange) lifetime(span, longest time.Duration) wstrust.Lifetime {
	if longest > 0 {
		span = min(span, longest)
	}
	if wish := x.request.Lifetime; !wish.Expires.IsZero() {
		if d := wish.Expires.Sub(x.start); d > 0 && d < span {
			span = d
		}
	}
	return wstrust.Lifetime{Created: x.start.Add(-skew), Expires: x.start.Add(span)}
}

// release makes the answer: the farm's bytes as they came, or a token that is
// signed now and wrapped for the version asked for.
func (x *exchange) release(ctx context.Context) error {
	if x.kept != nil {
		x.answer = x.kept.Body
		return nil
	}
	issued, err := x.g.c.Issuer.Issue(ctx, x.request, x.grant)
	if err != nil {
		return failure(ctx, refusal.IssuerFailed, "issue: %w", err)
	}
	x.issued = issued
	// Room for all of it: growing would leave parts of the token behind.
	room := make([]byte, 0, len(issued.Assertion)+4<<10)
	x.answer = wstrust.AppendAnswer(room, x.request, issued, x.start)
	return nil
}
