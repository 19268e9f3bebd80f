package edge

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// CertificatesConfig names a certificate and what it must be good for.
type CertificatesConfig struct {
	// Certificate and Key are PEM files; the certificate's intermediates follow
	// it in its file.
	Certificate, Key string
	// Host is the name that the certificate must cover, and Also are further
	// ones.
	Host string
	Also []string
	Log  *slog.Logger
}

// Certificates is the certificate of a listener, loaded from files and
// replaced as a whole. It is safe for concurrent use.
type Certificates struct {
	config  CertificatesConfig
	current atomic.Pointer[tls.Certificate]
}

// NewCertificates loads the files. An expired certificate is served all the
// same, with a warning, because clients judge for themselves; a pair that does
// not fit or does not cover the host is an error.
func NewCertificates(c CertificatesConfig) (*Certificates, error) {
	certs := &Certificates{config: c}
	next, err := certs.load()
	if err != nil {
		return nil, err
	}
	if err := timely(next, time.Now()); err != nil {
		c.Log.Warn("tls certificate is not valid now", "file", c.Certificate, "err", err)
	}
	certs.current.Store(next)
	return certs, nil
}

// Prepare loads the files again and returns what serves them from the next
// handshake on. On an error the old certificate stays: the files are half
// written, do not fit, do not cover the host, or hold an expired certificate
// while the old one is valid (security.md, TLS-03).
func (c *Certificates) Prepare() (replace func(), err error) {
	next, err := c.load()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := timely(next, now); err != nil {
		if timely(c.current.Load(), now) == nil {
			return nil, fmt.Errorf("tls certificate %s: %w", c.config.Certificate, err)
		}
		c.config.Log.Warn("tls certificate is not valid now", "file", c.config.Certificate, "err", err)
	}
	return func() { c.current.Store(next) }, nil
}

// Expiry returns when the certificate that is served expires.
func (c *Certificates) Expiry() time.Time { return c.current.Load().Leaf.NotAfter }

func (c *Certificates) load() (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(c.config.Certificate, c.config.Key)
	if err != nil {
		return nil, fmt.Errorf("tls certificate %s with key %s: %w", c.config.Certificate, c.config.Key, err)
	}
	for _, host := range append([]string{c.config.Host}, c.config.Also...) {
		if err := cert.Leaf.VerifyHostname(host); err != nil {
			return nil, fmt.Errorf("tls certificate %s: %w", c.config.Certificate, err)
		}
	}
	return &cert, nil
}

// timely checks that a certificate is valid now.
func timely(cert *tls.Certificate, now time.Time) error {
	switch leaf := cert.Leaf; {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// tlsConfig is Mozilla's intermediate profile without DHE, and with the two
// CBC suites that Windows 8.1 and Server 2012 R2 need where the certificate is
// RSA: with another, no ECDHE_RSA suite is ever chosen (security.md, TLS-01).
func tlsConfig(sites []Site) *tls.Config {
	return &tls.Config{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if s := site(sites[1:], hello.ServerName); s != nil && s.Certificates != nil {
				return s.Certificates.current.Load(), nil
			}
			return sites[0].Certificates.current.Load(), nil
		},
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
			tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		},
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384},
		NextProtos:       []string{"http/1.1"},
		// An answer is one record and one system call, not five that grow.
		DynamicRecordSizingDisabled: true,
	}
}
