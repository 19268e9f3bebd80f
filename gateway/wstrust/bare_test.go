package wstrust_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// TestBareRequests puts each RST of the shared corpus that has no envelope
// into one. They come from tests of other token services, which send what few
// clients do (SOAP-10).
func TestBareRequests(t *testing.T) {
	saml := wstrust.Token{Kind: wstrust.CredentialSAML20, Subject: "jduke"}
	reference := wstrust.Token{Kind: wstrust.CredentialReference}
	const jbossService = "http://localhost:8080/jaxws-samples-wsse-policy-trust/SecurityService"
	tests := map[string]struct {
		verb               wstrust.RequestType
		appliesTo          string
		onBehalfOf, target wstrust.Token
		verdict, detail    string // where every type is answered
	}{
		"cxf.RequestParserUnitTest.CANCEL_SCT_REFERENCE.xml":   {verb: wstrust.Cancel, target: reference, verdict: "accepted"},
		"cxf.RequestParserUnitTest.USE_KEY_X509_REFERENCE.xml": {verb: wstrust.Issue, verdict: "unsupported", detail: "UseKey is not supported"},
		"cxf.RequestParserUnitTest.VALIDATE_SCT_REFERENCE.xml": {verb: wstrust.Validate, target: reference, verdict: "accepted"},
		"picketlink.wst-batch-issue.xml":                       {verdict: "unsupported", detail: "RequestSecurityTokenCollection"},
		"picketlink.wst-batch-validate.xml":                    {verdict: "unsupported", detail: "RequestSecurityTokenCollection"},
		"picketlink.wst-cancel-saml.xml":                       {verb: wstrust.Cancel, target: saml, verdict: "accepted"},
		"picketlink.wst-computedkeyalgorithm.xml":              {verb: wstrust.Issue, verdict: "unsupported", detail: "SecondaryParameters is not supported"},
		"picketlink.wst-issue-appliesto.xml":                   {verb: wstrust.Issue, appliesTo: "http://services.testcorp.org/provider2", verdict: "accepted"},
		"picketlink.wst-issue-onbehalfof.xml": {verb: wstrust.Issue, onBehalfOf: wstrust.Token{Kind: wstrust.CredentialUsername, Subject: "anotherduke"},
			verdict: "unsupported", detail: "OnBehalfOf is not supported"},
		"picketlink.wst-issue-public-certificate.xml": {verb: wstrust.Issue, appliesTo: "http://services.testcorp.org/provider2", verdict: "malformed", detail: "X509Certificate"},
		"picketlink.wst-issue-public-key.xml":         {verb: wstrust.Issue, appliesTo: "http://services.testcorp.org/provider2", verdict: "malformed", detail: "KeyValue"},
		"picketlink.wst-issue-symmetric-key.xml":      {verb: wstrust.Issue, appliesTo: "http://services.testcorp.org/provider2", verdict: "unsupported", detail: "KeySize of 64 bits"},
		"picketlink.wst-issue.xml":                    {verb: wstrust.Issue, verdict: "accepted"},
		"picketlink.wst-renew-saml.xml":               {verb: wstrust.Renew, target: saml, verdict: "accepted"},
		"picketlink.wst-rst-wsp15.xml":                {verb: wstrust.Issue, appliesTo: jbossService, verdict: "unsupported", detail: "SecondaryParameters is not supported"},
		"picketlink.wst-secondaryparameters.xml":      {verb: wstrust.Issue, appliesTo: jbossService, verdict: "unsupported", detail: "SecondaryParameters is not supported"},
		"picketlink.wst-validate-saml.xml":            {verb: wstrust.Validate, target: saml, verdict: "accepted"},
	}
	folder := testdata.Shared(t, "messages", "rst")
	for name, want := range captures {
		name, ok := strings.CutPrefix(name, "rst/")
		if _, row := tests[name]; ok && want.refused == bareRequest && !row {
			t.Errorf("%s is bare and has no row", name)
		}
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			bare, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			r, err := wstrust.Inspect(wstrust.Inbound{Body: wrap(bare), Now: clock, Takes: everything})
			if verdict(err) != want.verdict || err != nil && !strings.Contains(err.Error(), want.detail) {
				t.Errorf("got %s (%v), want %s for %s", verdict(err), err, want.verdict, want.detail)
			}
			if r.Type != want.verb || r.AppliesTo != want.appliesTo || r.OnBehalfOf != want.onBehalfOf || r.Target != want.target {
				t.Errorf("got %v for %q, on behalf of %+v, about %+v", r.Type, r.AppliesTo, r.OnBehalfOf, r.Target)
			}
		})
	}
}

// wrap puts an RST into an envelope with a user name.
func wrap(bare []byte) []byte {
	bare = regexp.MustCompile(`^(\xef\xbb\xbf)?<\?xml[^>]*\?>`).ReplaceAll(bytes.TrimSpace(bare), nil)
	return []byte(`<s:Envelope xmlns:s="` + soap.NSSOAP11 + `"><s:Header><o:Security xmlns:o="` + soap.NSSecurity +
		`"><o:UsernameToken><o:Username>alice</o:Username><o:Password>x</o:Password></o:UsernameToken></o:Security></s:Header><s:Body>` +
		string(bare) + `</s:Body></s:Envelope>`)
}
