package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"stsgate/gateway/state"
	"stsgate/upstream/adfs"
	"stsgate/upstream/xmlsig"
)

// demoLifetime is how long the demo's certificates are valid.
const demoLifetime = 90 * 24 * time.Hour

// writeDemoKeys writes a CA, a TLS certificate for localhost and two signing
// certificates into dir, unless they are there and good for a day or more.
func writeDemoKeys(dir string) error {
	if c, err := readCertificate(filepath.Join(dir, "tls.crt")); err == nil && c.NotAfter.After(time.Now().Add(24*time.Hour)) && c.VerifyHostname(demoPortal) == nil {
		return nil
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := demoCertificate("stsgate demo CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	if err := writeCertificate(dir, "ca", ca, ca, caKey, nil); err != nil {
		return err
	}
	tlsKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := demoCertificate("localhost")
	leaf.DNSNames, leaf.IPAddresses = []string{"localhost", demoPortal}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if err := writeCertificate(dir, "tls", leaf, ca, caKey, tlsKey); err != nil {
		return err
	}
	for _, name := range []string{"sign", "farm/sign"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return err
		}
		own := demoCertificate("stsgate demo token signing, " + filepath.Base(filepath.Dir(filepath.Join(dir, name))))
		if err := writeCertificate(dir, name, own, own, key, key); err != nil {
			return err
		}
	}
	return nil
}

func demoCertificate(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-5 * time.Minute),
		NotAfter:     time.Now().Add(demoLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

// writeCertificate writes name.crt (name.pem for the CA) and, where there is a
// key of its own, name.key.
func writeCertificate(dir, name string, cert, parent *x509.Certificate, signer, own crypto.Signer) error {
	file, public := name+".crt", signer.Public()
	if own == nil {
		file = name + ".pem" // the CA signs once and its key is forgotten
	} else {
		public = own.Public()
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, public, signer)
	if err != nil {
		return fmt.Errorf("make certificate %s: %w", name, err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, file), block, 0o644); err != nil || own == nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return fmt.Errorf("encode key %s: %w", name, err)
	}
	return os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)
}

// readCertificate reads the first certificate of a PEM file.
func readCertificate(file string) (*x509.Certificate, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s: no PEM certificate", file)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// prepareSigners reads the certificates that the farm signs under anew, to be
// put in force by replace.
func prepareSigners(f *adfs.Farm, file string) (replace func(), err error) {
	certificates, err := readSigners(file)
	if err != nil {
		return nil, err
	}
	return f.PrepareSigners(certificates)
}

// readSigners reads a PEM file of certificates that tokens can be verified by,
// and nothing else.
func readSigners(file string) ([]*x509.Certificate, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for block, after := pem.Decode(rest); block != nil; block, after = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: %s where only certificates belong", file, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", file, len(all)+1, err)
		}
		all, rest = append(all, c), after
	}
	if bytes.Contains(rest, []byte("-----BEGIN")) {
		return nil, fmt.Errorf("%s: what follows certificate %d cannot be read", file, len(all))
	}
	if _, err := xmlsig.NewVerifier(all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// readKey reads a PKCS #8 private key from a PEM file.
func readKey(file string) (crypto.Signer, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM key", file)
	}
	defer clear(block.Bytes)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: not a PKCS #8 private key: %w", file, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New(file + ": the key cannot sign")
	}
	return signer, nil
}

// readPool reads a PEM file of CA certificates.
func readPool(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: no PEM certificate", file)
	}
	return pool, nil
}

// clientTLS says by whom a server must be vouched for, and what is shown to it:
// nothing without a certificate.
func clientTLS(ca, certificate, key string) (*tls.Config, error) {
	pool, err := readPool(ca)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if certificate == "" {
		return t, nil
	}
	own, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certificate, err)
	}
	t.Certificates = []tls.Certificate{own}
	return t, nil
}

// writeStateKey makes the key of the demo's state, unless it is there.
func writeStateKey(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "state.key"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(state.NewKey())
	return errors.Join(err, f.Close())
}
