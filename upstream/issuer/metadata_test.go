package issuer_test

import (
	"regexp"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/upstream/issuer"
)

// The whole role, in AD FS's order (protocol.md, section 10.5).
func TestMetadataRole(t *testing.T) {
	i := newIssuer(t, rsaPair(t))
	if _, err := soap.Scan(i.Metadata(), soap.Metadata); err != nil {
		t.Error(err)
	}
	got := regexp.MustCompile(`(<X509Certificate>)[^<]+`).ReplaceAllString(string(i.Metadata()), "${1}V")
	start := regexp.MustCompile(`^<EntityDescriptor ID="_[0-9a-f]{32}" entityID="http://sts\.contoso\.example/adfs/services/trust" xmlns="urn:oasis:names:tc:SAML:2\.0:metadata"><ds:Signature `)
	if !start.MatchString(got) {
		t.Errorf("got %s, want it to begin with %v", got, start)
	}
	endpoint := func(path string) string {
		return `<fed:SecurityTokenServiceEndpoint><EndpointReference xmlns="http://www.w3.org/2005/08/addressing">` +
			`<Address>https://sts.contoso.example` + path + `</Address>` +
			`<Metadata><Metadata xmlns="http://schemas.xmlsoap.org/ws/2004/09/mex"><MetadataSection Dialect="http://schemas.xmlsoap.org/ws/2004/09/mex"><MetadataReference>` +
			`<Address xmlns="http://www.w3.org/2005/08/addressing">https://sts.contoso.example/adfs/services/trust/mex</Address>` +
			`</MetadataReference></MetadataSection></Metadata></Metadata></EndpointReference></fed:SecurityTokenServiceEndpoint>`
	}
	claim := func(uri string) string {
		return `<auth:ClaimType Uri="` + uri + `" Optional="true" xmlns:auth="http://docs.oasis-open.org/wsfed/authorization/200706"/>`
	}
	want := `<RoleDescriptor xsi:type="fed:SecurityTokenServiceType" protocolSupportEnumeration="` +
		`http://docs.oasis-open.org/ws-sx/ws-trust/200512 http://schemas.xmlsoap.org/ws/2005/02/trust http://docs.oasis-open.org/wsfed/federation/200706"` +
		` ServiceDisplayName="sts.contoso.example" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706">` +
		`<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>V</X509Certificate></X509Data></KeyInfo></KeyDescriptor>` +
		`<fed:TokenTypesOffered><fed:TokenType Uri="urn:oasis:names:tc:SAML:2.0:assertion"/><fed:TokenType Uri="urn:oasis:names:tc:SAML:1.0:assertion"/></fed:TokenTypesOffered>` +
		`<fed:ClaimTypesOffered>` + claim("http://schemas.xmlsoap.org/claims/UPN") + claim("http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID") + `</fed:ClaimTypesOffered>` +
		endpoint("/adfs/services/trust/2005/usernamemixed") + endpoint("/adfs/services/trust/13/usernamemixed") +
		`</RoleDescriptor></EntityDescriptor>`
	if _, role, _ := strings.Cut(got, "</ds:Signature>"); role != want {
		t.Errorf("got  %s\nwant %s", role, want)
	}
}

func TestMetadataWithoutOptionalParts(t *testing.T) {
	c := config(ecdsaPair(t))
	c.MEX, c.ClaimTypes = "", nil
	i, err := issuer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"ClaimTypesOffered", "<Metadata", "mex"} {
		if strings.Contains(string(i.Metadata()), absent) {
			t.Errorf("got %s in %s", absent, i.Metadata())
		}
	}
}
