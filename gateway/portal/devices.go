package portal

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
)

// A device is an authenticator as its page shows it.
type device struct {
	Index                       int
	ID, Label, Kind, More, Note string
	Bound, Used                 time.Time
	Ago                         string
	CanRename                   bool
}

type devicesData struct {
	Devices []device
	Codes   int // recovery codes that are left
	Past    []pastDevice
}

// A pastDevice is an authenticator that the user has no more (MFA-12).
type pastDevice struct {
	Label, Kind    string
	Bound, Unbound time.Time
	Desk           bool   // an operator took it away
	From           string // the address that it was taken away from, if it is known
}

func (v *visit) devicesPage() error {
	has, err := v.p.c.Factors.List(v.ctx(), v.session.User.ID)
	if err != nil {
		return err
	}
	var d devicesData
	for i, a := range has {
		if a.Kind == factor.Recovery {
			d.Codes = a.Left
			continue
		}
		d.Devices = append(d.Devices, v.device(i, &a))
	}
	if d.Past, err = v.past(); err != nil {
		return err
	}
	return v.show(shown{status: http.StatusOK, name: "devices", title: "Devices", data: d})
}

// past returns what the user had, the latest first.
func (v *visit) past() ([]pastDevice, error) {
	had, err := v.p.c.Factors.Past(v.ctx(), v.session.User.ID)
	if err != nil {
		return nil, err
	}
	slices.Reverse(had)
	var all []pastDevice
	for _, a := range had {
		d := pastDevice{Label: plain(a.Label), Kind: kindText(a.Kind), Bound: a.Bound, Unbound: a.Unbound, Desk: a.By.By != ""}
		if a.By.Address.IsValid() {
			d.From = a.By.Address.String()
		}
		all = append(all, d)
	}
	return all, nil
}

// kindText says to users what an authenticator is.
func kindText(k factor.Kind) string {
	switch k {
	case factor.TOTP:
		return "Authenticator app"
	case factor.Passkey:
		return "Passkey"
	case factor.RADIUS:
		return "Your company's own second factor"
	case factor.Recovery:
		return "Recovery codes"
	}
	return ""
}

func (v *visit) device(i int, a *factor.Authenticator) device {
	d := device{
		Index: i, ID: a.ID, Label: plain(a.Label), Kind: kindText(a.Kind), Bound: a.Bound, Used: a.Used, Ago: span(v.now.Sub(a.Used)),
		CanRename: a.Kind != factor.RADIUS,
	}
	if a.Synced {
		d.More = "on all devices of its account"
	}
	switch {
	case a.Disabled:
		d.Note = "Too many codes were wrong: it is not taken any more. Remove it, and add it anew."
	case v.now.Before(a.Until):
		d.Note = "Codes were wrong: none is taken for " + span(a.Until.Sub(v.now)) + "."
	}
	return d
}

func (v *visit) rename() error {
	id := v.form.Get("id")
	err := v.act("rename", id, func() error { return v.p.c.Factors.Rename(v.ctx(), v.session.User.ID, id, v.form.Get("label")) })
	if err != nil {
		return missing(err)
	}
	return v.done("/devices", "renamed")
}

// missing tells of an authenticator that the user does not have as of anything
// else that is not there (PORT-06).
func missing(err error) error {
	if errors.Is(err, factor.ErrMissing) {
		return errNotFound
	}
	return err
}

func (v *visit) remove() error {
	id := v.form.Get("id")
	err := v.act("remove", id, func() error {
		return v.p.c.Factors.Unbind(v.ctx(), v.session.User.ID, id, v.session.Proof, v.source())
	})
	if err != nil {
		return missing(err)
	}
	return v.done("/devices", "removed")
}

// recoveryCodes makes new ones and shows them, this once.
func (v *visit) recoveryCodes() error {
	var codes []account.Password
	err := v.act("recovery-codes", "", func() (err error) {
		codes, err = v.p.c.Factors.NewRecoveryCodes(v.ctx(), v.session.User.ID, v.session.Proof, v.source())
		return err
	})
	if err != nil {
		return fmt.Errorf("make recovery codes: %w", err)
	}
	var texts []string
	for _, c := range codes {
		texts = append(texts, string(c.Bytes()))
		c.Wipe()
	}
	return v.show(shown{status: http.StatusOK, name: "codes", title: "Your recovery codes", data: codesData{Codes: texts}})
}

// A codesData is what the page of recovery codes shows.
type codesData struct {
	Codes    []string
	Replaced bool // the one is in the place of one that was used
	// Then is where the form goes on that brought that one, with what it had; empty
	// for a sign-in.
	Then   string
	Fields []field
}

// showReplaced shows the code that took the place of the one that was used, this
// once, before what its user came for goes on.
func (v *visit) showReplaced(then string, fields []field) error {
	return v.show(shown{status: http.StatusOK, name: "codes", title: "Your new recovery code", data: codesData{
		Codes: []string{v.replaced}, Replaced: true, Then: then, Fields: fields,
	}})
}
