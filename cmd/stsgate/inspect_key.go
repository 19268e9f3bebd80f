package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

const nsSignature = "http://www.w3.org/2000/09/xmldsig#"

// The kinds of key that a token can be bound to (WS-Trust 1.3, section 9.2).
const (
	keyBearer    = "bearer"
	keySymmetric = "symmetric"
	keyPublic    = "public"
)

// keyKind returns the kind that a KeyType names, "" for one that is not known.
// None at all asks for a symmetric key.
func keyKind(uri string, v wstrust.Version) string {
	switch uri {
	case v.BearerKey():
		return keyBearer
	case "", v.Namespace() + "/SymmetricKey":
		return keySymmetric
	case v.Namespace() + "/PublicKey":
		return keyPublic
	default:
		return ""
	}
}

// A binding is what a token says of the key that it is bound to.
type binding struct {
	holder bool     // a confirmation wants the holder of a key
	keys   [][]byte // public ones, as SubjectPublicKeyInfo in DER
}

// bindingOf reads the subject confirmations of a token (SAML 1.1, section
// 2.4.2.3; SAML 2.0, section 2.4.1.1).
func bindingOf(a *wstrust.Answer) (b binding) {
	for _, method := range a.Assertion.Confirmation {
		b.holder = b.holder || strings.HasSuffix(method, ":holder-of-key")
	}
	doc, token := a.Signed()
	within := doc.Within(token)
	for i := range within {
		if e := &within[i]; e.Name == (soap.Name{Space: token.Name.Space, Local: "SubjectConfirmation"}) {
			b.keys = append(b.keys, keysIn(doc, e)...)
		}
	}
	return b
}

// proofKey says whether the key of an answer fits what was asked for and what
// its token says (protocol.md, section 4.5). It is told to people: a key is
// never what a request is refused for here.
func (x *inspection) proofKey(a *wstrust.Answer, rstr *soap.Element) string {
	bound := bindingOf(a)
	kind := keySymmetric
	switch {
	case rstr != nil && x.found.KeyType != "":
		kind = keyKind(x.found.KeyType, a.Version)
	case x.asked != nil:
		kind = keyKind(x.asked.request.KeyType, x.asked.request.Version)
	case a.Encrypted:
		return "unknown: the token is encrypted"
	case !bound.holder:
		kind = keyBearer
	case len(bound.keys) > 0:
		kind = keyPublic
	}
	if x.asked != nil {
		if want := keyKind(x.asked.request.KeyType, x.asked.request.Version); want != kind && want != "" && kind != "" {
			return fmt.Sprintf("does not fit: the request asks for a %s key, the answer has a %s one", want, kind)
		}
	}
	switch kind {
	case keyBearer:
		return x.bearerFits(a, bound, rstr)
	case keyPublic:
		return x.publicFits(a, bound)
	case keySymmetric:
		return x.symmetricFits(a, bound, rstr)
	default:
		return "unknown: a key type that is not known"
	}
}

func (x *inspection) bearerFits(a *wstrust.Answer, bound binding, rstr *soap.Element) string {
	switch {
	case !a.Encrypted && bound.holder:
		return "does not fit: a bearer token that is for the holder of a key"
	case child(x.doc, rstr, "RequestedProofToken") != nil:
		return "does not fit: a proof key beside a bearer token"
	default:
		return "fits: bearer, there is no key"
	}
}

func (x *inspection) publicFits(a *wstrust.Answer, bound binding) string {
	switch {
	case a.Encrypted:
		return "unknown: the token is encrypted"
	case !bound.holder || len(bound.keys) == 0:
		return "does not fit: the token names no public key of its holder"
	case x.asked == nil:
		return "unknown: give --request to compare the public key in the token"
	}
	theirs := append(keysIn(x.asked.doc, x.asked.header("Security")), keysIn(x.asked.doc, find(x.asked.doc, x.asked.doc.Root(), "UseKey"))...)
	if len(theirs) == 0 {
		return "does not fit: the request shows no public key"
	}
	for _, key := range bound.keys {
		for _, their := range theirs {
			if bytes.Equal(key, their) {
				return "fits: the public key in the token is the request's"
			}
		}
	}
	return "does not fit: the public key in the token is not the request's"
}

