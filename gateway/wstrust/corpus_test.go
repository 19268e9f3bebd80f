package wstrust_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// A capture is what a file of the shared corpus must be read as. The values
// were taken from the files with another parser (expat).
type capture struct {
	version                   wstrust.Version
	user, password, appliesTo string
	refused                   refusal
	// What the file's placeholders for user, password and application are.
	username, secret, audience string
}

// A refusal is one of the reasons for which a real client's request for a
// token may be refused.
type refusal string

const (
	illFormed       refusal = "not well-formed"
	notUTF8         refusal = "not UTF-8"
	cutShort        refusal = "cut short"
	duplicateHeader refusal = "duplicate headers"
	passwordDigest  refusal = "password digest"
	secondToken     refusal = "a second credential"
	otherTrust      refusal = "a trust namespace that is not served"
	bareRequest     refusal = "a bare RequestSecurityToken, without an envelope"
)

const (
	office  = "https://contoso.sharepoint.com"
	msalAud = "https://cloudAudienceUrn"
	rp      = "https://rp.contoso.test/"
	special = `P@ss<w>&"ö1'`
	alice   = "alice@contoso.test"
)

var captures = map[string]capture{
	"rst/adal-node.RST.xml":                                  {version: wstrust.V13, user: alice, password: special, appliesTo: cloud, username: "%USERNAME%", secret: "%PASSWORD%", audience: "%APPLIES_TO%"},
	"rst/adal-node.RST2005.xml":                              {version: wstrust.V2005, user: alice, password: special, appliesTo: cloud, username: "%USERNAME%", secret: "%PASSWORD%", audience: "%APPLIES_TO%"},
	"rst/adfsToolbox.Test-AdfsServerToken.usernamemixed.xml": {version: wstrust.V2005, user: `CONTOSO\\alice`, password: "Passw0rd!", appliesTo: "urn:payrollapp"},
	"rst/ews-managed-api.WindowsLive.xml":                    {refused: otherTrust},
	"rst/go-vcd.TestSamlAdfsAuthenticateWithCookie_REQ_adfs_services_trust_13_usernamemixed.xml": {version: wstrust.V13, user: "fakeUser", password: "fakePass", appliesTo: "https://192.168.1.109/cloud/org/my-org/saml/metadata/alias/vcd"},
	"rst/lightwave.SAMLRequest.xml":                   {version: wstrust.V13, user: alice, password: special, username: "{2}", secret: "{3}"},
	"rst/msal-dotnet.UsernamePasswordWsTrust13.xml":   {version: wstrust.V13, user: "the_username", password: "the_password", appliesTo: msalAud},
	"rst/msal-dotnet.UsernamePasswordWsTrust2005.xml": {version: wstrust.V2005, user: "the_username", password: "the_password", appliesTo: msalAud},
	"rst/o365-py.FederatedSAML.xml":                   {version: wstrust.V2005, user: alice, password: special, appliesTo: cloud, username: "{username}", secret: "{password}", audience: "{issuer}"},
	"rst/o365-py.SAML.xml":                            {version: wstrust.V2005, user: alice, password: special, appliesTo: office, username: "{username}", secret: "{password}", audience: "{auth_url}"},
	"rst/picketlink.wst-issue-onbehalfof.xml":         {refused: bareRequest},
	"rst/seges.RST_Template.xml":                      {version: wstrust.V13, user: alice, password: special, appliesTo: rp, username: "%2$s", secret: "%3$s", audience: "%4$s"},
	"captured/adal-node-13-03.http":                   {version: wstrust.V13, user: alice, password: special, appliesTo: cloud},
	"captured/adal-node-2005-03.http":                 {version: wstrust.V2005, user: "alice2005@contoso.test", password: "Passw0rd!", appliesTo: cloud},
	"captured/adal-node-badpw-03.http":                {version: wstrust.V13, user: alice, password: "badpw", appliesTo: cloud},
	"captured/govmomi-bearer-01.http":                 {version: wstrust.V13, user: "alice@vsphere.local", password: special},
	"captured/gsoap-psha1-soap11-01.http":             {refused: passwordDigest},
	"captured/gsoap-psha1-soap12-01.http":             {refused: passwordDigest},
	"captured/gsoap-saml-soap11-01.http":              {refused: passwordDigest},
	"captured/gsoap-saml-soap12-01.http":              {refused: passwordDigest},
	"captured/msal-go-13-04.http":                     {version: wstrust.V13, user: alice, password: special, appliesTo: cloud},
	"captured/msal-go-badpw-04.http":                  {version: wstrust.V13, user: alice, password: "badpw", appliesTo: cloud},
	"captured/msal-go-xmluser-04.http":                {version: wstrust.V13, user: "a&lice@contoso.test", password: "x", appliesTo: cloud},
	"captured/msal-py-1.21-13.http":                   {version: wstrust.V13, user: alice, password: "badpw", appliesTo: cloud},
	"captured/msal-py-1.21-2005-no-mex.http":          {version: wstrust.V2005, user: "alicenomex@contoso.test", password: "Passw0rd!", appliesTo: cloud},
	"captured/msal-py-1.21-latin1-body.http":          {refused: notUTF8},
	"captured/msal-py-1.21-unescaped-username.http":   {refused: illFormed},
	"captured/msal-py-1.31-13.http":                   {version: wstrust.V13, user: alice, password: `P@ss<w>&"1'`, appliesTo: cloud},
	"captured/msal-py-1.31-latin1-body.http":          {refused: notUTF8},
	"captured/node-soap-digest-01.http":               {refused: passwordDigest},
	"captured/node-soap-ut-01.http":                   {version: wstrust.V13, user: "alice", password: `P@ss<w>&"ö1`},
	"captured/node-soap-ut12-01.http":                 {version: wstrust.V13, user: "alice", password: `P@ss<w>&"ö1`},
	"captured/node-sp-auth-adfs-01.http":              {version: wstrust.V13, user: `CONTOSO\alice`, password: `P@ss<w>&"1'`, appliesTo: "urn:sharepoint:portal"},
	"captured/node-sp-auth-adfs-nonascii-01.http":     {refused: cutShort},
	"captured/shareplum-managed-01.http":              {version: wstrust.V2005, user: alice, password: `P@ss<w>&"1'`, appliesTo: office},
	"captured/zeep-certutsig-01.http":                 {refused: secondToken},
	"captured/zeep-digest-01.http":                    {refused: passwordDigest},
	"captured/zeep-duplicate-wsa-headers.http":        {refused: duplicateHeader},
	"captured/zeep-ts-01.http":                        {version: wstrust.V13, user: "alice", password: "Passw0rd", appliesTo: rp},
	"captured/zeep-ut-01.http":                        {version: wstrust.V13, user: "alice", password: special, appliesTo: rp},
}

