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
	verb                      wstrust.RequestType
	credential, actAs, target wstrust.Credential
	signed                    bool
	user, password, appliesTo string
	// Why an endpoint for user names refuses it. What is broken early is not
	// read further, and has no password in any case.
	refused refusal
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

	anotherType       refusal = "another type than Issue"
	anotherCredential refusal = "another credential than a user name"
	relativeAudience  refusal = "an application that is no URI"
	unknownChild      refusal = "an unknown child of the RST"
)

// unread tells that the rule which is broken is one of the envelope or the header.
func (r refusal) unread() bool {
	switch r {
	case illFormed, notUTF8, cutShort, duplicateHeader, otherTrust, bareRequest:
		return true
	}
	return false
}

// Short names for the columns.
const (
	v2005, v13   = wstrust.V2005, wstrust.V13
	issue, renew = wstrust.Issue, wstrust.Renew

	byNobody, byUser, byDigest = wstrust.CredentialNone, wstrust.CredentialUsername, wstrust.CredentialDigest
	byX509, bySAML11, bySAML20 = wstrust.CredentialX509, wstrust.CredentialSAML11, wstrust.CredentialSAML20
	byUnknown, bySeveral       = wstrust.CredentialUnknown, wstrust.CredentialSeveral
)

const (
	office  = "https://contoso.sharepoint.com"
	msalAud = "https://cloudAudienceUrn"
	rp      = "https://rp.contoso.test/"
	special = `P@ss<w>&"ö1'`
	alice   = "alice@contoso.test"
)

