package main

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// A canary is a request with a secret in it.
type canary struct {
	name   string
	status int    // of the answer; 0 for bytes that are sent without TLS
	from   string // what stands in a lawful message,
	to     string // and what stands there instead; SECRET is the secret
	raw    string // the request, if it is no POST of the message: {n} and {body} are as in a probe
}

const (
	rightPassword = `#PasswordText">RIGHT<`
	userEnd       = "</o:UsernameToken>"
	userName      = "<o:Username>alice@contoso.example<"
	canaryID      = "urn:uuid:canary"
	// secretly is in the head of nearly every request.
	secretly = "Authorization: Basic BASIC\r\nProxy-Authorization: Bearer SECRET\r\nCookie: MSISAuth=SECRET; x=SECRET\r\nX-Api-Key: SECRET\r\n"
)

func (c canary) bytes(secret, right string) string {
	message := string(wstrust.AppendRequest(nil, wstrust.Query{
		SOAP: soap.V12, Version: wstrust.V13, To: "https://" + probedHost + path13, MessageID: canaryID, Username: "alice@contoso.example",
		Password: account.NewPassword([]byte("RIGHT")), AppliesTo: cloudRealm, Now: time.Now(),
	}))
	if strings.Count(message, c.from) == 0 {
		panic("the message holds no " + c.from)
	}
	if c.from != "" {
		message = strings.Replace(message, c.from, c.to, 1)
	}
	planted := strings.NewReplacer("SECRET", secret, "RIGHT", right, "BASIC", base64.StdEncoding.EncodeToString([]byte("alice:"+secret)))
	message = planted.Replace(message)
	raw := c.raw
	if raw == "" {
		raw = post13 + secretly + sized
	}
	return strings.NewReplacer("{n}", strconv.Itoa(len(message)), "{n-1}", strconv.Itoa(len(message)-1),
		"{x}", strconv.FormatInt(int64(len(message)), 16), "{body}", message).Replace(planted.Replace(raw))
}

// inPassword is what stands in the password's place.
func inPassword(text string) string { return `#PasswordText">` + text + "<" }

// after adds elements to the Security header.
func after(name, content string) string { return "<o:" + name + ">" + content + "</o:" + name + ">" }

