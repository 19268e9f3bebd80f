package wstrust_test

import (
	"strings"
	"testing"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// issueVerb is the RequestType of rst/wcf-13.xml. Children of the RST are put behind it.
const issueVerb = "<trust:RequestType>" + t13 + "/Issue</trust:RequestType>"

// child is the good message with another child in its RST.
func child(element string) []string { return after(issueVerb, element) }

// What a token is to be like: wishes, and its key (SOAP-10, SOAP-12; protocol.md, section 3.1).
func TestParameters(t *testing.T) {
	const bearer = "<trust:KeyType>" + t13 + "/Bearer</trust:KeyType>"
	// key is the good message with another KeyType, and another child.
	key := func(keyType, element string) []string {
		if keyType != "" {
			keyType = "<trust:KeyType>" + t13 + keyType + "</trust:KeyType>"
		}
		return append([]string{bearer, keyType}, child(element)...)
	}
	size := func(bits string) string { return "<trust:KeySize>" + bits + "</trust:KeySize>" }
	const ok = "unread-header"
	check(t, "rst/wcf-13.xml", []edited{
		{"bearer, KeySize 0", child(size("0")), "accepted", ok},
		{"bearer, KeySize 256", child(size("256")), "unsupported", "256 bits for a token without a key"},
		{"symmetric, KeySize 0", key("/SymmetricKey", size("0")), "accepted", ok},
		{"symmetric, KeySize 128", key("/SymmetricKey", size("128")), "accepted", ok},
		{"symmetric, KeySize 192", key("/SymmetricKey", size("\n192 ")), "accepted", ok},
		{"symmetric by default, KeySize 256", key("", size("256")), "accepted", ok},
		{"symmetric, KeySize 64", key("/SymmetricKey", size("64")), "unsupported", "64 bits"},
		{"symmetric by default, KeySize 512", key("", size("512")), "unsupported", "512 bits"},
		{"public, KeySize 2048", key("/PublicKey", size("2048")), "accepted", ok},
		{"KeySize is empty", child(size("")), "malformed", "not a number"},
		{"KeySize -1", child(size("-1")), "malformed", "not a number"},
		{"KeySize +128", child(size("+128")), "malformed", "not a number"},
		{"KeySize 0x80", child(size("0x80")), "malformed", "not a number"},
		{"KeySize 65536", child(size("65536")), "malformed", "not a number"},
		{"KeySize with a child", child(size("<x/>")), "XML-09", ""},
		{"two KeySizes", child(size("0") + size("0")), "malformed", "KeySize is there twice"},

		{"Entropy", child("<trust:Entropy><trust:BinarySecret>AAAA</trust:BinarySecret></trust:Entropy>"), "accepted", ok},
		{"Entropy of a Nonce", child(`<trust:Entropy><trust:BinarySecret Type="` + t13 + `/Nonce">AAAA</trust:BinarySecret></trust:Entropy>`), "accepted", ok},
		{"Entropy of a Nonce of 2005", child(`<trust:Entropy><trust:BinarySecret Type="` + t2005 + `/Nonce">AAAA</trust:BinarySecret></trust:Entropy>`), "unsupported", "Nonce"},
		{"Entropy of a key", child(`<trust:Entropy><trust:BinarySecret Type="` + t13 + `/SymmetricKey">AAAA</trust:BinarySecret></trust:Entropy>`), "unsupported", "Nonce"},
		{"empty Entropy", child("<trust:Entropy/>"), "malformed", "Entropy without BinarySecret"},
		{"two BinarySecrets", child("<trust:Entropy><trust:BinarySecret>AA</trust:BinarySecret><trust:BinarySecret>BB</trust:BinarySecret></trust:Entropy>"), "malformed", "BinarySecret is there twice"},
		{"encrypted Entropy", child(`<trust:Entropy><EncryptedKey xmlns="http://www.w3.org/2001/04/xmlenc#"/></trust:Entropy>`), "malformed", "EncryptedKey"},
		{"PSHA1", child("<trust:ComputedKeyAlgorithm>" + t13 + "/CK/PSHA1</trust:ComputedKeyAlgorithm>"), "accepted", ok},
		{"PSHA1 of 2005", child("<trust:ComputedKeyAlgorithm>" + t2005 + "/CK/PSHA1</trust:ComputedKeyAlgorithm>"), "unsupported", "not PSHA1"},
		{"HASH", child("<trust:ComputedKeyAlgorithm>" + t13 + "/CK/HASH</trust:ComputedKeyAlgorithm>"), "unsupported", "not PSHA1"},
		{"no algorithm", child("<trust:ComputedKeyAlgorithm/>"), "malformed", "ComputedKeyAlgorithm is empty"},

		{"Renewing", child(`<trust:Renewing Allow="true" OK="false"/>`), "accepted", ok},
		{"Renewing by default", child(`<trust:Renewing></trust:Renewing>`), "accepted", ok},
		{"Renewing OK", child(`<trust:Renewing OK="true"/>`), "unsupported", "Renewing with OK"},
		{"Renewing OK 1", child(`<trust:Renewing OK="1"/>`), "unsupported", "Renewing with OK"},
		{"Renewing OK yes", child(`<trust:Renewing OK="yes"/>`), "malformed", "OK of Renewing"},
		{"Renewing Allow maybe", child(`<trust:Renewing Allow="maybe"/>`), "malformed", "Allow of Renewing"},
		{"Renewing with a text", child(`<trust:Renewing>true</trust:Renewing>`), "malformed", "Renewing holds a text"},
		{"AllowPostdating", child("<trust:AllowPostdating/>"), "accepted", ok},
		{"AllowPostdating true", child("<trust:AllowPostdating>true</trust:AllowPostdating>"), "malformed", "AllowPostdating holds a text"},
		{"Delegatable and Forwardable", child("<trust:Delegatable>true</trust:Delegatable><trust:Forwardable>0</trust:Forwardable>"), "accepted", ok},
		{"Delegatable perhaps", child("<trust:Delegatable>perhaps</trust:Delegatable>"), "malformed", "Delegatable is not a boolean"},
		{"empty Forwardable", child("<trust:Forwardable/>"), "malformed", "Forwardable is not a boolean"},
	})
	var tests []edited
	for _, wish := range []string{
		"AuthenticationType", "SignatureAlgorithm", "EncryptionAlgorithm", "CanonicalizationAlgorithm", "SignWith", "EncryptWith", "KeyWrapAlgorithm",
	} {
		with := func(uri string) []string { return child("<trust:" + wish + ">" + uri + "</trust:" + wish + ">") }
		tests = append(tests,
			edited{wish, with("urn:a"), "accepted", ok},
			edited{wish + " padded", with("\n http://a.example/ "), "accepted", ok},
			edited{wish + " empty", with(""), "malformed", wish + " is not an absolute URI"},
			edited{wish + " relative", with("aes"), "malformed", wish + " is not an absolute URI"},
			edited{wish + " twice", child(strings.Repeat("<trust:"+wish+">urn:a</trust:"+wish+">", 2)), "malformed", wish + " is there twice"},
			edited{wish + " with a child", with("<x/>"), "XML-09", ""},
		)
	}
	check(t, "rst/wcf-13.xml", tests)
	check(t, "rst/wcf-2005.xml", []edited{
		{"SignWith", after("/Issue</t:RequestType>", "<t:SignWith>urn:a</t:SignWith>"), "accepted", ok},
		{"KeyWrapAlgorithm", after("/Issue</t:RequestType>", "<t:KeyWrapAlgorithm>urn:a</t:KeyWrapAlgorithm>"), "malformed", "KeyWrapAlgorithm"},
	})
}

// tokens are all that may stand where a token is spoken of, and whom they name.
var otherTokens = []struct {
	name, xml string
	want      wstrust.Token
}{
	{"user", `<o:UsernameToken><o:Username> bob@contoso.example</o:Username></o:UsernameToken>`,
		wstrust.Token{Kind: wstrust.CredentialUsername, Subject: " bob@contoso.example"}},
	{"user with Created", `<o:UsernameToken><u:Created>2026-03-02T08:00:00Z</u:Created><o:Username>bob</o:Username></o:UsernameToken>`,
		wstrust.Token{Kind: wstrust.CredentialUsername, Subject: "bob"}},
	{"certificate", `<o:BinarySecurityToken ValueType="` + x509 + `#X509v3">MIIB</o:BinarySecurityToken>`, wstrust.Token{Kind: wstrust.CredentialX509}},
	{"JWT", `<o:BinarySecurityToken ValueType="urn:ietf:params:oauth:token-type:jwt">eyJ0</o:BinarySecurityToken>`, wstrust.Token{Kind: wstrust.CredentialUnknown}},
	{"SAML 1.1", saml11("bob", "bob"), wstrust.Token{Kind: wstrust.CredentialSAML11, Subject: "bob"}},
	{"SAML 2.0", saml20("bob"), wstrust.Token{Kind: wstrust.CredentialSAML20, Subject: "bob"}},
	{"SAML 2.0 without a name", `<Assertion xmlns="` + wstrust.NSSAML20 + `"><Subject/></Assertion>`, wstrust.Token{Kind: wstrust.CredentialSAML20}},
	{"reference", `<o:SecurityTokenReference><o:KeyIdentifier>_1</o:KeyIdentifier></o:SecurityTokenReference>`, wstrust.Token{Kind: wstrust.CredentialReference}},
	{"reference by serial number", `<o:SecurityTokenReference><X509Data xmlns="` + dsig + `"/></o:SecurityTokenReference>`, wstrust.Token{Kind: wstrust.CredentialReference}},
}

const (
	x509 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0"
	dsig = "http://www.w3.org/2000/09/xmldsig#"
	xenc = "http://www.w3.org/2001/04/xmlenc#"
)

// saml11 is an assertion with a statement for each name.
func saml11(names ...string) string {
	s := `<saml:Assertion AssertionID="_1" xmlns:saml="` + wstrust.NSSAML11 + `">`
	for _, n := range names {
		s += `<saml:AttributeStatement><saml:Subject><saml:NameIdentifier>` + n + `</saml:NameIdentifier></saml:Subject></saml:AttributeStatement>`
	}
	return s + `</saml:Assertion>`
}

func saml20(name string) string {
	return `<Assertion ID="_1" xmlns="` + wstrust.NSSAML20 + `"><Issuer>urn:sts</Issuer><Signature xmlns="` + dsig + `"/><Subject><NameID>` + name + `</NameID></Subject></Assertion>`
}

// within declares the prefixes that the tokens use.
func within(element, content string) string {
	open, _, _ := strings.Cut(element, " ")
	return "<" + element + ` xmlns:o="` + oasis + `">` + content + "</" + open + ">"
}

const oasis = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"

// actAs is ActAs as an open tag without its brackets.
const actAs = `w:ActAs xmlns:w="http://docs.oasis-open.org/ws-sx/ws-trust/200802"`

// For whom the sender stands is read, and declined (SOAP-10).
func TestDelegation(t *testing.T) {
	body := string(testdata.Message(t, "rst/wcf-13.xml"))
	for _, token := range otherTokens {
		t.Run(token.name, func(t *testing.T) {
			r, err := inspect(edit(t, body, child(within("trust:OnBehalfOf", token.xml)+within(actAs, token.xml))...))
			if verdict(err) != "unsupported" || !strings.Contains(err.Error(), "OnBehalfOf is not supported") {
				t.Errorf("got %v, want OnBehalfOf unsupported", err)
			}
			if r.OnBehalfOf != token.want || r.ActAs != token.want {
				t.Errorf("got on behalf of %+v, act as %+v, want %+v", r.OnBehalfOf, r.ActAs, token.want)
			}
		})
	}
	_, err := read(edit(t, body, child(within(actAs, saml20("bob")))...))
	if verdict(err) != "unsupported" || !strings.Contains(err.Error(), "ActAs is not supported") {
		t.Errorf("got %v, want ActAs unsupported", err)
	}
	r, err := inspect(edit(t, body, child(within("trust:OnBehalfOf", `<a:EndpointReference><a:Address>urn:bob</a:Address></a:EndpointReference>`))...))
	if verdict(err) != "unsupported" || r.OnBehalfOf.Kind != wstrust.CredentialReference {
		t.Errorf("got %+v, %v, want an address", r.OnBehalfOf, err)
	}
}

// Where a token is expected there is one, of a kind that is known, and
// nothing in it that means something elsewhere (SOAP-05, SOAP-06, SOAP-12).
func TestTokensThatAreSpokenOf(t *testing.T) {
	var tests []edited
	for _, where := range []string{"trust:OnBehalfOf", "trust:DelegateTo", "trust:UseKey", actAs} {
		name, _, _ := strings.Cut(where, " ")
		_, name, _ = strings.Cut(name, ":")
		with := func(content string) []string { return child(within(where, content)) }
		tests = append(tests,
			edited{name + " empty", with(""), "malformed", "is empty"},
			edited{name + " text", with("bob"), "malformed", "text beside"},
			edited{name + " unknown", with(`<x xmlns="urn:x"/>`), "malformed", `x in namespace "urn:x"`},
			edited{name + " two", with(saml11("bob") + saml20("bob")), "malformed", "beside another token"},
			edited{name + " two alike", with(saml20("bob") + saml20("bob")), "malformed", "is there twice"},
			edited{name + " nobody", with("<o:UsernameToken/>"), "malformed", "UsernameToken without Username"},
			edited{name + " empty user", with("<o:UsernameToken><o:Username/></o:UsernameToken>"), "malformed", "Username is empty"},
			edited{name + " two names", with("<o:UsernameToken><o:Username>a</o:Username><o:Username>b</o:Username></o:UsernameToken>"), "malformed", "Username is there twice"},
			edited{name + " password", with("<o:UsernameToken><o:Username>a</o:Username><o:Password>b</o:Password></o:UsernameToken>"), "unsupported", "Password of somebody else"},
			edited{name + " child in a certificate", with("<o:BinarySecurityToken><x/></o:BinarySecurityToken>"), "XML-09", ""},
			edited{name + " two subjects", with(saml11("bob", "carol")), "malformed", "two subjects"},
			edited{name + " encrypted", with(`<EncryptedData xmlns="` + xenc + `"/>`), "malformed", "EncryptedData"},
			edited{name + " encrypted assertion", with(`<EncryptedAssertion xmlns="` + wstrust.NSSAML20 + `"/>`), "malformed", "EncryptedAssertion"},
			edited{name + " encrypted name", with(strings.Replace(saml20("bob"), "<NameID>bob</NameID>", "<EncryptedID/>", 1)), "malformed", "EncryptedID"},
			edited{name + " encrypted key", with(strings.Replace(saml20("bob"), "<NameID>bob</NameID>", `<x:EncryptedKey xmlns:x="`+xenc+`"/>`, 1)), "malformed", "EncryptedKey"},
			edited{name + " request", with(`<trust:RequestSecurityToken/>`), "malformed", "RequestSecurityToken"},
			edited{name + " request in an assertion", with(strings.Replace(saml20("bob"), "<Issuer>urn:sts", "<Issuer><trust:RequestType/>", 1)), "malformed", "RequestType inside Issuer"},
			edited{name + " user in an assertion", with(strings.Replace(saml20("bob"), "<Issuer>urn:sts", "<Issuer><o:UsernameToken/>", 1)), "malformed", "UsernameToken inside Issuer"},
			edited{name + " embedded", with("<o:SecurityTokenReference><o:Embedded/></o:SecurityTokenReference>"), "malformed", "Embedded inside"},
			edited{name + " include", with(`<o:SecurityTokenReference><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include"/></o:SecurityTokenReference>`), "malformed", "Include"},
		)
	}
	check(t, "rst/wcf-13.xml", append(tests,
		edited{"ActAs in 2005's place", child("<trust:ActAs/>"), "malformed", "ActAs in RequestSecurityToken"},
		edited{"address of an ActAs", child(within(actAs, "<a:EndpointReference/>")), "malformed", "EndpointReference"},
		edited{"DelegateTo", child(within("trust:DelegateTo", saml20("bob"))), "unsupported", "DelegateTo is not supported"},
		edited{"UseKey by signature", child(`<trust:UseKey Sig="_1"/>`), "unsupported", "UseKey is not supported"},
		edited{"UseKey by key", child(within("trust:UseKey", `<KeyInfo xmlns="`+dsig+`"><KeyValue/></KeyInfo>`)), "unsupported", "UseKey is not supported"},
		edited{"UseKey by both", child(within(`trust:UseKey Sig="_1"`, `<KeyInfo xmlns="`+dsig+`"/>`)), "unsupported", "UseKey is not supported"},
		edited{"UseKey with a Sig and a text", child(`<trust:UseKey Sig="_1">key</trust:UseKey>`), "malformed", "text beside"},
		edited{"key for OnBehalfOf", child(within("trust:OnBehalfOf", `<KeyInfo xmlns="`+dsig+`"/>`)), "malformed", "KeyInfo"},
	))
	act := strings.ReplaceAll(within(actAs, saml20("bob")), "trust:", "t:")
	check(t, "rst/wcf-2005.xml", []edited{
		{"ActAs in 2005", after("/Issue</t:RequestType>", act), "malformed", "ActAs in namespace"},
		{"OnBehalfOf in 2005", after("/Issue</t:RequestType>", within("t:OnBehalfOf", saml20("bob"))), "unsupported", "OnBehalfOf is not supported"},
	})
}

// What few requests have is known by name, and declined (SOAP-10; protocol.md, section 3.1).
func TestExtensions(t *testing.T) {
	const address = `<a:EndpointReference><a:Address>urn:x</a:Address></a:EndpointReference>`
	claims := func(content string) []string {
		return child(`<trust:Claims Dialect="http://schemas.xmlsoap.org/ws/2005/05/identity">` + content + `</trust:Claims>`)
	}
	secondary := func(content string) []string {
		return child("<trust:SecondaryParameters>" + content + "</trust:SecondaryParameters>")
	}
	participants := func(content string) []string {
		return child("<trust:Participants>" + content + "</trust:Participants>")
	}
	tests := []edited{
		{"Claims", claims(`<i:ClaimType Uri="urn:c" xmlns:i="http://schemas.xmlsoap.org/ws/2005/05/identity"/>`), "unsupported", "Claims is not supported"},
		{"Claims as attributes", claims(`<Attribute Name="urn:c" xmlns="` + wstrust.NSSAML20 + `"/>`), "unsupported", "Claims is not supported"},
		{"Claims without Dialect", child("<trust:Claims/>"), "malformed", "Claims without Dialect"},
		{"Claims with a RequestType", claims("<trust:RequestType/>"), "malformed", "RequestType inside Claims"},
		{"Claims with ciphertext", claims(`<EncryptedAttribute xmlns="` + wstrust.NSSAML20 + `"/>`), "malformed", "EncryptedAttribute in namespace"},

		{"SecondaryParameters", secondary("<trust:TokenType>urn:x</trust:TokenType><trust:RequestType>urn:x</trust:RequestType>"), "unsupported", "SecondaryParameters is not supported"},
		{"SecondaryParameters with another application", secondary(`<p:AppliesTo xmlns:p="` + wstrust.NSPolicy + `">` + address + `</p:AppliesTo>`), "unsupported", "SecondaryParameters is not supported"},
		{"SecondaryParameters in themselves", secondary("<trust:SecondaryParameters/>"), "malformed", "SecondaryParameters in SecondaryParameters"},
		{"SecondaryParameters with a request", secondary("<trust:RequestSecurityToken/>"), "malformed", "RequestSecurityToken in SecondaryParameters"},
		{"SecondaryParameters deeper", secondary("<trust:UseKey><trust:RequestType/></trust:UseKey>"), "malformed", "RequestType inside UseKey"},
		{"SecondaryParameters twice the same", secondary("<trust:TokenType/><trust:TokenType/>"), "malformed", "TokenType is there twice"},
		{"SecondaryParameters of another namespace", secondary(`<x xmlns="urn:x"/>`), "malformed", "urn:x"},
		{"SecondaryParameters with a text", secondary("x"), "malformed", "text beside"},

		{"Participants", participants("<trust:Primary>" + address + "</trust:Primary><trust:Participant>" + address + "</trust:Participant><trust:Participant>" + address + "</trust:Participant>"), "unsupported", "Participants is not supported"},
		{"two Primaries", participants("<trust:Primary/><trust:Primary/>"), "malformed", "Primary is there twice"},
		{"unknown Participants", participants("<trust:Observer/>"), "malformed", "Observer in Participants"},
		{"Participants with a text", participants("x"), "malformed", "text beside"},

		{"Issuer", child("<trust:Issuer><a:Address>urn:x</a:Address></trust:Issuer>"), "unsupported", "Issuer is not supported"},
		{"Issuer with a token", child("<trust:Issuer>" + saml20("bob") + "</trust:Issuer>"), "malformed", "Assertion in namespace"},
		{"Authenticator with a CombinedHash", child("<trust:Authenticator><trust:CombinedHash>AA</trust:CombinedHash></trust:Authenticator>"), "unsupported", "Authenticator is not supported"},
		{"slash of another", child(`<w:Claims xmlns:w="` + t13 + `/"/>`), "malformed", "Claims in namespace"},
	}
	for _, name := range []string{
		"Encryption", "ProofEncryption", "BinaryExchange", "RequestKET", "KeyExchangeToken", "SignChallenge", "SignChallengeResponse", "Authenticator",
	} {
		tests = append(tests, edited{name, child("<trust:" + name + "/>"), "unsupported", name + " is not supported"})
	}
	check(t, "rst/wcf-13.xml", tests)
	check(t, "rst/wcf-2005.xml", []edited{
		{"Claims in 2005", after("/Issue</t:RequestType>", `<t:Claims Dialect="urn:x"/>`), "unsupported", "Claims is not supported"},
		{"SecondaryParameters in 2005", after("/Issue</t:RequestType>", `<t:SecondaryParameters/>`), "malformed", "SecondaryParameters"},
	})
}
