package wstrust_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// clock is when the project's own messages are fresh.
var clock = time.Date(2026, 3, 2, 8, 0, 30, 0, time.UTC)

// read reads a message with nothing said by HTTP.
func read(body string) (*wstrust.Request, error) {
	return wstrust.ReadRequest(wstrust.Inbound{Body: []byte(body), Now: clock})
}

// inspect is read for a message that is refused.
func inspect(body string) (*wstrust.Request, error) {
	return wstrust.Inspect(wstrust.Inbound{Body: []byte(body), Now: clock})
}

// edit replaces old by new, which must be there.
func edit(t testing.TB, body string, oldnew ...string) string {
	t.Helper()
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(body, oldnew[i]) {
			t.Fatalf("the message holds no %q", oldnew[i])
		}
		body = strings.Replace(body, oldnew[i], oldnew[i+1], 1)
	}
	return body
}

// verdict names how reading ended: "accepted", a Kind, or the scanner's rule.
func verdict(err error) string {
	if e, ok := errors.AsType[*wstrust.Error](err); ok {
		return kinds[e.Kind]
	}
	if e, ok := errors.AsType[*soap.Error](err); ok {
		return e.Rule
	}
	if err != nil {
		return "an error of another type"
	}
	return "accepted"
}

var kinds = map[wstrust.Kind]string{
	wstrust.Malformed: "malformed", wstrust.WrongVersion: "wrong version", wstrust.Unsupported: "unsupported",
	wstrust.UnsupportedCredential: "unsupported credential", wstrust.SecondCredential: "second credential",
	wstrust.Expired: "expired", wstrust.Misaddressed: "misaddressed",
}

func tolerated(r *wstrust.Request) string {
	names := make([]string, len(r.Tolerated))
	for i, t := range r.Tolerated {
		names[i] = t.String()
	}
	return strings.Join(names, " ")
}

const (
	cloud   = "urn:federation:MicrosoftOnline"
	payroll = "https://payroll.contoso.example/"
	plain   = "Str0ng&<password>"
)