var canaries = []canary{
	{name: "beside a right password", status: 200},
	{name: "as a password", status: 500, from: rightPassword, to: inPassword("SECRET")},
	{name: "as a nonce", status: 200, from: userEnd, to: after("Nonce", "SECRET") + userEnd},
	{name: "as a nonce that is none", status: 500, from: userEnd, to: after("Nonce", "SECRET<x/>") + userEnd},
	{name: "as a user name", status: 500, from: userName, to: "<o:Username>SECRET<"},
	{name: "as a user name at home", status: 500, from: userName, to: "<o:Username>SECRET@contoso.example<"},
	{name: "as a user name of the domain", status: 500, from: userName, to: `<o:Username>CONTOSO\SECRET<`},
	{name: "as a user name without a form", status: 500, from: userName, to: `<o:Username>SECRET\<`},
	{name: "as a domain", status: 500, from: userName, to: "<o:Username>alice@SECRET<"},
	{name: "markup in it", status: 500, from: rightPassword, to: inPassword("a<SECRET/>b")},
	{name: "cut short in it", status: 500, from: rightPassword, to: inPassword("SECRET<")},
	{name: "as an entity", status: 500, from: rightPassword, to: inPassword("&SECRET;")},
	{name: "bare ampersand after it", status: 500, from: rightPassword, to: inPassword("SECRET&b")},
	{name: "CDATA", status: 500, from: rightPassword, to: inPassword("<![CDATA[SECRET]]>")},
	{name: "comment", status: 500, from: rightPassword, to: inPassword("<!-- SECRET -->")},
	{name: "control character after it", status: 500, from: rightPassword, to: inPassword("SECRET\x01")},
	{name: "not UTF-8 after it", status: 500, from: rightPassword, to: inPassword("SECRET\xff")},
	{name: "as an end tag", status: 500, from: "</o:Password>", to: "</o:SECRET>"},
	{name: "as a prefix", status: 500, from: "<o:Password ", to: "<SECRET:x/><o:Password "},
	{name: "as an attribute", status: 500, from: "<o:Password ", to: `<o:Password SECRET="1" SECRET="2" `},
	{name: "as the password's type", status: 500, from: "#PasswordText", to: "SECRET"},
	{name: "as a digest", status: 500, from: rightPassword, to: `#PasswordDigest">SECRET<`},
	{name: "as a DOCTYPE", status: 500, from: "<s:Envelope", to: `<!DOCTYPE x [<!ENTITY e "SECRET">]><s:Envelope`},
	{name: "as an instruction", status: 500, from: "<s:Envelope", to: `<?SECRET?><s:Envelope`},
	{name: "as text in the body", status: 500, from: "<s:Body>", to: "<s:Body>SECRET"},
	{name: "as a second password", status: 500, from: userEnd, to: after("Password", "SECRET") + userEnd},
	{name: "as another token", status: 500, from: userEnd, to: userEnd + after("BinarySecurityToken", "SECRET")},
	{name: "as an assertion", status: 500, from: userEnd, to: userEnd + `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">SECRET</saml:Assertion>`},
	{name: "as a time", status: 500, from: "<u:Created>", to: "<u:Created>SECRET"},
	{name: "as a verb", status: 500, from: "/Issue</trust:RequestType>", to: "/SECRET</trust:RequestType>"},
	{name: "as an action", status: 500, from: "RST/Issue</a:Action>", to: "RST/SECRET</a:Action>"},
	{name: "as a SOAPAction", status: 200, raw: post13 + "SOAPAction: \"SECRET\"\r\n" + sized},
	{name: "as a method", status: 405, raw: "SECRET " + path13 + " HTTP/1.1\r\n" + onHost + inSOAP + secretly + sized},
	{name: "as a version", status: 505, raw: "POST " + path13 + " SECRET\r\n" + onHost + inSOAP + secretly + sized},
	{name: "as a query", status: 404, raw: "POST " + path13 + "?password=SECRET HTTP/1.1\r\n" + onHost + inSOAP + secretly + sized},
	{name: "as a query of another path", status: 404, raw: "GET /adfs/ls/?wresult=SECRET HTTP/1.1\r\n" + onHost + secretly + "\r\n"},
	{name: "as a fragment", status: 404, raw: "GET /adfs/oauth2#access_token=SECRET HTTP/1.1\r\n" + onHost + secretly + "\r\n"},
	{name: "as a parameter", status: 404, raw: "GET /adfs/portal;jsessionid=SECRET HTTP/1.1\r\n" + onHost + secretly + "\r\n"},
	{name: "as a user of an authority", status: 404, raw: "CONNECT alice:SECRET@" + probedHost + ":443 HTTP/1.1\r\n" + onHost + secretly + "\r\n"},
	{name: "as a query of another host", status: 421, raw: "GET https://evil.example?password=SECRET HTTP/1.1\r\n" + onHost + secretly + "\r\n"},
	{name: "as a user of an absolute target", status: 421, raw: "GET https://alice:SECRET@evil.example/ HTTP/1.1\r\n" + onHost + secretly + "\r\n"},
	{name: "as a user of the host", status: 400, raw: line13 + "Host: alice:SECRET@" + probedHost + "\r\n" + inSOAP + sized},
	{name: "to metadata", status: 405, raw: "POST " + metadataPath + " HTTP/1.1\r\n" + onHost + secretly + "Content-Length: 32\r\n\r\nSECRET"},
	{name: "to MEX", status: 500, raw: "POST " + mexPath + " HTTP/1.1\r\n" + onHost + inSOAP + secretly + sized},
	{name: "to MEX, malformed", status: 500, raw: "POST " + mexPath + " HTTP/1.1\r\n" + onHost + inSOAP + secretly + "Content-Length: 34\r\n\r\n<SECRET>"},
	{name: "to the other version", status: 500, raw: "POST " + path2005 + " HTTP/1.1\r\n" + onHost + inSOAP + secretly + sized},
	{name: "as a length", status: 400, raw: post13 + secretly + "Content-Length: SECRET\r\n\r\n{body}"},
	{name: "as a coding", status: 400, raw: post13 + secretly + "Transfer-Encoding: SECRET\r\n\r\n{body}"},
	{name: "as an expectation", status: 417, raw: post13 + secretly + "Expect: SECRET\r\n" + sized},
	{name: "as an upgrade", status: 405, raw: post13 + secretly + "Connection: Upgrade\r\nUpgrade: SECRET\r\n" + sized},
	{name: "as a media type", status: 415, raw: line13 + onHost + "Content-Type: text/SECRET\r\n" + secretly + sized},
	{name: "in a header's name", status: 400, raw: post13 + "SECRET_: 1\r\n" + sized},
	{name: "in a folded header", status: 400, raw: post13 + "Authorization: Bearer\r\n SECRET\r\n" + sized},
	{name: "as a chunk's size", status: 400, raw: inChunks + "SECRET\r\n{body}\r\n0\r\n\r\n"},
	{name: "as a trailer", status: 400, raw: inChunks + "{x}\r\n{body}\r\n0\r\nX-Password: SECRET\r\n\r\n"},
	{name: "behind a body cut short", status: 500, raw: post13 + secretly + "Content-Length: {n-1}\r\n\r\n{body}SECRET\r\n\r\n"},
	{name: "without TLS", raw: "SECRET POST " + path13 + " HTTP/1.1\r\n" + onHost + secretly + sized},
	{name: "before a fault", status: 500, from: canaryID, to: canaryID + "-fault"},
	{name: "before a fault that denies", status: 500, from: canaryID, to: canaryID + "-denied"},
	{name: "before a fault of the password", status: 500, from: canaryID, to: canaryID + "-wrong"},
	{name: "before a fault of the scope", status: 500, from: canaryID, to: canaryID + "-scope"},
	{name: "before a fault that repeats the password", status: 500, from: canaryID, to: canaryID + "-echo"},
	{name: "before a fault of a code", status: 500, from: canaryID, to: canaryID + "-code"},
	{name: "before a page", status: 500, from: canaryID, to: canaryID + "-page"},
	{name: "before what is no XML", status: 500, from: canaryID, to: canaryID + "-broken"},
	{name: "before an answer of another kind", status: 500, from: canaryID, to: canaryID + "-odd"},
	{name: "before a status", status: 500, from: canaryID, to: canaryID + "-status"},
	{name: "before bytes that are no HTTP", status: 500, from: canaryID, to: canaryID + "-garbage"},
}

