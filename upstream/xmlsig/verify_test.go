package xmlsig_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/upstream/xmlsig"
)

const (
	rsaSHA256    = `"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"`
	digestSHA256 = `"http://www.w3.org/2001/04/xmlenc#sha256"`
	digestSHA384 = `"http://www.w3.org/2001/04/xmldsig-more#sha384"`
	digestSHA512 = `"http://www.w3.org/2001/04/xmlenc#sha512"`
)

func more(name string) string { return `"http://www.w3.org/2001/04/xmldsig-more#` + name + `"` }

// SIG-05, SIG-06
func TestNewVerifier(t *testing.T) {
	strong := certificate(t, rsaKey(t, 2048))
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	usage := func(u x509.KeyUsage) *x509.Certificate {
		c, err := newCertificate(ecdsaKey(t, elliptic.P256()), u)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	times := func(n int) (certificates []*x509.Certificate) {
		for range n {
			certificates = append(certificates, strong)
		}
		return certificates
	}
	for _, tt := range []struct {
		name         string
		certificates []*x509.Certificate
		want         string
	}{
		{"RSA 2048", times(1), ""},
		{"P-256 and P-384", []*x509.Certificate{certificate(t, ecdsaKey(t, elliptic.P256())), certificate(t, ecdsaKey(t, elliptic.P384()))}, ""},
		{"for signing", []*x509.Certificate{usage(x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment)}, ""},
		{"for signing contracts", []*x509.Certificate{usage(x509.KeyUsageContentCommitment)}, ""},
		{"eight", times(8), ""},
		{"none", nil, "0 certificates, need 1 to 8"},
		{"nine", times(9), "9 certificates, need 1 to 8"},
		{"a nil one", []*x509.Certificate{strong, nil}, "certificate 2: there is none"},
		{"RSA 1024", []*x509.Certificate{strong, certificate(t, rsaKey(t, 1024))}, "certificate 2: RSA of 1024 bits"},
		{"P-521", []*x509.Certificate{certificate(t, ecdsaKey(t, elliptic.P521()))}, "ECDSA on P-521"},
		{"Ed25519", []*x509.Certificate{certificate(t, edwards)}, "need RSA or ECDSA"},
		{"for encryption", []*x509.Certificate{usage(x509.KeyUsageKeyEncipherment)}, "not for signing"},
		{"for issuing", []*x509.Certificate{usage(x509.KeyUsageCertSign)}, "not for signing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := xmlsig.NewVerifier(tt.certificates)
			switch {
			case tt.want == "" && (err != nil || v == nil):
				t.Errorf("got %v, want no error", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// SIG-06: what is accepted.
func TestVerifyAlgorithms(t *testing.T) {
	strong, p256, p384 := rsaKey(t, 3072), ecdsaKey(t, elliptic.P256()), ecdsaKey(t, elliptic.P384())
	for _, tt := range []struct {
		name, method string
		key          crypto.Signer
		sign         func([]byte) ([]byte, error)
	}{
		{"rsa-sha256", rsaSHA256, strong, signPKCS1(strong, crypto.SHA256)},
		{"rsa-sha384", more("rsa-sha384"), strong, signPKCS1(strong, crypto.SHA384)},
		{"rsa-sha512", more("rsa-sha512"), strong, signPKCS1(strong, crypto.SHA512)},
		{"ecdsa-sha256", more("ecdsa-sha256"), p256, signRS(p256, crypto.SHA256)},
		{"ecdsa-sha384", more("ecdsa-sha384"), p384, signRS(p384, crypto.SHA384)},
	} {
		for _, digest := range []struct {
			uri  string
			hash crypto.Hash
		}{{digestSHA256, crypto.SHA256}, {digestSHA384, crypto.SHA384}, {digestSHA512, crypto.SHA512}} {
			f := forger{digest.hash, tt.sign, certificate(t, tt.key)}
			for _, name := range signedAnswers {
				t.Run(tt.name+" "+digest.hash.String()+" "+name, func(t *testing.T) {
					src := strings.Replace(message(t, name), rsaSHA256, tt.method, 1)
					src = f.forge(t, strings.Replace(src, digestSHA256, digest.uri, 1))
					accepted(t, src, f.certificate, f.certificate)
					refused(t, edit(t, src, "alice", "admin"), "SIG-01", f.certificate)
					refused(t, src, "SIG-05", attacker().certificate)
				})
			}
		}
	}
}

// SIG-06: what is not, each signed truly by what it names.
func TestVerifyRefusesAlgorithms(t *testing.T) {
	strong, weak, p256, p384 := rsaKey(t, 2048), rsaKey(t, 1024), ecdsaKey(t, elliptic.P256()), ecdsaKey(t, elliptic.P384())
	for _, tt := range refusedAlgorithms(t, strong, weak, p256, p384) {
		for _, name := range []string{answer11, answer20} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				f := forger{tt.digest, tt.sign, certificate(t, tt.key)}
				src := strings.Replace(message(t, name), rsaSHA256, tt.method, 1)
				src = f.forge(t, strings.Replace(src, digestSHA256, tt.digestURI, 1))
				refused(t, src, tt.want, certificate(t, strong), certificate(t, p256), certificate(t, p384))
				if tt.key != weak { // which cannot be pinned
					refused(t, src, tt.want, f.certificate)
				}
			})
		}
	}
}

// SIG-05: KeyInfo chooses among the pinned keys, and does nothing else.
func TestVerifyKeyInfo(t *testing.T) {
	own, other := pinned(), attacker()
	second := certificate(t, rsaKey(t, 2048))
	encoded := func(c *x509.Certificate) string { return base64.StdEncoding.EncodeToString(c.Raw) }
	const empty = `<X509Data><X509Certificate>AAAA</X509Certificate></X509Data>`
	named := strings.Replace(empty, "AAAA", encoded(own.certificate), 1)
	wrapped := "<X509Data><X509Certificate>\r\n" + strings.ReplaceAll(encoded(own.certificate), "A", "A\n") + "\n</X509Certificate></X509Data>"
	for _, tt := range []struct{ name, keyInfo, want string }{
		{"names the key", named, ""},
		{"names the key in lines", wrapped, ""},
		{"is empty", "", ""},
		{"names another key", "<X509Data><X509Certificate>" + encoded(other.certificate) + "</X509Certificate></X509Data>", ""},
		{"names the key second", "<X509Data><X509Certificate>" + encoded(other.certificate) + "</X509Certificate><X509Certificate>" + encoded(own.certificate) + "</X509Certificate></X509Data>", ""},
		{"holds no base64", "<X509Data><X509Certificate>A B</X509Certificate></X509Data>", ""},
		{"holds elements", "<X509Data><X509Certificate><X509Certificate/></X509Certificate></X509Data>", ""},
		{"points elsewhere", `<RetrievalMethod URI="http://127.0.0.1:1/key" Type="http://www.w3.org/2000/09/xmldsig#X509Data"/>`, ""},
		{"has text", "<KeyName>admin</KeyName>words", ""},
		{"names another pinned key", "<X509Data><X509Certificate>" + encoded(second) + "</X509Certificate></X509Data>", "SIG-05"},
		{"names another pinned key first", "<X509Data><X509Certificate>" + encoded(second) + "</X509Certificate><X509Certificate>" + encoded(own.certificate) + "</X509Certificate></X509Data>", "SIG-05"},
		{"holds the id of the assertion", `<KeyName Id="_c41d7e92-5f08-4b3a-8d6c-0e1f2a3b4c5d"/>`, "SIG-04"},
		{"holds a signature", `<Signature/>`, "SIG-03"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := own.forge(t, message(t, answer20))
			src = strings.Replace(src, named, tt.keyInfo, 1)
			if tt.want == "" {
				accepted(t, src, own.certificate, second, own.certificate)
				refused(t, src, "SIG-05", other.certificate, second)
			} else {
				refused(t, src, tt.want, second, own.certificate)
			}
		})
	}
	t.Run("is absent", func(t *testing.T) {
		src := own.forge(t, edit(t, message(t, answer20), `<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#">`+empty+`</KeyInfo>`, ""))
		accepted(t, src, own.certificate, second, own.certificate)
	})
	t.Run("is the attacker's, and so is the signature", func(t *testing.T) {
		refused(t, other.forge(t, message(t, answer20)), "SIG-05", second, own.certificate)
	})
}

// SIG-01: what our issuer signs.
func TestVerifySigned(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(t, 2048), "ECDSA": ecdsaKey(t, elliptic.P256())} {
		t.Run(name, func(t *testing.T) {
			cert := certificate(t, key)
			el := parse(t, strings.NewReplacer("n:note", "Assertion", `xmlns:n="urn:n"`, `xmlns="urn:oasis:names:tc:SAML:2.0:assertion"`, "n:text", "text").Replace(element))
			signature, err := signer(t, key, cert).Sign(el, "ID")
			if err != nil {
				t.Fatal(err)
			}
			el.AddChild(signature)
			d, err := soap.Scan(xmlsig.Serialize(el), soap.Answer)
			if err != nil {
				t.Fatal(err)
			}
			verified, err := verifier(t, cert).Verify(d, d.Root())
			if err != nil || verified.Element != d.Root() || verified.Certificate != cert {
				t.Errorf("got %v, %v, want the root: %s", verified, err, d.Source)
			}
		})
	}
}
