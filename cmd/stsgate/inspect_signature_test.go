package main

import (
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// Whether the signature of a real client's request holds, by the certificate
// that it brings and by another, and what is said where neither can be told.
// What should hold was seen with xmlsec1 (messages/INDEX.md).
func TestInspectRequestSignature(t *testing.T) {
	other := newSigner(t, "other")
	for _, c := range []struct{ name, signature, byAnother string }{
		{"govmomi-hok-01.http", "holds, over Timestamp, Body", "does not hold: no pinned key made this signature by this algorithm (SIG-05)"},
		{"node-soap-cert-01.http", "holds, over Body, Timestamp", "does not hold: no pinned key made this signature by this algorithm (SIG-05)"},
		{"zeep-cert-01.http", "cannot be verified: algorithm of the signature is not accepted (SIG-06)", "cannot be verified: algorithm of the signature is not accepted (SIG-06)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := testdata.Shared(t, "messages", "captured", c.name)
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var x inspection
			x.inspect(c.name, raw)
			all := certificatesIn(x.doc, x.header("Security"))
			if len(all) == 0 {
				t.Fatal("no certificate in the message")
			}
			own := writeFile(t, "own.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: all[0].Raw})))
			_, r := inspectJSON(t, c.name, string(raw), "--cert", own)
			if holds := strings.HasPrefix(c.signature, "holds"); r.Signature != c.signature || r.Verified != holds || holds && r.Signer != nameOf(all[0]) {
				t.Errorf("by its own certificate: got %q by %q", r.Signature, r.Signer)
			}
			if _, r := inspectJSON(t, c.name, string(raw), "--cert", other.file); r.Signature != c.byAnother || r.Verified {
				t.Errorf("by another: got %q", r.Signature)
			}
			broken := strings.ReplaceAll(string(raw), "SAML:2.0:assertion</", "SAML:2.0:assertioN</")
			if _, r := inspectJSON(t, c.name, broken, "--cert", own); strings.HasPrefix(c.signature, "holds") && !strings.HasPrefix(r.Signature, "does not hold: Body is not what was signed") {
				t.Errorf("broken: got %q", r.Signature)
			}
		})
	}
}

// An assertion that is the credential, by the key that signed it and by another.
func TestInspectCredentialSignature(t *testing.T) {
	s, other := newSigner(t, "sts.contoso.example"), newSigner(t, "other")
	_, token := s.answer(t, "rst/wcf-13.xml")
	request := string(testdata.Message(t, "rst/wcf-13.xml"))
	from, to := strings.Index(request, "<o:UsernameToken"), strings.Index(request, "</o:UsernameToken>")+len("</o:UsernameToken>")
	request = request[:from] + token + request[to:]
	decoy := strings.Replace(request, "<s:Header>", `<s:Header><Security xmlns="urn:x"><Assertion xmlns="`+wstrust.NSSAML20+`"/></Security>`, 1)
	for _, c := range []struct{ name, request, file, signature string }{
		{"by its key", request, s.file, "holds"},
		{"by another", request, other.file, "does not hold: no pinned key made this signature by this algorithm (SIG-05)"},
		{"changed", strings.Replace(request, ">alice-id<", ">mallory-id<", 1), s.file, "does not hold: assertion is not what was signed (SIG-01)"},
		{"behind a decoy", decoy, s.file, "does not hold: document holds another assertion (SIG-01)"},
	} {
		_, r := inspectJSON(t, "m.xml", c.request, "--cert", c.file)
		if r.CredentialSignature != c.signature || r.CredentialSigner != nameOf(s.certificate) || r.Verdict != refused {
			t.Errorf("%s: got %s, %q by %q", c.name, r.Verdict, r.CredentialSignature, r.CredentialSigner)
		}
	}
}
