package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/config"
	"stsgate/gateway/family"
	"stsgate/gateway/guard"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// mfaParts are what mfa in the configuration names.
type mfaParts struct {
	hold     map[string]time.Duration
	webhooks []knock.Webhook
	smtp     *knock.SMTP
	radius   *factor.RADIUSServers
}

// loadMFA reads what a second factor needs.
func loadMFA(c *config.MFA) (*mfaParts, error) {
	p := &mfaParts{hold: map[string]time.Duration{}}
	var errs []error
	for i, f := range c.Hold.Families {
		if !slices.Contains(families(), f.Family) && f.Family != string(family.Unknown) {
			errs = append(errs, fmt.Errorf("mfa.hold.families[%d]: %q is no family of clients: want %s", i, f.Family, strings.Join(families(), ", ")))
		}
		p.hold[f.Family] = f.Wait
	}
	for _, w := range c.Webhooks {
		loaded, err := loadWebhook(w)
		errs = append(errs, err)
		p.webhooks = append(p.webhooks, loaded)
	}
	var err error
	if c.SMTP != nil {
		p.smtp, err = loadSMTP(c.SMTP)
		errs = append(errs, err)
	}
	if r := c.RADIUS; r != nil {
		p.radius, err = loadRADIUS(r)
		errs = append(errs, err)
	}
	errs = append(errs, knock.Check("https://portal", p.webhooks, p.smtp))
	return p, errors.Join(errs...)
}

func loadWebhook(c config.Webhook) (knock.Webhook, error) {
	w := knock.Webhook{Name: c.Name, URL: c.URL, Form: string(c.Form), Topic: c.Topic, NoticesOnly: c.NoticesOnly}
	var errs []error
	var err error
	if c.Template != "" {
		text, err := os.ReadFile(c.Template)
		errs = append(errs, err)
		w.Template = string(text)
	}
	if c.Secret != "" {
		w.Secret, err = readSecret(c.Secret)
		errs = append(errs, err)
	}
	if c.CA != "" {
		w.CA, err = readPool(c.CA)
		errs = append(errs, err)
	}
	return w, errors.Join(errs...)
}

func loadSMTP(c *config.SMTP) (*knock.SMTP, error) {
	s := &knock.SMTP{Address: c.Address, Implicit: c.TLS == config.ImplicitTLS, From: c.From, Username: c.Username, NoticesOnly: c.NoticesOnly}
	var errs []error
	var err error
	if c.Password != "" {
		s.Password, err = readSecret(c.Password)
		errs = append(errs, err)
	}
	if c.CA != "" {
		s.CA, err = readPool(c.CA)
		errs = append(errs, err)
	}
	return s, errors.Join(errs...)
}

func loadRADIUS(c *config.RADIUS) (*factor.RADIUSServers, error) {
	r := &factor.RADIUSServers{Servers: c.Servers, SAM: c.Name == config.SAM, NAS: c.NAS, Timeout: c.Timeout, Tries: c.Tries}
	var err error
	if c.TLS == nil {
		r.Secret, err = readSecret(c.Secret)
		return r, err
	}
	if r.TLS, err = clientTLS(c.TLS.CA, c.TLS.Certificate, c.TLS.Key); err != nil {
		return nil, err
	}
	r.TLS.ServerName = c.TLS.Name
	return r, nil
}

// readSecret reads a file that only its owner may read, without a line break at
// its end.
func readSecret(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s: mode %04o gives rights to others than its owner; it must be 0400 or 0600", fromHere(file), mode)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r")), nil
}

// portalURL is where users reach the portal, empty without one.
func portalURL(c *config.Config) string {
	switch {
	case c.Portal == nil:
		return ""
	case c.Portal.URL != "":
		return c.Portal.URL
	}
	if _, port, err := net.SplitHostPort(c.Listen[0].Address); err == nil && port != "443" {
		return "https://" + net.JoinHostPort(c.Portal.Host, port)
	}
	return "https://" + c.Portal.Host
}

