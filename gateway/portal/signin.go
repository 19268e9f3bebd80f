package portal

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
	"stsgate/policy"
)

// A signInData is what the sign-in page shows.
type signInData struct {
	Name         string
	PasskeyAlone bool
}

func (v *visit) signInPage() error {
	if v.session.signedIn() {
		return v.redirect("/")
	}
	return v.askPassword("")
}

// askPassword shows the sign-in page. What it says is the same whatever was
// wrong (security.md, PORT-11).
func (v *visit) askPassword(wrong string) error {
	if v.id == "" {
		v.id = newID()
		setCookie(v.w, v.id) // what its forms are known by
	}
	s := shown{status: http.StatusOK, name: "sign-in", title: "Sign in", wrong: wrong, data: signInData{PasskeyAlone: v.p.c.PasskeyAlone}}
	if wrong != "" {
		s.status = http.StatusForbidden
	}
	return v.show(s)
}

const signInFailed = "That did not work. Check your user name and password and try again in a moment."

// signIn takes a name and a password, which go where those of an exchange go.
func (v *visit) signIn() error {
	from := v.client.Addresses()
	if len(from) == 0 {
		return v.askPassword(signInFailed) // nobody knows whose request it is
	}
	pw := account.NewPassword([]byte(v.form.Get("password")))
	defer pw.Wipe()
	a, err := v.p.c.CheckPassword(v.ctx(), v.form.Get("name"), pw, from)
	if err != nil && v.p.c.Down(err) {
		return err
	}
	if err != nil {
		if err := v.p.c.Record(Act{Name: "sign-in", Typed: v.form.Get("name"), Err: err, Address: v.address(), Outcome: "failure"}); err != nil {
			return err
		}
		return v.askPassword(signInFailed)
	}
	if err := v.enter(sessionOf(&a, v.now), "sign-in"); err != nil {
		return err
	}
	v.know()
	return v.redirect("/sign-in/factor")
}

// enter begins the session of somebody who has proven something, once that is
// written down: nobody gets anywhere of whom there is no record (AUD-01).
func (v *visit) enter(s session, act string) error {
	if err := v.recordOf(&s, act, "", "success"); err != nil {
		return err
	}
	return v.begin(s)
}

// know has the user of the session found by notices, which may name no more
// than the GUID.
func (v *visit) know() {
	if v.p.c.Know != nil {
		v.p.c.Know(v.ctx(), v.recipient())
	}
}

// A factorData is what a page shows that asks for a factor.
type factorData struct {
	Action, Text, Button string
	Fields               []field
	Factor               *need
	Lost                 bool
}

// A field is one of a form that is sent again.
type field struct{ Name, Value string }

func (v *visit) factorPage() error {
	if v.session.signedIn() {
		return v.redirect("/")
	}
	return v.askFactor("", nil)
}

// askFactor asks for the second factor of a sign-in, or for what an MFA server
// asks of it. A user who has none goes on to enrol one.
func (v *visit) askFactor(wrong string, asked *factor.Challenge) error {
	n, err := v.need("Use a passkey", everyFactor)
	if err != nil {
		return err
	}
	n.carry(asked)
	if !n.HasCode && !n.HasPasskey {
		return v.redirect("/enrol")
	}
	s := shown{status: http.StatusOK, name: "factor", title: "Confirm that it is you", wrong: wrong, data: factorData{
		Action: "/sign-in/factor", Button: "Sign in", Factor: n, Lost: true,
	}}
	if wrong != "" {
		s.status = http.StatusForbidden
	}
	return v.show(s)
}

func (v *visit) proveFactor() error {
	proof, wrong, err := v.prove()
	asked, isAsked := errors.AsType[*factor.Challenge](err)
	if err != nil && !isAsked {
		return err
	}
	if isAsked || wrong != "" {
		if v.session.signedIn() {
			return v.redirect("/")
		}
		return v.askFactor(wrong, asked)
	}
	if err := v.step(proof); err != nil {
		return err
	}
	if proof.Kind == factor.Passkey { // whose user may have another name since it was made
		if err := v.p.remember(v.ctx(), v.session); err != nil {
			v.p.c.Log.Warn("a user is not found by a passkey alone", "user", v.session.User.ID, "err", err)
		}
	}
	if v.replaced != "" {
		return v.showReplaced("", nil) // to devices, of which some may be lost
	}
	return v.redirect("/")
}

// prove spends what a form brought to prove a factor with. What was wrong with
// it is said in wrong, for the user, whose password is proven. That an MFA server
// asks for more is a *factor.Challenge.
func (v *visit) prove() (p factor.Proof, wrong string, err error) {
	u := v.session.User
	if assertion := v.form.Get("assertion"); assertion != "" {
		p, err = v.assert(assertion)
	} else if asked := v.form.Get("asked"); asked != "" {
		text := account.NewPassword([]byte(strings.TrimSpace(v.form.Get("code"))))
		defer text.Wipe()
		p, err = v.p.c.Factors.AnswerChallenge(v.ctx(), u, asked, text, v.source())
	} else {
		code := account.NewPassword(cleanCode(v.form.Get("code")))
		defer code.Wipe()
		if factor.CodeFactors(code.Bytes()) == policy.Recovery {
			p, err = v.replace(code)
		} else {
			p, err = v.p.c.Factors.CheckCode(v.ctx(), u, code, policy.TOTP|policy.RADIUS, v.source())
		}
	}
	if err == nil {
		return p, "", nil
	}
	wrong = whatWasWrong(err)
	if wrong == "" {
		return p, "", err
	}
	if err := v.record("factor", "", "failure"); err != nil {
		return p, "", err
	}
	return p, wrong, nil
}

