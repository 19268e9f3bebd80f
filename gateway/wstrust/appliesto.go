package wstrust

import (
	"bytes"
	"strings"

	"stsgate/gateway/soap"
)

// maxAddress is the longest address of an application that is read, in bytes.
const maxAddress = 2048

// appliesTo reads which application the token is for: one EndpointReference
// with one Address, compared byte for byte and never normalised.
func (x *reader) appliesTo(e *soap.Element) error {
	if !x.application.empty() {
		return x.refuse(Malformed, "SOAP-10", e, "two AppliesTo")
	}
	if err := x.container(e, "SOAP-10"); err != nil {
		return err
	}
	for c := range x.doc.Children(e) {
		if c.Name.Local != "EndpointReference" || c.Name.Space != soap.NSAddressing && c.Name.Space != soap.NSAddressing2004 || !x.application.empty() {
			return x.refuse(Malformed, "SOAP-10", c, "%s in AppliesTo", name(c))
		}
		if err := x.endpoint(c); err != nil {
			return err
		}
	}
	if x.application.empty() {
		return x.refuse(Malformed, "SOAP-10", e, "AppliesTo without an EndpointReference")
	}
	return nil
}

// endpoint reads the Address of an EndpointReference. What else one may hold
// says how to reach the application, which a token service never does.
func (x *reader) endpoint(e *soap.Element) error {
	if err := x.container(e, "SOAP-10"); err != nil {
		return err
	}
	for c := range x.doc.Children(e) {
		var err error
		switch c.Name {
		case soap.Name{Space: e.Name.Space, Local: "Address"}:
			var padded bool
			if x.application, padded, err = x.takeTrimmed(c, "SOAP-10"); padded {
				x.tolerate(PaddedURI)
			}
		case soap.Name{Space: e.Name.Space, Local: "ReferenceParameters"},
			soap.Name{Space: e.Name.Space, Local: "ReferenceProperties"},
			soap.Name{Space: e.Name.Space, Local: "Metadata"},
			soap.Name{Space: nsAddressingID, Local: "Identity"}:
			err = x.unread(c, "SOAP-10")
		default:
			err = x.refuse(Malformed, "SOAP-10", c, "%s in EndpointReference", name(c))
		}
		if err != nil {
			return err
		}
	}
	address := x.fresh[x.application.from:x.application.to]
	if !absolute(address) || len(address) > maxAddress {
		return x.refuse(Malformed, "SOAP-10", e, "the Address of AppliesTo is not an absolute URI of at most %d bytes", maxAddress)
	}
	return nil
}

// absolute tells that uri begins with a scheme (RFC 3986, section 3.1) and
// holds no white space or control character.
func absolute(uri []byte) bool {
	scheme, rest, _ := bytes.Cut(uri, []byte(":"))
	if len(scheme) == 0 || len(rest) == 0 {
		return false
	}
	for i, c := range scheme {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || strings.IndexByte("0123456789+-.", c) < 0) {
			return false
		}
	}
	return bytes.IndexFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0
}
