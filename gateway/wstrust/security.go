package wstrust

import (
	"stsgate/gateway/account"
	"stsgate/gateway/soap"
)

// Password types of the UsernameToken profile 1.0.
const (
	passwordText   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
	passwordDigest = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
)

// security reads the Security header: at most one token, one Signature and
// one Timestamp, and nothing else (security.md, SOAP-07, SOAP-08). Which of
// them are accepted is judged when everything has been read.
func (x *reader) security(header *soap.Element) error {
	if x.doc.HasText(header) {
		return x.refuse(Malformed, "SOAP-07", header, "text in the Security header")
	}
	var token, other *soap.Element
	for c := range x.doc.Children(header) {
		switch {
		case c.Name == soap.Name{Space: soap.NSUtility, Local: "Timestamp"}:
			if x.timestamp != nil {
				return x.refuse(Malformed, "SOAP-08", c, "two Timestamps")
			}
			x.timestamp = c
		case c.Name == soap.Name{Space: nsSignature, Local: "Signature"}:
			if x.signature != nil {
				return x.refuse(Malformed, "SOAP-07", c, "two Signatures in the Security header")
			}
			x.signature = c
		case token == nil:
			token = c
		default:
			other = c
		}
	}
	if err := x.marks(); err != nil {
		return err
	}
	switch {
	case token == nil:
		x.doubt(UnsupportedCredential, header, "the Security header holds no UsernameToken and no other credential")
		return nil
	case other != nil:
		if other.Name.Local == "UsernameToken" {
			token, other = other, token
		}
		x.r.Credential = CredentialSeveral
		x.doubt(SecondCredential, other, "the Security header holds %s beside %s", name(other), name(token))
		return nil
	default:
		return x.credential(token)
	}
}

// marks reads the Timestamp and the Signature.
func (x *reader) marks() (err error) {
	if x.signature != nil {
		x.r.Signed = true
		if err := x.unread(x.signature, "SOAP-07", nsSignature); err != nil {
			return err
		}
	}
	if x.timestamp == nil {
		x.tolerate(NoTimestamp)
		return nil
	}
	if x.r.Timestamp, err = x.span(x.timestamp, "SOAP-08"); err != nil {
		return err
	}
	if x.r.Timestamp.Created.IsZero() {
		return x.refuse(Malformed, "SOAP-08", x.timestamp, "Timestamp without Created")
	}
	return nil
}

// credential reads the one token of the Security header.
func (x *reader) credential(e *soap.Element) (err error) {
	x.presented = e
	switch e.Name {
	case soap.Name{Space: soap.NSSecurity, Local: "UsernameToken"}:
		return x.user(e)
	case soap.Name{Space: soap.NSSecurity, Local: "BinarySecurityToken"}:
		x.r.Credential, err = x.binaryToken(e)
	case soap.Name{Space: NSSAML11, Local: "Assertion"}, soap.Name{Space: NSSAML20, Local: "Assertion"}:
		var t Token
		t, err = x.assertion(e, "SOAP-07")
		x.r.Credential = t.Kind
		x.username = x.add(t.Subject)
	default:
		x.r.Credential = CredentialUnknown
	}
	return err
}

// usernameToken finds the parts of a UsernameToken, nil for what is not there.
// Nonce and Created are taken here: they are of no other use.
func (x *reader) usernameToken(token *soap.Element) (username, password *soap.Element, err error) {
	if err := x.container(token, "SOAP-07"); err != nil {
		return nil, nil, err
	}
	for c := range x.doc.Children(token) {
		var err error
		switch c.Name {
		case soap.Name{Space: soap.NSSecurity, Local: "Username"}:
			username = c
		case soap.Name{Space: soap.NSSecurity, Local: "Password"}:
			password = c
		case soap.Name{Space: soap.NSSecurity, Local: "Nonce"}:
			x.nonce, err = x.take(c)
		case soap.Name{Space: soap.NSUtility, Local: "Created"}:
			x.nonceCreated, err = x.take(c)
		default:
			err = x.refuse(Malformed, "SOAP-07", c, "%s in UsernameToken", name(c))
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return username, password, nil
}

// user reads the UsernameToken that is the credential.
func (x *reader) user(token *soap.Element) error {
	username, password, err := x.usernameToken(token)
	if err != nil {
		return err
	}
	if username != nil {
		if x.username, err = x.take(username); err != nil {
			return err
		}
	}
	x.r.Credential = CredentialUnknown
	if username == nil || password == nil {
		x.doubt(UnsupportedCredential, token, "UsernameToken without Username and Password")
		return nil
	}
	plain, err := x.passwordType(password)
	if err != nil || !plain {
		return err
	}
	empty := password.ContentStart == password.ContentEnd
	switch {
	case x.username.empty() && empty: // as MSAL Go has it beside HTTP authentication
		x.r.Credential = CredentialNone
		x.doubt(UnsupportedCredential, token, "Username and Password are empty")
	case x.username.empty() || empty:
		x.doubt(UnsupportedCredential, token, "Username or Password is empty")
	default:
		return x.secret(password)
	}
	return nil
}

// secret reads a plain password, which whoever asked for the request wipes.
func (x *reader) secret(password *soap.Element) error {
	// The room is exact: growing would leave parts of the secret behind.
	secret, err := x.doc.AppendText(make([]byte, 0, password.ContentEnd-password.ContentStart), password)
	if err != nil {
		return err
	}
	x.r.Credential, x.r.Password, x.r.password = CredentialUsername, account.NewPassword(secret), password
	return nil
}

// passwordType tells whether a Password is plain. An attribute of the
// WS-Security namespace is none of the profile's; WCF overlooks it.
func (x *reader) passwordType(password *soap.Element) (plain bool, err error) {
	seen := false
	for attr, value := range x.doc.Attrs(password) {
		if attr.Local != "Type" {
			continue
		}
		switch {
		case seen:
			return false, x.refuse(Malformed, "SOAP-07", password, "Password has two Types")
		case value == passwordDigest:
			x.r.Credential = CredentialDigest
			x.doubt(UnsupportedCredential, password, "Password is a digest, which can be compared with stored plain passwords only")
			return false, nil
		case value != passwordText:
			x.doubt(UnsupportedCredential, password, "Password is of a Type that is not known")
			return false, nil
		}
		seen = true
		if attr.Space != "" {
			x.tolerate(NamespacedPasswordType)
		}
	}
	return true, nil
}
