package wstrust_test

import (
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// What an endpoint takes that is not for user names.
var (
	certificates = wstrust.Takes{Credentials: []wstrust.Credential{wstrust.CredentialX509}}
	tickets      = wstrust.Takes{Credentials: []wstrust.Credential{wstrust.CredentialKerberos}}
	assertions   = wstrust.Takes{Credentials: []wstrust.Credential{wstrust.CredentialSAML11, wstrust.CredentialSAML20}}
	nobody       = wstrust.Takes{Credentials: []wstrust.Credential{wstrust.CredentialNone}}
	renewals     = wstrust.Takes{Types: []wstrust.RequestType{wstrust.Renew}, Credentials: []wstrust.Credential{wstrust.CredentialX509}}
	everything   = wstrust.Takes{
		Types: []wstrust.RequestType{wstrust.Issue, wstrust.Renew, wstrust.Validate, wstrust.Cancel},
		Credentials: []wstrust.Credential{
			wstrust.CredentialNone, wstrust.CredentialUsername, wstrust.CredentialDigest, wstrust.CredentialX509, wstrust.CredentialKerberos,
			wstrust.CredentialSAML11, wstrust.CredentialSAML20, wstrust.CredentialReference, wstrust.CredentialUnknown, wstrust.CredentialSeveral,
		},
	}
)

// TestOtherMessages reads one message of each shape that an endpoint for user
// names does not answer, or that no client here sends: what it says, why it is
// refused there, and what an endpoint has to take so that it is not (SOAP-07, SOAP-10).
func TestOtherMessages(t *testing.T) {
	type facts struct {
		soap            soap.Version
		version         wstrust.Version
		verb            wstrust.RequestType
		credential      wstrust.Credential
		user, appliesTo string
		signed          bool

		onBehalfOf, actAs, target wstrust.Token
	}
	none := wstrust.Token{}
	assertion := func(kind wstrust.Credential, name string) wstrust.Token {
		return wstrust.Token{Kind: kind, Subject: name}
	}
	const alice = "alice@contoso.example"
	tests := []struct {
		name    string
		facts   facts
		refused string // by an endpoint for user names
		detail  string // what the error or the list of tolerances says
		takes   *wstrust.Takes
		taken   string // by an endpoint that takes that
	}{
		{"actas-13", facts{soap.V12, wstrust.V13, wstrust.Issue, wstrust.CredentialX509, "", payroll, true, none, assertion(wstrust.CredentialSAML20, "bob@contoso.example"), none},
			"unsupported credential", "BinarySecurityToken, a credential of kind x509", &certificates, "unsupported"},
		{"cancel-13", facts{soap.V12, wstrust.V13, wstrust.Cancel, wstrust.CredentialUsername, alice, "", false, none, none, wstrust.Token{Kind: wstrust.CredentialReference}},
			"unsupported", "RequestType is cancel", &everything, "accepted"},
		{"certificatemixed-13", facts{soap.V12, wstrust.V13, wstrust.Issue, wstrust.CredentialX509, "", payroll, true, none, none, none},
			"unsupported credential", "BinarySecurityToken, a credential of kind x509", &certificates, "accepted"},
		{"claims-13", facts{soap.V12, wstrust.V13, wstrust.Issue, wstrust.CredentialUsername, alice, payroll, false, none, none, none},
			"unsupported", "Claims is not supported", &everything, "unsupported"},
		{"digest-soap11-13", facts{soap.V11, wstrust.V13, wstrust.Issue, wstrust.CredentialDigest, "alice", payroll, false, none, none, none},
			"unsupported credential", "Password is a digest", &everything, "unsupported credential"},
		{"holder-of-key-soap11-13", facts{soap.V11, wstrust.V13, wstrust.Issue, wstrust.CredentialX509, "", "", true, none, none, none},
			"unsupported credential", "BinarySecurityToken, a credential of kind x509", &certificates, "unsupported"},
		{"issuedtokenmixed-13", facts{soap.V12, wstrust.V13, wstrust.Issue, wstrust.CredentialSAML20, "alice@fabrikam.example", payroll, true, none, none, none},
			"unsupported credential", "a credential of kind saml2.0", &assertions, "accepted"},
		{"issuedtokenmixed-2005", facts{soap.V12, wstrust.V2005, wstrust.Issue, wstrust.CredentialSAML11, "alice@fabrikam.example", payroll, false, none, none, none},
			"unsupported credential", "a credential of kind saml1.1", &assertions, "accepted"},
		{"kerberosmixed-2005", facts{soap.V12, wstrust.V2005, wstrust.Issue, wstrust.CredentialKerberos, "", payroll, true, none, none, none},
			"unsupported credential", "BinarySecurityToken, a credential of kind kerberos", &tickets, "accepted"},
		{"onbehalfof-13", facts{soap.V12, wstrust.V13, wstrust.Issue, wstrust.CredentialUsername, `CONTOSO\svc-portal`, payroll, false, assertion(wstrust.CredentialUsername, "bob@contoso.example"), none, none},
			"unsupported", "OnBehalfOf is not supported", &everything, "unsupported"},
		{"rampart-2005", facts{soap.V12, wstrust.V2005, wstrust.Issue, wstrust.CredentialUsername, "alice", payroll, false, none, none, none},
			"accepted", "addressing-2004", &certificates, "unsupported credential"},
		{"renew-soap11-13", facts{soap.V11, wstrust.V13, wstrust.Renew, wstrust.CredentialX509, "", "", true, none, none, assertion(wstrust.CredentialSAML20, alice)},
			"unsupported", "RequestType is renew", &renewals, "accepted"},
		{"signed-username-soap11-13", facts{soap.V11, wstrust.V13, wstrust.Issue, wstrust.CredentialUsername, "alice", payroll, true, none, none, none},
			"second credential", "Signature beside UsernameToken", &everything, "second credential"},
		{"spnego-soap11-13", facts{soap.V11, wstrust.V13, wstrust.Issue, wstrust.CredentialNone, "", "", false, none, none, none},
			"unsupported credential", "holds no UsernameToken", &nobody, "unsupported"},
		{"symmetric-13", facts{soap.V12, wstrust.V13, wstrust.Issue, wstrust.CredentialUsername, alice, payroll, false, none, none, none},
			"accepted", "", &nobody, "unsupported credential"},
		{"validate-13", facts{soap.V12, wstrust.V13, wstrust.Validate, wstrust.CredentialUsername, alice, "", false, none, none, assertion(wstrust.CredentialSAML11, "bob@contoso.example")},
			"unsupported", "RequestType is validate", &everything, "accepted"},
		{"validate-2005", facts{soap.V12, wstrust.V2005, wstrust.Validate, wstrust.CredentialUsername, alice, "", false, none, none, none},
			"unsupported", "RequestType is validate", &everything, "accepted"},
		{"windowstransport-2005", facts{soap.V12, wstrust.V2005, wstrust.Issue, wstrust.CredentialNone, "", cloud, false, none, none, none},
			"unsupported credential", "no Security header", &nobody, "accepted"},
		{"windowstransport-empty-13", facts{soap.V12, wstrust.V13, wstrust.Issue, wstrust.CredentialNone, "", cloud, false, none, none, none},
			"unsupported credential", "Username and Password are empty", &nobody, "accepted"},
	}
	names := testdata.Names(t, "rst-other")
	for _, tt := range tests {
		file := "rst-other/" + tt.name + ".xml"
		names = slices.DeleteFunc(names, func(n string) bool { return n == file })
		t.Run(tt.name, func(t *testing.T) {
			in := wstrust.Inbound{Body: testdata.Message(t, file), SOAP: tt.facts.soap, Version: tt.facts.version, Now: clock}
			r, err := wstrust.Inspect(in)
			if got := (facts{r.SOAP, r.Version, r.Type, r.Credential, r.Username, r.AppliesTo, r.Signed, r.OnBehalfOf, r.ActAs, r.Target}); got != tt.facts {
				t.Errorf("got\n%+v, want\n%+v", got, tt.facts)
			}
			if got := verdict(err); got != tt.refused {
				t.Errorf("got %s (%v), want %s", got, err, tt.refused)
			}
			if err == nil && tolerated(r) != tt.detail || err != nil && !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("got %v, tolerances %q, want %q", err, tolerated(r), tt.detail)
			}
			if (len(r.Password.Bytes()) > 0) != (err == nil) {
				t.Errorf("got a password of %d bytes, and the verdict %v", len(r.Password.Bytes()), err)
			}
			accepted, err2 := wstrust.ReadRequest(in)
			if (accepted == nil) != (err != nil) || verdict(err2) != tt.refused {
				t.Errorf("ReadRequest: got %v, %v, want what Inspect says: %v", accepted, err2, err)
			}
			in.Takes = *tt.takes
			if _, err := wstrust.ReadRequest(in); verdict(err) != tt.taken {
				t.Errorf("where it is taken: got %s (%v), want %s", verdict(err), err, tt.taken)
			}
		})
	}
	if len(names) > 0 {
		t.Errorf("messages without a row: %v", names)
	}
}

