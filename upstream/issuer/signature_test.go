package issuer_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// idAttrs tells xmlsec1, which reads no schema, where the ids are.
var idAttrs = map[wstrust.TokenKind][]string{
	wstrust.SAML11: {"--id-attr:AssertionID", "urn:oasis:names:tc:SAML:1.0:assertion:Assertion"},
	wstrust.SAML20: {"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"},
}

// verify asks xmlsec1, which shares no code with us.
func verify(t *testing.T, document []byte, trusted *x509.Certificate, idAttr []string) error {
	t.Helper()
	program := testdata.Program(t, "xmlsec1")
	dir := t.TempDir()
	certificate, file := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "a.xml")
	for name, b := range map[string][]byte{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted.Raw}),
		file:        document,
	} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := slices.Concat([]string{"--verify"}, idAttr, []string{"--trusted-pem", certificate, file})
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		return errors.New(string(out))
	}
	return nil
}

// tampering is what an attacker would change in a document.
var tampering = map[string][2]string{
	"user":      {"alice@contoso.example", "admin@contoso.example"},
	"subject":   {"MyIRAFVEd2aImaq7zN3u/w==", "AyIRAFVEd2aImaq7zN3u/w=="},
	"audience":  {">urn:payroll<", ">urn:billing<"},
	"lifetime":  {` NotOnOrAfter="2`, ` NotOnOrAfter="3`},
	"issuer":    {entity, "http://sts.fabrikam.example/adfs/services/trust"},
	"reference": {`URI="#_`, `URI="#x_`},
}

// Every token verifies as it was issued, and as any client has it who cut it
// out of the whole answer as text.
func TestIssuedVerifiesInXMLSec1(t *testing.T) {
	for keyName, p := range map[string]pair{"RSA": rsaPair(t), "ECDSA": ecdsaPair(t)} {
		i := newIssuer(t, p)
		other := rsaPair(t)
		for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
			t.Run(keyName+" "+kind.String(), func(t *testing.T) {
				values := wstrust.Claim{URI: probeURI, Values: []string{"<&\">'\r\n\t]]> Zoë \U0001F600", "", " "}}
				token, err := i.Issue(t.Context(), request, grant(kind, values))
				if err != nil {
					t.Fatal(err)
				}
				if err := verify(t, token.Assertion, p.certificate, idAttrs[kind]); err != nil {
					t.Fatalf("got %v, want it verified", err)
				}
				if verify(t, token.Assertion, other.certificate, idAttrs[kind]) == nil {
					t.Error("verified against another certificate")
				}
				for name, change := range tampering {
					tampered := bytes.ReplaceAll(token.Assertion, []byte(change[0]), []byte(change[1]))
					if bytes.Equal(tampered, token.Assertion) {
						t.Fatalf("%s: nothing to change", name)
					}
					if verify(t, tampered, p.certificate, idAttrs[kind]) == nil {
						t.Errorf("verified with another %s", name)
					}
				}
				for _, version := range wstrust.Versions() {
					for _, envelope := range []soap.Version{soap.V11, soap.V12} {
						r := &wstrust.Request{SOAP: envelope, Version: version, AppliesTo: audience, MessageID: "urn:uuid:1"}
						cut := cutOut(t, wstrust.AppendAnswer(nil, r, token, time.Now()))
						if err := verify(t, cut, p.certificate, idAttrs[kind]); err != nil {
							t.Errorf("WS-Trust %v over SOAP %v: got %v, want it verified: %s", version, envelope, err, cut)
						}
					}
				}
			})
		}
	}
}

// cutOut returns what lies between the tags of RequestedSecurityToken.
func cutOut(t *testing.T, answer []byte) []byte {
	t.Helper()
	d := scan(t, answer)
	for _, e := range d.Elements() {
		if e.Name.Local == "RequestedSecurityToken" {
			return answer[e.ContentStart:e.ContentEnd]
		}
	}
	t.Fatalf("no token in %s", answer)
	return nil
}

// goxmldsig's own verifying is the golden twin; its ECDSA is not XML
// Signature's, so it judges RSA only.
func TestIssuedVerifiesInTwin(t *testing.T) {
	p := rsaPair(t)
	i := newIssuer(t, p)
	for kind, idAttr := range map[wstrust.TokenKind]string{wstrust.SAML11: "AssertionID", wstrust.SAML20: "ID"} {
		token, err := i.Issue(t.Context(), request, grant(kind))
		if err != nil {
			t.Fatal(err)
		}
		twin := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{p.certificate}})
		twin.IdAttribute = idAttr
		check := func(b []byte) error {
			document := etree.NewDocument()
			if err := document.ReadFromBytes(b); err != nil {
				t.Fatal(err)
			}
			_, err := twin.Validate(document.Root())
			return err
		}
		if err := check(token.Assertion); err != nil {
			t.Errorf("%v: got %v, want it verified", kind, err)
		}
		for name, change := range tampering {
			if check(bytes.ReplaceAll(token.Assertion, []byte(change[0]), []byte(change[1]))) == nil {
				t.Errorf("%v: verified with another %s", kind, name)
			}
		}
	}
}

// What the gateway's own reader of answers finds is what was granted.
func TestIssuedReadsAsGranted(t *testing.T) {
	i := newIssuer(t, ecdsaPair(t))
	for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
		g := grant(kind)
		token, err := i.Issue(t.Context(), request, g)
		if err != nil {
			t.Fatal(err)
		}
		r := &wstrust.Request{SOAP: soap.V12, Version: wstrust.V13, AppliesTo: audience}
		answer, err := wstrust.ReadAnswer(wstrust.AppendAnswer(nil, r, token, time.Now()), r.Version)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(answer.Token, token.Assertion) {
			t.Errorf("%v: got token %s, want %s", kind, answer.Token, token.Assertion)
		}
		a := answer.Assertion
		if a.Kind != kind || a.ID != token.ID || a.Issuer != entity || a.Subject != g.NameID || !slices.Equal(a.Audiences, []string{audience}) {
			t.Errorf("%v: got %+v, want it as in %+v", kind, a, g)
		}
		from, to := g.Lifetime.Created.Truncate(time.Millisecond), g.Lifetime.Expires.Truncate(time.Millisecond)
		if !a.NotBefore.Equal(from) || !a.NotOnOrAfter.Equal(to) {
			t.Errorf("%v: got %v to %v, want %v to %v", kind, a.NotBefore, a.NotOnOrAfter, from, to)
		}
		if !slices.EqualFunc(a.Claims, g.Claims, func(a, b wstrust.Claim) bool { return a.URI == b.URI && slices.Equal(a.Values, b.Values) }) {
			t.Errorf("%v: got claims %v, want %v", kind, a.Claims, g.Claims)
		}
	}
}

func TestMetadataVerifiesInXMLSec1(t *testing.T) {
	idAttr := []string{"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor"}
	for name, p := range map[string]pair{"RSA": rsaPair(t), "ECDSA": ecdsaPair(t)} {
		t.Run(name, func(t *testing.T) {
			metadata := newIssuer(t, p).Metadata()
			if err := verify(t, metadata, p.certificate, idAttr); err != nil {
				t.Errorf("got %v, want it verified: %s", err, metadata)
			}
			tampered := bytes.Replace(metadata, []byte("https://sts.contoso.example/"), []byte("https://sts.fabrikam.example/"), 1)
			if bytes.Equal(tampered, metadata) || verify(t, tampered, p.certificate, idAttr) == nil {
				t.Error("a tampered document was verified")
			}
		})
	}
}