// TestCorpus reads every request of the shared corpus that asks for a token
// with a user name: it is read as another parser reads it, or refused for one
// of the few reasons (SOAP-03 to SOAP-10).
func TestCorpus(t *testing.T) {
	shared := testdata.Shared(t, "messages")
	read := 0
	for _, folder := range []string{"rst", "captured"} {
		files, err := os.ReadDir(filepath.Join(shared, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name := folder + "/" + f.Name()
			raw, err := os.ReadFile(filepath.Join(shared, name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(raw, []byte("UsernameToken")) || !regexp.MustCompile(`/Issue\s*</`).Match(raw) {
				continue
			}
			read++
			want, ok := captures[name]
			if !ok {
				t.Errorf("%s asks for a token with a user name and has no row", name)
				continue
			}
			t.Run(name, func(t *testing.T) { want.check(t, inbound(t, name, raw, want)) })
		}
	}
	if read != len(captures) {
		t.Errorf("got %d files, want %d", read, len(captures))
	}
}

// check compares what is read with the row.
func (want capture) check(t *testing.T, in wstrust.Inbound) {
	r, err := wstrust.ReadRequest(in)
	if got := refusalOf(in.Body, err); got != want.refused {
		t.Fatalf("got refused for %q (%v), want %q", got, err, want.refused)
	}
	if err != nil {
		return
	}
	if r.Version != want.version || r.Username != want.user || r.AppliesTo != want.appliesTo || string(r.Password.Bytes()) != want.password {
		t.Errorf("got WS-Trust %v, user %q, password %q, application %q, want %v, %q, %q, %q", r.Version, r.Username,
			r.Password.Bytes(), r.AppliesTo, want.version, want.user, want.password, want.appliesTo)
	}
	if !r.Bearer() {
		t.Errorf("got key type %q, want bearer", r.KeyType)
	}
}

// refusalOf sorts an error into the reasons; one that is none of them names itself.
func refusalOf(body []byte, err error) refusal {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*soap.Error](err); ok {
		switch e.Rule {
		case "XML-01":
			return notUTF8
		case "XML-05":
			return illFormed
		case "XML-15", "XML-12":
			if !bytes.HasSuffix(bytes.TrimSpace(body), []byte("Envelope>")) {
				return cutShort
			}
		}
	}
	if e, ok := errors.AsType[*wstrust.Error](err); ok {
		switch {
		case e.Kind == wstrust.SecondCredential:
			return secondToken
		case e.Kind == wstrust.UnsupportedCredential && strings.Contains(e.Msg, "digest"):
			return passwordDigest
		case e.Kind == wstrust.Malformed && strings.Contains(e.Msg, "is there twice"):
			return duplicateHeader
		case e.Kind == wstrust.WrongVersion && strings.Contains(e.Msg, "the root is not the Envelope"):
			return bareRequest
		case e.Kind == wstrust.WrongVersion && strings.Contains(e.Msg, "no WS-Trust version"):
			return otherTrust
		}
	}
	return refusal(err.Error())
}

// inbound makes the request of a file: HTTP as captured, or a template filled
// as its program fills it.
func inbound(t *testing.T, name string, raw []byte, want capture) wstrust.Inbound {
	in := wstrust.Inbound{Body: raw, Now: clock}
	if strings.HasSuffix(name, ".http") {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if in.Body, err = io.ReadAll(r.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		in.SOAPAction = r.Header["Soapaction"]
		if media := r.Header.Get("Content-Type"); media != "" {
			mediaType, parameters, err := mime.ParseMediaType(media)
			if err != nil {
				t.Fatal(err)
			}
			in.SOAP = map[string]soap.Version{"text/xml": soap.V11, "application/soap+xml": soap.V12}[mediaType]
			in.MediaAction = parameters["action"]
		}
	} else {
		in.Body = fill(raw, want)
	}
	if created := regexp.MustCompile(`Created[^>]*>([^<]+)<`).FindSubmatch(in.Body); created != nil {
		at, err := time.Parse(time.RFC3339, string(created[1]))
		if err != nil {
			t.Fatal(err)
		}
		in.Now = at.Add(time.Second)
	}
	return in
}

// fill puts values in the place of a template's placeholders, and LF in the
// place of lone CRs, as the writers do that load such a file as XML.
func fill(raw []byte, want capture) []byte {
	body := strings.ReplaceAll(string(raw), "\r\n", "\n")
	body = strings.ReplaceAll(body, "\r", "\n")
	for placeholder, value := range map[string]string{
		want.username: want.user, want.secret: want.password, want.audience: want.appliesTo,
	} {
		if placeholder != "" {
			body = strings.ReplaceAll(body, placeholder, string(soap.EscapeText(nil, value)))
		}
	}
	minutes := 0
	body = regexp.MustCompile(`(Created|Expires)>(%\w+%|\{\w+\}|REPLACED)<`).ReplaceAllStringFunc(body, func(old string) string {
		minutes++
		what, _, _ := strings.Cut(old, ">")
		return what + ">" + clock.Add(time.Duration(minutes)*time.Minute).Format(time.RFC3339) + "<"
	})
	for _, to := range []string{"%WSTRUST_ENDPOINT%", "REPLACED", "{auth_url}", "%1$s"} {
		body = strings.ReplaceAll(body, ">"+to+"</", ">https://sts.contoso.test/adfs/services/trust/13/usernamemixed</")
	}
	return []byte(body)
}
