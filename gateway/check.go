package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/refusal"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// check compares who was proven with who was decided on, and what the farm
// answered with what was asked. Before it has passed nothing is signed and
// nothing is released.
func (x *exchange) check(ctx context.Context) error {
	if x.kept == nil {
		if x.proven.ID != x.account.ID {
			return refusal.New(refusal.AnswerMismatch, "the account proven is %s, the one decided on %s", x.proven.ID, x.account.ID)
		}
		return nil
	}
	err := x.checkAnswer()
	// Nobody can read one that is encrypted, and without a directory no rule could
	// name a user to compare with.
	if err == nil && !x.kept.Encrypted && x.g.c.Directory != nil {
		err = x.checkAccount(ctx, &x.kept.Assertion)
	}
	if err != nil && x.kept.Distrust != nil {
		x.kept.Distrust()
	}
	return err
}

// checkAnswer holds the farm's answer against what was asked and decided. Its
// signature was checked where it was received.
func (x *exchange) checkAnswer() error {
	if x.kept.Encrypted && !x.decision.Application.AnswerEncrypted {
		return refusal.New(refusal.AnswerMismatch, "the farm's token is encrypted, and the application does not say answer_encrypted")
	}
	if err := CheckAnswer(x.request, x.kept); err != nil {
		return err
	}
	if err := x.checkIssuer(); err != nil {
		return err
	}
	return CheckLifetime(x.kept, x.start)
}

// checkIssuer holds the issuer that the token names to those that the
// application takes. A token of another one is as good as signed by a stranger.
func (x *exchange) checkIssuer() error {
	if x.kept.Encrypted {
		return nil
	}
	a := &x.kept.Assertion
	var upns []string
	for _, c := range a.Claims {
		if slices.Contains(upnClaims, c.URI) {
			upns = append(upns, c.Values...)
		}
	}
	app := x.decision.Application
	if !app.TakesIssuer(a.Issuer, x.kept.Farm, upns) {
		return refusal.New(refusal.AnswerUntrusted, "the farm's token names the issuer %q; application %s takes %s",
			a.Issuer, app.Name, issuersOf(app, x.kept.Farm))
	}
	return nil
}

// issuersOf names the issuers that an application takes, for the operator.
func issuersOf(a *policy.Application, farm string) string {
	if len(a.Issuers) == 0 {
		return fmt.Sprintf("the farm's own name %q only, since it lists no issuers", farm)
	}
	return fmt.Sprintf("%q", a.Issuers)
}

// CheckAnswer holds an answer of the farm against the request, as far as the
// two tell (security.md, SIG-10): of a token that is encrypted the answer
// around it alone tells, so it must.
func CheckAnswer(r *wstrust.Request, a *wstrust.Answer) error {
	switch {
	case a.SOAP != r.SOAP:
		return refusal.New(refusal.AnswerUnreadable, "the farm answered in SOAP %s", a.SOAP)
	case a.RelatesTo == "" && r.MessageID != "":
		return refusal.New(refusal.AnswerMismatch, "the farm's answer does not say which message it relates to")
	case a.RelatesTo != r.MessageID:
		return refusal.New(refusal.AnswerMismatch, "the farm's answer relates to another message")
	case a.AppliesTo != "" && a.AppliesTo != r.AppliesTo:
		return refusal.New(refusal.AnswerMismatch, "the farm's answer applies to %q", a.AppliesTo)
	case a.Encrypted && a.AppliesTo == "":
		return refusal.New(refusal.AnswerMismatch, "the farm's token is encrypted, and its answer does not say what it applies to")
	case a.Encrypted:
		return nil
	case !slices.Equal(a.Assertion.Audiences, []string{r.AppliesTo}):
		return refusal.New(refusal.AnswerMismatch, "the farm's token is for the audiences %q", a.Assertion.Audiences)
	}
	return checkConfirmation(r, &a.Assertion)
}

