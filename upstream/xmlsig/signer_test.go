package xmlsig_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"stsgate/testdata"
	"stsgate/upstream/xmlsig"
)

// opaque is a key as a hardware module offers it: no numbers to be had.
type opaque struct{ crypto.Signer }

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ecdsaKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func certificate(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	c, err := newCertificate(key, 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newCertificate(key crypto.Signer, usage x509.KeyUsage) (*x509.Certificate, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: usage}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func signer(t testing.TB, key crypto.Signer, c *x509.Certificate) *xmlsig.Signer {
	t.Helper()
	s, err := xmlsig.New(key, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newSigner is for tests that do not look at the signature.
func newSigner(t testing.TB) *xmlsig.Signer {
	t.Helper()
	key := ecdsaKey(t, elliptic.P256())
	return signer(t, key, certificate(t, key))
}

// element has what canonicalization changes: unsorted attributes, an unused
// and a used prefix, a default namespace that changes, an empty element, and
// characters that are escaped.
const element = `<n:note z="1" ID="_1" a="&#9;&quot;&lt;&amp;" xmlns:n="urn:n" xmlns:unused="urn:u">` +
	`<n:text xmlns="urn:d" xmlns:x="urn:x" x:b="2" a="3">&lt;&amp;&gt;"'é&#xD;
<inner/></n:text></n:note>`

func parse(t testing.TB, s string) *etree.Element {
	t.Helper()
	d := etree.NewDocument()
	if err := d.ReadFromString(s); err != nil {
		t.Fatal(err)
	}
	return d.Root()
}

// SIG-06, KEY-01
func TestNewChoosesKeys(t *testing.T) {
	strong, curve := rsaKey(t, 2048), ecdsaKey(t, elliptic.P256())
	weak, p384 := rsaKey(t, 1024), ecdsaKey(t, elliptic.P384())
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		key  crypto.Signer
		cert *x509.Certificate
		want string
	}{
		{"RSA 2048", strong, certificate(t, strong), ""},
		{"RSA 2048 in hardware", opaque{strong}, certificate(t, strong), ""},
		{"ECDSA P-256", curve, certificate(t, curve), ""},
		{"ECDSA P-256 in hardware", opaque{curve}, certificate(t, curve), ""},
		{"RSA 1024", weak, certificate(t, weak), "RSA of 1024 bits"},
		{"ECDSA P-384", p384, certificate(t, p384), "ECDSA on P-384"},
		{"Ed25519", edwards, certificate(t, edwards), "need RSA or ECDSA"},
		{"another RSA key's certificate", strong, certificate(t, weak), "not for the signing key"},
		{"another ECDSA key's certificate", curve, certificate(t, p384), "not for the signing key"},
		{"a certificate of another kind", curve, certificate(t, strong), "not for the signing key"},
		{"no key", nil, certificate(t, strong), "needs a key"},
		{"no certificate", strong, nil, "needs a key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := xmlsig.New(tt.key, tt.cert)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// SIG-03, SIG-06: the shape, text for text.
func TestSignatureShape(t *testing.T) {
	tests := []struct {
		name, method string
		key          crypto.Signer
	}{
		{"RSA", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", rsaKey(t, 2048)},
		{"ECDSA", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", ecdsaKey(t, elliptic.P256())},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			el := parse(t, element)
			signature, err := signer(t, tt.key, certificate(t, tt.key)).Sign(el, "ID")
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"SignedInfo/Reference/DigestValue", "SignatureValue", "KeyInfo/X509Data/X509Certificate"} {
				value := signature.FindElement(path)
				if value.Text() == "" || strings.ContainsAny(value.Text(), " \r\n") {
					t.Errorf("%s is %q", path, value.Text())
				}
				value.SetText("V")
			}
			want := `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>` +
				`<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>` +
				`<ds:SignatureMethod Algorithm="` + tt.method + `"/>` +
				`<ds:Reference URI="#_1"><ds:Transforms>` +
				`<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>` +
				`<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>` +
				`<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>` +
				`<ds:DigestValue>V</ds:DigestValue></ds:Reference></ds:SignedInfo>` +
				`<ds:SignatureValue>V</ds:SignatureValue>` +
				`<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>V</X509Certificate></X509Data></KeyInfo>` +
				`</ds:Signature>`
			if got := string(xmlsig.Serialize(signature)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got, want := xmlsig.Serialize(el), xmlsig.Serialize(parse(t, element)); !bytes.Equal(got, want) {
				t.Errorf("the signed element became %s, was %s", got, want)
			}
		})
	}
}

func TestSignedVerifiesInXMLSec1(t *testing.T) {
	xmlsec1 := testdata.Program(t, "xmlsec1")
	for name, key := range map[string]crypto.Signer{
		"RSA": rsaKey(t, 2048), "RSA in hardware": opaque{rsaKey(t, 3072)},
		"ECDSA": ecdsaKey(t, elliptic.P256()), "ECDSA in hardware": opaque{ecdsaKey(t, elliptic.P256())},
	} {
		t.Run(name, func(t *testing.T) {
			cert := certificate(t, key)
			el := parse(t, element)
			signature, err := signer(t, key, cert).Sign(el, "ID")
			if err != nil {
				t.Fatal(err)
			}
			el.AddChild(signature)
			signed := xmlsig.Serialize(el)
			verify := func(document []byte) error {
				dir := t.TempDir()
				pemFile, file := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "a.xml")
				write(t, pemFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
				write(t, file, document)
				out, err := exec.Command(xmlsec1, "--verify", "--id-attr:ID", "urn:n:note", "--trusted-pem", pemFile, file).CombinedOutput()
				if err != nil {
					return errors.New(string(out))
				}
				return nil
			}
			if err := verify(signed); err != nil {
				t.Errorf("got %v, want it verified: %s", err, signed)
			}
			tampered := bytes.Replace(signed, []byte(`a="3"`), []byte(`a="4"`), 1)
			if bytes.Equal(tampered, signed) || verify(tampered) == nil {
				t.Errorf("a tampered document was verified: %s", tampered)
			}
		})
	}
}

// goxmldsig's own verifying is the twin; its ECDSA is not XML Signature's.
func TestSignedVerifiesInTwin(t *testing.T) {
	key := rsaKey(t, 2048)
	cert := certificate(t, key)
	el := parse(t, element)
	signature, err := signer(t, key, cert).Sign(el, "ID")
	if err != nil {
		t.Fatal(err)
	}
	el.AddChild(signature)
	read := parse(t, string(xmlsig.Serialize(el)))
	twin := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
	if _, err := twin.Validate(read); err != nil {
		t.Errorf("got %v, want it verified", err)
	}
	read.FindElement("text").CreateAttr("a", "4")
	if _, err := twin.Validate(read); err == nil {
		t.Error("a tampered document was verified")
	}
}

// The tree's writer would replace such characters, and the signature would be
// over what nobody asked for.
func TestSignRefusesIllegalText(t *testing.T) {
	s := newSigner(t)
	for name, value := range map[string]string{
		"NUL": "a\x00b", "escape": "\x1b", "vertical tab": "\v", "U+FFFE": "\uFFFE", "U+FFFF": "a\uFFFF",
		"not UTF-8": "a\xffb", "surrogate": "\xed\xa0\x80", "cut short": "\xe2\x82",
	} {
		t.Run(name, func(t *testing.T) {
			text, attr := parse(t, element), parse(t, element)
			text.FindElement("text").SetText(value)
			attr.FindElement("text").CreateAttr("a", value)
			for _, el := range []*etree.Element{text, attr} {
				_, err := s.Sign(el, "ID")
				if err == nil || !strings.Contains(err.Error(), "illegal in XML") {
					t.Errorf("got %v, want it refused", err)
				}
			}
		})
	}
	legal := parse(t, element)
	legal.FindElement("text").SetText("\t\r\n \uFFFD\U0010FFFF")
	if _, err := s.Sign(legal, "ID"); err != nil {
		t.Errorf("legal text: got %v, want no error", err)
	}
}

func TestSignRefusesElement(t *testing.T) {
	s := newSigner(t)
	for name, tt := range map[string]struct{ xml, want string }{
		"without the id":        {`<a xmlns="urn:a" Id="_1"/>`, "no attribute ID"},
		"with an empty id":      {`<a xmlns="urn:a" ID=""/>`, "no attribute ID"},
		"with a comment":        {`<a xmlns="urn:a" ID="_1"><!-- --></a>`, "need elements and texts only"},
		"with an unbound name":  {`<a xmlns="urn:a" ID="_1"><b:c/></a>`, "undeclared namespace prefix"},
		"with an unbound value": {`<a xmlns="urn:a" ID="_1" b:c="1"/>`, "undeclared namespace prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Sign(parse(t, tt.xml), "ID"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// broken is a key whose module fails or answers nonsense.
type broken struct {
	crypto.Signer
	answer []byte
	err    error
}

func (b broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return b.answer, b.err }

func TestSignWithBrokenKey(t *testing.T) {
	key := ecdsaKey(t, elliptic.P256())
	cert := certificate(t, key)
	der := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, huge := big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 256)
	gone := errors.New("module is gone")
	for name, key := range map[string]broken{
		"fails":         {key, nil, gone},
		"no ASN.1":      {key, []byte("nonsense"), nil},
		"trailing byte": {key, append(der(one, one), 0), nil},
		"zero":          {key, der(big.NewInt(0), one), nil},
		"negative":      {key, der(one, big.NewInt(-1)), nil},
		"too large":     {key, der(huge, one), nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := signer(t, key, cert).Sign(parse(t, element), "ID")
			if err == nil || key.err != nil && !errors.Is(err, key.err) {
				t.Errorf("got %v, want an error with %v", err, key.err)
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(b, 2048), "ECDSA": ecdsaKey(b, elliptic.P256())} {
		s, el := signer(b, key, certificate(b, key)), parse(b, element)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(el, "ID"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
