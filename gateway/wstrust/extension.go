package wstrust

import "stsgate/gateway/soap"

// unsupported declines an element of a request.
func (x *reader) unsupported(e *soap.Element) { x.decline(e, "%s is not supported", e.Name.Local) }

// extension reads what few requests have, and declines it: no answer here has
// what it asks for (protocol.md, section 3.1; security.md, SOAP-10).
func (x *reader) extension(e *soap.Element) (err error) {
	if x.r.Version == V2005 {
		switch e.Name.Local {
		case "ValidateTarget", "SecondaryParameters", "KeyWrapAlgorithm": // of 1.3
			return x.refuse(Malformed, "SOAP-10", e, "%s in RequestSecurityToken of Feb 2005", name(e))
		}
	}
	switch e.Name.Local {
	case "RenewTarget", "CancelTarget", "ValidateTarget":
		return x.readTarget(e)
	case "KeyWrapAlgorithm":
		return x.wish(e)
	case "OnBehalfOf":
		x.r.OnBehalfOf, err = x.token(e, soap.Name{Space: soap.NSAddressing, Local: "EndpointReference"},
			soap.Name{Space: soap.NSAddressing2004, Local: "EndpointReference"})
	case "DelegateTo":
		_, err = x.token(e)
	case "UseKey":
		err = x.useKey(e)
	case "Claims":
		err = x.claims(e)
	case "SecondaryParameters":
		err = x.secondary(e)
	case "Participants":
		err = x.participants(e)
	case "Issuer":
		err = x.unread(e, "SOAP-10")
	case "Encryption", "ProofEncryption", "BinaryExchange", "RequestKET", "KeyExchangeToken",
		"SignChallenge", "SignChallengeResponse", "Authenticator", "CombinedHash":
	default:
		return x.refuse(Malformed, "SOAP-10", e, "%s in RequestSecurityToken", name(e))
	}
	x.unsupported(e)
	return err
}

// readTarget reads the token that a request is about. That it is the one of
// the RequestType is judged later.
func (x *reader) readTarget(e *soap.Element) (err error) {
	if x.target != nil {
		return x.refuse(Malformed, "SOAP-10", e, "%s beside %s", name(e), name(x.target))
	}
	x.target = e
	x.r.Target, err = x.token(e)
	return err
}

// useKey reads which key the token is to be for: that of a signature of the
// message, one that is given, or both.
func (x *reader) useKey(e *soap.Element) error {
	if sig, _ := x.doc.Attr(e, soap.Name{Local: "Sig"}); sig != "" && x.empty(e) == nil {
		return nil
	}
	_, err := x.token(e, soap.Name{Space: nsSignature, Local: "KeyInfo"})
	return err
}

// claims reads a list of wishes, in a language of its own.
func (x *reader) claims(e *soap.Element) error {
	if dialect, _ := x.doc.Attr(e, soap.Name{Local: "Dialect"}); dialect == "" {
		return x.refuse(Malformed, "SOAP-10", e, "Claims without Dialect")
	}
	return x.unread(e, "SOAP-10", NSSAML20)
}

// secondary reads what a third party wishes, one level deep. A RequestType or
// an AppliesTo in it is not the request's.
func (x *reader) secondary(e *soap.Element) error {
	if err := x.container(e, "SOAP-10"); err != nil {
		return err
	}
	for c := range x.doc.Children(e) {
		switch {
		case c.Name.Local == "SecondaryParameters", c.Name.Local == "RequestSecurityToken":
			return x.refuse(Malformed, "SOAP-10", c, "%s in SecondaryParameters", name(c))
		case c.Name.Space != e.Name.Space && c.Name.Space != NSPolicy:
			return x.refuse(Malformed, "SOAP-10", c, "%s in SecondaryParameters", name(c))
		}
		if err := x.unread(c, "SOAP-10", nsSignature); err != nil {
			return err
		}
	}
	return nil
}

// participants reads who else may use the token.
func (x *reader) participants(e *soap.Element) error {
	if x.doc.HasText(e) {
		return x.refuse(Malformed, "SOAP-10", e, "text beside the elements of Participants")
	}
	primary := false
	for c := range x.doc.Children(e) {
		switch c.Name {
		case soap.Name{Space: e.Name.Space, Local: "Primary"}:
			if primary {
				return x.refuse(Malformed, "SOAP-10", c, "Primary is there twice")
			}
			primary = true
		case soap.Name{Space: e.Name.Space, Local: "Participant"}:
		default:
			return x.refuse(Malformed, "SOAP-10", c, "%s in Participants", name(c))
		}
		if err := x.unread(c, "SOAP-10", nsSignature); err != nil {
			return err
		}
	}
	return nil
}
