package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"strings"

	dsig "github.com/russellhaering/goxmldsig"

	"stsgate/gateway/soap"
)

// A signature is a ds:Signature taken apart. The first rule that it breaks is
// kept in err, and nothing is read after it.
type signature struct {
	doc         *soap.Document
	element     *soap.Element
	info        *soap.Element // SignedInfo
	keyInfo     *soap.Element // nil for none
	method      method
	digest      crypto.Hash
	digestValue []byte
	value       []byte

	err *Error
}

// readSignature reads the signature of the element with that id. Its shape is
// fixed (SIG-03): what is not named here is refused, attributes included. Of
// KeyInfo nothing is required.
func readSignature(d *soap.Document, e *soap.Element, id []byte) (*signature, error) {
	s := &signature{doc: d, element: e}
	top := s.children(e, 2, "SignedInfo", "SignatureValue", "KeyInfo")
	info := s.children(top[0], 3, "CanonicalizationMethod", "SignatureMethod", "Reference")
	reference := s.children(info[2], 3, "Transforms", "DigestMethod", "DigestValue")
	transforms := s.children(reference[0], 2, "Transform", "Transform")
	for _, leaf := range []*soap.Element{info[0], info[1], transforms[0], transforms[1], reference[1]} {
		s.children(leaf, 0)
	}
	for _, bare := range []*soap.Element{e, top[0], top[1], reference[0], reference[2]} {
		s.attribute(bare, "")
	}
	s.is(info[0], "Algorithm", string(dsig.CanonicalXML10ExclusiveAlgorithmId))
	s.is(transforms[0], "Algorithm", string(dsig.EnvelopedSignatureAltorithmId))
	s.is(transforms[1], "Algorithm", string(dsig.CanonicalXML10ExclusiveAlgorithmId))
	s.is(info[2], "URI", "#"+string(id))
	s.algorithms(info[1], reference[1])
	s.digestValue = s.base64(reference[2])
	s.value = s.base64(top[1])
	s.info, s.keyInfo = top[0], top[2]
	if s.err != nil {
		return nil, s.err
	}
	if len(s.digestValue) != s.digest.Size() {
		return nil, refuse("SIG-07", reference[2], "digest is not as long as its method's")
	}
	return s, nil
}

// children returns the child elements of e: of XML Signature, with these names
// in this order, of which the first least must be there, and no text.
func (s *signature) children(e *soap.Element, least int, names ...string) (found [3]*soap.Element) {
	if s.err != nil {
		return found
	}
	n := 0
	for c := range s.doc.Children(e) {
		if n == len(names) || c.Name != (soap.Name{Space: dsig.Namespace, Local: names[n]}) {
			s.err = refuse("SIG-03", c, "an element that has no place here: "+expected(names))
			return found
		}
		found[n] = c
		n++
	}
	if n < least || s.doc.HasText(e) {
		s.err = refuse("SIG-03", e, "an element is missing, or text is too much: "+expected(names))
	}
	return found
}

func expected(names []string) string {
	if len(names) == 0 {
		return "need an empty element"
	}
	return "need " + strings.Join(names, ", ")
}

// attribute returns the value of the only attribute of e as it stands in the
// source, or nothing where name is empty and e must have none.
func (s *signature) attribute(e *soap.Element, name string) (value []byte) {
	if s.err != nil {
		return nil
	}
	n := 0
	for a := range s.doc.RawAttrs(e) {
		n++
		if a.Name == (soap.Name{Local: name}) {
			value = a.Raw
		}
	}
	switch {
	case name == "" && n > 0:
		s.err = refuse("SIG-03", e, "attribute where none may be")
	case name != "" && n != 1:
		s.err = refuse("SIG-03", e, "need one attribute, "+name)
	}
	return value
}

// is demands that e has one attribute with this value, without references.
func (s *signature) is(e *soap.Element, name, value string) {
	if got := s.attribute(e, name); s.err == nil && string(got) != value {
		s.err = refuse("SIG-03", e, name+" is not the one that is accepted")
	}
}

// algorithms reads what the two elements name.
func (s *signature) algorithms(signing, digest *soap.Element) {
	const name = "Algorithm"
	uri := s.attribute(signing, name)
	if s.err == nil {
		var ok bool
		if s.method, ok = signatureMethod(uri); !ok {
			s.err = refuse("SIG-06", signing, "algorithm of the signature is not accepted")
		}
	}
	uri = s.attribute(digest, name)
	if s.err == nil {
		if s.digest = digestHash(uri); s.digest == 0 {
			s.err = refuse("SIG-06", digest, "algorithm of the digest is not accepted")
		}
	}
}

// base64 decodes what e holds: digits and padding in their one canonical form,
// with no more than line ends between them (SIG-07).
func (s *signature) base64(e *soap.Element) []byte {
	if s.err != nil {
		return nil
	}
	text := s.doc.Source[e.ContentStart:e.ContentEnd]
	decoded, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(decoded) == 0 {
		s.err = refuse("SIG-07", e, "text is not strict base64")
		return nil
	}
	return decoded
}

// named returns the position of the certificate that KeyInfo holds, -1 where
// it holds none of them. What else it holds does not count, and neither do
// certificates that cannot be read.
func (s *signature) named(certificates []*x509.Certificate) int {
	if s.keyInfo == nil {
		return -1
	}
	within := s.doc.Within(s.keyInfo)
	for i := range within {
		e := &within[i]
		if e.Name != (soap.Name{Space: dsig.Namespace, Local: "X509Certificate"}) {
			continue
		}
		text := s.doc.Source[e.ContentStart:e.ContentEnd]
		der, err := base64.StdEncoding.AppendDecode(nil, text)
		if err != nil {
			continue
		}
		for at, c := range certificates {
			if bytes.Equal(der, c.Raw) {
				return at
			}
		}
	}
	return -1
}