// openMFA builds what settles second factors over the store.
func (m *keeper) openMFA(c *config.Config, p *parts, store state.Store, clock func() error, registry prometheus.Registerer, log *slog.Logger) error {
	portal := portalURL(c)
	f := factor.Config{Store: store, RADIUS: p.mfa.radius, Clock: clock, Metrics: registry, Log: log}
	s := mfa.Config{
		Store: store, Portal: portal, Separator: c.MFA.Separator, Hold: p.mfa.hold, DefaultHold: c.MFA.Hold.Default,
		Families: append(families(), string(family.Unknown)), Metrics: registry, Log: log,
	}
	var err error
	m.knock, err = knock.New(knock.Config{Store: store, Portal: portal, Webhooks: p.mfa.webhooks, SMTP: p.mfa.smtp, Metrics: registry, Log: log})
	if err != nil {
		return err
	}
	f.Notify, m.country = m.happened, p.country
	s.Knock, s.Notify, s.Know, s.Forget = m.knock.Knock, m.knock.Notify, m.knock.Know, m.guard.Forget
	if portal != "" {
		f.Issuer, f.RPID, f.Origin = c.Portal.Host, c.Portal.Host, portal
	}
	for use, to := range map[string]*[]byte{"factor": &f.Secret, "mfa": &s.Secret} {
		secret, err := p.secret(use)
		if err != nil {
			return err
		}
		*to = secret
	}
	if m.factors, err = factor.New(f); err != nil {
		return err
	}
	s.Factors = m.factors
	m.mfa, err = mfa.New(s)
	return err
}

// happened queues what happened to authenticators for their user. What was
// proven with one that is gone, or that somebody else may have, stands no more.
func (m *keeper) happened(ctx context.Context, e factor.Event) error {
	switch e.What {
	case factor.Unbound, factor.Reset, factor.Disabled, factor.Cloned:
		if err := m.mfa.RevokeAll(ctx, e.User); err != nil {
			return err
		}
	}
	n := knock.Notice{
		ID: e.ID, What: knock.What(e.What), To: knock.Recipient{ID: e.User}, Address: e.Source.Address,
		Factor: e.Kind.String(), Added: e.Added, At: e.At, Left: e.Left, Replaced: e.Replaced,
	}
	if n.Address.IsValid() {
		n.Place = m.country(n.Address)
	}
	return m.knock.Notify(ctx, n)
}

// disowned are the addresses that users closed to themselves, as operators see
// them beside locks.
func (m *keeper) disowned(ctx context.Context) ([]guard.Closed, error) {
	closed, err := m.mfa.Closed(ctx)
	var all []guard.Closed
	for _, c := range closed {
		where := c.Address.String()
		if c.Address.IsSingleIP() {
			where = c.Address.Addr().String()
		}
		all = append(all, guard.Closed{User: c.User, Addresses: where, Hold: guard.Hold{Until: c.Until, By: "the user", Why: "this was not me"}})
	}
	return all, err
}

// reopen opens to a user again what the user closed.
func (m *keeper) reopen(ctx context.Context, user string) error {
	err := m.mfa.Reopen(ctx, user)
	if errors.Is(err, mfa.ErrOpen) {
		err = guard.ErrNothing
	}
	return err
}

// know remembers where the user of an account is told.
func (m *keeper) know(ctx context.Context, a account.Account) {
	to := knock.Recipient{ID: a.ID, Name: a.UPN}
	if all := a.Attributes["mail"]; len(all) > 0 {
		to.Mail = all[0]
	}
	m.knock.Know(ctx, to)
}

// unmet are the second factors that rules require and that nobody can ever
// meet with this configuration.
func unmet(set *policy.Set, c *config.Config) []string {
	var all []string
	for _, r := range set.Rules() {
		if r.MFA == nil {
			continue
		}
		for _, a := range set.Applications() {
			if r.Covers(a) && !meetable(r.MFA, a, c) {
				all = append(all, fmt.Sprintf("%s:%d: rule %q: nobody can meet its second factor for application %q: %s", r.File, r.Line, r.Name, a.Name, missing(c)))
			}
		}
	}
	return all
}

func meetable(m *policy.MFA, a *policy.Application, c *config.Config) bool {
	const typed = policy.TOTP | policy.RADIUS | policy.Recovery
	shapes, has := m.ShapesFor(a), policy.Factors(0)
	if c.Portal != nil {
		has = policy.TOTP | policy.Passkey | policy.Recovery
	} else {
		shapes &= policy.Code
	}
	if c.MFA.RADIUS != nil {
		has |= policy.RADIUS
	}
	has &= m.Factors
	return shapes&^policy.Code != 0 && has != 0 || shapes.Has(policy.Code) && has&typed != 0
}

// missing says what the configuration lacks.
func missing(c *config.Config) string {
	switch {
	case c.Portal == nil && c.MFA.RADIUS == nil:
		return "neither portal nor mfa.radius is configured"
	case c.Portal == nil:
		return "no portal is configured, so only codes of mfa.radius are taken"
	case c.MFA.RADIUS == nil:
		return "mfa.radius is not configured"
	}
	return "none of its shapes takes one of its factors"
}
