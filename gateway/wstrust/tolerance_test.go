package wstrust_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// toleranceFiles has for each tolerance a file of the shared corpus that needs
// it. Where none is a whole request with it, part of the file, or what its
// program does beside it, goes into the message of another one.
var toleranceFiles = map[wstrust.Tolerance]struct {
	file  string
	takes wstrust.Takes
	bent  func(t *testing.T, shared string, in *wstrust.Inbound)
}{
	wstrust.MessageIDSpelling:      {file: "captured/msal-go-13-04.http"},
	wstrust.NoTimestamp:            {file: "captured/node-sp-auth-adfs-01.http"},
	wstrust.NoAddressing:           {file: "captured/govmomi-bearer-01.http"},
	wstrust.Addressing2004:         {file: "rst/rampart.req06.xml", takes: wstrust.Takes{Credentials: []wstrust.Credential{byX509}}},
	wstrust.UnreadHeader:           {file: "rst/o365-py.FederatedSAML.xml"},
	wstrust.NamespacedPasswordType: {file: "rst/go-vcd.TestSamlAdfsAuthenticateWithCookie_REQ_adfs_services_trust_13_usernamemixed.xml"},
	wstrust.PolicyReference:        {file: "rst/o365-py.SAML.xml"},
	// Its UseKey is not taken anywhere, so that is left out.
	wstrust.Comment: {
		file:  "captured/govmomi-renew-01.http",
		takes: wstrust.Takes{Types: []wstrust.RequestType{renew}, Credentials: []wstrust.Credential{byX509}},
		bent: func(_ *testing.T, _ string, in *wstrust.Inbound) {
			in.Body = regexp.MustCompile(`(?s)<(\w+:)?UseKey[^>]*(/>|>.*</(\w+:)?UseKey>)`).ReplaceAll(in.Body, nil)
		},
	},
	// messages/CLIENTS.md: the Ping client sends its URL as SOAPAction.
	wstrust.SOAPActionIgnored: {file: "captured/zeep-ut-01.http", bent: func(t *testing.T, _ string, in *wstrust.Inbound) {
		to := regexp.MustCompile(`To[^>]*>([^<]+)<`).FindSubmatch(in.Body)
		if to == nil {
			t.Fatal("no To")
		}
		in.SOAPAction = []string{string(to[1])}
	}},
	// What a client generates from a WSDL has its target namespace.
	wstrust.TrustNamespaceSlash: {file: "captured/adal-node-13-03.http", bent: func(t *testing.T, shared string, in *wstrust.Inbound) {
		target := partOf(t, shared, "mex/cxf.ws-trust-1.4-service.wsdl", `targetNamespace="([^"]+)"`)
		in.Body = regexp.MustCompile(`(=['"])`+wstrust.NS13+`(['"])`).ReplaceAll(in.Body, []byte("${1}"+target+"${2}"))
	}},
	wstrust.PaddedURI: {file: "captured/adal-node-13-03.http", bent: func(t *testing.T, shared string, in *wstrust.Inbound) {
		padded := partOf(t, shared, "rst/picketlink.wst-rst-wsp15.xml", `(?s)<t:TokenType[^>]*>(.*?)</`)
		in.Body = regexp.MustCompile(`<(\w+:)RequestType>`).ReplaceAll(in.Body, []byte("<${1}TokenType>"+padded+"</${1}TokenType>${0}"))
	}},
	wstrust.Policy15: {file: "captured/adal-node-13-03.http", bent: func(t *testing.T, shared string, in *wstrust.Inbound) {
		appliesTo := partOf(t, shared, "rst/picketlink.wst-rst-wsp15.xml", `(?s)(<wsp:AppliesTo.*</wsp:AppliesTo>)`)
		in.Body = regexp.MustCompile(`(?s)<wsp:AppliesTo.*</wsp:AppliesTo>`).ReplaceAllLiteral(in.Body, []byte(appliesTo))
	}},
}

// partOf returns the first group of a pattern in a file.
func partOf(t *testing.T, shared, file, pattern string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(shared, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(b)
	if m == nil {
		t.Fatalf("%s holds no %s", file, pattern)
	}
	return string(m[1])
}

// SOAP-17: each tolerance is needed by a file, and named when that is read; where
// an endpoint refuses it, so is the file, and by nothing else.
func TestToleranceFiles(t *testing.T) {
	shared := testdata.Shared(t, "messages")
	for _, tolerance := range wstrust.Tolerances() {
		t.Run(tolerance.String(), func(t *testing.T) {
			c, ok := toleranceFiles[tolerance]
			if !ok {
				t.Fatal("no file")
			}
			raw, err := os.ReadFile(filepath.Join(shared, filepath.FromSlash(c.file)))
			if err != nil {
				t.Fatal(err)
			}
			in := inbound(t, c.file, raw, captures[c.file])
			in.Takes = c.takes
			if c.bent != nil {
				before, _ := wstrust.Inspect(in)
				if slices.Contains(before.Tolerated, tolerance) {
					t.Error("the file needs nothing from another")
				}
				c.bent(t, shared, &in)
			}
			r, err := wstrust.Inspect(in)
			if err != nil || !slices.Contains(r.Tolerated, tolerance) {
				t.Errorf("got %v, tolerances %q", err, strings.Fields(tolerated(r)))
			}
			for _, refused := range wstrust.Tolerances() {
				in.Takes.Refuses = []wstrust.Tolerance{refused}
				_, err := wstrust.ReadRequest(in)
				if needed := slices.Contains(r.Tolerated, refused); (err != nil) != needed ||
					needed && (verdict(err) != "malformed" || !strings.Contains(err.Error(), refused.String())) {
					t.Errorf("where %v is refused: got %v", refused, err)
				}
			}
		})
	}
}
