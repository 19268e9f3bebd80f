package wstrust_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

func TestRequestSecurityToken(t *testing.T) { // SOAP-10
	const base = "rst/wcf-13.xml"
	const verb = "<trust:RequestType>" + t13 + "/Issue</trust:RequestType>"
	const address = "<wsa:Address>https://payroll.contoso.example/</wsa:Address>"
	appliesTo := cut(t, base, "<wsp:AppliesTo ", "</wsp:AppliesTo>")
	add := func(element string) []string { return after(verb, element) }
	const ok = "unread-header"
	check(t, base, []edited{
		{"no RequestType", drop(verb), "malformed", "no RequestType"},
		{"two RequestTypes", add(verb), "malformed", "RequestType is there twice"},
		{"Renew", []string{t13 + "/Issue<", t13 + "/Renew<"}, "unsupported", "RequestType is renew"},
		{"Issue of 2005", []string{t13 + "/Issue<", t2005 + "/Issue<"}, "malformed", "not of the version"},
		{"padded RequestType", []string{t13 + "/Issue<", "\n" + t13 + "/Issue <"}, "accepted", "unread-header padded-uri"},
		{"empty TokenType", []string{"urn:oasis:names:tc:SAML:2.0:assertion", ""}, "malformed", "TokenType is empty"},
		{"two TokenTypes", add("<trust:TokenType>urn:x</trust:TokenType>"), "malformed", "TokenType is there twice"},
		{"no AppliesTo", appliesTo, "accepted", ok},
		{"two AppliesTo", []string{appliesTo[0], appliesTo[0] + appliesTo[0]}, "malformed", "AppliesTo is there twice"},
		{"AppliesTo of both policies", []string{appliesTo[0], appliesTo[0] + strings.Replace(appliesTo[0], wstrust.NSPolicy, "http://www.w3.org/ns/ws-policy", 1)}, "malformed", "two AppliesTo"},
		{"AppliesTo of policy 1.5", []string{wstrust.NSPolicy, "http://www.w3.org/ns/ws-policy"}, "accepted", "unread-header policy-1.5"},
		{"AppliesTo in 2004 addressing", []string{`<wsa:EndpointReference xmlns:wsa="` + wsa, `<wsa:EndpointReference xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing`}, "accepted", ok},
		{"empty AppliesTo", []string{appliesTo[0], `<wsp:AppliesTo xmlns:wsp="` + wstrust.NSPolicy + `"/>`}, "malformed", "without an EndpointReference"},
		{"two Addresses", after(address, address), "malformed", "Address is there twice"},
		{"no Address", drop(address), "malformed", "absolute"},
		{"relative Address", []string{"https://payroll.contoso.example/<", "payroll<"}, "malformed", "absolute"},
		{"Address with a blank", []string{"https://payroll.contoso.example/<", "https://payroll contoso<"}, "malformed", "absolute"},
		{"padded Address", []string{address, strings.ReplaceAll(address, "https", "\r\n https")}, "accepted", "unread-header padded-uri"},
		{"Address of 2048 bytes", []string{"https://payroll.contoso.example/<", "urn:" + strings.Repeat("x", 2044) + "<"}, "accepted", ok},
		{"Address of 2049 bytes", []string{"https://payroll.contoso.example/<", "urn:" + strings.Repeat("x", 2045) + "<"}, "malformed", "2048"},
		{"Address with Identity", after(address, `<Identity xmlns="http://schemas.xmlsoap.org/ws/2006/02/addressingidentity"><Spn>x</Spn></Identity>`), "accepted", ok},
		{"parameters with a second policy", after(address, `<wsa:ReferenceParameters>`+appliesTo[0]+`</wsa:ReferenceParameters>`), "malformed", "AppliesTo inside ReferenceParameters"},
		{"unknown beside Address", after(address, `<x xmlns="urn:x"/>`), "malformed", "urn:x"},
		{"Lifetime with text", add("<trust:Lifetime>x</trust:Lifetime>"), "malformed", "text beside"},
		{"Lifetime that ends before it begins", add("<trust:Lifetime><u:Created>2026-03-02T09:00:00Z</u:Created><u:Expires>2026-03-02T08:00:00Z</u:Expires></trust:Lifetime>"), "malformed", "expires before"},
		{"RequestDisplayToken", add(`<i:RequestDisplayToken xmlns:i="http://schemas.xmlsoap.org/ws/2005/05/identity"/>`), "accepted", ok},
		{"PolicyReference", add(`<p:PolicyReference xmlns:p="` + wstrust.NSPolicy + `" URI="MBI"/>`), "accepted", "unread-header policy-reference"},
		{"Policy", add(`<p:Policy xmlns:p="` + wstrust.NSPolicy + `"/>`), "unsupported", "Policy"},
		{"AdditionalContext", add(`<a:AdditionalContext xmlns:a="http://docs.oasis-open.org/wsfed/authorization/200706"/>`), "unsupported", "AdditionalContext"},
		{"InteractiveChallenge", add(`<w:InteractiveChallenge xmlns:w="http://docs.oasis-open.org/ws-sx/ws-trust/200802"/>`), "malformed", "InteractiveChallenge"},
		{"child of 2005", add(`<w:KeySize xmlns:w="` + t2005 + `">0</w:KeySize>`), "malformed", "KeySize"},
		{"child of no namespace", add(`<KeySize>0</KeySize>`), "malformed", "KeySize"},
		{"Context of 256 bytes", []string{"<trust:RequestSecurityToken ", `<trust:RequestSecurityToken Context="` + strings.Repeat("c", 256) + `" `}, "accepted", ok},
		{"Context of 257 bytes", []string{"<trust:RequestSecurityToken ", `<trust:RequestSecurityToken Context="` + strings.Repeat("c", 257) + `" `}, "malformed", "Context"},
	})
}

