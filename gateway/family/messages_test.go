package family_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/gateway/family"
	"stsgate/gateway/soap"
	"stsgate/testdata"
)

// A message is a request and the family that it belongs to.
type message struct {
	file    string
	family  family.Name
	headers family.Headers
	body    []byte
}

func (m *message) scan(t testing.TB) *soap.Document {
	t.Helper()
	d, err := soap.Scan(m.body, soap.Request)
	if err != nil {
		t.Fatalf("%s: %v", m.file, err)
	}
	return d
}

// own returns the messages of testdata, which are written here. Each lies in
// the folder of its family.
func own(t testing.TB) []message {
	t.Helper()
	files, err := filepath.Glob("testdata/messages/*/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("got messages %q, %v", files, err)
	}
	var messages []message
	for _, f := range files {
		m := readHTTP(t, f)
		m.family = family.Name(filepath.Base(filepath.Dir(f)))
		messages = append(messages, *m)
	}
	return messages
}

// readHTTP reads a raw HTTP request. It returns nil for one without a body.
func readHTTP(t testing.TB, file string) *message {
	t.Helper()
	raw := readFile(t, file)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(body) == 0 {
		return nil
	}
	return &message{file: file, family: family.Unknown, body: body, headers: family.Headers{
		ContentType: r.Header.Get("Content-Type"), SOAPAction: r.Header.Get("SOAPAction"),
	}}
}

func readFile(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// known says which of the collected messages are from which family, by their
// INDEX.md and CLIENTS.md. All others are of none. Those that are no raw HTTP
// requests have the headers that their sources send.
var known = map[string]struct {
	family  family.Name
	headers family.Headers
}{
	"captured/adal-node-13-03.http":            {family: family.ADAL},
	"captured/adal-node-2005-03.http":          {family: family.ADAL},
	"captured/adal-node-badpw-03.http":         {family: family.ADAL},
	"captured/gsoap-psha1-soap11-01.http":      {family: family.GSOAP},
	"captured/gsoap-psha1-soap12-01.http":      {family: family.GSOAP},
	"captured/gsoap-saml-soap11-01.http":       {family: family.GSOAP},
	"captured/gsoap-saml-soap12-01.http":       {family: family.GSOAP},
	"captured/mono-wcf-win13-01.http":          {family: family.WCF},
	"captured/msal-go-13-04.http":              {family: family.MSALGo},
	"captured/msal-go-badpw-04.http":           {family: family.MSALGo},
	"captured/msal-go-xmluser-04.http":         {family: family.MSALGo},
	"captured/msal-py-1.21-13.http":            {family: family.MSALPython},
	"captured/msal-py-1.21-2005-no-mex.http":   {family: family.MSALPython},
	"captured/msal-py-1.31-13.http":            {family: family.MSALPython},
	"captured/zeep-cert-01.http":               {family: family.Zeep},
	"captured/zeep-certutsig-01.http":          {family: family.Zeep},
	"captured/zeep-digest-01.http":             {family: family.Zeep},
	"captured/zeep-duplicate-wsa-headers.http": {family: family.Zeep},
	"captured/zeep-ts-01.http":                 {family: family.Zeep},
	"captured/zeep-ut-01.http":                 {family: family.Zeep},

	"rst/msal-dotnet.UsernamePasswordWsTrust13.xml":             {family.MSALNet, withAction},
	"rst/msal-dotnet.UsernamePasswordWsTrust2005.xml":           {family.MSALNet, withAction},
	"rst/msal-dotnet.WindowsIntegratedAuthWsTrust13.xml":        {family.MSALNet, withAction},
	"rst/msal-dotnet.WindowsIntegratedAuthWsTrust2005.xml":      {family.MSALNet, withAction},
	"rst/adfsToolbox.Test-AdfsServerToken.usernamemixed.xml":    {family.PowerShell, withoutCharset},
	"rst/adfsToolbox.Test-AdfsServerToken.windowstransport.xml": {family.PowerShell, withoutCharset},
	"attack/aadinternals.AccessToken.1.xml":                     {family.AttackTool, withoutAction},
	"attack/aadinternals.Kerberos.0.xml":                        {family.AttackTool, withoutAction},
	"attack/credmaster.azuresso.xml":                            {family.AttackTool, withoutAction},
	"attack/o365spray.sprayer.autologon.xml":                    {family.AttackTool, withoutAction},
	"attack/roadtools.constants.desktopsso.xml":                 {family.AttackTool, withAction},
	"attack/roadtools.constants.saml.xml":                       {family.AttackTool, withAction},
}

var (
	withAction     = family.Headers{ContentType: "application/soap+xml; charset=utf-8", SOAPAction: "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue"}
	withoutAction  = family.Headers{ContentType: "application/soap+xml; charset=utf-8"}
	withoutCharset = family.Headers{ContentType: "application/soap+xml"}
)

// filled are the values for the placeholders of templates.
var filled = strings.NewReplacer(
	"$((New-Guid).ToString())", "5b0f4a0a-3b4c-4d8e-9a51-0c7d8e1f2a3b",
	"$((New-Guid).toString())", "5b0f4a0a-3b4c-4d8e-9a51-0c7d8e1f2a3b",
	"$created", "2026-03-02T08:00:00.1234567Z",
	"$expires", "2026-03-02T08:10:00.1234567Z",
)

// collected returns the messages that real clients sent, in the shared folder.
// Those that the scanner refuses never get as far as a family.
func collected(t testing.TB) []message {
	t.Helper()
	root := testdata.Shared(t, "messages")
	var messages []message
	seen := 0
	for _, pattern := range []string{"captured/*.http", "rst/*.xml", "attack/*.xml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			rel, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(rel, "node-sp-auth-adfs-nonascii") {
				continue // its Content-Length is wrong
			}
			expected, isKnown := known[rel]
			var m *message
			if strings.HasSuffix(file, ".http") {
				m = readHTTP(t, file)
			} else {
				m = &message{headers: expected.headers, body: []byte(filled.Replace(string(readFile(t, file))))}
			}
			if m == nil {
				continue
			}
			m.file, m.family = rel, family.Unknown
			if isKnown {
				seen++
				m.family = expected.family
			} else if m.headers.ContentType == "" {
				m.headers = withAction
			}
			if _, err := soap.Scan(m.body, soap.Request); err == nil {
				messages = append(messages, *m)
			} else if isKnown {
				t.Errorf("%s: %v", rel, err)
			}
		}
	}
	if seen != len(known) {
		t.Errorf("got %d of %d known messages", seen, len(known))
	}
	return messages
}
