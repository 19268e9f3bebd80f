package gateway_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"stsgate/gateway"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// extensions are what an application may list, as a request asks for it.
var extensions = map[string]string{
	"AdditionalContext":   `<c:AdditionalContext xmlns:c="http://docs.oasis-open.org/wsfed/authorization/200706"><c:ContextItem Name="urn:x"><c:Value>v</c:Value></c:ContextItem></c:AdditionalContext>`,
	"Claims":              `<trust:Claims Dialect="http://schemas.xmlsoap.org/ws/2005/05/identity"><i:ClaimType Uri="urn:c" xmlns:i="http://schemas.xmlsoap.org/ws/2005/05/identity"/></trust:Claims>`,
	"Encryption":          `<trust:Encryption/>`,
	"Issuer":              `<trust:Issuer><a:Address>urn:x</a:Address></trust:Issuer>`,
	"Participants":        `<trust:Participants><trust:Primary><a:EndpointReference><a:Address>urn:x</a:Address></a:EndpointReference></trust:Primary></trust:Participants>`,
	"ProofEncryption":     `<trust:ProofEncryption/>`,
	"SecondaryParameters": `<trust:SecondaryParameters><trust:KeySize>256</trust:KeySize></trust:SecondaryParameters>`,
	"UseKey":              `<trust:UseKey Sig="_1"/>`,
}

// SOAP-10: what a request asks for beyond a token is refused, unless it is
// forwarded and its application lists it; then the farm gets it as it came.
func TestExtensions(t *testing.T) {
	const rules = `
rules: [{name: all, match: everyone, allow: {}}]
`
	for name, element := range extensions {
		for _, c := range []struct{ application, want string }{
			{"answer: forward", "unsupported"},
			{"answer: forward, extensions: [" + name + "]", "ok"},
			{"answer: issue, extensions: [" + name + "]", "unsupported"},
			{"answer: forward, extensions: [" + other(name) + "]", "unsupported"},
		} {
			t.Run(name+" "+c.application, func(t *testing.T) {
				g := newGate(t, func(g *gateway.Config) {
					g.Policy = live(t, fmt.Sprintf("applications: {any: {realms: [%q], %s}}", cloud, c.application)+rules)
				})
				message := []byte(strings.Replace(string(modern.query(nil)), "</trust:RequestSecurityToken>", element+"</trust:RequestSecurityToken>", 1))
				g.serve(modern.post(message))
				if got := g.record()["event.reason"]; got != c.want {
					t.Fatalf("got %v, want %s\n%s", got, c.want, g.log)
				}
				if c.want != "ok" && !g.quiet() {
					t.Error("the password left the gateway, or something was signed")
				}
				if c.want == "ok" && !bytes.Equal(g.farm.asked[0].body, message) {
					t.Errorf("the farm got %s", g.farm.asked[0].body)
				}
			})
		}
	}
}

// Whom a token is for is never what an application may choose.
func TestForSomebodyElse(t *testing.T) {
	_, err := wstrust.ReadRequest(wstrust.Inbound{
		Body: []byte(strings.Replace(string(modern.query(nil)), "</trust:RequestSecurityToken>", "<trust:OnBehalfOf><a:EndpointReference><a:Address>urn:x</a:Address></a:EndpointReference></trust:OnBehalfOf></trust:RequestSecurityToken>", 1)),
		SOAP: soap.V12, Version: wstrust.V13, Lists: func(string, string) bool { return true },
	})
	if err == nil || !strings.Contains(err.Error(), "OnBehalfOf is not supported") {
		t.Errorf("got %v", err)
	}
}

// other is another extension.
func other(name string) string {
	if name == "Claims" {
		return "UseKey"
	}
	return "Claims"
}
