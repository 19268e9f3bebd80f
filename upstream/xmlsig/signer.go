// Package xmlsig signs XML elements by XML Signature in the one shape that
// SAML and AD FS use: an enveloped signature over one reference to the
// element's id, exclusive canonicalization without comments, SHA-256, and the
// certificate in KeyInfo (protocol.md, section 11.3).
//
// It must never read a private key's numbers, choose a key by what a message
// says, or sign with SHA-1.
package xmlsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// NS is the namespace of XML Signature.
const NS = dsig.Namespace

// minRSA is the shortest RSA modulus that signs, in bits (security.md, SIG-06).
const minRSA = 2048

// A Signer signs with one key. It is safe for concurrent use if the key is.
type Signer struct {
	key         crypto.Signer
	certificate string // base64 of the DER form, as KeyInfo holds it
}

// New returns a Signer for an RSA key of at least 2,048 bits (rsa-sha256) or
// an ECDSA key on P-256 (ecdsa-sha256). Other keys, and a certificate that is
// not for the key, are refused. The key may live in hardware: only its
// methods Public and Sign are used.
func New(key crypto.Signer, certificate *x509.Certificate) (*Signer, error) {
	if key == nil || certificate == nil {
		return nil, errors.New("signing needs a key and its certificate")
	}
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSA {
			return nil, fmt.Errorf("signing key: RSA of %d bits, need at least %d", bits, minRSA)
		}
		if !public.Equal(certificate.PublicKey) {
			return nil, errMismatch
		}
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return nil, fmt.Errorf("signing key: ECDSA on %s, need P-256", public.Curve.Params().Name)
		}
		if !public.Equal(certificate.PublicKey) {
			return nil, errMismatch
		}
		key = rawECDSA{key}
	default:
		return nil, fmt.Errorf("signing key: %T, need RSA or ECDSA", public)
	}
	return &Signer{key: key, certificate: base64.StdEncoding.EncodeToString(certificate.Raw)}, nil
}

var errMismatch = errors.New("signing certificate is not for the signing key")

// Sign returns the ds:Signature of el, which the caller places inside el
// where its schema wants it. The reference is to the value of el's attribute
// idAttr, which must be there. Every namespace that el uses must be declared
// inside it, and every text must be legal in XML 1.0. el itself is not changed.
func (s *Signer) Sign(el *etree.Element, idAttr string) (*etree.Element, error) {
	if el.SelectAttrValue(idAttr, "") == "" {
		return nil, fmt.Errorf("sign %s: no attribute %s", el.FullTag(), idAttr)
	}
	if err := legal(el); err != nil {
		return nil, fmt.Errorf("sign %s: %w", el.FullTag(), err)
	}
	c, err := dsig.NewSigningContext(s.key, nil)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", el.FullTag(), err)
	}
	c.IdAttribute = idAttr
	c.Prefix = "ds"
	c.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	// The canonicalizer works in place, and would drop namespace declarations
	// that only readers of text need.
	signature, err := c.ConstructSignature(el.Copy(), true)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", el.FullTag(), err)
	}
	signature.RemoveChild(signature.SelectElement("ds:KeyInfo"))
	signature.AddChild(s.KeyInfo())
	return signature, nil
}

// KeyInfo returns the certificate as AD FS writes it: in the default
// namespace, even inside a prefixed Signature.
func (s *Signer) KeyInfo() *etree.Element {
	info := etree.NewElement("KeyInfo")
	info.CreateAttr("xmlns", NS)
	info.CreateElement("X509Data").CreateElement("X509Certificate").SetText(s.certificate)
	return info
}

// rawECDSA signs as XML Signature wants it, r and s as 32 bytes each, where
// crypto.Signer gives them in ASN.1 (XML Signature 1.1, section 6.4.3).
type rawECDSA struct{ crypto.Signer }

func (k rawECDSA) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	der, err := k.Signer.Sign(rand, digest, opts)
	if err != nil {
		return nil, err
	}
	var v struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &v)
	if err != nil {
		return nil, fmt.Errorf("read ECDSA signature: %w", err)
	}
	const size = 32
	if len(rest) > 0 || v.R.Sign() <= 0 || v.S.Sign() <= 0 || v.R.BitLen() > 8*size || v.S.BitLen() > 8*size {
		return nil, errors.New("read ECDSA signature: out of range")
	}
	raw := make([]byte, 2*size)
	v.R.FillBytes(raw[:size])
	v.S.FillBytes(raw[size:])
	return raw, nil
}
