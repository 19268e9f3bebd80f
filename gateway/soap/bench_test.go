package soap_test

import (
	"strconv"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// rst is a request as the .NET libraries send it, 1.7 KB.
const rst = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" ` +
	`xmlns:a="http://www.w3.org/2005/08/addressing" ` +
	`xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">` +
	`<s:Header>` +
	`<a:Action s:mustUnderstand="1">http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue</a:Action>` +
	`<a:MessageID>urn:uuid:6e2b1a52-05f5-4b6b-9b3c-5a1f0d6f7c11</a:MessageID>` +
	`<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>` +
	`<a:To s:mustUnderstand="1">https://sts.contoso.example/adfs/services/trust/13/usernamemixed</a:To>` +
	`<o:Security s:mustUnderstand="1" ` +
	`xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">` +
	`<u:Timestamp u:Id="_0"><u:Created>2026-11-20T09:30:00.000Z</u:Created>` +
	`<u:Expires>2026-11-20T09:40:00.000Z</u:Expires></u:Timestamp>` +
	`<o:UsernameToken u:Id="uuid-2d1c9e0a-7b57-4c0e-8a60-6f1f4f1f9d10-1">` +
	`<o:Username>alice@contoso.example</o:Username>` +
	`<o:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText">` +
	`correct &amp; horse &lt; battery</o:Password></o:UsernameToken></o:Security></s:Header>` +
	`<s:Body><trust:RequestSecurityToken xmlns:trust="http://docs.oasis-open.org/ws-sx/ws-trust/200512">` +
	`<wsp:AppliesTo xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy">` +
	`<a:EndpointReference><a:Address>urn:federation:MicrosoftOnline</a:Address></a:EndpointReference></wsp:AppliesTo>` +
	`<trust:KeyType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer</trust:KeyType>` +
	`<trust:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</trust:RequestType>` +
	`<trust:TokenType>urn:oasis:names:tc:SAML:2.0:assertion</trust:TokenType>` +
	`</trust:RequestSecurityToken></s:Body></s:Envelope>`

func BenchmarkScan(b *testing.B) {
	b.SetBytes(int64(len(rst)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := soap.Scan([]byte(rst), soap.Request); err != nil {
			b.Fatal(err)
		}
	}
}

var _ = strconv.Itoa
var _ = strings.Repeat
