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

// satisfy settles the limits of what is about to be issued: it evaluates the
// application's claims and bounds the lifetime by the application's and, if
// the client wishes less, by its wish.
func (x *exchange) satisfy() error {
	if x.decision.Answer == policy.Forward {
		return nil
	}
	app := x.decision.Application
	kind, _ := x.request.TokenKind()
	if x.request.TokenType == "" && app.Token == policy.SAML20 {
		kind = wstrust.SAML20
	}
	u := user(&x.proven)
	subject, claims, err := app.Evaluate(&u, kind.String())
	if err != nil {
		return refusal.New(refusal.IssuerFailed, "claims of application %s: %w", app.Name, err)
	}
	g := &wstrust.Grant{
		Audience:      x.request.AppliesTo,
		Kind:          kind,
		Lifetime:      x.lifetime(app.Lifetime),
		Authenticated: x.start,
		NameID:        subject.NameID,
		NameFormat:    subject.Format,
	}
	for _, c := range claims {
		g.Claims = append(g.Claims, wstrust.Claim{URI: c.Type, Values: c.Values})
	}
	x.grant = g
	return nil
}

func (x *exchange) lifetime(longest time.Duration) wstrust.Lifetime {
	span := longest
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