// TestOwnMessages reads one message of each client's shape (SOAP-03 to SOAP-10, SOAP-17).
func TestOwnMessages(t *testing.T) {
	tests := []struct {
		name              string
		soap              soap.Version
		version           wstrust.Version
		user, password    string
		appliesTo         string
		kind              wstrust.TokenKind
		messageID         string
		addressed, bearer bool
		tolerated         string
	}{
		{"adal-node-13", soap.V12, wstrust.V13, "alice@contoso.example", plain + "'", cloud, wstrust.SAML11, "", true, true, "messageid-spelling"},
		{"adal-node-2005", soap.V12, wstrust.V2005, "alice@contoso.example", plain + "'", cloud, wstrust.SAML11, "", true, true, "messageid-spelling"},
		{"go-vcd-13", soap.V12, wstrust.V13, "alice@contoso.example", plain, "https://cloud.contoso.example/saml/metadata", wstrust.SAML20, "", true, true, "namespaced-password-type"},
		{"govmomi-soap11-13", soap.V11, wstrust.V13, "alice@contoso.example", plain + `"'`, "", wstrust.SAML20, "", false, true, "no-addressing"},
		{"msal-go-13", soap.V12, wstrust.V13, "alice@contoso.example", "Str0ng&<pässword'>", cloud, wstrust.SAML11, "", true, true, "messageid-spelling"},
		{"msal-net-13", soap.V12, wstrust.V13, "alice@contoso.example", "Str0ng&<pässword>", cloud, wstrust.SAML11, "urn:uuid:0f0c6b1e-5d0a-4b7c-9a55-6d1f6a2b7c10", true, true, ""},
		{"msal-net-2005", soap.V12, wstrust.V2005, "alice@contoso.example", "Str0ng&<pässword>", cloud, wstrust.SAML11, "urn:uuid:0f0c6b1e-5d0a-4b7c-9a55-6d1f6a2b7c10", true, true, ""},
		{"msal-python-13", soap.V12, wstrust.V13, "alice@contoso.example", plain, cloud, wstrust.SAML11, "urn:uuid:7d0b1a52-30a8-4d0e-8b0f-2f6c8b1d9e21", true, true, ""},
		{"msal-python-2005", soap.V12, wstrust.V2005, "alice@contoso.example", plain, cloud, wstrust.SAML11, "urn:uuid:7d0b1a52-30a8-4d0e-8b0f-2f6c8b1d9e21", true, true, ""},
		{"node-sp-auth-13", soap.V12, wstrust.V13, `CONTOSO\alice`, plain, "urn:sharepoint:portal", wstrust.SAML11, "", true, true, "no-timestamp"},
		{"office-2005", soap.V12, wstrust.V2005, "alice@contoso.example", plain, cloud, wstrust.SAML11, "5b3c1f0a77d14e0f8a6b9c2d4e6f8a01", true, true, "unread-header policy-reference"},
		{"test-adfs-server-token-2005", soap.V12, wstrust.V2005, `CONTOSO\alice`, plain, "urn:payroll", wstrust.SAML20, "", true, true, "no-timestamp"},
		{"wcf-13", soap.V12, wstrust.V13, `CONTOSO\alice`, plain, payroll, wstrust.SAML20, "urn:uuid:b4b1c0de-9c46-4a1e-8d35-7a9c4d6e1f02", true, true, "unread-header"},
		{"wcf-2005", soap.V12, wstrust.V2005, `CONTOSO\alice`, plain, payroll, wstrust.SAML20, "urn:uuid:b4b1c0de-9c46-4a1e-8d35-7a9c4d6e1f02", true, true, "unread-header"},
		{"zeep-soap11-13", soap.V11, wstrust.V13, "alice", plain + `"'`, payroll, wstrust.SAML20, "urn:uuid:2a7f5e9c-4d1b-4c8a-9f3e-0b6d2c4a8e10", true, true, ""},
	}
	names := testdata.Names(t, "rst")
	for _, tt := range tests {
		file := "rst/" + tt.name + ".xml"
		names = slices.DeleteFunc(names, func(n string) bool { return n == file })
		t.Run(tt.name, func(t *testing.T) {
			body := testdata.Message(t, file)
			r, err := wstrust.ReadRequest(wstrust.Inbound{Body: body, SOAP: tt.soap, Version: tt.version, Now: clock})
			if err != nil {
				t.Fatal(err)
			}
			if r.SOAP != tt.soap || r.Version != tt.version {
				t.Errorf("got SOAP %v, WS-Trust %v, want %v, %v", r.SOAP, r.Version, tt.soap, tt.version)
			}
			if r.Username != tt.user || string(r.Password.Bytes()) != tt.password {
				t.Errorf("got user %q, password %q, want %q, %q", r.Username, r.Password.Bytes(), tt.user, tt.password)
			}
			if r.AppliesTo != tt.appliesTo || r.MessageID != tt.messageID {
				t.Errorf("got application %q, message id %q, want %q, %q", r.AppliesTo, r.MessageID, tt.appliesTo, tt.messageID)
			}
			if kind, ok := r.TokenKind(); kind != tt.kind || !ok {
				t.Errorf("got token kind %v, %v, want %v", kind, ok, tt.kind)
			}
			if r.Bearer() != tt.bearer || (r.Action == tt.version.Action()) != tt.addressed || (r.To != "") != tt.addressed {
				t.Errorf("got bearer %v, action %q, to %q", r.Bearer(), r.Action, r.To)
			}
			if got := tolerated(r); got != tt.tolerated {
				t.Errorf("got tolerances %q, want %q", got, tt.tolerated)
			}
			if &r.Body[0] != &body[0] {
				t.Error("the body is not the one that came in")
			}
		})
	}
	if len(names) > 0 {
		t.Errorf("messages without a row: %v", names)
	}
}