// replace spends a recovery code, and has the one that takes its place shown on
// the page that follows.
func (v *visit) replace(code account.Password) (p factor.Proof, err error) {
	var next account.Password
	err = v.make("recovery-code", "", func() (string, error) {
		p, next, err = v.p.c.Factors.ReplaceRecoveryCode(v.ctx(), v.session.User.ID, code, v.source())
		return p.Authenticator, err
	})
	if err != nil {
		return factor.Proof{}, err
	}
	v.replaced = string(next.Bytes())
	next.Wipe()
	return p, nil
}

// whatWasWrong says it to the user; empty where it is not the user's fault.
func whatWasWrong(err error) string {
	if t, ok := errors.AsType[factor.Throttle](err); ok {
		return "Too many wrong codes. None is taken for " + span(time.Until(t.Until)) + "."
	}
	switch {
	case errors.Is(err, factor.ErrDown):
		return ""
	case errors.Is(err, factor.ErrReused):
		return "That code was used before. Wait for the next one."
	case errors.Is(err, factor.ErrDisabled):
		return "Too many codes were wrong, so this device is not taken any more. Use another one, or ask your help desk for a binding code."
	case errors.Is(err, factor.ErrCloned):
		return "This passkey may have been copied, so it is not taken. Use another device, remove this one there, and tell your help desk."
	case errors.Is(err, factor.ErrOver):
		return "That took too long. Please try again."
	case errors.Is(err, factor.ErrWrong), errors.Is(err, factor.ErrMissing):
		return "That code is not right."
	}
	return ""
}

// cleanCode drops what people put between the digits of a code.
func cleanCode(s string) []byte {
	return slices.DeleteFunc([]byte(s), func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' })
}

// step goes on with a proven factor, under a new id (PORT-01). The time of the
// sign-in stays: a session does not live longer by it.
func (v *visit) step(p factor.Proof) error {
	name := "factor"
	switch {
	case v.session.signedIn():
		name = "confirm"
	case p.Kind == factor.Binding, p.Kind == factor.Admission:
		name = "binding-code"
	}
	s := *v.session
	s.Proof = p
	return v.enter(s, name)
}

// brought tells that a form came with a factor, which may be of another kind than
// the session's.
func (v *visit) brought() bool {
	return v.form.Get("code") != "" || v.form.Get("assertion") != "" || v.form.Get("asked") != ""
}

// freshen takes a factor along with a form whose route needs a fresh one, or
// asks for it: the form is then sent again with what it had (PORT-02).
func (v *visit) freshen(rt *route) (done bool, err error) {
	wrong := ""
	var asked *factor.Challenge
	if v.brought() {
		var p factor.Proof
		p, wrong, err = v.prove()
		if err == nil && wrong == "" {
			if err := v.step(p); err != nil || v.replaced == "" {
				return true, err
			}
			return false, v.showReplaced(rt.path, v.carried())
		}
		isAsked := false
		if asked, isAsked = errors.AsType[*factor.Challenge](err); err != nil && !isAsked {
			return false, err
		}
	}
	n, err := v.need("Confirm with a passkey", everyFactor)
	if err != nil {
		return false, err
	}
	n.carry(asked)
	d := factorData{
		Action: rt.path, Button: "Confirm", Factor: n, Fields: v.carried(),
		Text: "For this you must have shown within the last five minutes that it is you.",
	}
	return false, v.show(shown{status: http.StatusForbidden, name: "factor", title: "Confirm that it is you", wrong: wrong, data: d})
}

// carried are what is sent again of a form: what forms of routes that need a
// fresh factor have, and nothing else that came.
func (v *visit) carried() (all []field) {
	for _, name := range []string{"id", "number", "application", "address"} {
		if value := v.form.Get(name); value != "" {
			all = append(all, field{name, value})
		}
	}
	return all
}

func (v *visit) signOut() error {
	if err := v.end(); err != nil {
		return err
	}
	v.id = newID()
	setCookie(v.w, v.id)
	return v.done("/sign-in", "signed-out")
}

func (v *visit) signOutEverywhere() error {
	if err := v.act("sign-out-everywhere", "", func() error { return v.p.endAll(v.ctx(), v.session.User.ID) }); err != nil {
		return err
	}
	return v.signOut()
}

// record writes down what the user does.
func (v *visit) record(name, object, outcome string) error {
	return v.recordOf(v.session, name, object, outcome)
}

func (v *visit) recordOf(s *session, name, object, outcome string) error {
	return v.p.c.Record(Act{
		Name: name, User: s.User.ID, UserName: s.User.UPN, Address: v.address(), Object: object, Factor: s.Proof, Outcome: outcome,
	})
}

// act does something and writes down that it will be done, without which it is
// not, and what became of it.
func (v *visit) act(name, object string, do func() error) error {
	return v.make(name, object, func() (string, error) { return object, do() })
}

// make is act for something that has another id when it is done.
func (v *visit) make(name, object string, do func() (made string, err error)) error {
	if err := v.record(name, object, "unknown"); err != nil {
		return err
	}
	made, err := do()
	if err != nil {
		return errors.Join(err, v.record(name, object, "failure"))
	}
	return v.record(name, made, "success")
}

// address is where the user is; the zero Addr where it is not known.
func (v *visit) address() netip.Addr {
	if from := v.client.Addresses(); len(from) == 1 {
		return from[0]
	}
	return netip.Addr{}
}

// source is who changes an authenticator.
func (v *visit) source() factor.Source { return factor.Source{Address: v.address()} }
