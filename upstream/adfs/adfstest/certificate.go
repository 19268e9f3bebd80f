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

	if f.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return err
	}
	template = certificate("ADFS Signing - " + f.Host)
	f.Signer, err = issue(template, template, f.key.Public(), f.key)
	return err
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
