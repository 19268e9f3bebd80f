package config

import (
	"net/url"
	"slices"
	"strconv"
	"time"
)

// MFA is how a second factor is asked for, and how users hear that something
// waits for them. To hold a request, to challenge and to approve beforehand need
// the portal; a code behind the password does not.
type MFA struct {
	// Hold is how long clients wait while their users approve.
	// Takes effect on restart.
	Hold Hold `yaml:"hold"`
	// Separator stands between a password and the code behind it, as in
	// password,123456; one to four characters. Default: a comma. Takes effect on
	// restart.
	Separator string `yaml:"separator" check:"required"`
	// Webhooks are the messengers that users hear from. Default: empty, none.
	// Takes effect on restart.
	Webhooks []Webhook `yaml:"webhooks"`
	// SMTP is the server that takes mail for users. Default: absent, none. Takes
	// effect on restart.
	SMTP *SMTP `yaml:"smtp"`
	// RADIUS is the MFA server that the company already runs. Default: absent,
	// none. Takes effect on restart.
	RADIUS *RADIUS `yaml:"radius"`
}

// Hold is how long clients wait for their answer while their users approve.
type Hold struct {
	// Default is for families of clients that are not in families; less than
	// what the client and a balancer in front wait. 0s holds none. Default: 45s,
	// at most 70s. Takes effect on restart.
	Default time.Duration `yaml:"default"`
	// Families are those that wait longer or shorter. Default: empty. Takes
	// effect on restart.
	Families []FamilyHold `yaml:"families"`
	// Prove is who proves the password of a request that owes a second factor and
	// is to be forwarded: farm, whose answer then waits in memory until the
	// factor is proven; or directory, so that the farm makes no token before,
	// which also serves applications whose tokens are encrypted. Default: farm.
	// Takes effect on restart.
	Prove Prover `yaml:"prove"`
}

// A Prover proves passwords.
type Prover string

// The provers.
const (
	ProveFarm      Prover = "farm"
	ProveDirectory Prover = "directory"
)

func (Prover) words() []string { return []string{string(ProveFarm), string(ProveDirectory)} }

// FamilyHold is how long the clients of one family wait.
type FamilyHold struct {
	// Family is its name, as in policies. Required. Takes effect on restart.
	Family string `yaml:"family" check:"required"`
	// Wait is how long they do. Default: 0s, they are not held; at most 70s.
	// Takes effect on restart.
	Wait time.Duration `yaml:"wait"`
}

// Webhook is an address that what users must hear of is posted to, as JSON.
// Whoever knows the address of a messenger may be able to post there.
type Webhook struct {
	// Name is its name in metrics and logs. Required. Takes effect on restart.
	Name string `yaml:"name" check:"required"`
	// URL is the address: https, or http on loopback. Redirects are not followed.
	// Required. Takes effect on restart.
	URL string `yaml:"url" check:"required"`
	// Form is the messenger's: generic, slack, teams, matrix or ntfy. Default:
	// absent; either form or template is required. Takes effect on restart.
	Form WebhookForm `yaml:"form"`
	// Template is a file with a text/template of the JSON document, with the
	// fields Event, User, Mail, Application, Place, Time, Portal and Text, each
	// between quotes. Default: absent. Takes effect on restart.
	Template string `yaml:"template" check:"file"`
	// Topic is where ntfy puts it. Default: absent. Takes effect on restart.
	Topic string `yaml:"topic"`
	// Secret is a file with at least 16 bytes that only its owner may read: what
	// is posted then has the headers Stsgate-Timestamp and Stsgate-Signature,
	// "v1=" and in hex the HMAC-SHA-256 of timestamp, a dot and the body.
	// Default: absent, not signed. Takes effect on restart.
	Secret string `yaml:"secret" check:"file"`
	// NoticesOnly keeps sign-ins that wait from it, of which there may be many.
	// Default: false. Takes effect on restart.
	NoticesOnly bool `yaml:"notices_only"`
	// CA is a PEM file of the authorities that may have signed the receiver's
	// certificate. Default: absent, those that the system trusts. Takes effect on
	// restart.
	CA string `yaml:"ca" check:"file"`
}

// A WebhookForm is what a messenger takes.
type WebhookForm string

func (WebhookForm) words() []string { return []string{"generic", "slack", "teams", "matrix", "ntfy"} }

// SMTP is a server that takes mail for users, over TLS alone.
type SMTP struct {
	// Address is host:port of the server. Required. Takes effect on restart.
	Address string `yaml:"address" check:"required"`
	// TLS is starttls (port 587), or implicit where TLS begins at once (port
	// 465). Default: starttls. Takes effect on restart.
	TLS SMTPTLS `yaml:"tls"`
	// From is the sender: an address, or "Name <address>". Required. Takes effect
	// on restart.
	From string `yaml:"from" check:"required"`
	// Username signs in to the server. Default: absent, nobody does. Takes effect
	// on restart.
	Username string `yaml:"username"`
	// Password is a file with the password, which only its owner may read; a line
	// break at its end is left out. Default: absent. Takes effect on restart.
	Password string `yaml:"password" check:"file"`
	// NoticesOnly keeps sign-ins that wait from it. Default: false. Takes effect
	// on restart.
	NoticesOnly bool `yaml:"notices_only"`
	// CA is a PEM file of the authorities that may have signed the server's
	// certificate. Default: absent, those that the system trusts. Takes effect on
	// restart.
	CA string `yaml:"ca" check:"file"`
}

// An SMTPTLS says how TLS begins.
type SMTPTLS string

// The ways in which it does.
const (
	StartTLS    SMTPTLS = "starttls"
	ImplicitTLS SMTPTLS = "implicit"
)

