package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	dsig "github.com/russellhaering/goxmldsig"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

const (
	// maxPinned is how many keys a Verifier may have: each costs a
	// verification where a message does not say which one it is signed by.
	maxPinned = 8
	// maxElements is how many elements a signed assertion may have (SIG-09).
	maxElements = 4096
)

// An Error says which requirement of security.md a signature breaks, and
// where. It never quotes the document.
type Error struct {
	// Rule is the requirement, such as SIG-03.
	Rule string
	// Offset is where in the source, in bytes.
	Offset int
	// Msg says what is wrong.
	Msg string
}

// Error implements error: "SIG-03 at byte 123: attribute where none may be".
func (e *Error) Error() string {
	return e.Rule + " at byte " + strconv.Itoa(e.Offset) + ": " + e.Msg
}

func refuse(rule string, e *soap.Element, msg string) *Error {
	return &Error{Rule: rule, Offset: int(e.Start), Msg: msg}
}

// A Verifier checks the signatures of SAML assertions against pinned keys. It
// is safe for concurrent use.
type Verifier struct {
	pinned         []*x509.Certificate
	canonicalizers sync.Pool // of *canonicalizer, wiped
}

// NewVerifier returns a Verifier that trusts the keys of the certificates, one
// to eight, and nothing else (SIG-05): RSA of at least 2,048 bits, or ECDSA on
// P-256 or P-384 (SIG-06). A certificate that states what its key is for must
// state signing. Nothing else that it says is looked at; when a key begins and
// ceases to be trusted is decided by who pins it.
func NewVerifier(certificates []*x509.Certificate) (*Verifier, error) {
	if n := len(certificates); n < 1 || n > maxPinned {
		return nil, fmt.Errorf("verifying signatures: %d certificates, need 1 to %d", n, maxPinned)
	}
	v := &Verifier{}
	for i, c := range certificates {
		if err := pinnable(c); err != nil {
			return nil, fmt.Errorf("signing certificate %d: %w", i+1, err)
		}
		v.pinned = append(v.pinned, c)
	}
	return v, nil
}

func pinnable(c *x509.Certificate) error {
	if c == nil {
		return errors.New("there is none")
	}
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if c.KeyUsage != 0 && c.KeyUsage&signing == 0 {
		return errors.New("its key is not for signing")
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return fmt.Errorf("RSA of %d bits, need at least %d", bits, minRSA)
		}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return fmt.Errorf("ECDSA on %s, need P-256 or P-384", key.Curve.Params().Name)
		}
	default:
		return fmt.Errorf("%T, need RSA or ECDSA", key)
	}
	return nil
}

// Verified is an element whose signature was checked. What it holds is what
// was signed, but for its ds:Signature, which vouches for nothing in itself;
// what stands around it was not (SIG-01).
type Verified struct {
	Element *soap.Element
	// Certificate is the pinned one whose key signed.
	Certificate *x509.Certificate
	// Digest is that of [Digest].
	Digest [sha256.Size]byte
}

// Digest returns SHA-256 of the exclusive canonical form of an element without
// its signature, which is the same wherever the element stands. The error is an
// *Error.
func Digest(d *soap.Document, e *soap.Element) ([sha256.Size]byte, error) {
	var signature *soap.Element
	for c := range d.Children(e) {
		if c.Name == (soap.Name{Space: dsig.Namespace, Local: "Signature"}) {
			signature = c
			break
		}
	}
	var c canonicalizer
	defer c.wipe()
	canonical, err := c.form(d, e, signature)
	return sha256.Sum256(canonical), err
}

// Verify checks the enveloped signature of a SAML 1.1 or 2.0 assertion, an
// element of d that the caller goes on to read. There is one shape of
// signature (SIG-03), and everything else is refused before anything is
// computed. Nothing is fetched, and no key is taken from the message. Its cost
// is linear in the size of d. The error is an *Error.
func (v *Verifier) Verify(d *soap.Document, assertion *soap.Element) (*Verified, error) {
	c, ok := v.canonicalizers.Get().(*canonicalizer)
	if !ok {
		c = new(canonicalizer)
	}
	verified, err := v.verify(c, d, assertion)
	c.wipe()
	v.canonicalizers.Put(c) // not after a panic
	return verified, err
}

func (v *Verifier) verify(c *canonicalizer, d *soap.Document, assertion *soap.Element) (*Verified, error) {
	if !isAssertion(assertion) {
		return nil, refuse("SIG-03", assertion, "element is no SAML assertion")
	}
	if len(d.Within(assertion)) > maxElements {
		return nil, refuse("SIG-09", assertion, "assertion has too many elements")
	}
	id, err := identify(d, assertion)
	if err != nil {
		return nil, err
	}
	if err := alone(d, assertion, id); err != nil {
		return nil, err
	}
	e, err := enveloped(d, assertion)
	if err != nil {
		return nil, err
	}
	s, err := readSignature(d, e, id)
	if err != nil {
		return nil, err
	}
	digest, err := s.checkDigest(c, assertion)
	if err != nil {
		return nil, err
	}
	signer, err := v.checkValue(c, s)
	if err != nil {
		return nil, err
	}
	return &Verified{Element: assertion, Certificate: signer, Digest: digest}, nil
}

