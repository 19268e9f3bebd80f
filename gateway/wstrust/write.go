package wstrust

import (
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
)

// AppendAnswer appends the whole answer that releases t to the sender of r,
// at the time now: compact, in AD FS's order and with its prefixes, because
// clients read it with regular expressions and by literal names
// (messages/CLIENTS.md, section 1; protocol.md, section 4.2). Version and
// SOAP version are the request's; a SOAP 1.1 client that sent no addressing
// headers gets none.
func AppendAnswer(dst []byte, r *Request, t *Issued, now time.Time) []byte {
	header := soap.Header{Version: r.SOAP, Action: r.Version.ResponseAction(), RelatesTo: r.MessageID, Now: now}
	if r.SOAP == soap.V11 && !r.addressed() {
		header.Action = ""
	}
	dst = soap.AppendOpen(dst, header)
	if r.Version == V2005 {
		dst = append(dst, `<t:RequestSecurityTokenResponse`...)
		dst = appendContext(dst, r.Context)
		dst = append(dst, ` xmlns:t="`+NS2005+`">`...)
		dst = appendResponse(dst, "t", r, t)
		dst = append(dst, `</t:RequestSecurityTokenResponse>`...)
	} else {
		dst = append(dst, `<trust:RequestSecurityTokenResponseCollection xmlns:trust="`+NS13+`"><trust:RequestSecurityTokenResponse`...)
		dst = appendContext(dst, r.Context)
		dst = append(dst, '>')
		dst = appendResponse(dst, "trust", r, t)
		dst = append(dst, `</trust:RequestSecurityTokenResponse></trust:RequestSecurityTokenResponseCollection>`...)
	}
	return soap.AppendClose(dst)
}

// appendContext appends the attribute that tells answers apart.
func appendContext(dst []byte, context string) []byte {
	if context == "" {
		return dst
	}
	dst = append(dst, ` Context="`...)
	dst = soap.EscapeAttr(dst, context)
	return append(dst, '"')
}

// appendResponse appends the children of the RSTR.
func appendResponse(dst []byte, prefix string, r *Request, t *Issued) []byte {
	dst = appendTag(dst, "<", prefix, "Lifetime")
	dst = append(dst, `<wsu:Created xmlns:wsu="`+soap.NSUtility+`">`...)
	dst = appendInstant(dst, t.Lifetime.Created)
	dst = append(dst, `</wsu:Created><wsu:Expires xmlns:wsu="`+soap.NSUtility+`">`...)
	dst = appendInstant(dst, t.Lifetime.Expires)
	dst = append(dst, `</wsu:Expires>`...)
	dst = appendTag(dst, "</", prefix, "Lifetime")
	if r.AppliesTo != "" {
		dst = append(dst, `<wsp:AppliesTo xmlns:wsp="`+NSPolicy+`"><wsa:EndpointReference xmlns:wsa="`+soap.NSAddressing+`"><wsa:Address>`...)
		dst = soap.EscapeText(dst, r.AppliesTo)
		dst = append(dst, `</wsa:Address></wsa:EndpointReference></wsp:AppliesTo>`...)
	}
	dst = appendTag(dst, "<", prefix, "RequestedSecurityToken")
	dst = append(dst, t.Assertion...)
	dst = appendTag(dst, "</", prefix, "RequestedSecurityToken")
	for _, name := range []string{"RequestedAttachedReference", "RequestedUnattachedReference"} {
		dst = appendTag(dst, "<", prefix, name)
		dst = appendReference(dst, t)
		dst = appendTag(dst, "</", prefix, name)
	}
	tokenType := r.TokenType
	if tokenType == "" {
		tokenType = t.Kind.URI()
	}
	dst = appendElement(dst, prefix, "TokenType", tokenType)
	dst = appendElement(dst, prefix, "RequestType", r.Version.RequestType())
	return appendElement(dst, prefix, "KeyType", r.Version.BearerKey())
}

// appendReference appends the SecurityTokenReference by which a message can
// point at the token (protocol.md, sections 1.3 and 4.3): the profile of the
// value type is 1.0 for SAML 1.1 and 1.1 for SAML 2.0.
func appendReference(dst []byte, t *Issued) []byte {
	tokenType, valueType := profileSAML11, "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID"
	if t.Kind == SAML20 {
		tokenType, valueType = profileSAML20, "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID"
	}
	dst = append(dst, `<o:SecurityTokenReference xmlns:o="`+soap.NSSecurity+
		`" xmlns:k="http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd" k:TokenType="`...)
	dst = append(dst, tokenType...)
	dst = append(dst, `"><o:KeyIdentifier ValueType="`...)
	dst = append(dst, valueType...)
	dst = append(dst, `">`...)
	dst = soap.EscapeText(dst, t.ID)
	return append(dst, `</o:KeyIdentifier></o:SecurityTokenReference>`...)
}

