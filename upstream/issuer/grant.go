package issuer

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"stsgate/gateway/wstrust"
)

// Where a token says how its subject signed in, and the values that stand for
// a second factor (security.md, TOK-02; protocol.md, appendix C, row 10).
const (
	claimMethod     = "http://schemas.microsoft.com/ws/2008/06/identity/claims/authenticationmethod"
	claimReferences = "http://schemas.microsoft.com/claims/authnmethodsreferences"

	multipleAuthn      = "http://schemas.microsoft.com/claims/multipleauthn"
	passwordMethod     = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
	wiaOrMultipleAuthn = "http://schemas.microsoft.com/claims/wiaormultiauthn"
)

// withMethods is the grant with the claim that says how its subject signed in,
// where that was with a second factor; AD FS has the claim in the same form.
func withMethods(g *wstrust.Grant) *wstrust.Grant {
	if !g.SecondFactor {
		return g
	}
	more := *g
	more.Claims = append(slices.Clone(g.Claims), wstrust.Claim{URI: claimReferences, Values: []string{passwordMethod, multipleAuthn}})
	return &more
}

// checkGrant refuses what must not be signed whoever granted it.
func checkGrant(r *wstrust.Request, g *wstrust.Grant, now time.Time) error {
	if g.Audience != r.AppliesTo {
		return fmt.Errorf("granted for %q, asked for %q", g.Audience, r.AppliesTo)
	}
	from, to := g.Lifetime.Created, g.Lifetime.Expires
	switch span := to.Sub(from); {
	case from.IsZero() || !from.Before(to) || !now.Before(to):
		return fmt.Errorf("lifetime from %v to %v is empty or past", from, to)
	case span > maxLifetime:
		return fmt.Errorf("lifetime of %v, at most %v are issued", span, maxLifetime)
	}
	if g.Authenticated.IsZero() || g.Authenticated.After(now) {
		return fmt.Errorf("authenticated at %v, which is not a time in the past", g.Authenticated)
	}
	for _, c := range g.Claims {
		if c.URI != claimMethod && c.URI != claimReferences {
			continue
		}
		if slices.Contains(c.Values, multipleAuthn) || slices.Contains(c.Values, wiaOrMultipleAuthn) {
			return errors.New("claims a second factor, which is not for claims to say")
		}
	}
	return nil
}
