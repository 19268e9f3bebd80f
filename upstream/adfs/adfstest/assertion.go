package adfstest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// A kind is a kind of SAML token.
type kind struct {
	namespace  string
	profile    string // as references name it
	identifier string // of its ids
}

var (
	saml11 = kind{
		namespace:  "urn:oasis:names:tc:SAML:1.0:assertion",
		profile:    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1",
		identifier: "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID",
	}
	saml20 = kind{
		namespace:  "urn:oasis:names:tc:SAML:2.0:assertion",
		profile:    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0",
		identifier: "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID",
	}
)

// assert writes a signed assertion in the layout of AD FS (protocol.md,
// sections 11.1 to 11.3).
func (f *Farm) assert(k kind, u *User, audience string, now time.Time) (id, assertion string) {
	id = "_" + identifier()
	t, end := instant(now), instant(now.Add(time.Hour))
	issuer := "http://" + f.Host + "/adfs/services/trust"
	if k == saml20 {
		return id, f.assert20(id, issuer, t, end, u, audience)
	}
	subject := `<saml:Subject><saml:NameIdentifier Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">` + text(u.ImmutableID) +
		`</saml:NameIdentifier><saml:SubjectConfirmation><saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:bearer</saml:ConfirmationMethod>` +
		`</saml:SubjectConfirmation></saml:Subject>`
	attribute := func(namespace, name, value string) string {
		return `<saml:Attribute AttributeName="` + name + `" AttributeNamespace="` + namespace + `"><saml:AttributeValue>` + text(value) +
			`</saml:AttributeValue></saml:Attribute>`
	}
	content := `<saml:Conditions NotBefore="` + t + `" NotOnOrAfter="` + end + `"><saml:AudienceRestrictionCondition><saml:Audience>` + text(audience) +
		`</saml:Audience></saml:AudienceRestrictionCondition></saml:Conditions><saml:AttributeStatement>` + subject +
		attribute("http://schemas.xmlsoap.org/claims", "UPN", u.UPN) +
		attribute("http://schemas.microsoft.com/LiveID/Federation/2008/05", "ImmutableID", u.ImmutableID) +
		`</saml:AttributeStatement><saml:AuthenticationStatement AuthenticationInstant="` + t +
		`" AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password">` + subject + `</saml:AuthenticationStatement>`
	// What is digested has its attributes in canonical order, AD FS writes
	// them in another.
	canonical := `<saml:Assertion xmlns:saml="` + k.namespace + `" AssertionID="` + id + `" IssueInstant="` + t + `" Issuer="` + issuer +
		`" MajorVersion="1" MinorVersion="1">` + content + `</saml:Assertion>`
	return id, `<saml:Assertion MajorVersion="1" MinorVersion="1" AssertionID="` + id + `" Issuer="` + issuer + `" IssueInstant="` + t +
		`" xmlns:saml="` + k.namespace + `">` + content + f.sign(id, canonical) + `</saml:Assertion>`
}

func (f *Farm) assert20(id, issuer, t, end string, u *User, audience string) string {
	head := `<Issuer>` + issuer + `</Issuer>`
	content := `<Subject><NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">` + text(u.ImmutableID) +
		`</NameID><SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><SubjectConfirmationData NotOnOrAfter="` + end +
		`"></SubjectConfirmationData></SubjectConfirmation></Subject><Conditions NotBefore="` + t + `" NotOnOrAfter="` + end +
		`"><AudienceRestriction><Audience>` + text(audience) + `</Audience></AudienceRestriction></Conditions><AttributeStatement>` +
		`<Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"><AttributeValue>` + text(u.UPN) +
		`</AttributeValue></Attribute></AttributeStatement><AuthnStatement AuthnInstant="` + t + `" SessionIndex="` + id + `"><AuthnContext>` +
		`<AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</AuthnContextClassRef></AuthnContext></AuthnStatement>`
	canonical := `<Assertion xmlns="` + saml20.namespace + `" ID="` + id + `" IssueInstant="` + t + `" Version="2.0">` + head + content + `</Assertion>`
	return `<Assertion ID="` + id + `" IssueInstant="` + t + `" Version="2.0" xmlns="` + saml20.namespace + `">` + head + f.sign(id, canonical) +
		content + `</Assertion>`
}

// sign writes the enveloped signature over the element with that id, given in
// exclusive canonical form. SignedInfo is written in that form as well.
func (f *Farm) sign(id, canonical string) string {
	const (
		dsig      = "http://www.w3.org/2000/09/xmldsig#"
		exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	)
	digest := sha256.Sum256([]byte(canonical))
	content := `<ds:CanonicalizationMethod Algorithm="` + exclusive + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>` +
		`<ds:Reference URI="#` + id + `"><ds:Transforms><ds:Transform Algorithm="` + dsig + `enveloped-signature"></ds:Transform>` +
		`<ds:Transform Algorithm="` + exclusive + `"></ds:Transform></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>` +
		base64.StdEncoding.EncodeToString(digest[:]) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	signed := sha256.Sum256([]byte(`<ds:SignedInfo xmlns:ds="` + dsig + `">` + content))
	value, err := rsa.SignPKCS1v15(nil, f.key, crypto.SHA256, signed[:])
	if err != nil {
		panic(fmt.Sprintf("adfstest: sign: %v", err))
	}
	return `<ds:Signature xmlns:ds="` + dsig + `"><ds:SignedInfo>` + content + `<ds:SignatureValue>` + base64.StdEncoding.EncodeToString(value) +
		`</ds:SignatureValue><KeyInfo xmlns="` + dsig + `"><X509Data><X509Certificate>` + base64.StdEncoding.EncodeToString(f.Signer.Raw) +
		`</X509Certificate></X509Data></KeyInfo></ds:Signature>`
}

// identifier returns a random UUID.
func identifier() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