// checkConfirmation holds the way in which a token may be presented against the
// key type that was asked for. A request that names none, or one that is not of
// its version, leaves it to the farm whether there is a key.
func checkConfirmation(r *wstrust.Request, a *wstrust.Assertion) error {
	bearer, holder := a.Bearer(), a.HolderOfKey()
	switch {
	case r.Bearer() && !bearer:
		return refusal.New(refusal.AnswerMismatch, "the farm's token is confirmed by %q, and a bearer token was asked for", a.Confirmation)
	case r.ForKey() && !holder:
		return refusal.New(refusal.AnswerMismatch, "the farm's token is confirmed by %q, and one for the holder of a key was asked for", a.Confirmation)
	case !bearer && !holder:
		return refusal.New(refusal.AnswerMismatch, "the farm's token is confirmed by %q, neither by its bearer nor by the holder of a key", a.Confirmation)
	}
	return nil
}

// longestToken is the longest that a token of the farm may be valid.
const longestToken = 8 * time.Hour

// CheckLifetime holds a token to the present and to the longest that there is,
// by clocks that may differ by 5 minutes.
func CheckLifetime(a *wstrust.Answer, now time.Time) error {
	from, until := validity(a)
	switch {
	case until.IsZero():
		return refusal.New(refusal.AnswerMismatch, "the farm's token has no end")
	case until.Before(from):
		return refusal.New(refusal.AnswerMismatch, "the farm's token ends before it begins")
	case from.After(now.Add(skew)), until.Before(now.Add(-skew)):
		return refusal.New(refusal.AnswerMismatch, "the farm's token is valid from %s to %s, and it is %s", stamp(from), stamp(until), stamp(now))
	case until.Sub(now) > longestToken+skew:
		return refusal.New(refusal.AnswerMismatch, "the farm's token is valid for %s, more than %s", until.Sub(now).Round(time.Second), longestToken)
	}
	return nil
}

// validity is from when until when a token is valid: by itself, or as the
// answer says of one that nobody here can read.
func validity(a *wstrust.Answer) (from, until time.Time) {
	if a.Encrypted {
		return a.Lifetime.Created, a.Lifetime.Expires
	}
	return a.Assertion.NotBefore, a.Assertion.NotOnOrAfter
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Claim types that name the account of a token (protocol.md, sections 1.7 and 8.2).
var (
	upnClaims         = []string{"http://schemas.xmlsoap.org/claims/UPN", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"}
	immutableIDClaims = []string{"http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID"}
	accountNameClaims = []string{"http://schemas.microsoft.com/ws/2008/06/identity/claims/windowsaccountname"}
)

// checkAccount holds every name that the token has for its subject against the
// account decided on: each must resolve to it, and there must be one.
func (x *exchange) checkAccount(ctx context.Context, a *wstrust.Assertion) error {
	named := false
	for _, c := range a.Claims {
		for _, v := range c.Values {
			var same bool // no value is nobody's, although an account may lack a name
			switch {
			case slices.Contains(immutableIDClaims, c.URI):
				same = v != "" && v == x.account.ImmutableID()
			case slices.Contains(upnClaims, c.URI), slices.Contains(accountNameClaims, c.URI):
				var err error
				if same, err = x.resolves(ctx, v); err != nil {
					return err
				}
			default:
				continue
			}
			if !same {
				return refusal.New(refusal.AnswerMismatch, "the farm's token is for another account than %s: %s differs", x.account.ID, c.URI)
			}
			named = true
		}
	}
	if !named {
		return refusal.New(refusal.AnswerMismatch, "the farm's token has no UPN, ImmutableID or windowsaccountname claim, so its account cannot be compared")
	}
	return nil
}

// resolves tells whether a name stands for the account decided on.
func (x *exchange) resolves(ctx context.Context, name string) (bool, error) {
	if name != "" && strings.EqualFold(name, x.account.UPN) {
		return true, nil
	}
	n, err := account.ParseName(name)
	if err != nil {
		return false, nil
	}
	a, err := x.g.c.Directory.Lookup(ctx, n)
	if err != nil && !errors.Is(err, account.ErrUnknown) {
		return false, failure(ctx, refusal.DirectoryDown, "look up the account of the answer: %w", err)
	}
	return err == nil && a.ID == x.account.ID, nil
}
