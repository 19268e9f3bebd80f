package wstrust

import "stsgate/gateway/soap"

// rst reads the RequestSecurityToken: what is asked for (security.md, SOAP-10).
func (x *reader) rst() error {
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
	for c := range x.doc.Children(rst) {
		var err error
		switch {
		case c.Name == soap.Name{Space: rst.Name.Space, Local: "RequestType"}:
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
	if x.verb == nil {
		return x.refuse(Malformed, "SOAP-10", rst, "no RequestType")
	}
	return nil
}

// requestType reads the verb. Which verbs are answered is judged later.
func (x *reader) requestType(e *soap.Element) error {
	verb, err := x.uri(e, "SOAP-10")
	if err != nil {
		return err
	}
	t, own := x.r.Version.typeOf(verb)
	if !own {
		return x.refuse(Malformed, "SOAP-10", e, "RequestType is not of the version of its RequestSecurityToken")
	}
	x.r.Type, x.verb = t, e
	return nil
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
	case "KeySize":
		err = x.bits(e)
	case "Entropy":
		err = x.entropy(e)
	case "ComputedKeyAlgorithm":
		err = x.computedKey(e)
	case "AuthenticationType", "SignatureAlgorithm", "EncryptionAlgorithm", "CanonicalizationAlgorithm", "SignWith", "EncryptWith":
		// Wishes about the token. They never widen what is issued.
		err = x.wish(e)
	case "Delegatable", "Forwardable":
		err = x.boolean(e)
	case "AllowPostdating":
		err = x.empty(e)
	default:
		err = x.extension(e)
	}
	return err
}

// foreignParameter reads a child of another namespace.
func (x *reader) foreignParameter(e *soap.Element) (err error) {
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
	case soap.Name{Space: "http://docs.oasis-open.org/wsfed/authorization/200706", Local: "AdditionalContext"}:
		x.ask(e)
		return x.unread(e, "SOAP-10")
	case soap.Name{Space: NSPolicy, Local: "Policy"}:
		x.unsupported(e)
		return nil
	case soap.Name{Space: nsTrust14, Local: "ActAs"}:
		if x.r.Version == V13 {
			x.r.ActAs, err = x.token(e)
			x.unsupported(e)
			return err
		}
	}
	return x.refuse(Malformed, "SOAP-10", e, "%s in RequestSecurityToken", name(e))
}
