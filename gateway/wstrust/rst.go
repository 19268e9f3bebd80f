package wstrust

import (
	"bytes"
	"strings"

	"stsgate/gateway/soap"
)

// maxAddress is the longest address of an application that is read, in bytes.
const maxAddress = 2048

// token reads the RequestSecurityToken: what is asked for (security.md, SOAP-10).
func (x *reader) token() error {
	rst := x.env.Content
	if err := x.container(rst, "SOAP-10"); err != nil {
		return err
	}
	if id, ok := x.doc.Attr(rst, soap.Name{Local: "Context"}); ok {
		if len(id) > maxID {
			return x.refuse(Malformed, "SOAP-10", rst, "Context is longer than %d bytes", maxID)
		}
		x.r.Context = id
	}
	verb := false
	for c := range x.doc.Children(rst) {
		var err error
		switch {
		case c.Name == soap.Name{Space: rst.Name.Space, Local: "RequestType"}:
			verb = true
			err = x.requestType(c)
		case c.Name.Space == rst.Name.Space:
			err = x.parameter(c)
		default:
			err = x.foreignParameter(c)
		}
		if err != nil {
			return err
		}
	}
	if !verb {
		return x.refuse(Malformed, "SOAP-10", rst, "no RequestType")
	}
	return nil
}

// requestType accepts the verb Issue.
func (x *reader) requestType(e *soap.Element) error {
	verb, err := x.uri(e, "SOAP-10")
	switch {
	case err != nil:
		return err
	case verb == x.r.Version.RequestType():
		return nil
	case strings.HasPrefix(verb, x.r.Version.Namespace()+"/"):
		return x.refuse(Unsupported, "SOAP-10", e, "RequestType is not Issue")
	default:
		return x.refuse(Malformed, "SOAP-10", e, "RequestType is not of the version of its RequestSecurityToken")
	}
}

// parameter reads a child of the trust namespace (protocol.md, section 3.1).
func (x *reader) parameter(e *soap.Element) (err error) {
	switch e.Name.Local {
	case "TokenType":
		x.r.TokenType, err = x.uri(e, "SOAP-10")
	case "KeyType":
		x.r.KeyType, err = x.uri(e, "SOAP-10")
	case "Lifetime":
		x.r.Lifetime, err = x.span(e, "SOAP-10")
	case "Renewing":
		err = x.renewing(e)
	case "Entropy":
		err = x.entropy(e)
	case "KeySize", "AuthenticationType", "SignatureAlgorithm", "EncryptionAlgorithm", "CanonicalizationAlgorithm",
		"ComputedKeyAlgorithm", "KeyWrapAlgorithm", "SignWith", "EncryptWith",
		"Delegatable", "Forwardable", "AllowPostdating":
		// Wishes about the token. They never widen what is issued.
		err = x.leaf(e)
	case "OnBehalfOf", "DelegateTo", "UseKey", "Participants", "Claims", "SecondaryParameters", "Issuer",
		"Encryption", "ProofEncryption", "BinaryExchange", "RequestKET", "KeyExchangeToken",
		"SignChallenge", "SignChallengeResponse", "Authenticator", "CombinedHash",
		"RenewTarget", "CancelTarget", "ValidateTarget":
		err = x.refuse(Unsupported, "SOAP-10", e, "%s is not supported", e.Name.Local)
	default:
		err = x.refuse(Malformed, "SOAP-10", e, "%s in RequestSecurityToken", name(e))
	}
	return err
}

// foreignParameter reads a child of another namespace.
func (x *reader) foreignParameter(e *soap.Element) error {
	switch e.Name {
	case soap.Name{Space: NSPolicy, Local: "AppliesTo"}:
		return x.appliesTo(e)
	case soap.Name{Space: nsPolicy15, Local: "AppliesTo"}:
		x.tolerate(Policy15)
		return x.appliesTo(e)
	case soap.Name{Space: NSPolicy, Local: "PolicyReference"}:
		x.tolerate(PolicyReference)
		return x.leaf(e)
	case soap.Name{Space: nsIdentity, Local: "RequestDisplayToken"}:
		return x.leaf(e)
	case soap.Name{Space: nsTrust14, Local: "ActAs"},
		soap.Name{Space: "http://docs.oasis-open.org/wsfed/authorization/200706", Local: "AdditionalContext"},
		soap.Name{Space: NSPolicy, Local: "Policy"}:
		return x.refuse(Unsupported, "SOAP-10", e, "%s is not supported", e.Name.Local)
	default:
		return x.refuse(Malformed, "SOAP-10", e, "%s in RequestSecurityToken", name(e))
	}
}

// renewing accepts the wish for a token that can be renewed in time (Allow),
// not for one that can be renewed after it has expired (OK).
func (x *reader) renewing(e *soap.Element) error {
	if ok, _ := x.doc.Attr(e, soap.Name{Local: "OK"}); ok != "" && ok != "false" && ok != "0" {
		return x.refuse(Unsupported, "SOAP-10", e, "Renewing with OK")
	}
	return x.leaf(e)
}

// entropy accepts the client's part of a key: one BinarySecret.
func (x *reader) entropy(e *soap.Element) error {
	if err := x.container(e, "SOAP-10"); err != nil {
		return err
	}
	for c := range x.doc.Children(e) {
		if c.Name != (soap.Name{Space: e.Name.Space, Local: "BinarySecret"}) {
			return x.refuse(Malformed, "SOAP-10", c, "%s in Entropy", name(c))
		}
		if err := x.leaf(c); err != nil {
			return err
		}
	}
	return nil
}

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
