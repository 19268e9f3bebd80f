package wstrust_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// issued is a token of each kind, in the form that the issuer builds.
func issued(kind wstrust.TokenKind) *wstrust.Issued {
	t := &wstrust.Issued{
		Kind: kind, ID: "_0123456789abcdef", Audience: "urn:payroll?a=1&b=2",
		Lifetime: wstrust.Lifetime{Created: clock, Expires: clock.Add(time.Hour)},
	}
	if kind == wstrust.SAML20 {
		t.Assertion = []byte(`<Assertion ID="_0123456789abcdef" IssueInstant="2026-03-02T08:00:30.000Z" Version="2.0" xmlns="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><Issuer>` + adfs + `</Issuer><Subject><NameID>alice</NameID></Subject></Assertion>`)
	} else {
		t.Assertion = []byte(`<saml:Assertion MajorVersion="1" MinorVersion="1" AssertionID="_0123456789abcdef" Issuer="` + adfs + `" IssueInstant="2026-03-02T08:00:30.000Z" xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion"><saml:AttributeStatement><saml:Subject><saml:NameIdentifier>alice</saml:NameIdentifier></saml:Subject></saml:AttributeStatement></saml:Assertion>`)
	}
	return t
}

// TestAppendAnswer holds the answers to their golden files and reads them
// back (messages/CLIENTS.md, section 1). UPDATE=1 writes the files anew.
func TestAppendAnswer(t *testing.T) {
	for _, version := range wstrust.Versions() {
		for _, envelope := range []soap.Version{soap.V11, soap.V12} {
			for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
				name := fmt.Sprintf("answer-%v-%v-soap%v.xml", version, kind, envelope)
				t.Run(name, func(t *testing.T) {
					r := &wstrust.Request{
						SOAP: envelope, Version: version, Action: version.Action(), MessageID: "urn:uuid:<&>",
						Context: `"a" & <b>`, AppliesTo: "urn:payroll?a=1&b=2",
					}
					token := issued(kind)
					answer := wstrust.AppendAnswer(nil, r, token, clock)
					golden(t, name, answer)
					checkForm(t, answer, version)

					a, err := wstrust.ReadAnswer(answer, version)
					if err != nil {
						t.Fatal(err)
					}
					if a.SOAP != envelope || a.RelatesTo != r.MessageID || a.AppliesTo != r.AppliesTo || a.Lifetime != token.Lifetime {
						t.Errorf("got SOAP %v, related to %q, for %q, %v", a.SOAP, a.RelatesTo, a.AppliesTo, a.Lifetime)
					}
					if a.TokenType != kind.URI() || !bytes.Equal(a.Token, token.Assertion) || a.Assertion.ID != token.ID || a.Assertion.Kind != kind {
						t.Errorf("got token type %q, %v %q, token %q", a.TokenType, a.Assertion.Kind, a.Assertion.ID, a.Token)
					}
				})
			}
		}
	}
}

// checkForm checks what clients look for as text.
func checkForm(t *testing.T, answer []byte, version wstrust.Version) {
	t.Helper()
	prefix := "trust"
	if version == wstrust.V2005 {
		prefix = "t"
	}
	if regexp.MustCompile(`>\s+<|\s<|>\s`).Match(answer) {
		t.Error("there is white space between elements")
	}
	if !bytes.HasPrefix(answer, []byte("<s:Envelope ")) || !bytes.Contains(answer, []byte("<s:Body><"+prefix+":RequestSecurityTokenResponse")) {
		t.Errorf("prefixes are not s and %s", prefix)
	}
	if n := bytes.Count(answer, []byte("<"+prefix+":TokenType>")); n != 1 {
		t.Errorf("got %d TokenTypes", n)
	}
	if got := bytes.Contains(answer, []byte("Collection>")); got != (version == wstrust.V13) {
		t.Errorf("got a collection: %v", got)
	}
	// The order of AD FS (protocol.md, section 4.2).
	doc, err := soap.Scan(answer, soap.Answer)
	if err != nil {
		t.Fatal(err)
	}
	var children []string
	for _, e := range doc.Elements() {
		if parent := doc.Parent(&e); parent != nil && parent.Name.Local == "RequestSecurityTokenResponse" {
			children = append(children, e.Name.Local)
		}
	}
	want := []string{"Lifetime", "AppliesTo", "RequestedSecurityToken", "RequestedAttachedReference", "RequestedUnattachedReference", "TokenType", "RequestType", "KeyType"}
	if !slices.Equal(children, want) {
		t.Errorf("got children %v, want %v", children, want)
	}
}

