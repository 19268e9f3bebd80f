package adfstest

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// mex writes what AD FS offers, cut down to the two user name endpoints
// (protocol.md, section 9.4).
func (f *Farm) mex() []byte {
	var policies, bindings, ports strings.Builder
	for _, e := range []struct{ contract, path, trust, sp, tokens string }{
		{"IWSTrustFeb2005Async", "2005", trust2005, "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy", "SignedSupportingTokens"},
		{"IWSTrust13Async", "13", trust13, "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702", "SignedEncryptedSupportingTokens"},
	} {
		name := "UserNameWSTrustBinding_" + e.contract
		fmt.Fprintf(&policies, `<wsp:Policy wsu:Id="%s_policy"><wsp:ExactlyOne><wsp:All><sp:TransportBinding xmlns:sp="%s"><wsp:Policy/></sp:TransportBinding>`+
			`<sp:%s xmlns:sp="%[2]s"><wsp:Policy><sp:UsernameToken sp:IncludeToken="%[2]s/IncludeToken/AlwaysToRecipient"><wsp:Policy>`+
			`<sp:WssUsernameToken10/></wsp:Policy></sp:UsernameToken></wsp:Policy></sp:%[3]s></wsp:All></wsp:ExactlyOne></wsp:Policy>`, name, e.sp, e.tokens)
		fmt.Fprintf(&bindings, `<wsdl:binding name="%s" type="tns:%s"><wsp:PolicyReference URI="#%[1]s_policy"/>`+
			`<soap12:binding transport="http://schemas.xmlsoap.org/soap/http"/><wsdl:operation name="Issue">`+
			`<soap12:operation soapAction="%[3]s/RST/Issue" style="document"/></wsdl:operation></wsdl:binding>`, name, e.contract, e.trust)
		fmt.Fprintf(&ports, `<wsdl:port name="%s" binding="tns:%[1]s"><soap12:address location="https://%s/adfs/services/trust/%s/usernamemixed"/>`+
			`<wsa10:EndpointReference><wsa10:Address>https://%[2]s/adfs/services/trust/%[3]s/usernamemixed</wsa10:Address></wsa10:EndpointReference></wsdl:port>`,
			name, f.Host, e.path)
	}
	const tns = "http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice"
	return fmt.Appendf(nil, `<wsdl:definitions name="SecurityTokenService" targetNamespace="%s" xmlns:tns="%[1]s" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"`+
		` xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"`+
		` xmlns:wsa10="http://www.w3.org/2005/08/addressing" xmlns:wsu="%s">%s%s<wsdl:service name="SecurityTokenService">%s</wsdl:service></wsdl:definitions>`,
		tns, utility, policies.String(), bindings.String(), ports.String())
}

// Metadata writes federation metadata that names these signing keys. It is not
// signed.
func (f *Farm) Metadata(signers ...*x509.Certificate) []byte {
	var keys strings.Builder
	for _, c := range signers {
		keys.WriteString(`<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>` +
			base64.StdEncoding.EncodeToString(c.Raw) + `</X509Certificate></X509Data></KeyInfo></KeyDescriptor>`)
	}
	return fmt.Appendf(nil, `<EntityDescriptor ID="_%s" entityID="http://%s/adfs/services/trust" xmlns="urn:oasis:names:tc:SAML:2.0:metadata">`+
		`<RoleDescriptor xsi:type="fed:SecurityTokenServiceType" protocolSupportEnumeration="%s %s http://docs.oasis-open.org/wsfed/federation/200706"`+
		` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706">%s</RoleDescriptor></EntityDescriptor>`,
		"federation-metadata", f.Host, trust13, trust2005, keys.String())
}

// Publish makes the farm answer with this document when its metadata is asked
// for. At first it names the key that signs, whichever that is.
func (f *Farm) Publish(document []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published = document
}

func (f *Farm) metadata() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.published != nil {
		return f.published
	}
	return f.Metadata(f.key.Certificate)
}
