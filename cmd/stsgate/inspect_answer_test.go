package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
	"stsgate/upstream/saml"
	"stsgate/upstream/xmlsig"
)

// messageClock is the time at which the project's own messages are fresh.
var messageClock = time.Date(2026, 3, 2, 8, 0, 30, 0, time.UTC)

// A signer makes tokens.
type signer struct {
	*xmlsig.Signer
	certificate *x509.Certificate
	file        string // of the certificate, PEM
}

func newSigner(t testing.TB, name string) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := demoCertificate(name)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{file: writeFile(t, "signer.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))}
	if s.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if s.Signer, err = xmlsig.New(key, s.certificate); err != nil {
		t.Fatal(err)
	}
	return s
}

// answer returns a signed answer to one of the project's requests, and the
// token in it.
func (s *signer) answer(t *testing.T, message string) (answer, token string) {
	t.Helper()
	r, err := wstrust.ReadRequest(wstrust.Inbound{Body: testdata.Message(t, message), Now: messageClock})
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := r.TokenKind()
	g := &wstrust.Grant{
		Audience: r.AppliesTo, Kind: kind, Authenticated: messageClock,
		Lifetime: wstrust.Lifetime{Created: messageClock.Add(-5 * time.Minute), Expires: messageClock.Add(time.Hour)},
		NameID:   "alice-id", NameFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
		Claims: []wstrust.Claim{{URI: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", Values: []string{"alice@contoso.example"}}},
	}
	id := saml.NewID()
	tree, err := saml.Build(g, "http://sts.contoso.example/adfs/services/trust", id, messageClock)
	if err != nil {
		t.Fatal(err)
	}
	if err := saml.Sign(tree, s.Signer); err != nil {
		t.Fatal(err)
	}
	issued := &wstrust.Issued{Assertion: xmlsig.Serialize(tree), ID: id, Kind: kind, Audience: g.Audience, Lifetime: g.Lifetime}
	return string(wstrust.AppendAnswer(nil, r, issued, messageClock)), string(issued.Assertion)
}

// SIG-01 to SIG-10, as far as --cert, --request and --at allow; what they do
// not allow is no verdict, and is named.
func TestInspectAnswer(t *testing.T) {
	ours, theirs := newSigner(t, "ours"), newSigner(t, "theirs")
	const message = "rst/wcf-13.xml"
	answer, token := ours.answer(t, message)
	other, _ := ours.answer(t, "rst/msal-net-13.xml")
	old, _ := ours.answer(t, "rst/wcf-2005.xml")
	asked := "--request=" + writeFile(t, "request.xml", string(testdata.Message(t, message)))
	cert := "--cert=" + ours.file
	const late, early = "--at=2026-03-02T10:00:00Z", "--at=2026-03-02T07:40:00Z"
	changed := func(old, new string) string {
		if !strings.Contains(answer, old) {
			t.Fatalf("no %q in the answer", old)
		}
		return strings.Replace(answer, old, new, 1)
	}
	all := []string{cert, asked, clockFlag}
	const noCert, noRequest, noTime = "signature: give --cert", "request: whether it is what was asked for; give --request", "lifetime: give --at"
	for _, c := range []struct {
		name, content string
		flags         []string
		rule, reason  string
		open          []string // must be there, beside what always is
	}{
		{"all flags", answer, all, "", "", nil},
		{"no flag", answer, nil, "", "", []string{noCert, noRequest, noTime}},
		{"alone", token, []string{cert, clockFlag}, "", "", nil},
		{"alone, no flag", token, nil, "", "", []string{noCert, noTime}},
		{"another signer", answer, []string{"--cert=" + theirs.file, asked}, "SIG-05", "answer-untrusted", []string{noTime}},
		{"alone, another signer", token, []string{"--cert=" + theirs.file}, "SIG-05", "answer-untrusted", []string{noTime}},
		{"changed", changed(">alice@contoso.example<", ">bob@contoso.example<"), []string{cert}, "SIG-01", "answer-untrusted", []string{noRequest, noTime}},
		{"changed, no flag", changed(">alice@contoso.example<", ">bob@contoso.example<"), nil, "", "", []string{noCert, noRequest, noTime}},
		{"a signature that is made up", string(testdata.Message(t, "rstr/adfs-13-saml11.xml")), []string{cert, clockFlag}, "SIG-01", "answer-untrusted", []string{noRequest}},
		{"ended", answer, []string{cert, late}, "SIG-10", "answer-mismatch", []string{noRequest}},
		{"not yet", answer, []string{cert, early}, "SIG-10", "answer-mismatch", []string{noRequest}},
		{"alone, ended", token, []string{cert, late}, "SIG-10", "answer-mismatch", nil},
		{"of another message", changed("b4b1c0de", "b4b1c0df"), all, "SIG-10", "answer-mismatch", nil},
		{"for another application", other, []string{cert, asked, clockFlag}, "SIG-10", "answer-mismatch", nil},
		{"of another version", old, all, "SIG-10", "answer-unreadable", nil},
		{"of another SOAP version", strings.ReplaceAll(answer, soap.NSSOAP12, soap.NSSOAP11), all, "SIG-10", "answer-unreadable", nil},
		{"cut short", strings.TrimSuffix(answer, "</s:Envelope>"), all, "XML-15", "malformed", nil},
		{"an audience that is printed in part", strings.ReplaceAll(answer, "https://payroll.", "https://a@payroll."), []string{asked}, "SIG-10", "answer-mismatch", []string{noCert, noTime}},
		{"a fault", string(testdata.Message(t, "fault/adfs-msis7068-13.xml")), all, "", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, r := inspectJSON(t, "m.xml", c.content, c.flags...)
			if r.Rule != c.rule || r.Reason != c.reason || (r.Verdict == refused) != (c.rule != "") || (r.Line > 0) != (c.rule != "") {
				t.Errorf("got %s, %q, %q at %d:%d (%s), want %q, %q", r.Verdict, r.Rule, r.Reason, r.Line, r.Column, r.Message, c.rule, c.reason)
			}
			for _, open := range []string{noCert, noRequest, noTime} {
				if got := slices.Contains(r.NotJudged, open); got != slices.Contains(c.open, open) && r.Kind != kindFault && r.Reason != "answer-unreadable" && r.Reason != "malformed" {
					t.Errorf("%q is not judged: got %v", open, got)
				}
			}
			if untrusted := r.Reason == "answer-untrusted"; r.Token != nil && r.Verified != (slices.Contains(c.flags, cert) && !untrusted) {
				t.Errorf("got verified %v", r.Verified)
			}
			if r.Verified && !strings.HasPrefix(r.Signer, "CN=ours ") {
				t.Errorf("got the signer %q", r.Signer)
			}
		})
	}
}

// An answer to a request that would be refused is judged all the same.
func TestInspectRefusedRequest(t *testing.T) {
	request := writeFile(t, "request.xml", string(testdata.Message(t, "rst-other/certificatemixed-13.xml")))
	answer, _ := newSigner(t, "ours").answer(t, "rst/wcf-13.xml")
	_, r := inspectJSON(t, "a.xml", strings.Replace(answer, "b4b1c0de-9c46-4a1e-8d35-7a9c4d6e1f02", "c1a5e0b2-6d3f-4c8e-9b7a-0f1e2d3c4b5a", 1), "--request", request)
	if r.Verdict != accepted || !slices.Contains(r.NotJudged, "request: the request itself would be refused (SOAP-07)") {
		t.Errorf("got %s (%s), %q", r.Verdict, r.Message, r.NotJudged)
	}
}

// The key of an answer is held against what its token and the request say
// (protocol.md, section 4.5).
func TestInspectProofKey(t *testing.T) {
	holder, stranger := newSigner(t, "holder"), newSigner(t, "stranger")
	const trust, ds = wstrust.NS13, `xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`
	certificate := func(s *signer) string {
		return `<ds:KeyInfo ` + ds + `><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(s.certificate.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
	}
	rsaKey := `<ds:KeyInfo ` + ds + `><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>` + strings.Repeat("q83v", 64) + `</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>`
	const wrapped = `<ds:KeyInfo ` + ds + `><e:EncryptedKey xmlns:e="http://www.w3.org/2001/04/xmlenc#"/></ds:KeyInfo>`
	answer := func(keyType, method, key, rest string) string {
		return `<s:Envelope xmlns:s="` + soap.NSSOAP12 + `"><s:Body><t:RequestSecurityTokenResponseCollection xmlns:t="` + trust + `"><t:RequestSecurityTokenResponse>` +
			`<t:RequestedSecurityToken><Assertion xmlns="` + wstrust.NSSAML20 + `" ID="_1"><Issuer>i</Issuer><Subject><SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:` + method + `">` +
			`<SubjectConfirmationData>` + key + `</SubjectConfirmationData></SubjectConfirmation></Subject></Assertion></t:RequestedSecurityToken>` +
			strings.ReplaceAll(keyType, "KEY", trust) + rest + `</t:RequestSecurityTokenResponse></t:RequestSecurityTokenResponseCollection></s:Body></s:Envelope>`
	}
	const bearer, public, symmetric = `<t:KeyType>KEY/Bearer</t:KeyType>`, `<t:KeyType>KEY/PublicKey</t:KeyType>`, `<t:KeyType>KEY/SymmetricKey</t:KeyType>`
	const secret = `<t:RequestedProofToken><t:BinarySecret>q83vEjRWeJCrze8SNFZ4kA==</t:BinarySecret></t:RequestedProofToken>`
	const computed, entropy = `<t:RequestedProofToken><t:ComputedKey>` + trust + `/CK/PSHA1</t:ComputedKey></t:RequestedProofToken>`, `<t:Entropy><t:BinarySecret>q83v</t:BinarySecret></t:Entropy>`
	request := func(keyType, rest string) string {
		text := string(testdata.Message(t, "rst/wcf-13.xml"))
		before, after, _ := strings.Cut(text, "<trust:KeyType>")
		_, after, found := strings.Cut(after, "</trust:KeyType>")
		if !found {
			t.Fatal("the request has no KeyType")
		}
		return before + strings.ReplaceAll(strings.ReplaceAll(keyType+rest, "KEY", trust), "t:", "trust:") + after
	}
	useKey := func(key string) string { return `<t:UseKey>` + key + `</t:UseKey>` }
	for _, c := range []struct{ name, answer, request, want string }{
		{"bearer", answer(bearer, "bearer", "", ""), request(bearer, ""), "fits: bearer"},
		{"bearer, for a holder", answer(bearer, "holder-of-key", "", ""), "", "does not fit: a bearer token"},
		{"bearer, with a key", answer(bearer, "bearer", "", secret), "", "does not fit: a proof key"},
		{"nothing said", answer("", "bearer", "", ""), "", "fits: bearer"},
		{"another kind than asked for", answer(bearer, "bearer", "", ""), request(symmetric, ""), "does not fit: the request asks for a symmetric key, the answer has a bearer one"},
		{"no key type asked for", answer(symmetric, "holder-of-key", wrapped, secret), request("", ""), "fits: a key of 128 bits"},

		{"public", answer(public, "holder-of-key", certificate(holder), ""), request(public, useKey(certificate(holder))), "fits: the public key"},
		{"public, by value", answer(public, "holder-of-key", rsaKey, ""), request(public, useKey(rsaKey)), "fits: the public key"},
		{"public, another's", answer(public, "holder-of-key", certificate(stranger), ""), request(public, useKey(certificate(holder))), "does not fit: the public key"},
		{"public, none asked with", answer(public, "holder-of-key", certificate(holder), ""), request(public, ""), "does not fit: the request shows"},
		{"public, none in the token", answer(public, "holder-of-key", "", ""), "", "does not fit: the token names no"},
		{"public, for a bearer", answer(public, "bearer", certificate(holder), ""), "", "does not fit: the token names no"},
		{"public, nothing to compare", answer("", "holder-of-key", certificate(holder), ""), "", "unknown: give --request"},

		{"symmetric", answer(symmetric, "holder-of-key", wrapped, secret), "", "fits: a key of 128 bits"},
		{"symmetric, of the size", answer(symmetric, "holder-of-key", wrapped, secret+`<t:KeySize>128</t:KeySize>`), "", "fits: a key of 128 bits"},
		{"symmetric, of another size", answer(symmetric, "holder-of-key", wrapped, secret), request(symmetric, `<t:KeySize>256</t:KeySize>`), "does not fit: a key of 128 bits where 256"},
		{"symmetric, for a bearer", answer(symmetric, "bearer", "", secret), "", "does not fit: a symmetric key"},
		{"symmetric, no key", answer(symmetric, "holder-of-key", wrapped, ""), request(symmetric, ""), "does not fit: neither"},
		{"symmetric, the client's", answer(symmetric, "holder-of-key", wrapped, ""), request(symmetric, entropy), "fits: the key is the request's entropy"},
		{"symmetric, nothing to see", answer(symmetric, "holder-of-key", wrapped, ""), "", "unknown: give --request"},
		{"symmetric, computed", answer(symmetric, "holder-of-key", wrapped, computed+entropy), request(symmetric, entropy), "fits: the key is computed"},
		{"symmetric, computed without ours", answer(symmetric, "holder-of-key", wrapped, computed), request(symmetric, entropy), "does not fit: the key is to be computed, and the answer"},
		{"symmetric, computed without theirs", answer(symmetric, "holder-of-key", wrapped, computed+entropy), request(symmetric, ""), "does not fit: the key is to be computed, and the request"},
	} {
		flags := []string{clockFlag}
		if c.request != "" {
			flags = append(flags, "--request", writeFile(t, "request.xml", c.request))
		}
		if _, r := inspectJSON(t, "a.xml", c.answer, flags...); !strings.HasPrefix(r.ProofKey, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, r.ProofKey, c.want)
		}
	}
}