// golden compares got with a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") == "1" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAnswerFollowsRequest(t *testing.T) {
	for _, name := range testdata.Names(t, "rst") {
		t.Run(name, func(t *testing.T) {
			r, err := read(string(testdata.Message(t, name)))
			if err != nil {
				t.Fatal(err)
			}
			kind, _ := r.TokenKind()
			answer := wstrust.AppendAnswer(nil, r, issued(kind), clock)
			a, err := wstrust.ReadAnswer(answer, r.Version)
			if err != nil {
				t.Fatal(err)
			}
			want := r.TokenType
			if want == "" {
				want = kind.URI()
			}
			if a.TokenType != want || a.SOAP != r.SOAP || a.RelatesTo != r.MessageID || a.AppliesTo != r.AppliesTo {
				t.Errorf("got token type %q, SOAP %v, related to %q, for %q", a.TokenType, a.SOAP, a.RelatesTo, a.AppliesTo)
			}
			addressed := !strings.Contains(name, "govmomi")
			if got := bytes.Contains(answer, []byte("<a:Action")); got != addressed {
				t.Errorf("got an Action: %v, want %v", got, addressed)
			}
			if got := bytes.Contains(answer, []byte("AppliesTo")); got != (r.AppliesTo != "") {
				t.Errorf("got AppliesTo: %v", got)
			}
		})
	}
}

func TestAnswerNeverHasTheSlash(t *testing.T) { // protocol.md 1.1
	r, err := read(edit(t, string(testdata.Message(t, "rst/wcf-13.xml")), `xmlns:trust="`+t13, `xmlns:trust="`+t13+"/"))
	if err != nil {
		t.Fatal(err)
	}
	if answer := wstrust.AppendAnswer(nil, r, issued(wstrust.SAML20), clock); bytes.Contains(answer, []byte(`200512/"`)) {
		t.Errorf("got %s", answer)
	}
}

func TestAppendRequest(t *testing.T) {
	for _, version := range wstrust.Versions() {
		for _, envelope := range []soap.Version{soap.V11, soap.V12} {
			t.Run(fmt.Sprintf("%v in SOAP %v", version, envelope), func(t *testing.T) {
				q := wstrust.Query{
					SOAP: envelope, Version: version, To: "https://sts.contoso.example/x", MessageID: "urn:uuid:1",
					Username: `CONTOSO\a&<b>`, Password: account.NewPassword([]byte(` "&<]]>'ö `)),
					AppliesTo: "urn:payroll?a=1&b=2", TokenType: wstrust.NSSAML20, Now: clock,
				}
				r, err := wstrust.ReadRequest(wstrust.Inbound{Body: wstrust.AppendRequest(nil, q), SOAP: envelope, Version: version, Now: clock})
				if err != nil {
					t.Fatal(err)
				}
				if r.Username != q.Username || !bytes.Equal(r.Password.Bytes(), q.Password.Bytes()) {
					t.Errorf("got user %q, password %q", r.Username, r.Password.Bytes())
				}
				if r.To != q.To || r.MessageID != q.MessageID || r.AppliesTo != q.AppliesTo || r.TokenType != q.TokenType || !r.Bearer() || len(r.Tolerated) > 0 {
					t.Errorf("got %+v", r)
				}

				q.To, q.MessageID, q.AppliesTo, q.TokenType = "", "", "", ""
				r, err = wstrust.ReadRequest(wstrust.Inbound{Body: wstrust.AppendRequest(nil, q), SOAP: envelope, Version: version, Now: clock})
				if err != nil {
					t.Fatal(err)
				}
				if r.Action != "" || r.To != "" || r.AppliesTo != "" || r.TokenType != "" || tolerated(r) != "no-addressing" {
					t.Errorf("got %+v", r)
				}
			})
		}
	}
}
