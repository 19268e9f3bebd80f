package main

import (
	"errors"
	"fmt"
	"strings"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/xmlsig"
)

// namedIn returns whom the first certificate in an element names.
func (x *inspection) namedIn(e *soap.Element) string {
	if all := certificatesIn(x.doc, e); len(all) > 0 {
		return x.shown(nameOf(all[0]))
	}
	return "unknown: there is no certificate that can be read"
}

// signatures says who signed a request, or the assertion that it brings, and
// whether that holds. No request is refused for it: the gateway does not look.
func (x *inspection) signatures(r *wstrust.Request) {
	if e := x.inSecurity(soap.Name{Space: nsSignature, Local: "Signature"}); e != nil {
		endorsed, err := x.verifier.VerifyMessage(x.doc, e)
		var over []string
		if err == nil {
			x.found.Verified, x.found.Signer = true, x.shown(nameOf(endorsed.Certificate))
			for _, signed := range endorsed.Elements {
				over = append(over, signed.Name.Local)
			}
		}
		x.found.Signature = x.held(err, "holds, over "+strings.Join(over, ", "))
	}
	if e := x.credential(r); e != nil {
		verified, err := x.verifier.Verify(x.doc, e)
		if err == nil {
			x.found.CredentialSigner = x.shown(nameOf(verified.Certificate))
		}
		x.found.CredentialSignature = x.held(err, "holds")
	}
}

// credential returns the assertion that the sender of a request proves itself
// with, nil for another credential.
func (x *inspection) credential(r *wstrust.Request) *soap.Element {
	switch r.Credential {
	case wstrust.CredentialSAML11:
		return x.inSecurity(soap.Name{Space: wstrust.NSSAML11, Local: "Assertion"})
	case wstrust.CredentialSAML20:
		return x.inSecurity(soap.Name{Space: wstrust.NSSAML20, Local: "Assertion"})
	default:
		return nil
	}
}

// inSecurity returns the first element with that name in the Security header,
// nil for none.
func (x *inspection) inSecurity(n soap.Name) *soap.Element {
	if x.doc == nil {
		return nil
	}
	header := child(x.doc, x.doc.Root(), "Header")
	if header == nil {
		return nil
	}
	for block := range x.doc.Children(header) {
		if block.Name != (soap.Name{Space: soap.NSSecurity, Local: "Security"}) {
			continue
		}
		for e := range x.doc.Children(block) {
			if e.Name == n {
				return e
			}
		}
	}
	return nil
}

// held says what became of the check of a signature.
func (x *inspection) held(err error, holds string) string {
	bad, ok := errors.AsType[*xmlsig.Error](err)
	switch {
	case !ok:
		return x.shown(holds)
	case bad.Rule == "SIG-01" || bad.Rule == "SIG-05":
		return fmt.Sprintf("does not hold: %s (%s)", x.shown(bad.Msg), bad.Rule)
	default:
		return fmt.Sprintf("cannot be verified: %s (%s)", x.shown(bad.Msg), bad.Rule)
	}
}
