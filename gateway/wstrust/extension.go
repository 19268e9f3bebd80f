package wstrust

import "stsgate/gateway/soap"

// unsupported declines an element of a request.
func (x *reader) unsupported(e *soap.Element) { x.decline(e, "%s is not supported", e.Name.Local) }

// ask notes an element that only the farm answers, for applications that list it.
func (x *reader) ask(e *soap.Element) { x.asked = append(x.asked, e) }

// judgeAsked declines what the application does not list.
func (x *reader) judgeAsked() {
	for _, e := range x.asked {
		if x.in.Lists == nil || !x.in.Lists(string(x.fresh[x.application.from:x.application.to]), e.Name.Local) {
			x.decline(e, "%s is not supported unless the application lists it", e.Name.Local)
			return
		}
		x.r.Extensions = append(x.r.Extensions, e.Name.Local)
	}
}

// extension reads what few requests have. No token that is issued here has what
// it asks for, and of those that are forwarded a token for somebody else would
// not be released (protocol.md, section 3.1; security.md, SOAP-10).
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
		x.ask(e)
		return x.useKey(e)
	case "Claims":
		x.ask(e)
		return x.claims(e)
	case "SecondaryParameters":
		x.ask(e)
		return x.secondary(e)
	case "Participants":
		x.ask(e)
		return x.participants(e)
	case "Issuer", "Encryption", "ProofEncryption":
		x.ask(e)
		return x.unread(e, "SOAP-10", nsSignature)
	case "BinaryExchange", "RequestKET", "KeyExchangeToken", "SignChallenge", "SignChallengeResponse", "Authenticator", "CombinedHash":
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
