package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"stsgate/gateway/clientip"
	"stsgate/gateway/config"
	"stsgate/gateway/edge"
	"stsgate/gateway/place"
	"stsgate/gateway/state"
	"stsgate/policy"
	"stsgate/upstream/directory"
)

// parts are what the configuration names and what can be wrong with it:
// everything that fails is loaded before anything is listened on.
type parts struct {
	policy       *policy.Set
	clients      *clientip.Resolver
	many         []netip.Prefix  // addresses behind which are many clients
	directory    userDirectory   // nil without one
	ldap         *directory.LDAP // that, where it is Active Directory
	places       *place.DB
	certificates []*edge.Certificates
	// portalCertificates is nil where those of the listeners cover the portal too.
	portalCertificates *edge.Certificates
	farmCA             *x509.CertPool      // nil without a farm
	farmSigners        []*x509.Certificate // nil for those in the farm's metadata
	stateKeys          *state.Keys         // nil where state is kept in memory
	natsCA             *x509.CertPool      // nil for those that the system trusts
	signingCert        *x509.Certificate
	signingKey         crypto.Signer // nil without an issuer
	mfa                *mfaParts
	auditKey           ed25519.PrivateKey // nil without checkpoints
	syslog             *tls.Config        // nil without a receiver of the audit log
}

// loadParts loads all parts and reports what is wrong with any of them.
func loadParts(c *config.Config, log *slog.Logger) (*parts, error) {
	var p parts
	var errs []error
	collect := func(err error) { errs = append(errs, err) }
	var err error
	p.policy, err = loadPolicy(c)
	collect(err)
	exchangeOnline, err := readPrefixes(c.Clients.ExchangeOnline)
	collect(err)
	shared, err := readPrefixes(c.Clients.Shared)
	collect(err)
	p.clients = clientip.New(clientip.Config{Proxies: c.Clients.Proxies, ExchangeOnline: exchangeOnline})
	p.many = slices.Concat(c.Clients.Proxies, exchangeOnline, shared)
	if c.Directory != nil {
		err = p.openDirectory(c.Directory, log)
		collect(err)
	}
	p.places, err = place.Open(place.Config{Country: c.Places.Country, ASN: c.Places.ASN})
	collect(err)
	for _, l := range c.Listen {
		certs, err := edge.NewCertificates(edge.CertificatesConfig{Certificate: l.TLS.Certificate, Key: l.TLS.Key, Host: c.Host, Also: alsoCovered(c), Log: log})
		collect(err)
		p.certificates = append(p.certificates, certs)
	}
	if c.Portal != nil && c.Portal.TLS != nil {
		t := c.Portal.TLS
		p.portalCertificates, err = edge.NewCertificates(edge.CertificatesConfig{Certificate: t.Certificate, Key: t.Key, Host: c.Portal.Host, Log: log})
		collect(err)
	}
	if c.State != nil {
		p.stateKeys, err = state.LoadKeys(c.State.Key)
		collect(err)
	}
	if c.State != nil && c.State.NATS != nil && c.State.NATS.CA != "" {
		p.natsCA, err = readPool(c.State.NATS.CA)
		collect(err)
	}
	if c.Upstream.ADFS != nil {
		p.farmCA, err = readPool(c.Upstream.ADFS.CA)
		collect(err)
	}
	if a := c.Upstream.ADFS; a != nil && a.Signing != "" {
		p.farmSigners, err = readSigners(a.Signing)
		collect(err)
	}
	if a := c.Upstream.ADFS; a != nil && a.Proof != nil {
		collect(checkProof(a.Proof))
	}
	if i := c.Upstream.Issuer; i != nil {
		p.signingCert, err = readCertificate(i.Signing.Certificate)
		collect(err)
		p.signingKey, err = readKey(i.Signing.Key)
		collect(err)
	}
	p.mfa, err = loadMFA(&c.MFA)
	collect(err)
	if s := c.Audit.Syslog; s != nil {
		p.syslog, err = clientTLS(s.CA, s.Certificate, s.Key)
		collect(err)
	}
	if k := c.Audit.Checkpoints; k != nil {
		p.auditKey, err = readAuditKey(k.Key)
		collect(err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, mistakes{err}
	}
	return &p, nil
}

// readPrefixes returns what stands in the configuration or in a file; nil is
// neither.
func readPrefixes(p *config.Prefixes) ([]netip.Prefix, error) {
	switch {
	case p == nil:
		return nil, nil
	case p.File == "":
		return p.List, nil
	}
	content, err := os.ReadFile(p.File)
	if err != nil {
		return nil, err
	}
	return config.ParsePrefixes(fromHere(p.File), content)
}

// fromHere shortens a path to one that can be opened from the working folder.
func fromHere(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if short, err := filepath.Rel(dir, path); err == nil && len(short) < len(path) {
		return short
	}
	return path
}