var captures = map[string]capture{
	"rst/adal-node.RST.xml":                                                                      {version: v13, verb: issue, credential: byUser, user: alice, password: special, appliesTo: cloud, username: "%USERNAME%", secret: "%PASSWORD%", audience: "%APPLIES_TO%"},
	"rst/adal-node.RST2005.xml":                                                                  {version: v2005, verb: issue, credential: byUser, user: alice, password: special, appliesTo: cloud, username: "%USERNAME%", secret: "%PASSWORD%", audience: "%APPLIES_TO%"},
	"rst/adfsToolbox.Test-AdfsServerToken.usernamemixed.xml":                                     {version: v2005, verb: issue, credential: byUser, user: `CONTOSO\\alice`, password: "Passw0rd!", appliesTo: "urn:payrollapp"},
	"rst/adfsToolbox.Test-AdfsServerToken.windowstransport.xml":                                  {version: v2005, verb: issue, credential: byNobody, appliesTo: "urn:payrollapp", refused: anotherCredential},
	"rst/cxf.RequestParserUnitTest.CANCEL_SCT_REFERENCE.xml":                                     {refused: bareRequest},
	"rst/cxf.RequestParserUnitTest.USE_KEY_X509_REFERENCE.xml":                                   {refused: bareRequest},
	"rst/cxf.RequestParserUnitTest.VALIDATE_SCT_REFERENCE.xml":                                   {refused: bareRequest},
	"rst/epd.GetXAssertion_request_raw.xml":                                                      {version: v13, verb: issue, credential: bySAML20, user: "d04bff0e2094d3391c6bdf38fa1a669990f9b93a054d240ffbf0ace40b409996", appliesTo: "https://sp.communilty.ch", refused: anotherCredential},
	"rst/epd.Renew_request_raw.xml":                                                              {refused: illFormed},
	"rst/epd.xua.1_Get_X-User_Assertion_Request-Healthcare_Provider.xml":                         {version: v13, verb: issue, credential: bySAML20, user: "33166", appliesTo: "https://localhost:17001/services/iti18", refused: anotherCredential},
	"rst/epd.xua.2_Get_X-User_Assertion_Request-Assistant.xml":                                   {version: v13, verb: issue, credential: bySAML20, user: "33165", appliesTo: "https://localhost:17001/services/iti18", refused: anotherCredential},
	"rst/epd.xua.3_Get_X-User_Assertion_Request-Technical_User.xml":                              {version: v13, verb: issue, credential: bySAML20, user: "urn:oid:1.3.6.1.4.1.343", appliesTo: "https://localhost:17001/services/iti18", refused: anotherCredential},
	"rst/epd.xua.4_Get_X-User_Assertion_Request-Patient.xml":                                     {version: v13, verb: issue, credential: bySAML20, user: "33111", appliesTo: "https://localhost:17001/services/iti18", refused: anotherCredential},
	"rst/epd.xua.5_Get_X-User_Assertion_Request-Representative.xml":                              {version: v13, verb: issue, credential: bySAML20, user: "33999", appliesTo: "https://localhost:17001/services/iti18", refused: anotherCredential},
	"rst/epd.xua.6_Get_X-User_Assertion_Request-Policy-Administrator.xml":                        {version: v13, verb: issue, credential: bySAML20, user: "33111", appliesTo: "https://localhost:17001/services/iti18", refused: anotherCredential},
	"rst/epd.xua.7_Get_X-User_Assertion_Request-Document-Administrator.xml":                      {version: v13, verb: issue, credential: bySAML20, user: "33111", appliesTo: "https://localhost:17001/services/iti18", refused: anotherCredential},
	"rst/ews-managed-api.WindowsLive.xml":                                                        {refused: otherTrust},
	"rst/go-vcd.TestSamlAdfsAuthenticateWithCookie_REQ_adfs_services_trust_13_usernamemixed.xml": {version: v13, verb: issue, credential: byUser, user: "fakeUser", password: "fakePass", appliesTo: "https://192.168.1.109/cloud/org/my-org/saml/metadata/alias/vcd"},
	"rst/lightwave.BETLoginRequest.xml":                                                          {version: v13, verb: issue, credential: byNobody, refused: anotherCredential},
	"rst/lightwave.SAMLRequest.xml":                                                              {version: v13, verb: issue, credential: byUser, user: alice, password: special, username: "{2}", secret: "{3}"},
	"rst/lightwave.SamlTokenByCertificate.xml":                                                   {version: v13, verb: issue, credential: byX509, refused: anotherCredential},
	"rst/lightwave.SamlTokenByCertificate2.xml":                                                  {version: v13, verb: issue, credential: byX509, signed: true, refused: anotherCredential},
	"rst/lightwave.SamlTokenByToken2.xml":                                                        {version: v13, verb: issue, credential: bySeveral, signed: true, refused: secondToken},
	"rst/msal-dotnet.UsernamePasswordWsTrust13.xml":                                              {version: v13, verb: issue, credential: byUser, user: "the_username", password: "the_password", appliesTo: msalAud},
	"rst/msal-dotnet.UsernamePasswordWsTrust2005.xml":                                            {version: v2005, verb: issue, credential: byUser, user: "the_username", password: "the_password", appliesTo: msalAud},
	"rst/msal-dotnet.WindowsIntegratedAuthWsTrust13.xml":                                         {version: v13, verb: issue, credential: byNobody, appliesTo: msalAud, refused: anotherCredential},
	"rst/msal-dotnet.WindowsIntegratedAuthWsTrust2005.xml":                                       {version: v2005, verb: issue, credential: byNobody, appliesTo: msalAud, refused: anotherCredential},
	"rst/o365-py.FederatedSAML.xml":                                                              {version: v2005, verb: issue, credential: byUser, user: alice, password: special, appliesTo: cloud, username: "{username}", secret: "{password}", audience: "{issuer}"},
	"rst/o365-py.RST2.xml":                                                                       {version: v2005, verb: issue, credential: bySAML11, user: "bob", appliesTo: office, refused: anotherCredential, audience: "{auth_url}"},
	"rst/o365-py.SAML.xml":                                                                       {version: v2005, verb: issue, credential: byUser, user: alice, password: special, appliesTo: office, username: "{username}", secret: "{password}", audience: "{auth_url}"},
	"rst/picketlink.wst-batch-issue.xml":                                                         {refused: bareRequest},
	"rst/picketlink.wst-batch-validate.xml":                                                      {refused: bareRequest},
	"rst/picketlink.wst-cancel-saml.xml":                                                         {refused: bareRequest},
	"rst/picketlink.wst-computedkeyalgorithm.xml":                                                {refused: bareRequest},
	"rst/picketlink.wst-issue-appliesto.xml":                                                     {refused: bareRequest},
	"rst/picketlink.wst-issue-onbehalfof.xml":                                                    {refused: bareRequest},
	"rst/picketlink.wst-issue-public-certificate.xml":                                            {refused: bareRequest},
	"rst/picketlink.wst-issue-public-key.xml":                                                    {refused: bareRequest},
	"rst/picketlink.wst-issue-symmetric-key.xml":                                                 {refused: bareRequest},
	"rst/picketlink.wst-issue.xml":                                                               {refused: bareRequest},
	"rst/picketlink.wst-renew-saml.xml":                                                          {refused: bareRequest},
	"rst/picketlink.wst-rst-wsp15.xml":                                                           {refused: bareRequest},
	"rst/picketlink.wst-secondaryparameters.xml":                                                 {refused: bareRequest},
	"rst/picketlink.wst-validate-saml.xml":                                                       {refused: bareRequest},
	"rst/rampart.req06.xml":                                                                      {version: v2005, verb: issue, credential: byX509, appliesTo: "http://localhost:39473/axis2/services/sample06", signed: true, refused: anotherCredential},
	"rst/rampart.rst04.xml":                                                                      {version: v2005, verb: issue, credential: bySeveral, appliesTo: "http://localhost:8081/axis2/services/sample04", signed: true, refused: secondToken},
	"rst/seges.RST_Template.xml":                                                                 {version: v13, verb: issue, credential: byUser, user: alice, password: special, appliesTo: rp, username: "%2$s", secret: "%3$s", audience: "%4$s"},
	"captured/adal-node-13-03.http":                                                              {version: v13, verb: issue, credential: byUser, user: alice, password: special, appliesTo: cloud},
	"captured/adal-node-2005-03.http":                                                            {version: v2005, verb: issue, credential: byUser, user: "alice2005@contoso.test", password: "Passw0rd!", appliesTo: cloud},
	"captured/adal-node-badpw-03.http":                                                           {version: v13, verb: issue, credential: byUser, user: alice, password: "badpw", appliesTo: cloud},
	"captured/govmomi-actas-01.http":                                                             {version: v13, verb: issue, credential: byX509, signed: true, actAs: bySAML20, refused: anotherCredential},
	"captured/govmomi-bearer-01.http":                                                            {version: v13, verb: issue, credential: byUser, user: "alice@vsphere.local", password: special},
	"captured/govmomi-hok-01.http":                                                               {version: v13, verb: issue, credential: byX509, signed: true, refused: anotherCredential},
	"captured/govmomi-hokonly-01.http":                                                           {version: v13, verb: issue, credential: byX509, signed: true, refused: anotherCredential},
	"captured/govmomi-renew-01.http":                                                             {version: v13, verb: renew, credential: byX509, signed: true, target: bySAML20, refused: anotherType},
	"captured/gsoap-psha1-soap11-01.http":                                                        {version: v13, verb: issue, credential: byDigest, user: "alice", appliesTo: rp, refused: passwordDigest},
	"captured/gsoap-psha1-soap12-01.http":                                                        {version: v13, verb: issue, credential: byDigest, user: "alice", appliesTo: rp, refused: passwordDigest},
	"captured/gsoap-saml-soap11-01.http":                                                         {version: v13, verb: issue, credential: byDigest, user: "alice", appliesTo: rp, refused: passwordDigest},
	"captured/gsoap-saml-soap12-01.http":                                                         {version: v13, verb: issue, credential: byDigest, user: "alice", appliesTo: rp, refused: passwordDigest},
	"captured/mono-wcf-win13-01.http":                                                            {version: v13, verb: issue, credential: byNobody, appliesTo: rp, refused: anotherCredential},
	"captured/msal-go-13-04.http":                                                                {version: v13, verb: issue, credential: byUser, user: alice, password: special, appliesTo: cloud},
	"captured/msal-go-badpw-04.http":                                                             {version: v13, verb: issue, credential: byUser, user: alice, password: "badpw", appliesTo: cloud},
	"captured/msal-go-xmluser-04.http":                                                           {version: v13, verb: issue, credential: byUser, user: "a&lice@contoso.test", password: "x", appliesTo: cloud},
	"captured/msal-py-1.21-13.http":                                                              {version: v13, verb: issue, credential: byUser, user: alice, password: "badpw", appliesTo: cloud},
	"captured/msal-py-1.21-2005-no-mex.http":                                                     {version: v2005, verb: issue, credential: byUser, user: "alicenomex@contoso.test", password: "Passw0rd!", appliesTo: cloud},
	"captured/msal-py-1.21-latin1-body.http":                                                     {refused: notUTF8},
	"captured/msal-py-1.21-unescaped-username.http":                                              {refused: illFormed},
	"captured/msal-py-1.31-13.http":                                                              {version: v13, verb: issue, credential: byUser, user: alice, password: `P@ss<w>&"1'`, appliesTo: cloud},
	"captured/msal-py-1.31-latin1-body.http":                                                     {refused: notUTF8},
	"captured/node-soap-cert-01.http":                                                            {version: v13, verb: issue, credential: byX509, signed: true, refused: anotherCredential},
	"captured/node-soap-digest-01.http":                                                          {version: v13, verb: issue, credential: byDigest, user: "alice", refused: passwordDigest},
	"captured/node-soap-ut-01.http":                                                              {version: v13, verb: issue, credential: byUser, user: "alice", password: `P@ss<w>&"ö1`},
	"captured/node-soap-ut12-01.http":                                                            {version: v13, verb: issue, credential: byUser, user: "alice", password: `P@ss<w>&"ö1`},
	"captured/node-sp-auth-adfs-01.http":                                                         {version: v13, verb: issue, credential: byUser, user: `CONTOSO\alice`, password: `P@ss<w>&"1'`, appliesTo: "urn:sharepoint:portal"},
	"captured/node-sp-auth-adfs-nonascii-01.http":                                                {refused: cutShort},
	"captured/shareplum-managed-01.http":                                                         {version: v2005, verb: issue, credential: byUser, user: alice, password: `P@ss<w>&"1'`, appliesTo: office},
	"captured/zeep-cert-01.http":                                                                 {version: v13, verb: issue, credential: byX509, appliesTo: rp, signed: true, refused: anotherCredential},
	"captured/zeep-certutsig-01.http":                                                            {version: v13, verb: issue, credential: byUser, user: "alice", appliesTo: rp, signed: true, refused: secondToken},
	"captured/zeep-digest-01.http":                                                               {version: v13, verb: issue, credential: byDigest, user: "alice", appliesTo: rp, refused: passwordDigest},
	"captured/zeep-duplicate-wsa-headers.http":                                                   {version: v13, verb: issue, credential: byUser, user: "alice", appliesTo: rp, refused: duplicateHeader},
	"captured/zeep-ts-01.http":                                                                   {version: v13, verb: issue, credential: byUser, user: "alice", password: "Passw0rd", appliesTo: rp},
	"captured/zeep-ut-01.http":                                                                   {version: v13, verb: issue, credential: byUser, user: "alice", password: special, appliesTo: rp},
	"attack/aadinternals.AccessToken.1.xml":                                                      {version: v2005, verb: issue, credential: byUser, user: alice, password: special, appliesTo: cloud, username: "$UserName", secret: "$Password", audience: "$EndpointAddress"},
	"attack/aadinternals.Kerberos.0.xml":                                                         {version: v2005, verb: issue, credential: byNobody, appliesTo: cloud, refused: anotherCredential},
	"attack/aadinternals.MDM.4.xml":                                                              {version: v13, verb: issue, credential: byUnknown, refused: unknownChild},
	"attack/aadinternals.SPO.2.xml":                                                              {version: v2005, verb: issue, credential: byUser, user: alice, password: special, appliesTo: cloud, username: "$($Credentials.UserName)", secret: "$($Credentials.GetNetworkCredential().Password)"},
	"attack/aadinternals.SPO.3.xml":                                                              {version: v2005, verb: issue, credential: bySAML11, user: "bob", appliesTo: "sharepoint.com", refused: relativeAudience},
	"attack/credmaster.azuresso.xml":                                                             {version: v2005, verb: issue, credential: byUser, user: alice, password: "Passw0rd!", appliesTo: cloud},
	"attack/o365spray.sprayer.autologon.xml":                                                     {version: v2005, verb: issue, credential: byUser, user: alice, password: "Passw0rd!", appliesTo: cloud},
	"attack/o365spray.sprayer.rst2srf.xml":                                                       {version: v2005, verb: issue, credential: byUser, user: alice, appliesTo: "online.lync.com", refused: relativeAudience},
	"attack/roadtools.constants.desktopsso.xml":                                                  {version: v2005, verb: issue, credential: byNobody, appliesTo: cloud, refused: anotherCredential},
	"attack/roadtools.constants.saml.xml":                                                        {version: v2005, verb: issue, credential: byUser, user: alice, password: special, appliesTo: cloud, username: "{username}", secret: "{password}"},
}

