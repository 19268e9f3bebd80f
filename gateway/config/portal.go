package config

import (
	"net/netip"
	"time"
)

// Portal is where users enrol second factors, approve what waits for them, and
// see their own sign-ins.
type Portal struct {
	// Host is the portal's own name, on the addresses in listen; nothing of the
	// service's host is found there, nor the other way round. Passkeys are bound
	// to it: with another name all are enrolled anew. A DNS name in lower case.
	// Required. Takes effect on restart.
	Host string `yaml:"host" check:"required"`
	// URL is where users reach it, https://host or https://host:port. Default:
	// host, and the port of the first listener. Takes effect on restart.
	URL string `yaml:"url"`
	// TLS is the portal's certificate. Default: absent, those of the listeners,
	// which must then cover both names. Takes effect on restart, apart from the
	// keys that say otherwise.
	TLS *PortalTLS `yaml:"tls"`
	// PasskeyAlone lets a user sign in with a passkey that checks who uses it (by
	// a fingerprint or a PIN), and without the password. Default: true. Takes
	// effect on restart.
	PasskeyAlone bool `yaml:"passkey_alone"`
	// FirstEnrolment lets a user without a second factor enrol the first one by
	// password alone. Default: absent, that takes a binding code of an
	// administrator (stsgate mfa binding-code). Takes effect on restart.
	FirstEnrolment *FirstEnrolment `yaml:"first_enrolment"`
}

// PortalTLS is the portal's own certificate with its key.
type PortalTLS struct {
	// Certificate is a PEM file: the certificate, then its intermediates. It must
	// cover portal.host. Required. Reloaded on SIGHUP.
	Certificate string `yaml:"certificate" check:"required,file"`
	// Key is a PEM file with the certificate's private key. Required. Reloaded on
	// SIGHUP.
	Key string `yaml:"key" check:"required,file"`
}

// FirstEnrolment says from where and until when a password is enough.
type FirstEnrolment struct {
	// Networks are the addresses and prefixes from which it is, such as
	// 198.51.100.0/24. At least one. Required. Takes effect on restart.
	Networks []netip.Prefix `yaml:"networks" check:"required"`
	// Until is the last day, in UTC, as 2027-01-31. Required. Takes effect on
	// restart.
	Until string `yaml:"until" check:"required"`
}

// End returns the moment at which the last day is over.
func (f *FirstEnrolment) End() time.Time {
	day, err := time.Parse(time.DateOnly, f.Until)
	if err != nil {
		return time.Time{}
	}
	return day.AddDate(0, 0, 1)
}

func defaultPortal() *Portal {
	return &Portal{TLS: new(PortalTLS), PasskeyAlone: true, FirstEnrolment: new(FirstEnrolment)}
}

func (d *decoder) checkPortal(c *Config) {
	p := c.Portal
	if p == nil {
		return
	}
	if c.Directory == nil {
		d.checkf("portal", "needs a directory, where users' passwords are checked")
	}
	switch {
	case p.Host == "": // reported as missing
	case !dnsName(p.Host):
		d.checkf("portal.host", "want a DNS name in lower case, such as approve.contoso.example, got %q", p.Host)
	case p.Host == c.Host:
		d.checkf("portal.host", "is the service's own host: the portal needs another name")
	}
	if err := checkURL(p.URL, p.Host); p.URL != "" && err != nil {
		d.checkf("portal.url", "%v", err)
	}
	if f := p.FirstEnrolment; f != nil && f.Until != "" && f.End().IsZero() {
		d.checkf("portal.first_enrolment.until", "want a day such as 2027-01-31, got %q", f.Until)
	}
}
