package portal

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"stsgate/gateway/mfa"
	"stsgate/policy"
)

// A grantShown is a grant as its page shows it.
type grantShown struct {
	Index                           int
	ID, Application, Address, Place string
	How                             string
	Until                           time.Time
}

// A choice is an address that can be allowed.
type choice struct{ Value, Text string }

type grantsData struct {
	Grants       []grantShown
	Applications []string
	Addresses    []choice
	Factor       *need
}

func (v *visit) grantsPage() error { return v.showGrants("") }

func (v *visit) showGrants(wrong string) error {
	user := v.session.User.ID
	grants, err := v.p.c.MFA.Grants(v.ctx(), user)
	if err != nil {
		return err
	}
	var d grantsData
	for i, g := range grants {
		d.Grants = append(d.Grants, grantShown{
			Index: i, ID: g.ID, Application: plain(g.Application), Address: where(g.Address), Place: plain(v.p.c.Place(g.Address.Addr())),
			How: how(&g), Until: g.Until,
		})
	}
	if d.Addresses, err = v.choices(); err != nil {
		return err
	}
	for _, name := range v.p.c.Applications() {
		d.Applications = append(d.Applications, plain(name))
	}
	if d.Factor, err = v.needed("Allow with a passkey"); err != nil {
		return err
	}
	s := shown{status: http.StatusOK, name: "allowed", title: "Allowed beforehand", wrong: wrong, data: d}
	if wrong != "" {
		s.status = http.StatusForbidden
	}
	return v.show(s)
}

// how says where a grant comes from.
func how(g *mfa.Grant) string {
	switch {
	case g.Proof.Shape == policy.Grant && g.Used.IsZero():
		return "you allowed it, not used yet"
	case g.Proof.Shape == policy.Grant:
		return "you allowed it"
	case g.Proof.Shape == policy.Code:
		return "you typed a code there"
	}
	return "you approved a sign-in from there"
}

// choices are the addresses that can be allowed: the one of this page, which is
// chosen at first since it is the user's, and those that were seen with the right
// password (security.md, MFA-23).
func (v *visit) choices() ([]choice, error) {
	seen, err := v.p.c.MFA.Seen(v.ctx(), v.session.User.ID)
	if err != nil {
		return nil, err
	}
	var all []choice
	add := func(a netip.Addr, text string) {
		if !slices.ContainsFunc(all, func(c choice) bool { return c.Value == a.String() }) {
			all = append(all, choice{a.String(), text})
		}
	}
	if own := v.address(); own.IsValid() {
		add(own, own.String()+" – where you are now")
	}
	for _, s := range seen {
		if !s.Address.IsValid() {
			continue
		}
		text := s.Address.String()
		if s.Place != "" {
			text += ", " + plain(s.Place)
		}
		add(s.Address, text+" – tried "+plain(s.Application)+" "+span(v.now.Sub(s.At))+" ago")
	}
	return all, nil
}

func (v *visit) addGrant() error {
	application := v.form.Get("application")
	if !slices.Contains(v.p.c.Applications(), application) {
		return errNotFound
	}
	address, err := netip.ParseAddr(v.form.Get("address"))
	if err != nil {
		return errNotFound
	}
	err = v.act("allow", application, func() error {
		return v.p.c.MFA.Allow(v.ctx(), v.session.User.ID, application, address, address == v.address(), v.session.Proof)
	})
	switch {
	case errors.Is(err, mfa.ErrUnseen):
		return errNotFound
	case err != nil:
		return v.over(err, application)
	}
	return v.done("/allowed", "allowed")
}

func (v *visit) removeGrant() error {
	id := v.form.Get("id")
	err := v.act("disallow", id, func() error { return v.p.c.MFA.Revoke(v.ctx(), v.session.User.ID, id) })
	if errors.Is(err, mfa.ErrNoGrant) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	return v.done("/allowed", "ended")
}