func (SMTPTLS) words() []string { return []string{string(StartTLS), string(ImplicitTLS)} }

// RADIUS is an MFA server. Its answers must have a Message-Authenticator.
type RADIUS struct {
	// Servers are host:port; the one that answered last is asked first. The port
	// is 1812, over TLS 2083. At least one. Required. Takes effect on restart.
	Servers []string `yaml:"servers" check:"required"`
	// Secret is a file with the secret that all servers share, at least 16 bytes,
	// which only its owner may read; a line break at its end is left out.
	// Default: absent; either secret or tls is required. Takes effect on restart.
	Secret string `yaml:"secret" check:"file"`
	// TLS has the servers asked by RADIUS over TLS (RadSec, RFC 6614), at least
	// 1.2, whose shared secret is always radsec. Default: absent, UDP. Takes
	// effect on restart.
	TLS *RADIUSTLS `yaml:"tls"`
	// Name is what the servers know a user by: upn, or sam for the name without a
	// domain. Default: upn. Takes effect on restart.
	Name RADIUSName `yaml:"name"`
	// NAS is what they know the gateway by. Default: stsgate. Takes effect on
	// restart.
	NAS string `yaml:"nas" check:"required"`
	// Timeout is how long a server has for a try; long, with one try, for one
	// that answers when its user has approved on a phone. Default: 3s, above 0,
	// at most 60s. Takes effect on restart.
	Timeout time.Duration `yaml:"timeout"`
	// Tries is how often each server is asked. Over TLS it is once, with the time
	// of all tries. Default: 2, from 1 to 5. Takes effect on restart.
	Tries int `yaml:"tries"`
}

// RADIUSTLS is how servers and the gateway know one another.
type RADIUSTLS struct {
	// CA is a PEM file of the authorities that may vouch for the servers. Required.
	// Takes effect on restart.
	CA string `yaml:"ca" check:"required,file"`
	// Name is what the servers' certificates must name. Default: absent, each the
	// host of its address. Takes effect on restart.
	Name string `yaml:"name"`
	// Certificate is a PEM file with the certificate that the gateway shows, Key
	// one with its private key. Default: absent, none, which few servers take.
	// Takes effect on restart.
	Certificate string `yaml:"certificate" check:"file"`
	// Key is a PEM file with the private key of that certificate. Default: absent.
	// Takes effect on restart.
	Key string `yaml:"key" check:"file"`
}

// A RADIUSName is a name of a user.
type RADIUSName string

// The names.
const (
	UPN RADIUSName = "upn"
	SAM RADIUSName = "sam"
)

func (RADIUSName) words() []string { return []string{string(UPN), string(SAM)} }

func defaultMFA() MFA {
	return MFA{
		Hold: Hold{Default: 45 * time.Second, Prove: ProveFarm}, Separator: ",", SMTP: &SMTP{TLS: StartTLS},
		RADIUS: &RADIUS{Name: UPN, NAS: "stsgate", Timeout: 3 * time.Second, Tries: 2, TLS: new(RADIUSTLS)},
	}
}

// longestHold is less than what a stop waits.
const longestHold = 70 * time.Second

func (d *decoder) checkMFA(m *MFA, portal *Portal, directory *Directory) {
	if m.Hold.Prove == ProveDirectory && directory == nil {
		d.checkf("mfa.hold.prove", "directory needs one, and none is configured")
	}
	if w := m.Hold.Default; w < 0 || w > longestHold {
		d.checkf("mfa.hold.default", "want 0s to %v, got %v", longestHold, w)
	}
	for i, f := range m.Hold.Families {
		if f.Wait < 0 || f.Wait > longestHold {
			d.checkf("mfa.hold.families["+strconv.Itoa(i)+"].wait", "want 0s to %v, got %v", longestHold, f.Wait)
		}
	}
	if len(m.Separator) > 4 {
		d.checkf("mfa.separator", "want one to four characters, got %q", m.Separator)
	}
	for i, w := range m.Webhooks {
		path := "mfa.webhooks[" + strconv.Itoa(i) + "]"
		if (w.Form == "") == (w.Template == "") {
			d.checkf(path, "want either form or template")
		}
		if u, err := url.Parse(w.URL); w.URL != "" && (err != nil || u.Host == "") {
			d.checkf(path+".url", "cannot be read") // whoever knows it may post
		}
	}
	prompts := func(w Webhook) bool { return !w.NoticesOnly }
	if portal == nil && (slices.ContainsFunc(m.Webhooks, prompts) || m.SMTP != nil && !m.SMTP.NoticesOnly) {
		d.checkf("mfa", "webhooks and smtp need a portal, which users are sent to, or notices_only")
	}
	if s := m.SMTP; s != nil && (s.Username == "") != (s.Password == "") {
		d.checkf("mfa.smtp", "username and password belong together")
	}
	if m.RADIUS != nil {
		d.checkRADIUS(m.RADIUS)
	}
}

func (d *decoder) checkRADIUS(r *RADIUS) {
	if r.Timeout <= 0 || r.Timeout > time.Minute || r.Tries < 1 || r.Tries > 5 {
		d.checkf("mfa.radius", "want a timeout above 0s and at most 1m, and 1 to 5 tries, got %v and %d", r.Timeout, r.Tries)
	}
	if (r.Secret == "") == (r.TLS == nil) {
		d.checkf("mfa.radius", "want either secret or tls, whose secret is always radsec")
	}
	if t := r.TLS; t != nil && (t.Certificate == "") != (t.Key == "") {
		d.checkf("mfa.radius.tls", "certificate and key belong together")
	}
}
