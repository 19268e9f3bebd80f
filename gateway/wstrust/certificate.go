package wstrust

import (
	"encoding/base64"
	"strings"

	"stsgate/gateway/soap"
)

// Certificate returns the first certificate in the KeyInfo of the token's
// signature, in DER, and nil when there is none. It is what the message says
// of itself: for a person to read, never to trust (security.md, SIG-05).
func (a *Answer) Certificate() []byte {
	e := a.token
	for _, local := range []string{"Signature", "KeyInfo", "X509Data", "X509Certificate"} {
		if e = a.child(e, soap.Name{Space: nsSignature, Local: local}); e == nil {
			return nil
		}
	}
	text, err := a.doc.Text(e)
	if err != nil {
		return nil
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil
	}
	return der
}

// Signed returns the message as it was scanned and the token in it, for a check
// of the token's signature: the element that is verified there is the one that
// Assertion was read from (security.md, SIG-01). Both are nil where no token was
// found.
func (a *Answer) Signed() (*soap.Document, *soap.Element) { return a.doc, a.token }

// child returns the first child of e with that name.
func (a *Answer) child(e *soap.Element, n soap.Name) *soap.Element {
	for c := range a.doc.Children(e) {
		if c.Name == n {
			return c
		}
	}
	return nil
}
