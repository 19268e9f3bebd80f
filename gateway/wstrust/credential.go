package wstrust

import (
	"slices"

	"stsgate/gateway/soap"
)

// A Credential is a kind of security token: what a sender proves itself with,
// or what it speaks of.
type Credential uint8

// The kinds of credential.
const (
	CredentialNone     Credential = iota
	CredentialUsername            // UsernameToken with a plain password
	CredentialDigest              // UsernameToken with a digest, which is never taken
	CredentialX509                // BinarySecurityToken with certificates
	CredentialKerberos            // BinarySecurityToken with a service ticket
	CredentialSAML11
	CredentialSAML20
	CredentialReference // a token or a party elsewhere; never in the Security header
	CredentialUnknown   // another token, which is never taken
	CredentialSeveral   // more than one, which is never taken
)

// String returns the kind's name in policies, audit and errors, such as "x509".
func (c Credential) String() string {
	return [...]string{
		"none", "username", "digest", "x509", "kerberos", "saml1.1", "saml2.0", "reference", "unknown", "several",
	}[c]
}

// A Token is one that a request speaks of, read but not verified.
type Token struct {
	Kind Credential
	// Subject is whom the token names, as written: a user name, or the name
	// identifier of an assertion. Other kinds have none.
	Subject string
}

// Prefixes of the value types of a BinarySecurityToken (protocol.md, section 1.3).
const (
	profileX509     = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0"
	profileKerberos = "http://docs.oasis-open.org/wss/oasis-wss-kerberos-token-profile-1.1"
	base64Binary    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)

// binaryToken reads which kind of token a BinarySecurityToken holds. Its
// content is for whoever verifies it.
func (m *message) binaryToken(e *soap.Element) (Credential, error) {
	if err := m.leaf(e); err != nil {
		return 0, err
	}
	encoding, ok := m.doc.Attr(e, soap.Name{Local: "EncodingType"})
	if ok && encoding != base64Binary {
		return CredentialUnknown, nil
	}
	value, _ := m.doc.Attr(e, soap.Name{Local: "ValueType"})
	switch value {
	case profileX509 + "#X509v3", profileX509 + "#X509PKIPathv1", profileX509 + "#PKCS7":
		return CredentialX509, nil
	case profileKerberos + "#GSS_Kerberosv5_AP_REQ", profileKerberos + "#Kerberosv5_AP_REQ",
		profileKerberos + "#GSS_Kerberosv5_AP_REQ1510", profileKerberos + "#Kerberosv5_AP_REQ1510",
		profileKerberos + "#GSS_Kerberosv5_AP_REQ4120", profileKerberos + "#Kerberosv5_AP_REQ4120":
		return CredentialKerberos, nil
	default:
		return CredentialUnknown, nil
	}
}

// assertion reads an assertion: its kind, and whom it is about.
func (x *reader) assertion(e *soap.Element, rule string) (Token, error) {
	t := Token{Kind: CredentialSAML11}
	if e.Name.Space == NSSAML20 {
		t.Kind = CredentialSAML20
	}
	if err := x.unread(e, rule, NSSAML11, NSSAML20, nsSignature); err != nil {
		return t, err
	}
	var err error
	t.Subject, err = x.subject(e, rule)
	return t, err
}

// token reads the one token in e. also are the names of what else may stand
// for one there.
func (x *reader) token(e *soap.Element, also ...soap.Name) (Token, error) {
	if err := x.container(e, "SOAP-10"); err != nil {
		return Token{}, err
	}
	var token *soap.Element
	for c := range x.doc.Children(e) {
		if token != nil {
			return Token{}, x.refuse(Malformed, "SOAP-10", c, "%s holds %s beside another token", name(e), name(c))
		}
		token = c
	}
	if token == nil {
		return Token{}, x.refuse(Malformed, "SOAP-10", e, "%s is empty", name(e))
	}
	switch n := token.Name; {
	case n == soap.Name{Space: soap.NSSecurity, Local: "UsernameToken"}:
		return x.namedUser(token)
	case n == soap.Name{Space: soap.NSSecurity, Local: "BinarySecurityToken"}:
		kind, err := x.binaryToken(token)
		return Token{Kind: kind}, err
	case n == soap.Name{Space: NSSAML11, Local: "Assertion"}, n == soap.Name{Space: NSSAML20, Local: "Assertion"}:
		return x.assertion(token, "SOAP-10")
	case n == soap.Name{Space: soap.NSSecurity, Local: "SecurityTokenReference"}, slices.Contains(also, n):
		return Token{Kind: CredentialReference}, x.unread(token, "SOAP-10", nsSignature)
	default:
		return Token{}, x.refuse(Malformed, "SOAP-10", token, "%s in %s", name(token), name(e))
	}
}

// namedUser reads a UsernameToken that names somebody else than the sender.
func (x *reader) namedUser(token *soap.Element) (Token, error) {
	username, password, err := x.usernameToken(token)
	if err != nil {
		return Token{}, err
	}
	if username == nil {
		return Token{}, x.refuse(Malformed, "SOAP-10", token, "UsernameToken without Username")
	}
	if password != nil {
		x.decline(password, "a Password of somebody else than the sender is not supported")
	}
	user, err := x.doc.Text(username)
	if err == nil && user == "" {
		err = x.refuse(Malformed, "SOAP-10", username, "Username is empty")
	}
	return Token{Kind: CredentialUsername, Subject: user}, err
}
