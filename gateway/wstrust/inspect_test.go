package wstrust_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// What was read of a refused answer is there, as it is of a refused request.
func TestInspectAnswer(t *testing.T) {
	message := string(testdata.Message(t, "rstr/adfs-13-saml11.xml"))
	broken := strings.Replace(message, "AssertionID=", "NoID=", 1)
	a, err := wstrust.InspectAnswer([]byte(broken), wstrust.V13)
	if e, ok := errors.AsType[*wstrust.Error](err); !ok || e.Rule != "SIG-10" {
		t.Fatalf("got %v, want a refusal by SIG-10", err)
	}
	if a.SOAP != soap.V12 || a.Version != wstrust.V13 || a.AppliesTo != cloud || a.Assertion.Issuer != adfs {
		t.Errorf("got SOAP %v, WS-Trust %v, for %q by %q", a.SOAP, a.Version, a.AppliesTo, a.Assertion.Issuer)
	}
	if a, err := wstrust.ReadAnswer([]byte(broken), wstrust.V13); err == nil || a != nil {
		t.Errorf("ReadAnswer: got %v, %v", a, err)
	}
	if a, err := wstrust.InspectAnswer([]byte("<a>"), 0); err == nil || a == nil {
		t.Errorf("not XML: got %v, %v", a, err)
	}
}

// A token alone says what it says in an answer.
func TestInspectToken(t *testing.T) {
	for _, name := range testdata.Names(t, "rstr") {
		answer, err := wstrust.ReadAnswer(testdata.Message(t, name), 0)
		if err != nil {
			t.Fatal(err)
		}
		alone, err := wstrust.InspectToken(answer.Token)
		if err != nil {
			if e, ok := errors.AsType[*soap.Error](err); ok && e.Rule == "XML-13" {
				continue // AD FS declares a prefix of this one around it
			}
			t.Fatalf("%s: %v", name, err)
		}
		got, want := alone.Assertion, answer.Assertion
		if alone.Encrypted != answer.Encrypted || got.ID != want.ID || got.Subject != want.Subject || len(got.Claims) != len(want.Claims) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if doc, token := alone.Signed(); doc == nil || token != doc.Root() {
			t.Errorf("%s: the token is not the root", name)
		}
	}
	a, err := wstrust.InspectToken([]byte(`<Assertion xmlns="` + wstrust.NSSAML20 + `" ID="_1"/>`))
	if err == nil || a.Assertion.ID != "_1" {
		t.Errorf("a token without an issuer: got %v, id %q", err, a.Assertion.ID)
	}
	for _, alone := range []string{"<a/>", "<a", ""} {
		if _, err := wstrust.InspectToken([]byte(alone)); err == nil {
			t.Errorf("%q: got no error", alone)
		}
	}
}

func TestTimestampIsKept(t *testing.T) { // SOAP-08
	message := testdata.Message(t, "rst/msal-net-13.xml")
	r, err := wstrust.Inspect(wstrust.Inbound{Body: message, Now: clock.AddDate(1, 0, 0)})
	if e, ok := errors.AsType[*wstrust.Error](err); !ok || e.Kind != wstrust.Expired {
		t.Fatalf("got %v, want expired", err)
	}
	if got := r.Timestamp; got.Created.Sub(clock).Abs() > time.Minute || !got.Expires.After(got.Created) {
		t.Errorf("got %v", got)
	}
	if r, err := wstrust.ReadRequest(wstrust.Inbound{Body: message, Now: r.Timestamp.Created}); err != nil {
		t.Errorf("when it was made: got %v, %v", r, err)
	}
}

// SOAP-03: which header of HTTP it is that differs.
func TestCarrierIsNamed(t *testing.T) {
	in := wstrust.Inbound{Body: testdata.Message(t, "rst/msal-net-13.xml"), Now: clock}
	for header, change := range map[string]func(*wstrust.Inbound){
		"SOAPAction":   func(in *wstrust.Inbound) { in.SOAPAction = []string{wstrust.V2005.Action()} },
		"Content-Type": func(in *wstrust.Inbound) { in.MediaAction = wstrust.V2005.Action() },
	} {
		in := in
		change(&in)
		_, err := wstrust.ReadRequest(in)
		if e, ok := errors.AsType[*wstrust.Error](err); !ok || e.Header != header || e.Offset != -1 {
			t.Errorf("got %+v, want the header %s", e, header)
		}
	}
}

// Of a request that breaks a rule early, what it asks for and by whom is read
// all the same, and never its password.
func TestInspectGoesOn(t *testing.T) {
	message := string(testdata.Message(t, "rst/msal-net-13.xml"))
	username := func(s string) string { return strings.Replace(message, "<s:Body>", s+"<s:Body>", 1) }
	for _, c := range []struct {
		name, message string
		credential    wstrust.Credential
		user          string
	}{
		{"a header block that is not known", strings.Replace(message, "<s:Header>", `<s:Header><x xmlns="urn:x"/>`, 1), wstrust.CredentialUsername, "alice@contoso.example"},
		{"a time without a zone", strings.Replace(message, "Z</", "</", 1), wstrust.CredentialUsername, "alice@contoso.example"},
		{"a child twice in the request", strings.Replace(message, "<wst:KeyType>", "<wst:KeyType/><wst:KeyType>", 1), wstrust.CredentialUsername, "alice@contoso.example"},
		{"two tokens and a text", strings.Replace(message, "<wsse:UsernameToken", "x<wsse:BinarySecurityToken/><wsse:UsernameToken", 1), wstrust.CredentialSeveral, ""},
		{"an element outside Header and Body", username("<x/>"), wstrust.CredentialNone, ""},
	} {
		if c.message == message {
			t.Fatalf("%s: the message is as it was", c.name)
		}
		r, err := wstrust.Inspect(wstrust.Inbound{Body: []byte(c.message), Now: clock})
		if err == nil || r.Credential != c.credential || c.credential == wstrust.CredentialUsername && r.Username != c.user {
			t.Errorf("%s: got %v, credential %v, user %q, want a refusal, %v, %q", c.name, err, r.Credential, r.Username, c.credential, c.user)
		}
		if c.credential != wstrust.CredentialNone && (r.Type != wstrust.Issue || r.AppliesTo == "") {
			t.Errorf("%s: got type %v for %q", c.name, r.Type, r.AppliesTo)
		}
		if len(r.Password.Bytes()) > 0 {
			t.Errorf("%s: the password is there", c.name)
		}
	}
}
