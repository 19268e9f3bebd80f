package issuer

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/beevik/etree"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/saml"
	"stsgate/upstream/xmlsig"
)

// Namespaces of federation metadata (protocol.md, section 1).
const (
	nsMetadata      = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsFederation    = "http://docs.oasis-open.org/wsfed/federation/200706"
	nsAuthorization = "http://docs.oasis-open.org/wsfed/authorization/200706"
	nsMEX           = "http://schemas.xmlsoap.org/ws/2004/09/mex"
	nsInstance      = "http://www.w3.org/2001/XMLSchema-instance"
)

// buildMetadata writes the one role that is played here, a token service, in
// the order of AD FS (protocol.md, section 10.5).
func buildMetadata(c *Config, signer *xmlsig.Signer) ([]byte, error) {
	if c.Host == "" || len(c.Endpoints) == 0 {
		return nil, errors.New("need a host and at least one trust endpoint")
	}
	entity := etree.NewElement("EntityDescriptor")
	entity.CreateAttr("ID", saml.NewID())
	entity.CreateAttr("entityID", c.Entity)
	entity.CreateAttr("xmlns", nsMetadata)

	role := entity.CreateElement("RoleDescriptor")
	role.CreateAttr("xsi:type", "fed:SecurityTokenServiceType")
	role.CreateAttr("protocolSupportEnumeration", strings.Join([]string{wstrust.NS13, wstrust.NS2005, nsFederation}, " "))
	role.CreateAttr("ServiceDisplayName", c.Host)
	role.CreateAttr("xmlns:xsi", nsInstance)
	role.CreateAttr("xmlns:fed", nsFederation)

	key := role.CreateElement("KeyDescriptor")
	key.CreateAttr("use", "signing")
	key.AddChild(signer.KeyInfo())

	tokens := role.CreateElement("fed:TokenTypesOffered")
	for _, kind := range []wstrust.TokenKind{wstrust.SAML20, wstrust.SAML11} {
		tokens.CreateElement("fed:TokenType").CreateAttr("Uri", kind.URI())
	}
	if len(c.ClaimTypes) > 0 {
		claims := role.CreateElement("fed:ClaimTypesOffered")
		for _, uri := range c.ClaimTypes {
			claim := claims.CreateElement("auth:ClaimType")
			claim.CreateAttr("Uri", uri)
			claim.CreateAttr("Optional", "true")
			claim.CreateAttr("xmlns:auth", nsAuthorization)
		}
	}
	for _, path := range c.Endpoints {
		if err := addEndpoint(role, c.Host, path, c.MEX); err != nil {
			return nil, err
		}
	}

	signature, err := signer.Sign(entity, "ID")
	if err != nil {
		return nil, err
	}
	entity.InsertChildAt(0, signature)
	return xmlsig.Serialize(entity), nil
}

// addEndpoint writes one endpoint, with a reference to its description
// (protocol.md, section 10.5).
func addEndpoint(role *etree.Element, host, path, mex string) error {
	address, err := publicURL(host, path)
	if err != nil {
		return err
	}
	reference := role.CreateElement("fed:SecurityTokenServiceEndpoint").CreateElement("EndpointReference")
	reference.CreateAttr("xmlns", soap.NSAddressing)
	reference.CreateElement("Address").SetText(address)
	if mex == "" {
		return nil
	}
	description, err := publicURL(host, mex)
	if err != nil {
		return err
	}
	metadata := reference.CreateElement("Metadata").CreateElement("Metadata")
	metadata.CreateAttr("xmlns", nsMEX)
	section := metadata.CreateElement("MetadataSection")
	section.CreateAttr("Dialect", nsMEX)
	at := section.CreateElement("MetadataReference").CreateElement("Address")
	at.CreateAttr("xmlns", soap.NSAddressing)
	at.SetText(description)
	return nil
}

func publicURL(host, path string) (string, error) {
	u := url.URL{Scheme: "https", Host: host, Path: path}
	if parsed, err := url.Parse(u.String()); err != nil || !strings.HasPrefix(path, "/") || *parsed != u {
		return "", fmt.Errorf("host %q and path %q make no address", host, path)
	}
	return u.String(), nil
}