// identify returns the id of an assertion by its schema, which must be its only one.
func identify(d *soap.Document, assertion *soap.Element) (id []byte, err error) {
	own := soap.Name{Local: "ID"}
	if assertion.Name.Space == wstrust.NSSAML11 {
		own.Local = "AssertionID"
	}
	for a := range d.RawAttrs(assertion) {
		if a.Name == own {
			id = a.Raw
		} else if soap.IsID(a.Name.Local) {
			return nil, refuse("SIG-04", assertion, "assertion has an id that is not the one of its schema")
		}
	}
	if !isNCName(id) {
		return nil, refuse("SIG-04", assertion, "assertion has no id, or one that is no plain name")
	}
	return id, nil
}

// alone refuses a document with another assertion, which a later reader could
// take for the one that is checked (SIG-01), or with the id of this one at a
// second place (SIG-04).
func alone(d *soap.Document, assertion *soap.Element, id []byte) error {
	elements := d.Elements()
	for i := range elements {
		e := &elements[i]
		if e == assertion {
			continue
		}
		if isAssertion(e) {
			return refuse("SIG-01", e, "document holds another assertion")
		}
		for a := range d.RawAttrs(e) {
			if soap.IsID(a.Name.Local) && same(a.Raw, id) {
				return refuse("SIG-04", e, "id of the assertion stands at a second place")
			}
		}
	}
	return nil
}

func isAssertion(e *soap.Element) bool {
	return e.Name.Local == "Assertion" && (e.Name.Space == wstrust.NSSAML11 || e.Name.Space == wstrust.NSSAML20)
}

// isNCName reports whether b is a name without a colon, in ASCII. Other texts
// have a meaning of their own in a Reference, such as xpointer(...).
func isNCName(b []byte) bool {
	for i, c := range b {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return len(b) > 0
}

// same reports whether raw, an attribute value, stands for id.
func same(raw, id []byte) bool {
	return bytes.Equal(raw, id) || bytes.IndexByte(raw, '&') >= 0 && soap.Decode(raw) == string(id)
}

// enveloped returns the one ds:Signature in the assertion, a child of it (SIG-03).
func enveloped(d *soap.Document, assertion *soap.Element) (*soap.Element, error) {
	var signature *soap.Element
	within := d.Within(assertion)
	for i := range within {
		e := &within[i]
		if e.Name != (soap.Name{Space: dsig.Namespace, Local: "Signature"}) {
			continue
		}
		if signature != nil || d.Parent(e) != assertion {
			return nil, refuse("SIG-03", e, "a second signature in the assertion, or a signature that is no child of it")
		}
		signature = e
	}
	if signature == nil {
		return nil, refuse("SIG-03", assertion, "assertion has no signature")
	}
	return signature, nil
}

// checkDigest compares the digest with that of the assertion without its
// signature, and returns it by SHA-256, whichever the signature has.
func (s *signature) checkDigest(c *canonicalizer, assertion *soap.Element) (digest [sha256.Size]byte, err error) {
	for space := range s.doc.Namespaces() {
		if !isAbsolute(space) {
			return digest, refuse("XML-20", assertion, "a namespace in the document is no absolute URI")
		}
	}
	if subtle.ConstantTimeCompare(s.digestValue, sum(s.digest, nil)) == 1 {
		return digest, refuse("XML-20", s.info, "digest is that of nothing")
	}
	canonical, err := c.form(s.doc, assertion, s.element)
	if err != nil {
		return digest, err
	}
	own := sum(s.digest, canonical)
	if subtle.ConstantTimeCompare(s.digestValue, own) != 1 {
		return digest, refuse("SIG-01", assertion, "assertion is not what was signed")
	}
	if s.digest == crypto.SHA256 {
		return [sha256.Size]byte(own), nil
	}
	return sha256.Sum256(canonical), nil
}

// isAbsolute reports whether a namespace is empty or a scheme with something
// behind it in printable ASCII (RFC 3986, section 4.3). Readers have failed on
// other ones in the midst of canonicalization, and gone on with nothing.
func isAbsolute(space string) bool {
	scheme, rest, found := strings.Cut(space, ":")
	for i, c := range []byte(scheme) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '+' && c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	for _, c := range []byte(rest) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return space == "" || found && scheme != "" && rest != ""
}

// checkValue returns the pinned certificate whose key signed. Where KeyInfo
// names one of them only that is tried, otherwise all.
func (v *Verifier) checkValue(c *canonicalizer, s *signature) (*x509.Certificate, error) {
	canonical, err := c.form(s.doc, s.info, nil)
	if err != nil {
		return nil, err
	}
	candidates := v.pinned
	if i := s.named(v.pinned); i >= 0 {
		candidates = v.pinned[i : i+1]
	}
	digest := sum(s.method.hash, canonical)
	for _, c := range candidates {
		if s.method.verify(c.PublicKey, digest, s.value) {
			return c, nil
		}
	}
	return nil, refuse("SIG-05", s.element, "no pinned key made this signature by this algorithm")
}