// Each part of a credential that proves something has what it proves it with (SOAP-07, SOAP-08).
func TestSignedMessages(t *testing.T) {
	const base = "rst-other/certificatemixed-13.xml"
	signature := cut(t, base, "<Signature ", "</Signature>")
	timestamp := cut(t, base, "<u:Timestamp ", "</u:Timestamp>")
	token := cut(t, base, "<o:BinarySecurityToken ", "</o:BinarySecurityToken>")
	action := `<a:Action s:mustUnderstand="1">` + t13 + "/RST/Issue</a:Action>"
	const value = x509 + `#X509v3">`
	const encoding = ` EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"`
	checkTaken(t, base, certificates, []edited{
		{"unchanged", nil, "accepted", ""},
		{"no signature", signature, "unsupported credential", "BinarySecurityToken without a Signature"},
		{"no token", token, "unsupported credential", "no UsernameToken and no other credential"},
		{"two signatures", []string{signature[0], signature[0] + signature[0]}, "malformed", "two Signatures"},
		{"two certificates", []string{token[0], token[0] + token[0]}, "second credential", "BinarySecurityToken beside"},
		{"a user beside", []string{token[0], token[0] + "<o:UsernameToken/>"}, "second credential", "BinarySecurityToken beside UsernameToken"},
		{"an assertion beside", []string{token[0], token[0] + saml20("bob")}, "second credential", "Assertion"},
		{"a key beside", []string{token[0], token[0] + `<EncryptedKey xmlns="` + xenc + `"/>`}, "second credential", "EncryptedKey"},
		{"no Timestamp", timestamp, "malformed", "Signature without a Timestamp"},
		{"old", []string{"2026-03-02T08:00:00.123Z", "2026-03-02T07:00:00Z"}, "expired", ""},
		{"path of certificates", []string{value, x509 + `#X509PKIPathv1">`}, "accepted", ""},
		{"PKCS 7", []string{value, x509 + `#PKCS7">`}, "accepted", ""},
		{"key identifier", []string{value, x509 + `#X509SubjectKeyIdentifier">`}, "unsupported credential", "kind unknown"},
		{"other case", []string{value, x509 + `#x509v3">`}, "unsupported credential", "kind unknown"},
		{"padded value type", []string{value, x509 + `#X509v3 ">`}, "unsupported credential", "kind unknown"},
		{"no value type", []string{` ValueType="` + value, ">"}, "unsupported credential", "kind unknown"},
		{"no encoding", []string{encoding, ""}, "accepted", ""},
		{"hexadecimal", []string{"#Base64Binary", "#HexBinary"}, "unsupported credential", "kind unknown"},
		{"ticket", []string{x509 + `#X509v3">`, `http://docs.oasis-open.org/wss/oasis-wss-kerberos-token-profile-1.1#GSS_Kerberosv5_AP_REQ">`}, "unsupported credential", "kind kerberos"},
		{"child in the certificate", []string{value, value + "<x/>"}, "XML-09", ""},
		{"object in the signature", []string{"</SignedInfo>", "</SignedInfo><Object><x:y xmlns:x='urn:x'/></Object>"}, "accepted", ""},
		{"user in the signature", []string{"</SignedInfo>", "</SignedInfo><Object><o:UsernameToken/></Object>"}, "malformed", "UsernameToken inside Object"},
		{"timestamp in the signature", []string{"</SignedInfo>", "</SignedInfo><Object><u:Timestamp/></Object>"}, "malformed", "Timestamp inside Object"},
		{"assertion in the signature", []string{"</SignedInfo>", "</SignedInfo><Object>" + saml20("bob") + "</Object>"}, "malformed", "Assertion"},
		{"ciphertext in the signature", []string{"</SignedInfo>", `</SignedInfo><Object><EncryptedData xmlns="` + xenc + `"/></Object>`}, "malformed", "EncryptedData"},
		{"no Action", drop(action), "accepted", "no-addressing"},
	})
	checkTaken(t, base, everything, []edited{
		{"unchanged, and all is taken", nil, "accepted", ""},
		{"unknown, and all is taken", []string{value, x509 + `#X509SubjectKeyIdentifier">`}, "unsupported credential", "kind unknown"},
		{"several, and all is taken", []string{token[0], token[0] + "<o:UsernameToken/>"}, "second credential", "BinarySecurityToken beside UsernameToken"},
	})
	checkTaken(t, "rst-other/windowstransport-empty-13.xml", nobody, []edited{
		{"unchanged", nil, "accepted", ""},
		{"a user", after("<o:Username>", "alice"), "unsupported credential", "Username or Password is empty"},
		{"a user and a password", append(after("<o:Username>", "alice"), after("<o:Password>", "Str0ng")...), "unsupported credential", "kind username"},
		{"signature", after("</o:UsernameToken>", `<Signature xmlns="`+dsig+`"/>`), "unsupported credential", "Signature without the token"},
		{"certificate", []string{"<o:UsernameToken ", "<o:BinarySecurityToken/><o:UsernameToken "}, "second credential", "BinarySecurityToken beside UsernameToken"},
	})
	checkTaken(t, "rst-other/issuedtokenmixed-2005.xml", assertions, []edited{
		{"unchanged", nil, "accepted", ""},
		{"two subjects", []string{"alice@fabrikam.example", "bob@fabrikam.example"}, "malformed", "two subjects"},
		{"ciphertext", []string{"<saml:AttributeStatement>", `<EncryptedData xmlns="` + xenc + `"/><saml:AttributeStatement>`}, "malformed", "EncryptedData"},
		{"a second assertion", []string{"<saml:Assertion ", saml20("bob") + "<saml:Assertion "}, "second credential", "Assertion"},
		{"assertion of a look-alike", []string{`xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion"`, `xmlns:saml="urn:oasis:names:tc:SAML:1.1:assertion"`}, "unsupported credential", "kind unknown"},
	})
}

