package portal

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
)

// A challenge is what a browser is given to ask a passkey with.
type challenge struct {
	Challenge string          `json:"challenge"`
	Options   json.RawMessage `json:"options"`
}

// give answers with a ceremony, for this browser alone: nobody can be signed in
// with what another browser began.
func (v *visit) give(c *factor.Ceremony) error {
	v.w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(v.w).Encode(challenge{c.ID + "." + v.seal(c.ID), c.Options})
}

func (v *visit) seal(id string) string {
	return hex.EncodeToString(v.p.keyed("ceremony", v.id+"\x00"+id))
}

// taken returns the id of the ceremony that a form comes back with; empty when
// it was not given to this browser.
func (v *visit) taken() string {
	id, seal, _ := strings.Cut(v.form.Get("challenge"), ".")
	if !hmac.Equal([]byte(seal), []byte(v.seal(id))) {
		return ""
	}
	return id
}

// passkeyOptions begins a proof of the session's user.
func (v *visit) passkeyOptions() error {
	c, err := v.p.c.Factors.BeginSignIn(v.ctx(), v.session.User.ID)
	if err != nil {
		return missing(err)
	}
	return v.give(c)
}

// assert proves the passkey that a form comes with.
func (v *visit) assert(assertion string) (factor.Proof, error) {
	return v.p.c.Factors.FinishSignIn(v.ctx(), v.session.User.ID, v.taken(), []byte(assertion), v.source())
}

// passkeyAloneOptions begins a sign-in by passkey of whoever has one. Strangers
// may ask, so that only so many a second are begun.
func (v *visit) passkeyAloneOptions() error {
	if !v.p.c.PasskeyAlone {
		return errNotFound
	}
	if !v.p.strangers.pass(v.now) {
		return problem{http.StatusServiceUnavailable, "Too busy", "Too many ask for this now. Try again in a moment."}
	}
	c, err := v.p.c.Factors.BeginSignIn(v.ctx(), "")
	if err != nil {
		return missing(err)
	}
	return v.give(c)
}

const passkeyFailed = "That passkey did not work here. Sign in with your password."

// passkeyAlone signs in with a passkey that verified its user, where the
// directory takes the account.
func (v *visit) passkeyAlone() error {
	if !v.p.c.PasskeyAlone {
		return errNotFound
	}
	p, err := v.p.c.Factors.FinishSignIn(v.ctx(), "", v.taken(), []byte(v.form.Get("assertion")), v.source())
	switch {
	case err != nil && whatWasWrong(err) == "":
		return err
	case err != nil || !p.UV:
		return v.passkeyRefused(factor.Proof{})
	}
	a, err := v.p.accountOf(v.ctx(), p.User, v.client.Addresses())
	if errors.Is(err, account.ErrUnknown) || errors.Is(err, state.ErrNotFound) || err == nil && (a.Disabled || a.Expired || a.Locked) {
		return v.passkeyRefused(p)
	}
	if err != nil {
		return err
	}
	s := sessionOf(&a, v.now)
	s.Proof = p
	if err := v.enter(s, "sign-in"); err != nil {
		return err
	}
	v.know()
	return v.redirect("/")
}

// passkeyRefused writes down that a passkey did not sign in, and asks for the
// password. The proof is of one whose account is not taken.
func (v *visit) passkeyRefused(p factor.Proof) error {
	if err := v.p.c.Record(Act{Name: "sign-in", User: p.User, Factor: p, Address: v.address(), Outcome: "failure"}); err != nil {
		return err
	}
	return v.askPassword(passkeyFailed)
}

// newPasskeyOptions begins an enrolment.
func (v *visit) newPasskeyOptions() error {
	if err := v.mustMayEnrol(); err != nil {
		return err
	}
	c, err := v.p.c.Factors.BeginPasskey(v.ctx(), v.session.User, v.session.Proof)
	if err != nil {
		return missing(err)
	}
	return v.give(c)
}

func (v *visit) addPasskey() error {
	if err := v.mustMayEnrol(); err != nil {
		return err
	}
	user := v.session.User.ID
	var a factor.Authenticator
	err := v.make("enrol", "", func() (_ string, err error) {
		a, err = v.p.c.Factors.FinishPasskey(v.ctx(), user, v.taken(), []byte(v.form.Get("attestation")), "", v.source())
		return a.ID, err
	})
	switch {
	case errors.Is(err, factor.ErrWrong):
		return v.askEnrol("That passkey cannot be used here. Try another one, or an app.")
	case errors.Is(err, factor.ErrFull):
		return v.askEnrol("You have as many devices as you can. Remove one first.")
	case err != nil:
		return v.begun(err)
	}
	if err := v.p.remember(v.ctx(), v.session); err != nil {
		return err
	}
	return v.enrolled(factor.Proof{User: user, Kind: factor.Passkey, Authenticator: a.ID, UV: true, At: v.now})
}

// A remembered account is by what the directory finds a user again who signs in
// by passkey alone, of whom only the GUID is known.
type remembered struct {
	Name string `json:"name"`
}

func accountKey(user string) state.Key { return state.Enrolments.Key("portal account", user) }

// remember keeps the name of the session's user.
func (p *Portal) remember(ctx context.Context, s *session) error {
	value, err := json.Marshal(remembered{s.User.UPN})
	if err != nil {
		return err
	}
	key := accountKey(s.User.ID)
	r, err := p.c.Store.Get(ctx, key)
	switch {
	case errors.Is(err, state.ErrNotFound):
		_, err = p.c.Store.Create(ctx, key, value, 0)
	case err == nil && string(r.Value) != string(value):
		_, err = p.c.Store.CompareAndSwap(ctx, key, r.Revision, value, 0)
	}
	if err != nil && !errors.Is(err, state.ErrExists) && !errors.Is(err, state.ErrConflict) {
		return fmt.Errorf("remember an account: %w", err)
	}
	return nil
}

// accountOf asks the directory for the account of a user who has a passkey, and
// takes no other in its place.
func (p *Portal) accountOf(ctx context.Context, user string, from []netip.Addr) (account.Account, error) {
	r, err := p.c.Store.Get(ctx, accountKey(user))
	if err != nil {
		return account.Account{}, fmt.Errorf("account of a passkey: %w", err)
	}
	var known remembered
	if err := json.Unmarshal(r.Value, &known); err != nil {
		return account.Account{}, fmt.Errorf("account of a passkey: %w", err)
	}
	a, err := p.c.Account(ctx, known.Name, from)
	if err == nil && a.ID != user {
		err = account.ErrUnknown
	}
	return a, err
}
