// Package xmlsig signs XML elements, and checks the signatures of SAML
// assertions, by XML Signature in the one shape that SAML and AD FS use: an
// enveloped signature over one reference to the element's id, exclusive
// canonicalization without comments, SHA-256 (checking: or longer), and the
// certificate in KeyInfo (protocol.md, section 11.3). Of the signature of a
// message it tells people whether it holds, and over what.
//
// It must never read a private key's numbers, choose a key by what a message
// says, fetch what a message points at, or sign with or accept SHA-1.
package xmlsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

const digestMethod = "http://www.w3.org/2001/04/xmlenc#sha256"

// minRSA is the shortest RSA modulus that signs, in bits (security.md, SIG-06).
const minRSA = 2048

// A Signer signs with one key. It is safe for concurrent use if the key is.
type Signer struct {
	key         crypto.Signer
	method      string // SignatureMethod
	raw         func(signature []byte) ([]byte, error)
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
	s := &Signer{key: key, certificate: base64.StdEncoding.EncodeToString(certificate.Raw)}
	var fits bool
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSA {
			return nil, fmt.Errorf("signing key: RSA of %d bits, need at least %d", bits, minRSA)
		}
		fits = public.Equal(certificate.PublicKey)
		s.method = dsig.RSASHA256SignatureMethod
		s.raw = func(signature []byte) ([]byte, error) { return signature, nil }
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return nil, fmt.Errorf("signing key: ECDSA on %s, need P-256", public.Curve.Params().Name)
		}
		fits = public.Equal(certificate.PublicKey)
		s.method = dsig.ECDSASHA256SignatureMethod
		s.raw = rawECDSA
	default:
		return nil, fmt.Errorf("signing key: %T, need RSA or ECDSA", public)
	}
	if !fits {
		return nil, errors.New("signing certificate is not for the signing key")
	}
	return s, nil
}

// Sign returns the ds:Signature of el, which the caller places inside el
// where its schema wants it. The reference is to the value of el's attribute
// idAttr, which must be there. Every namespace that el uses must be declared
// inside it, and every text must be legal in XML 1.0. el itself is not changed.
func (s *Signer) Sign(el *etree.Element, idAttr string) (*etree.Element, error) {
	id := el.SelectAttrValue(idAttr, "")
	if id == "" {
		return nil, fmt.Errorf("sign %s: no attribute %s", el.FullTag(), idAttr)
	}
	if err := legal(el); err != nil {
		return nil, fmt.Errorf("sign %s: %w", el.FullTag(), err)
	}
	// The transform works in place, and would drop namespace declarations
	// that only readers of text need.
	canonical := el.Copy()
	if err := etreeutils.TransformExcC14n(canonical, "", false); err != nil {
		return nil, fmt.Errorf("sign %s: %w", el.FullTag(), err)
	}
	info := s.signedInfo(id, sha256.Sum256(write(canonical, true)))
	value, err := s.sign(info)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", el.FullTag(), err)
	}
	signature := etree.NewElement("ds:Signature")
	signature.CreateAttr("xmlns:ds", dsig.Namespace)
	signature.AddChild(info)
	signature.CreateElement("ds:SignatureValue").SetText(base64.StdEncoding.EncodeToString(value))
	signature.AddChild(s.KeyInfo())
	return signature, nil
}

// signedInfo returns SignedInfo with one reference. It is built so that, with
// its namespace declared, it is its own canonical form.
func (s *Signer) signedInfo(id string, digest [sha256.Size]byte) *etree.Element {
	info := etree.NewElement("ds:SignedInfo")
	algorithm(info, "ds:CanonicalizationMethod", string(dsig.CanonicalXML10ExclusiveAlgorithmId))
	algorithm(info, "ds:SignatureMethod", s.method)
	reference := info.CreateElement("ds:Reference")
	reference.CreateAttr("URI", "#"+id)
	transforms := reference.CreateElement("ds:Transforms")
	algorithm(transforms, "ds:Transform", string(dsig.EnvelopedSignatureAltorithmId))
	algorithm(transforms, "ds:Transform", string(dsig.CanonicalXML10ExclusiveAlgorithmId))
	algorithm(reference, "ds:DigestMethod", digestMethod)
	reference.CreateElement("ds:DigestValue").SetText(base64.StdEncoding.EncodeToString(digest[:]))
	return info
}

func algorithm(parent *etree.Element, tag, uri string) {
	parent.CreateElement(tag).CreateAttr("Algorithm", uri)
}

// sign returns the value of the signature over info, which has no parent yet.
func (s *Signer) sign(info *etree.Element) ([]byte, error) {
	info.CreateAttr("xmlns:ds", dsig.Namespace)
	defer info.RemoveAttr("xmlns:ds")
	digest := sha256.Sum256(write(info, true))
	value, err := s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return s.raw(value)
}

// KeyInfo returns the certificate as AD FS writes it: in the default
// namespace, even inside a prefixed Signature.
func (s *Signer) KeyInfo() *etree.Element {
	info := etree.NewElement("KeyInfo")
	info.CreateAttr("xmlns", dsig.Namespace)
	info.CreateElement("X509Data").CreateElement("X509Certificate").SetText(s.certificate)
	return info
}

// rawECDSA turns the ASN.1 of crypto.Signer into what XML Signature wants, r
// and s as 32 bytes each (XML Signature 1.1, section 6.4.3).
func rawECDSA(der []byte) ([]byte, error) {
	const size = 32
	var v struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &v)
	if err != nil {
		return nil, fmt.Errorf("read ECDSA signature: %w", err)
	}
	if len(rest) > 0 || v.R.Sign() <= 0 || v.S.Sign() <= 0 || v.R.BitLen() > 8*size || v.S.BitLen() > 8*size {
		return nil, errors.New("read ECDSA signature: out of range")
	}
	raw := make([]byte, 2*size)
	v.R.FillBytes(raw[:size])
	v.S.FillBytes(raw[size:])
	return raw, nil
}
