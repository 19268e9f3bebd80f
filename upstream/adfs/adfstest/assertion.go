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

// A grant is what a token says, and how it is bent.
type grant struct {
	behaviour   Behaviour
	user        *User
	audience    string
	from, until time.Time
	inside      string // the claim insidecorporatenetwork, empty for none
}

// assert writes a signed assertion in the layout of AD FS (protocol.md,
// sections 11.1 to 11.3).
func (f *Farm) assert(k kind, g grant) (id, assertion string) {
	id = "_" + identifier()
	write := f.assert11
	if k == saml20 {
		write = f.assert20
	}
	if g.behaviour != Wrapped {
		return id, write(id, g, "", nil)
	}
	var signature string
	right := write(id, g, "", &signature)
	g.user = stranger
	id = "_" + identifier()
	return id, write(id, g, `<Advice xmlns="`+k.namespace+`">`+right+`</Advice>`, &signature)
}

func (f *Farm) issuer(b Behaviour) string {
	if b == WrongIssuer {
		return "http://fabrikam.example/adfs/services/trust/"
	}
	return "http://" + f.Host + "/adfs/services/trust"
}

func (f *Farm) assert11(id string, g grant, advice string, signature *string) string {
	t, end := instant(g.from), instant(g.until)
	subject := `<saml:Subject><saml:NameIdentifier Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">` + text(g.user.ImmutableID) +
		`</saml:NameIdentifier><saml:SubjectConfirmation><saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:` + g.confirmation() +
		`</saml:ConfirmationMethod></saml:SubjectConfirmation></saml:Subject>`
	attribute := func(namespace, name, value string) string {
		return `<saml:Attribute AttributeName="` + name + `" AttributeNamespace="` + namespace + `"><saml:AttributeValue>` + text(value) +
			`</saml:AttributeValue></saml:Attribute>`
	}
	inside := ""
	if g.inside != "" {
		inside = attribute("http://schemas.microsoft.com/ws/2012/01", "insidecorporatenetwork", g.inside)
	}
	content := `<saml:Conditions NotBefore="` + t + `" NotOnOrAfter="` + end + `"><saml:AudienceRestrictionCondition><saml:Audience>` + text(g.audience) +
		`</saml:Audience></saml:AudienceRestrictionCondition></saml:Conditions>` + advice + `<saml:AttributeStatement>` + subject +
		attribute("http://schemas.xmlsoap.org/claims", "UPN", g.user.UPN) +
		attribute("http://schemas.microsoft.com/LiveID/Federation/2008/05", "ImmutableID", g.user.ImmutableID) + inside +
		`</saml:AttributeStatement><saml:AuthenticationStatement AuthenticationInstant="` + t +
		`" AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password">` + subject + `</saml:AuthenticationStatement>`
	// What is digested has its attributes in canonical order, AD FS writes
	// them in another.
	canonical := `<saml:Assertion xmlns:saml="` + saml11.namespace + `" AssertionID="` + id + `" IssueInstant="` + t + `" Issuer="` + f.issuer(g.behaviour) +
		`" MajorVersion="1" MinorVersion="1">` + content + `</saml:Assertion>`
	return `<saml:Assertion MajorVersion="1" MinorVersion="1" AssertionID="` + id + `" Issuer="` + f.issuer(g.behaviour) + `" IssueInstant="` + t +
		`" xmlns:saml="` + saml11.namespace + `">` + content + f.sign(g, id, canonical, signature) + `</saml:Assertion>`
}

