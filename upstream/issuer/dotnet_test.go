package issuer_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// TOK-01 and SIG-06 as relying parties on .NET see it: the signature is good
// and every value is the one that was granted. Mono's SignedXml knows no
// ECDSA, and takes no text with a CR, whoever signed it.
func TestIssuedReadsInDotNet(t *testing.T) {
	mcs, mono := testdata.Program(t, "mcs"), testdata.Program(t, "mono")
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program := filepath.Join(dir, "verify.exe")
	if out, err := exec.Command(mcs, "-r:System.Security.dll", "-out:"+program, "testdata/verify.cs").CombinedOutput(); err != nil {
		t.Fatalf("compile: %v: %s", err, out)
	}
	p := rsaPair(t)
	i := newIssuer(t, p)
	certificate := file("cert.der", p.certificate.Raw)
	read := func(assertion []byte) []string {
		out, err := exec.Command(mono, program, certificate, file("a.xml", assertion)).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	}

	for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
		for name, special := range map[string][]string{
			"without CR": {"a<b&c>\"'", "]]>", "a\nb\t", "  ", "", "Zoë \U0001F600", `</saml:AttributeValue><saml:AttributeValue>admin`},
			"with CR":    {"a\r\nb\rc\r"},
		} {
			g := grant(kind, wstrust.Claim{URI: probeURI, Values: special})
			token, err := i.Issue(t.Context(), request, g)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, c := range g.Claims {
				for _, v := range c.Values {
					want = append(want, base64.StdEncoding.EncodeToString([]byte(v)))
				}
			}
			got := read(token.Assertion)
			if !slices.Equal(got[1:], want) {
				t.Errorf("%v %s: got %q, want %q", kind, name, got[1:], want)
			}
			if got[0] != "True" && name == "without CR" {
				t.Errorf("%v %s: the signature was not verified", kind, name)
			}
			tampered := bytes.Replace(token.Assertion, []byte("alice@"), []byte("admin@"), 1)
			if got := read(tampered); got[0] != "False" {
				t.Errorf("%v %s: a tampered token was verified", kind, name)
			}
		}
	}
}
