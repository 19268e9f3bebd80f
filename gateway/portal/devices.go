package portal

import (
	"errors"
	"fmt"
	"net/http"
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
	return v.show(shown{status: http.StatusOK, name: "devices", title: "Devices", data: d})
}

func (v *visit) device(i int, a *factor.Authenticator) device {
	d := device{Index: i, ID: a.ID, Label: plain(a.Label), Bound: a.Bound, Used: a.Used, Ago: span(v.now.Sub(a.Used)), CanRename: true}
	switch a.Kind {
	case factor.TOTP:
		d.Kind = "Authenticator app"
	case factor.Passkey:
		d.Kind = "Passkey"
		if a.Synced {
			d.More = "on all devices of its account"
		}
	case factor.RADIUS:
		d.Kind, d.CanRename = "Your company's own second factor", false
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
	return v.show(shown{status: http.StatusOK, name: "codes", title: "Your recovery codes", data: texts})
}
