package portal

import (
	"errors"
	"html/template"
	"net/http"
	"net/netip"
	"slices"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
)

// An enrolData is what the page shows that adds a device.
type enrolData struct {
	May, First, HasTOTP bool
	Factor              *need
}

func (v *visit) enrolPage() error { return v.askEnrol("") }

func (v *visit) askEnrol(wrong string) error {
	has, err := v.p.c.Factors.List(v.ctx(), v.session.User.ID)
	if err != nil {
		return err
	}
	if err := v.admit(len(has) == 0); err != nil {
		return err
	}
	d := enrolData{May: v.session.mayEnrol(v.now), First: !v.session.signedIn()}
	d.HasTOTP = slices.ContainsFunc(has, func(a factor.Authenticator) bool { return a.Kind == factor.TOTP })
	if d.Factor, err = v.need("Confirm with a passkey", everyFactor); err != nil {
		return err
	}
	title := "Add a device"
	if d.First {
		title = "Set up your first device"
		if len(has) > 0 {
			title = "Set up a new device"
		}
	}
	s := shown{status: http.StatusOK, name: "enrol", title: title, wrong: wrong, data: d}
	if wrong != "" {
		s.status = http.StatusForbidden
	}
	return v.show(s)
}

// admit lets a user without any device enrol the first one by password alone,
// where and as long as the configuration says so (security.md, MFA-11).
func (v *visit) admit(first bool) error {
	if !first || v.session.mayEnrol(v.now) || !v.now.Before(v.p.c.EnrolUntil) {
		return nil
	}
	from := v.client.Addresses()
	for _, a := range from {
		if !slices.ContainsFunc(v.p.c.Enrol, func(n netip.Prefix) bool { return n.Contains(a) }) {
			return nil
		}
	}
	if len(from) == 0 {
		return nil
	}
	p, err := v.p.c.Factors.Admit(v.ctx(), v.session.User.ID)
	if err != nil {
		return err
	}
	return v.step(p)
}

// redeem takes a binding code of an administrator.
func (v *visit) redeem() error {
	code := account.NewPassword(cleanCode(v.form.Get("binding")))
	defer code.Wipe()
	p, err := v.p.c.Factors.RedeemBindingCode(v.ctx(), v.session.User.ID, code)
	if errors.Is(err, factor.ErrDown) {
		return err
	}
	if err != nil {
		if err := v.record("binding-code", "", "failure"); err != nil {
			return err
		}
		return v.askEnrol("That binding code is not right, was used, or is too old. Ask for a new one.")
	}
	if err := v.step(p); err != nil {
		return err
	}
	return v.redirect("/enrol")
}

// allowEnrol is where a confirmed user goes on to add a device.
func (v *visit) allowEnrol() error { return v.redirect("/enrol") }

// mustMayEnrol refuses who may not add a device.
func (v *visit) mustMayEnrol() error {
	if v.session.mayEnrol(v.now) {
		return nil
	}
	return problem{http.StatusForbidden, "Not yet", "To add a device you must have shown within the last five minutes that it is you. Go back to the start and begin again."}
}

// A totpData is what the page shows that adds an app: its secret, this once.
type totpData struct {
	ID, Secret string
	URI        template.URL
	SVG        template.HTML
}

func (v *visit) beginTOTP() error {
	if err := v.mustMayEnrol(); err != nil {
		return err
	}
	h, err := v.p.c.Factors.BeginTOTP(v.ctx(), v.session.User, v.session.Proof)
	if err != nil {
		return err
	}
	return v.showTOTP(h, "")
}

func (v *visit) showTOTP(h *factor.Half, wrong string) error {
	picture, err := h.SVG()
	if err != nil {
		return err
	}
	s := shown{status: http.StatusOK, name: "totp", title: "Set up an app", wrong: wrong, data: totpData{
		// Both are written by the factor package, of letters, digits and escapes.
		ID: h.ID, Secret: h.Secret(), URI: template.URL(h.URI()), SVG: template.HTML(picture),
	}}
	if wrong != "" {
		s.status = http.StatusForbidden
	}
	return v.show(s)
}

func (v *visit) confirmTOTP() error {
	if err := v.mustMayEnrol(); err != nil {
		return err
	}
	id, user := v.form.Get("id"), v.session.User.ID
	code := account.NewPassword(cleanCode(v.form.Get("code")))
	defer code.Wipe()
	var a factor.Authenticator
	err := v.make("enrol", "", func() (_ string, err error) {
		a, err = v.p.c.Factors.ConfirmTOTP(v.ctx(), user, id, code, "", v.source())
		return a.ID, err
	})
	if errors.Is(err, factor.ErrWrong) {
		h, err := v.p.c.Factors.HalfTOTP(v.ctx(), user, id)
		if err != nil {
			return v.begun(err)
		}
		return v.showTOTP(h, "That code is not right. Type the one that the app shows now.")
	}
	if err != nil {
		return v.begun(err)
	}
	return v.enrolled(factor.Proof{User: user, Kind: factor.TOTP, Authenticator: a.ID, At: v.now})
}

// begun tells of an enrolment that is over.
func (v *visit) begun(err error) error {
	if errors.Is(err, factor.ErrOver) {
		return v.askEnrol("That took too long, or was done before. Please begin again.")
	}
	return err
}

// enrolled goes on with a device that was just added, which proved itself.
func (v *visit) enrolled(p factor.Proof) error {
	first := !v.session.signedIn()
	if err := v.step(p); err != nil {
		return err
	}
	if first {
		return v.done("/", "enrolled")
	}
	return v.done("/devices", "enrolled")
}