func (f *Farm) assert20(id string, g grant, advice string, signature *string) string {
	t, end := instant(g.from), instant(g.until)
	attribute := func(name, value string) string {
		return `<Attribute Name="` + name + `"><AttributeValue>` + text(value) + `</AttributeValue></Attribute>`
	}
	inside := ""
	if g.inside != "" {
		inside = attribute("http://schemas.microsoft.com/ws/2012/01/insidecorporatenetwork", g.inside)
	}
	head := `<Issuer>` + f.issuer(g.behaviour) + `</Issuer>`
	content := `<Subject><NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">` + text(g.user.ImmutableID) +
		`</NameID><SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:` + g.confirmation() + `"><SubjectConfirmationData NotOnOrAfter="` + end +
		`"></SubjectConfirmationData></SubjectConfirmation></Subject><Conditions NotBefore="` + t + `" NotOnOrAfter="` + end +
		`"><AudienceRestriction><Audience>` + text(g.audience) + `</Audience></AudienceRestriction></Conditions>` + advice + `<AttributeStatement>` +
		attribute("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", g.user.UPN) + inside + `</AttributeStatement><AuthnStatement AuthnInstant="` + t + `" SessionIndex="` + id + `"><AuthnContext>` +
		`<AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</AuthnContextClassRef></AuthnContext></AuthnStatement>`
	canonical := `<Assertion xmlns="` + saml20.namespace + `" ID="` + id + `" IssueInstant="` + t + `" Version="2.0">` + head + content + `</Assertion>`
	return `<Assertion ID="` + id + `" IssueInstant="` + t + `" Version="2.0" xmlns="` + saml20.namespace + `">` + head +
		f.sign(g, id, canonical, signature) + content + `</Assertion>`
}

func (g *grant) confirmation() string {
	if g.behaviour == SenderVouches {
		return "sender-vouches"
	}
	return "bearer"
}

// sign writes the enveloped signature over the element with that id, given in
// exclusive canonical form. SignedInfo is written in that form as well. One
// that signature points to is taken, or left there if there is none.
func (f *Farm) sign(g grant, id, canonical string, signature *string) string {
	const (
		dsig      = "http://www.w3.org/2000/09/xmldsig#"
		exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	)
	switch {
	case g.behaviour == Unsigned:
		return ""
	case signature != nil && *signature != "":
		return *signature
	}
	digest := sha256.Sum256([]byte(canonical))
	content := `<ds:CanonicalizationMethod Algorithm="` + exclusive + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>` +
		`<ds:Reference URI="#` + id + `"><ds:Transforms><ds:Transform Algorithm="` + dsig + `enveloped-signature"></ds:Transform>` +
		`<ds:Transform Algorithm="` + exclusive + `"></ds:Transform></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>` +
		base64.StdEncoding.EncodeToString(digest[:]) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	signed := sha256.Sum256([]byte(`<ds:SignedInfo xmlns:ds="` + dsig + `">` + content))
	key := f.signer(g.behaviour)
	value, err := rsa.SignPKCS1v15(nil, key.private, crypto.SHA256, signed[:])
	if err != nil {
		panic(fmt.Sprintf("adfstest: sign: %v", err))
	}
	s := `<ds:Signature xmlns:ds="` + dsig + `"><ds:SignedInfo>` + content + `<ds:SignatureValue>` + base64.StdEncoding.EncodeToString(value) +
		`</ds:SignatureValue><KeyInfo xmlns="` + dsig + `"><X509Data><X509Certificate>` + base64.StdEncoding.EncodeToString(key.Certificate.Raw) +
		`</X509Certificate></X509Data></KeyInfo></ds:Signature>`
	if signature != nil {
		*signature = s
	}
	return s
}

// encrypted writes a token in the layout of AD FS whose key nobody has
// (protocol.md, section 11.4).
func encrypted() string {
	const enc = "http://www.w3.org/2001/04/xmlenc#"
	secret := func(size int) string {
		b := make([]byte, size)
		_, _ = rand.Read(b)
		return `<e:CipherData><e:CipherValue>` + base64.StdEncoding.EncodeToString(b) + `</e:CipherValue></e:CipherData>`
	}
	return `<e:EncryptedData Type="` + enc + `Element" xmlns:e="` + enc + `"><e:EncryptionMethod Algorithm="` + enc + `aes256-cbc"></e:EncryptionMethod>` +
		`<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><e:EncryptedKey><e:EncryptionMethod Algorithm="` + enc + `rsa-oaep-mgf1p"></e:EncryptionMethod>` +
		secret(256) + `</e:EncryptedKey></KeyInfo>` + secret(2000) + `</e:EncryptedData>`
}

// identifier returns a random UUID.
func identifier() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
