package main

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/audit"
	"stsgate/gateway/config"
	"stsgate/gateway/edge"
	"stsgate/gateway/portal"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// openPortal builds the users' pages, if there are to be any.
func (d *daemon) openPortal(registry *prometheus.Registry) error {
	p := d.c.Portal
	if p == nil {
		return nil
	}
	secret, err := d.parts.secret("portal")
	if err != nil {
		return err
	}
	c := portal.Config{
		URL: portalURL(d.c), Store: d.keeper.records, Secret: secret,
		CheckPassword: d.gateway.CheckPassword, Banned: d.keeper.guard.Banned, Down: gateway.Down,
		Factors: d.keeper.factors, MFA: d.keeper.mfa, Know: d.keeper.knock.Know, Clients: d.parts.clients, Place: d.parts.country,
		Applications: d.applications, History: d.signIns.latest, Explain: d.signIns.one, Record: d.recordAct,
		PasskeyAlone: p.PasskeyAlone, Account: d.gateway.FindAccount, Metrics: registry, Log: d.log,
	}
	if f := p.FirstEnrolment; f != nil {
		c.Enrol, c.EnrolUntil = f.Networks, f.End()
	}
	if d.portal, err = portal.New(c); err != nil {
		return err
	}
	d.keeper.follow(d.portal.Run)
	read, done := context.WithTimeout(context.Background(), readTime)
	defer done()
	return d.portal.Wait(read)
}

// sites are the hosts beside the service's own.
func (d *daemon) sites() []edge.Site {
	if d.portal == nil {
		return nil
	}
	s := edge.Site{Host: d.c.Portal.Host, Certificates: d.parts.portalCertificates}
	for _, o := range d.portal.Paths() {
		s.Routes = append(s.Routes, edge.Route{Path: o.Path, Methods: o.Methods, Handler: d.portal})
	}
	return []edge.Site{s}
}

// refuse answers what has no route. On the portal's host the answer has the
// headers of the portal's.
func (d *daemon) refuse(w http.ResponseWriter, r *http.Request, why *refusal.Refusal) {
	if host, _, _ := strings.Cut(r.Host, ":"); d.portal != nil && strings.EqualFold(host, d.c.Portal.Host) {
		portal.Secure(w.Header())
	}
	d.gateway.Refuse(w, r, why)
}

// country names the country of an address, empty where it is not known.
func (p *parts) country(a netip.Addr) string {
	name, err := p.places.Country(a)
	if err != nil {
		return ""
	}
	return name
}

// applications are those that a grant can be for.
func (d *daemon) applications() []string {
	var all []string
	for _, a := range d.live.Load().Applications() {
		if grantable(d.live.Load(), a) {
			all = append(all, a.Name)
		}
	}
	return all
}

// grantable tells that a rule takes a grant as a second factor for an application.
func grantable(set *policy.Set, a *policy.Application) bool {
	for _, r := range set.Rules() {
		if r.MFA != nil && r.Covers(a) && r.MFA.ShapesFor(a).Has(policy.Grant) {
			return true
		}
	}
	return false
}

// account finds the account of a name.
func (d *daemon) account(ctx context.Context, name string) (account.Account, error) {
	parsed, err := account.ParseName(name)
	if err != nil {
		return account.Account{}, account.ErrUnknown
	}
	return d.parts.directory.Lookup(ctx, parsed)
}

// recordAct writes down what a user did in the portal.
func (d *daemon) recordAct(a portal.Act) error {
	r := audit.Act{
		Time: time.Now().UTC(), Action: "portal-" + a.Name, Outcome: a.Outcome, UserID: a.User, UserName: a.UserName,
		Client: a.Address, Object: a.Object, Factor: a.Factor.Kind.String(), Authenticator: a.Factor.Authenticator,
	}
	if a.Name == portal.Mismatch {
		r.Action = audit.BindingMismatch
	}
	if a.Typed != "" {
		r.UserHash, _ = d.audit.HashName(a.Typed)
	}
	if a.Err != nil {
		r.Reason = refusal.Of(a.Err).String()
	}
	return d.audit.AppendAct(&r)
}

// allCertificates are those of the listeners, and the portal's own.
func (p *parts) allCertificates() []*edge.Certificates {
	if p.portalCertificates == nil {
		return p.certificates
	}
	return append(slices.Clip(p.certificates), p.portalCertificates)
}

// alsoCovered are the names beside the service's that the certificates of the
// listeners must cover.
func alsoCovered(c *config.Config) []string {
	if c.Portal != nil && c.Portal.TLS == nil {
		return []string{c.Portal.Host}
	}
	return nil
}