// A request has the token that it is about, and one only (WS-Trust 1.3, sections 5 to 7).
func TestTargets(t *testing.T) {
	body := string(testdata.Message(t, "rst-other/renew-soap11-13.xml"))
	open, _, _ := strings.Cut(body, "<t:RenewTarget>")
	target := strings.TrimPrefix(body[:strings.Index(body, "</t:RenewTarget>")], open) + "</t:RenewTarget>"
	another := func(name string) string { return strings.ReplaceAll(target, "RenewTarget", name) }
	checkTaken(t, "rst-other/renew-soap11-13.xml", renewals, []edited{
		{"unchanged", nil, "accepted", "no-addressing"},
		{"none", drop(target), "malformed", "a request to renew without RenewTarget"},
		{"empty", []string{target, "<t:RenewTarget/>"}, "malformed", "RenewTarget is empty"},
		{"two", []string{target, target + target}, "malformed", "RenewTarget is there twice"},
		{"of another type", []string{target, another("CancelTarget")}, "malformed", "CancelTarget in a request to renew"},
		{"and of another type", []string{target, target + another("ValidateTarget")}, "malformed", "ValidateTarget beside RenewTarget"},
		{"KET", []string{"/Renew<", "/KET<"}, "unsupported", "RequestType is another type"},
		{"BatchRenew", []string{"/Renew<", "/BatchRenew<"}, "unsupported", "RequestType is another type"},
		{"issue", []string{"/Renew<", "/Issue<"}, "unsupported", "RequestType is issue"},
		{"lower case", []string{"/Renew<", "/renew<"}, "unsupported", "RequestType is another type"},
		{"of no version", []string{"/Renew<", "Renew<"}, "malformed", "not of the version"},
		{"of 2005", []string{t13 + "/Renew<", t2005 + "/Renew<"}, "malformed", "not of the version"},
	})
	checkTaken(t, "rst-other/validate-13.xml", everything, []edited{
		{"unchanged", nil, "accepted", ""},
		{"Action Issue", []string{"/RST/Validate", "/RST/Issue"}, "malformed", "SOAP-03"},
		{"Action Cancel", []string{"/RST/Validate", "/RST/Cancel"}, "malformed", "SOAP-03"},
		{"RequestType Cancel", []string{t13 + "/Validate", t13 + "/Cancel"}, "malformed", "ValidateTarget in a request to cancel"},
		{"RequestType Issue", []string{t13 + "/Validate", t13 + "/Issue"}, "malformed", "ValidateTarget in a request to issue"},
		{"no target", cut(t, "rst-other/validate-13.xml", "<t:ValidateTarget>", "</t:ValidateTarget>"), "malformed", "a request to validate without ValidateTarget"},
	})
	checkTaken(t, "rst-other/validate-2005.xml", everything, []edited{
		{"unchanged", nil, "accepted", ""},
		{"target of 1.3", after("/Validate</t:RequestType>", "<t:ValidateTarget>"+saml20("bob")+"</t:ValidateTarget>"), "malformed", "ValidateTarget"},
		{"cancel", []string{t2005 + "/RST/Validate", t2005 + "/RST/Cancel", t2005 + "/Validate", t2005 + "/Cancel"}, "malformed", "a request to cancel without CancelTarget"},
	})
}

