package wstrust_test

import (
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// FuzzReadRequest looks for a panic, for a request that is accepted without
// a credential, for one that is not answered with a readable message, and for
// one that is refused only where more is taken.
func FuzzReadRequest(f *testing.F) {
	for _, folder := range []string{"rst", "rst-other"} {
		for _, name := range testdata.Names(f, folder) {
			f.Add(testdata.Message(f, name))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		any, anyErr := wstrust.ReadRequest(wstrust.Inbound{Body: body, Now: clock, Takes: everything})
		if anyErr == nil && any.Type != wstrust.Issue && any.Target.Kind == wstrust.CredentialNone && any.Version == wstrust.V13 {
			t.Fatalf("got a request to %v without a target", any.Type)
		}
		r, err := wstrust.ReadRequest(wstrust.Inbound{Body: body, Now: clock})
		if err != nil {
			if got := verdict(err); got == "an error of another type" {
				t.Fatalf("got %T", err)
			}
			return
		}
		if anyErr != nil || any.Username != r.Username || r.Type != wstrust.Issue || r.Credential != wstrust.CredentialUsername || r.Signed {
			t.Fatalf("got %v and %v, %v with %v", any, anyErr, r.Type, r.Credential)
		}
		if r.Username == "" || len(r.Password.Bytes()) == 0 || r.Version == 0 || r.SOAP == 0 {
			t.Fatalf("got user %q, WS-Trust %v, SOAP %v", r.Username, r.Version, r.SOAP)
		}
		kind, _ := r.TokenKind()
		answer := wstrust.AppendAnswer(nil, r, issued(kind), clock)
		a, err := wstrust.ReadAnswer(answer, r.Version)
		if err != nil {
			t.Fatalf("the answer cannot be read: %v\n%s", err, answer)
		}
		if a.RelatesTo != r.MessageID || a.AppliesTo != r.AppliesTo {
			t.Fatalf("got related to %q, for %q, want %q, %q", a.RelatesTo, a.AppliesTo, r.MessageID, r.AppliesTo)
		}
	})
}

// FuzzReadAnswer looks for a panic and for an answer without a token.
func FuzzReadAnswer(f *testing.F) {
	for _, folder := range []string{"rstr", "fault"} {
		for _, name := range testdata.Names(f, folder) {
			f.Add(testdata.Message(f, name))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := wstrust.ReadAnswer(body, 0)
		if err == nil && (len(a.Token) == 0 || !a.Encrypted && (a.Assertion.ID == "" || a.Assertion.Issuer == "")) {
			t.Fatalf("got token %q of %+v", a.Token, a.Assertion)
		}
	})
}

// The budget for scanning and reading is 10 us and 10 allocations.
func BenchmarkReadRequest(b *testing.B) {
	for _, name := range []string{"msal-net-13", "msal-go-13", "msal-python-13", "wcf-13", "office-2005"} {
		in := wstrust.Inbound{
			Body: testdata.Message(b, "rst/"+name+".xml"), Now: clock, SOAP: soap.V12,
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(in.Body)))
			for b.Loop() {
				if _, err := wstrust.ReadRequest(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadAnswer(b *testing.B) {
	body := testdata.Message(b, "rstr/adfs-13-saml11.xml")
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := wstrust.ReadAnswer(body, wstrust.V13); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendAnswer(b *testing.B) {
	r, err := read(string(testdata.Message(b, "rst/msal-net-13.xml")))
	if err != nil {
		b.Fatal(err)
	}
	token := issued(wstrust.SAML11)
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		buffer = wstrust.AppendAnswer(buffer[:0], r, token, clock)
	}
}
