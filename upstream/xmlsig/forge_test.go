package xmlsig_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
	"stsgate/upstream/xmlsig"
)

// signedAnswers are answers with one signed assertion in AD FS's form.
var signedAnswers = []string{"rstr/adfs-13-saml11.xml", "rstr/adfs-13-saml20.xml", "rstr/adfs-2005-saml11.xml", "rstr/adfs-2005-saml20.xml"}

const (
	answer11 = "rstr/adfs-13-saml11.xml"
	answer20 = "rstr/adfs-13-saml20.xml"
)

// pinned is a key that the tests trust, and attacker one that they do not.
var (
	pinned   = sync.OnceValue(newRSA)
	attacker = sync.OnceValue(newRSA)
)

// A forger signs documents as text, whatever their shape: it shares no code
// with Verify.
type forger struct {
	digest      crypto.Hash
	sign        func(signedInfo []byte) ([]byte, error)
	certificate *x509.Certificate
}

func newRSA() forger {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	certificate, err := newCertificate(key, 0)
	if err != nil {
		panic(err)
	}
	return forger{crypto.SHA256, signPKCS1(key, crypto.SHA256), certificate}
}

func hashed(hash crypto.Hash, b []byte) []byte {
	h := hash.New()
	h.Write(b)
	return h.Sum(nil)
}

func signPKCS1(key crypto.Signer, hash crypto.Hash) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) { return key.Sign(rand.Reader, hashed(hash, b), hash) }
}

// signRS signs as XML Signature wants it, r and s as long as the curve's order.
func signRS(key crypto.Signer, hash crypto.Hash) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		private := key.(*ecdsa.PrivateKey)
		r, s, err := ecdsa.Sign(rand.Reader, private, hashed(hash, b))
		if err != nil {
			return nil, err
		}
		size := (private.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), nil
	}
}

// forge fills in the first certificate, digest and signature value of src: the
// digest of the element that holds the first Signature, and the value over the
// first SignedInfo.
func (f forger) forge(t testing.TB, src string) string {
	t.Helper()
	src = fill(src, "X509Certificate", f.certificate.Raw)
	signature := place(t, src, "Signature")
	canonical, err := twinCanonical([]byte(src), parentOf(t, src, signature), signature)
	if err != nil {
		t.Fatal(err)
	}
	return f.value(t, fill(src, "DigestValue", hashed(f.digest, canonical)))
}

// value fills in only the signature value.
func (f forger) value(t testing.TB, src string) string {
	t.Helper()
	info, err := twinCanonical([]byte(src), place(t, src, "SignedInfo"), -1)
	if err != nil {
		t.Fatal(err)
	}
	value, err := f.sign(info)
	if err != nil {
		t.Fatal(err)
	}
	return fill(src, "SignatureValue", value)
}

// fill replaces what the first element with that local name holds.
func fill(src, local string, value []byte) string {
	at := regexp.MustCompile(`<(?:\w+:)?` + local + `(?: [^>]*)?>([^<]*)<`).FindStringSubmatchIndex(src)
	if at == nil {
		return src
	}
	return src[:at[2]] + base64.StdEncoding.EncodeToString(value) + src[at[3]:]
}

// place returns where in document order the first element of that name is.
func place(t testing.TB, src, local string) int {
	t.Helper()
	elements, err := twinTree([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range elements {
		if e.Tag == local {
			return i
		}
	}
	t.Fatalf("no %s in %s", local, src)
	return 0
}

func parentOf(t testing.TB, src string, at int) int {
	t.Helper()
	elements, err := twinTree([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range elements {
		if e == elements[at].Parent() {
			return i
		}
	}
	t.Fatal("element has no parent")
	return 0
}

// edit replaces the first of each pair by its second, wherever it stands.
func edit(t testing.TB, src string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		next := strings.ReplaceAll(src, pairs[i], pairs[i+1])
		if next == src {
			t.Fatalf("nothing to edit: no %q in %s", pairs[i], src)
		}
		src = next
	}
	return src
}

func message(t testing.TB, name string) string { return string(testdata.Message(t, name)) }

func verifier(t testing.TB, certificates ...*x509.Certificate) *xmlsig.Verifier {
	t.Helper()
	v, err := xmlsig.NewVerifier(certificates)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// check does what a gateway does with an answer.
func check(v *xmlsig.Verifier, src string) (*wstrust.Answer, *xmlsig.Verified, error) {
	a, err := wstrust.ReadAnswer([]byte(src), 0)
	if err != nil {
		return nil, nil, err
	}
	verified, err := v.Verify(a.Signed())
	return a, verified, err
}

// ruleOf returns the requirement that an error names, "" for no error.
func ruleOf(t testing.TB, err error) string {
	t.Helper()
	var ours *xmlsig.Error
	var scanned *soap.Error
	var read *wstrust.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &ours):
		return ours.Rule
	case errors.As(err, &scanned):
		return scanned.Rule
	case errors.As(err, &read):
		return read.Rule
	default:
		t.Fatalf("got %v, want an error with a rule", err)
		return ""
	}
}

// accepted checks that an answer verifies by the key of a certificate.
func accepted(t *testing.T, src string, by *x509.Certificate, certificates ...*x509.Certificate) {
	t.Helper()
	a, verified, err := check(verifier(t, certificates...), src)
	if err != nil {
		t.Errorf("got %v, want it verified: %s", err, src)
		return
	}
	d, token := a.Signed()
	if verified.Element != token || !bytes.Equal(d.Raw(verified.Element), a.Token) || verified.Certificate != by {
		t.Errorf("got %v by %v, want the token by %v", verified.Element, verified.Certificate.Subject, by.Subject)
	}
}

// refused checks that an answer is refused for a rule of one of these names.
func refused(t *testing.T, src string, rules string, certificates ...*x509.Certificate) {
	t.Helper()
	_, verified, err := check(verifier(t, certificates...), src)
	if err == nil || verified != nil {
		t.Errorf("accepted, want it refused: %s", src)
		return
	}
	if got := ruleOf(t, err); !strings.Contains(rules, got) {
		t.Errorf("got %v, want %s", err, rules)
	}
	for _, secret := range []string{"alice", "payroll", "_8a0c5f3e", "_c41d7e92"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error quotes the document: %v", err)
		}
	}
}

func p256(t testing.TB) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	key := ecdsaKey(t, elliptic.P256())
	return key, certificate(t, key)
}