func TestReadAsSpelled(t *testing.T) { // SOAP-10: facts that policy decides on
	body := string(testdata.Message(t, "rst/wcf-13.xml"))
	keyType := "<trust:KeyType>" + t13 + "/Bearer</trust:KeyType>"

	r, err := read(edit(t, body, keyType, ""))
	if err != nil || r.KeyType != "" || r.Bearer() {
		t.Errorf("no KeyType: got %+v, %v, want a request that is not for a bearer token", r, err)
	}
	r, err = read(edit(t, body, t13+"/Bearer", "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey"))
	if err != nil || r.Bearer() {
		t.Errorf("NoProofKey in 1.3: got %v, %v, want a request that is not for a bearer token", r, err)
	}
	r, err = read(edit(t, body, "urn:oasis:names:tc:SAML:2.0:assertion", "urn:ietf:params:oauth:token-type:jwt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.TokenKind(); ok || r.TokenType != "urn:ietf:params:oauth:token-type:jwt" {
		t.Errorf("got TokenType %q as a kind that can be issued", r.TokenType)
	}
	r, err = read(edit(t, body, "<trust:RequestSecurityToken ", `<trust:RequestSecurityToken Context="a &amp; b" `,
		keyType, keyType+"<trust:Lifetime><u:Created>2026-03-02T08:00:00Z</u:Created><u:Expires>2026-03-02T10:00:00+01:00</u:Expires></trust:Lifetime>"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Context != "a & b" {
		t.Errorf("got Context %q", r.Context)
	}
	if got, want := r.Lifetime.Expires, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("got a lifetime until %v, want %v", got, want)
	}
}

func TestErrorNamesPlace(t *testing.T) {
	body := edit(t, string(testdata.Message(t, "rst/wcf-13.xml")), "<s:Header>", `<s:Header><x xmlns="urn:evil"/>`)
	_, err := read(body)
	e, ok := errors.AsType[*wstrust.Error](err)
	if !ok {
		t.Fatalf("got %T, want an Error", err)
	}
	if got, want := e.Offset, strings.Index(body, "<x xmlns"); got != want || e.Rule != "SOAP-05" {
		t.Errorf("got %v at byte %d, want SOAP-05 at byte %d", e.Rule, got, want)
	}
}