// appendElement appends an element that holds a text.
func appendElement(dst []byte, prefix, name, text string) []byte {
	dst = appendTag(dst, "<", prefix, name)
	dst = soap.EscapeText(dst, text)
	return appendTag(dst, "</", prefix, name)
}

// appendTag appends a tag without attributes.
func appendTag(dst []byte, open, prefix, name string) []byte {
	dst = append(dst, open...)
	dst = append(dst, prefix...)
	dst = append(dst, ':')
	dst = append(dst, name...)
	return append(dst, '>')
}

// A Query is what a client asks a token service for.
type Query struct {
	SOAP    soap.Version
	Version Version
	// To is the service's address. Without one no addressing header is
	// written, as some SOAP 1.1 services have it.
	To string
	// MessageID is what the answer repeats, such as urn:uuid: and a UUID.
	// It may be empty.
	MessageID string
	Username  string
	Password  account.Password
	// AppliesTo is the application that the token is for, empty for none.
	AppliesTo string
	// TokenType is the kind of token as a URI, empty for the service's choice.
	TokenType string
	// Now is when the message is made. Its Timestamp ends five minutes later;
	// the zero time writes none, for a message that does not age.
	Now time.Time
}

// AppendRequest appends a whole request to issue a bearer token. It holds the
// password in clear and must travel under TLS only.
func AppendRequest(dst []byte, q Query) []byte {
	dst = append(dst, `<s:Envelope xmlns:s="`...)
	dst = append(dst, q.SOAP.Namespace()...)
	dst = append(dst, `" xmlns:a="`+soap.NSAddressing+`" xmlns:u="`+soap.NSUtility+`"><s:Header>`...)
	if q.To != "" {
		dst = append(dst, `<a:Action s:mustUnderstand="1">`...)
		dst = append(dst, q.Version.Action()...)
		dst = append(dst, `</a:Action>`...)
		if q.MessageID != "" {
			dst = appendElement(dst, "a", "MessageID", q.MessageID)
		}
		dst = append(dst, `<a:ReplyTo><a:Address>`+anonymous+`</a:Address></a:ReplyTo><a:To s:mustUnderstand="1">`...)
		dst = soap.EscapeText(dst, q.To)
		dst = append(dst, `</a:To>`...)
	}
	dst = append(dst, `<o:Security s:mustUnderstand="1" xmlns:o="`+soap.NSSecurity+`">`...)
	if !q.Now.IsZero() {
		dst = append(dst, `<u:Timestamp u:Id="_0"><u:Created>`...)
		dst = appendInstant(dst, q.Now)
		dst = append(dst, `</u:Created><u:Expires>`...)
		dst = appendInstant(dst, q.Now.Add(maxSkew))
		dst = append(dst, `</u:Expires></u:Timestamp>`...)
	}
	dst = append(dst, `<o:UsernameToken u:Id="user"><o:Username>`...)
	dst = soap.EscapeText(dst, q.Username)
	dst = append(dst, `</o:Username><o:Password Type="`+passwordText+`">`...)
	dst = soap.EscapeText(dst, string(q.Password.Bytes()))
	dst = append(dst, `</o:Password></o:UsernameToken></o:Security></s:Header><s:Body><trust:RequestSecurityToken xmlns:trust="`...)
	dst = append(dst, q.Version.Namespace()...)
	dst = append(dst, `">`...)
	if q.AppliesTo != "" {
		dst = append(dst, `<wsp:AppliesTo xmlns:wsp="`+NSPolicy+`"><a:EndpointReference><a:Address>`...)
		dst = soap.EscapeText(dst, q.AppliesTo)
		dst = append(dst, `</a:Address></a:EndpointReference></wsp:AppliesTo>`...)
	}
	dst = appendElement(dst, "trust", "KeyType", q.Version.BearerKey())
	dst = appendElement(dst, "trust", "RequestType", q.Version.RequestType())
	if q.TokenType != "" {
		dst = appendElement(dst, "trust", "TokenType", q.TokenType)
	}
	return append(dst, `</trust:RequestSecurityToken></s:Body></s:Envelope>`...)
}
