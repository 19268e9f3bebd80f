package adfstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// certify makes the authority, the nodes' certificate for the host name, and
// the self-signed certificate of the tokens, as AD FS has them.
func (f *Farm) certify() error {
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := certificate("adfstest authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	if f.Authority, err = issue(template, template, ca.Public(), ca); err != nil {
		return err
	}
	f.CA = x509.NewCertPool()
	f.CA.AddCert(f.Authority)

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template = certificate(f.Host)
	template.DNSNames = []string{f.Host}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf, err := issue(template, f.Authority, key.Public(), ca)
	if err != nil {
		return err
	}
	f.tls = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}},
		MaxVersion:   f.c.MaxTLS,
		// As http.sys, an answer is one record where it fits.
		DynamicRecordSizingDisabled: true,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if hello.ServerName != f.Host {
				return nil, fmt.Errorf("no certificate for %q", hello.ServerName)
			}
			return nil, nil
		},
	}

	if f.key, err = f.NewKey(); err != nil {
		return err
	}
	f.Signer = f.key.Certificate
	return nil
}

// A Key signs tokens.
type Key struct {
	// Certificate is self-signed, as AD FS has it.
	Certificate *x509.Certificate

	private *rsa.PrivateKey
}

// NewKey makes a key that is not used yet.
func (f *Farm) NewKey() (*Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	template := certificate("ADFS Signing - " + f.Host)
	c, err := issue(template, template, private.Public(), private)
	if err != nil {
		return nil, err
	}
	return &Key{c, private}, nil
}

// SignWith makes the farm sign with another key, which its metadata does not
// name until it is told to.
func (f *Farm) SignWith(k *Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key = k
}

// signer returns the key to sign with: the farm's, or one that is not the farm's.
func (f *Farm) signer(b Behaviour) *Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b != WrongSigner {
		return f.key
	}
	if f.stray == nil {
		var err error
		if f.stray, err = f.NewKey(); err != nil {
			panic(fmt.Sprintf("adfstest: make a key: %v", err))
		}
	}
	return f.stray
}

func certificate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func issue(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