// TestCorpus reads every request of the shared corpus: as another parser
// reads it, and accepted or refused for one of the few reasons (SOAP-03 to SOAP-10).
func TestCorpus(t *testing.T) {
	shared := testdata.Shared(t, "messages")
	read := 0
	for _, folder := range []string{"rst", "captured", "attack"} {
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
			if !regexp.MustCompile(`<(\w+:)?RequestSecurityToken[\s>]`).Match(raw) {
				continue
			}
			read++
			want, ok := captures[name]
			if !ok {
				t.Errorf("%s has a request and no row", name)
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
	r, err := wstrust.Inspect(in)
	if got := refusalOf(in.Body, err); got != want.refused {
		t.Fatalf("got refused for %q (%v), want %q", got, err, want.refused)
	}
	if want.refused.unread() {
		return
	}
	if err == nil && !r.Bearer() {
		t.Errorf("got key type %q, want bearer", r.KeyType)
	}
	got := capture{
		version: r.Version, verb: r.Type, credential: r.Credential, actAs: r.ActAs.Kind, target: r.Target.Kind, signed: r.Signed,
		user: r.Username, password: string(r.Password.Bytes()), appliesTo: r.AppliesTo,
	}
	want.refused, want.username, want.secret, want.audience = "", "", "", ""
	if got != want {
		t.Errorf("got\n%+v, want\n%+v", got, want)
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
			return illFormed
		}
	}
	if e, ok := errors.AsType[*wstrust.Error](err); ok {
		switch {
		case e.Kind == wstrust.SecondCredential:
			return secondToken
		case e.Kind == wstrust.UnsupportedCredential && strings.Contains(e.Msg, "digest"):
			return passwordDigest
		case e.Kind == wstrust.UnsupportedCredential:
			return anotherCredential
		case e.Kind == wstrust.Unsupported && strings.Contains(e.Msg, "RequestType"):
			return anotherType
		case e.Kind == wstrust.Malformed && strings.Contains(e.Msg, "is not an absolute URI"):
			return relativeAudience
		case e.Kind == wstrust.Malformed && strings.HasSuffix(e.Msg, " in RequestSecurityToken"):
			return unknownChild
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
	body = regexp.MustCompile(`(Created|Expires)>(%\w+%|\{\w+\}|\$\w+|REPLACED)<`).ReplaceAllStringFunc(body, func(old string) string {
		minutes++
		what, _, _ := strings.Cut(old, ">")
		return what + ">" + clock.Add(time.Duration(minutes)*time.Minute).Format(time.RFC3339) + "<"
	})
	for _, to := range []string{"%WSTRUST_ENDPOINT%", "REPLACED", "{auth_url}", "%1$s", "$url"} {
		body = strings.ReplaceAll(body, ">"+to+"</", ">https://sts.contoso.test/adfs/services/trust/13/usernamemixed</")
	}
	signature := `<Signature xmlns="` + dsig + `"/>`
	return []byte(strings.NewReplacer(
		">{assertion_node}<", ">"+saml11("bob")+"<", ">$security<", ">"+saml11("bob")+"<",
		" {3}\n", signature+"\n", " {4}\n", saml11("bob")+"\n",
	).Replace(body))
}