func (x *inspection) symmetricFits(a *wstrust.Answer, bound binding, rstr *soap.Element) string {
	if !a.Encrypted && !bound.holder {
		return "does not fit: a symmetric key was asked for, and the token is for any bearer"
	}
	if rstr == nil {
		return "unknown: the key is in the answer that the token came in"
	}
	proof := child(x.doc, child(x.doc, rstr, "RequestedProofToken"), "")
	ours := child(x.doc, rstr, "Entropy") != nil
	theirs := x.asked != nil && find(x.asked.doc, x.asked.doc.Root(), "Entropy") != nil
	switch {
	case proof == nil && x.asked == nil:
		return "unknown: give --request to see whether it has the key"
	case proof == nil && !theirs:
		return "does not fit: neither the request nor the answer has a key"
	case proof == nil:
		return "fits: the key is the request's entropy"
	case proof.Name.Local == "BinarySecret":
		return x.secretFits(proof, rstr)
	case proof.Name.Local != "ComputedKey":
		return "unknown: the key is encrypted to the client"
	case !ours:
		return "does not fit: the key is to be computed, and the answer has no entropy"
	case x.asked != nil && !theirs:
		return "does not fit: the key is to be computed, and the request has no entropy"
	default:
		return "fits: the key is computed from the entropy of both sides"
	}
}

// secretFits compares the size of the key with the one that is stated.
func (x *inspection) secretFits(secret, rstr *soap.Element) string {
	have := 8 * len(binary(x.doc, secret))
	stated := x.text(child(x.doc, rstr, "KeySize"))
	if stated == "" && x.asked != nil {
		stated = x.asked.text(find(x.asked.doc, x.asked.doc.Root(), "KeySize"))
	}
	if size, err := strconv.Atoi(stated); err == nil && size != have {
		return fmt.Sprintf("does not fit: a key of %d bits where %d are stated", have, size)
	}
	return fmt.Sprintf("fits: a key of %d bits is in the answer", have)
}

// find returns the first element in e with that local name, nil for none.
func find(d *soap.Document, e *soap.Element, local string) *soap.Element {
	within := d.Within(e)
	for i := range within {
		if within[i].Name.Local == local {
			return &within[i]
		}
	}
	return nil
}

// binary returns what the base64 text of an element stands for, nil if it is none.
func binary(d *soap.Document, e *soap.Element) []byte {
	text, err := d.Text(e)
	if err != nil {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil
	}
	return b
}

// certificatesIn returns the certificates in e that can be read.
func certificatesIn(d *soap.Document, e *soap.Element) (all []*x509.Certificate) {
	if e == nil {
		return nil
	}
	within := d.Within(e)
	for i := range within {
		switch within[i].Name {
		case soap.Name{Space: nsSignature, Local: "X509Certificate"}, soap.Name{Space: soap.NSSecurity, Local: "BinarySecurityToken"}:
			if c, err := x509.ParseCertificate(binary(d, &within[i])); err == nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// keysIn returns the public keys in e, by certificate or by value.
func keysIn(d *soap.Document, e *soap.Element) (all [][]byte) {
	for _, c := range certificatesIn(d, e) {
		all = append(all, c.RawSubjectPublicKeyInfo)
	}
	if e == nil {
		return all
	}
	within := d.Within(e)
	for i := range within {
		value := &within[i]
		modulus, exponent := child(d, value, "Modulus"), child(d, value, "Exponent")
		if value.Name != (soap.Name{Space: nsSignature, Local: "RSAKeyValue"}) || modulus == nil || exponent == nil {
			continue
		}
		e := new(big.Int).SetBytes(binary(d, exponent))
		if !e.IsInt64() || e.Int64() > 1<<31-1 {
			continue
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(binary(d, modulus)), E: int(e.Int64())}
		if der, err := x509.MarshalPKIXPublicKey(key); err == nil {
			all = append(all, der)
		}
	}
	return all
}