// What HTTP says agrees with another type, too (SOAP-03).
func TestCarriersOfOtherTypes(t *testing.T) {
	renew, issue := t13+"/RST/Renew", t13+"/RST/Issue"
	for _, tt := range []struct{ file, action, media, want string }{
		{"renew-soap11-13", renew, "", "accepted"},
		{"renew-soap11-13", `"` + renew + `"`, "", "accepted"},
		{"renew-soap11-13", "", "", "accepted"},
		{"renew-soap11-13", issue, "", "malformed"},
		{"renew-soap11-13", t2005 + "/RST/Renew", "", "malformed"},
		{"renew-soap11-13", t13 + "/RSTR/Renew", "", "malformed"},
		{"validate-13", "", t13 + "/RST/Validate", "accepted"},
		{"validate-13", "", issue, "malformed"},
		{"validate-13", t13 + "/RST/Validate", "", "accepted"},
		{"validate-13", t13 + "/RST/Cancel", "", "malformed"},
	} {
		in := wstrust.Inbound{Body: testdata.Message(t, "rst-other/"+tt.file+".xml"), Now: clock, MediaAction: tt.media, Takes: everything}
		if tt.action != "" {
			in.SOAPAction = []string{tt.action}
		}
		if _, err := wstrust.ReadRequest(in); verdict(err) != tt.want {
			t.Errorf("%s with SOAPAction %q and action %q: got %s (%v), want %s", tt.file, tt.action, tt.media, verdict(err), err, tt.want)
		}
	}
}

// Inspect tells what was read before a rule was broken, and not the password.
func TestInspectTellsWhatWasRead(t *testing.T) {
	body := string(testdata.Message(t, "rst/wcf-13.xml"))
	r, err := inspect(edit(t, body, "<trust:TokenType>", "<x/><trust:TokenType>"))
	if verdict(err) != "malformed" {
		t.Fatalf("got %v, want malformed", err)
	}
	if r.Username != `CONTOSO\alice` || r.AppliesTo != payroll || r.Type != wstrust.Issue || r.TokenType != "" || len(r.Password.Bytes()) > 0 {
		t.Errorf("got user %q, application %q, type %v, token type %q and a password of %d bytes", r.Username, r.AppliesTo, r.Type, r.TokenType, len(r.Password.Bytes()))
	}
	r, err = inspect("<x/>")
	if verdict(err) != "wrong version" || r == nil || string(r.Body) != "<x/>" {
		t.Errorf("got %+v, %v, want a Request with its bytes", r, err)
	}
}
