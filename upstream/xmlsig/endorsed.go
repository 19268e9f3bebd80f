package xmlsig

import (
	"bytes"
	"crypto/subtle"
	"crypto/x509"

	dsig "github.com/russellhaering/goxmldsig"

	"stsgate/gateway/soap"
)

// maxReferences is how many elements a signature of a message may be over.
const maxReferences = 8

// Endorsed is what a signature of a message is over.
type Endorsed struct {
	Elements []*soap.Element
	// Certificate is the pinned one whose key signed.
	Certificate *x509.Certificate
}

// VerifyMessage checks a ds:Signature that stands in the Security header of a
// message, over up to eight elements of d by their ids (protocol.md, section
// 3.6). It says which elements these are; whether they are those that somebody
// reads is for the caller to see, and nothing else of the message was signed.
// Shapes, algorithms and keys are as narrow as those of Verify. The error is an
// *Error.
func (v *Verifier) VerifyMessage(d *soap.Document, e *soap.Element) (*Endorsed, error) {
	var c canonicalizer
	defer c.wipe()
	s := &signature{doc: d, element: e}
	s.must(e, "Signature")
	top := s.children(e, 2, "SignedInfo", "SignatureValue", "KeyInfo")
	s.value, s.info, s.keyInfo = s.base64(top[1]), top[0], top[2]
	signing, references := s.references()
	endorsed := new(Endorsed)
	for _, r := range references {
		target, err := s.reference(&c, signing, r)
		if err != nil {
			return nil, err
		}
		endorsed.Elements = append(endorsed.Elements, target)
	}
	if s.err != nil {
		return nil, s.err
	}
	by, err := v.checkValue(&c, s)
	if err != nil {
		return nil, err
	}
	endorsed.Certificate = by
	return endorsed, nil
}

// references returns the SignatureMethod and each Reference of SignedInfo.
func (s *signature) references() (signing *soap.Element, all []*soap.Element) {
	if s.err != nil {
		return nil, nil
	}
	var methods []*soap.Element
	for c := range s.doc.Children(s.info) {
		if len(methods) < 2 {
			methods = append(methods, c)
		} else {
			all = append(all, c)
		}
	}
	switch {
	case len(all) == 0 || s.doc.HasText(s.info):
		s.err = refuse("SIG-03", s.info, "an element is missing, or text is too much")
		return nil, nil
	case len(all) > maxReferences:
		s.err = refuse("SIG-09", s.info, "too many references")
		return nil, nil
	}
	s.must(methods[0], "CanonicalizationMethod")
	s.must(methods[1], "SignatureMethod")
	s.is(methods[0], "Algorithm", string(dsig.CanonicalXML10ExclusiveAlgorithmId))
	s.children(methods[0], 0)
	s.children(methods[1], 0)
	return methods[1], all
}

// must demands that e is an element of XML Signature with that name.
func (s *signature) must(e *soap.Element, name string) {
	if s.err == nil && e.Name != (soap.Name{Space: dsig.Namespace, Local: name}) {
		s.err = refuse("SIG-03", e, "an element that has no place here: need "+name)
	}
}

// reference checks the digest of the element that a Reference names.
func (s *signature) reference(c *canonicalizer, signing, e *soap.Element) (*soap.Element, error) {
	s.must(e, "Reference")
	parts := s.children(e, 3, "Transforms", "DigestMethod", "DigestValue")
	transforms := s.children(parts[0], 1, "Transform", "Transform")
	last := transforms[0]
	if transforms[1] != nil {
		s.is(transforms[0], "Algorithm", string(dsig.EnvelopedSignatureAltorithmId))
		last = transforms[1]
	}
	s.is(last, "Algorithm", string(dsig.CanonicalXML10ExclusiveAlgorithmId))
	for _, leaf := range []*soap.Element{transforms[0], last, parts[1]} {
		s.children(leaf, 0)
	}
	s.algorithms(signing, parts[1])
	want := s.base64(parts[2])
	target := s.target(e)
	if s.err != nil {
		return nil, s.err
	}
	var leaveOut *soap.Element
	if transforms[1] != nil && target.Start < s.element.Start && s.element.End <= target.ContentEnd {
		leaveOut = s.element
	}
	form, err := c.form(s.doc, target, leaveOut)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(want, sum(s.digest, form)) != 1 {
		return nil, refuse("SIG-01", target, target.Name.Local+" is not what was signed")
	}
	return target, nil
}

// target returns the one element with the id that a Reference names.
func (s *signature) target(reference *soap.Element) (found *soap.Element) {
	id, local := bytes.CutPrefix(s.attribute(reference, "URI"), []byte("#"))
	if s.err != nil {
		return nil
	}
	if !local || !isNCName(id) {
		s.err = refuse("SIG-03", reference, "URI is not that of an element here")
		return nil
	}
	elements := s.doc.Elements()
	for i := range elements {
		for a := range s.doc.RawAttrs(&elements[i]) {
			if !soap.IsID(a.Name.Local) || !same(a.Raw, id) {
				continue
			}
			if found != nil {
				s.err = refuse("SIG-04", &elements[i], "id that is signed stands at a second place")
				return nil
			}
			found = &elements[i]
		}
	}
	if found == nil {
		s.err = refuse("SIG-04", reference, "no element has the id that is signed")
	}
	return found
}