// stalling is what the farm takes and never answers. Each has a number: who sends
// the same message again waits with the first.
func stalling(i int) canary {
	return canary{name: "held", from: canaryID, to: canaryID + "-stall." + strconv.Itoa(i)}
}

// farmWords are what a farm can say of its inside.
var farmWords = []string{
	"System.Web.HttpUnhandledException", "at Microsoft.IdentityServer.Web.WrappedHttpListenerContext", "MSIS9605", "--- End of stack trace", "line 217 of Proxy.cs",
	"S-1-5-21-1004336348-1177238915-682003330-512", "S-1-5-32-544", `CONTOSO\svc-adfs$`, "Administrator@corp.contoso.example", "CN=svc-adfs,OU=Service,DC=contoso",
	"adfs01.corp.contoso.example", "dc07.corp.contoso.example", "10.20.30.40:1433", "fe80::1ff:fe23:4567:890a", `\\fs01\adfs$`,
	`C:\Windows\ADFS\Microsoft.IdentityServer.Servicehost.exe.config`, "Data Source=sql03;Integrated Security=True", "np:\\\\.\\pipe\\microsoft##wid", "AdfsConfigurationV4", "4c1f7d80-f111-4d2a-8d0b-ad7b1f7a4a55",
	"Microsoft-HTTPAPI/2.0", "ASP.NET 4.0.30319", "Windows Server 2022 20348.2340", "ADMIN0012: OperationFault", "Bad Data NTE_BAD_KEYSET 0x80090016",
	"thumbprint A8985D3A65E5E5C4B2D7D66D40C6DD2FB19C5436", "badPwdCount=4", "lastLogon=133412345678901234", "memberOf=Tier0-Admins", "LDAP error 49, 80090308, data 775",
}
