package adfs

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"stsgate/gateway/soap"
)

// Namespaces of federation metadata (protocol.md, sections 1.5, 1.6 and 10.5).
const (
	nsMetadata   = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsFederation = "http://docs.oasis-open.org/wsfed/federation/200706"
	nsSignature  = "http://www.w3.org/2000/09/xmldsig#"
	nsInstance   = "http://www.w3.org/2001/XMLSchema-instance"
)

// readMetadata reads from federation metadata the farm's name, which its tokens
// name as their issuer, and the certificates of its signing keys.
func readMetadata(document []byte) (entity string, certificates []*x509.Certificate, err error) {
	d, err := soap.Scan(document, soap.Metadata)
	if err != nil {
		return "", nil, err
	}
	if d.Root().Name != (soap.Name{Space: nsMetadata, Local: "EntityDescriptor"}) {
		return "", nil, errors.New("the root is no EntityDescriptor")
	}
	entity, _ = d.Attr(d.Root(), soap.Name{Local: "entityID"})
	if entity == "" {
		return "", nil, errors.New("the EntityDescriptor has no entityID")
	}
	certificates, err = signingCertificates(d)
	return entity, certificates, err
}

// signingCertificates reads those of the security token service. Other roles
// have keys for other purposes.
func signingCertificates(d *soap.Document) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for role := range d.Children(d.Root()) {
		if !isTokenService(d, role) {
			continue
		}
		for key := range d.Children(role) {
			use, _ := d.Attr(key, soap.Name{Local: "use"})
			if key.Name != (soap.Name{Space: nsMetadata, Local: "KeyDescriptor"}) || use != "signing" {
				continue
			}
			c, err := certificateOf(d, key)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no security token service with a signing key")
	}
	return all, nil
}

func isTokenService(d *soap.Document, role *soap.Element) bool {
	if role.Name != (soap.Name{Space: nsMetadata, Local: "RoleDescriptor"}) {
		return false
	}
	qname, _ := d.Attr(role, soap.Name{Space: nsInstance, Local: "type"})
	name, err := d.Resolve(role, qname)
	return err == nil && name == soap.Name{Space: nsFederation, Local: "SecurityTokenServiceType"}
}

// certificateOf reads the one certificate of a KeyDescriptor.
func certificateOf(d *soap.Document, key *soap.Element) (*x509.Certificate, error) {
	e := key
	for _, local := range []string{"KeyInfo", "X509Data", "X509Certificate"} {
		var found *soap.Element
		for c := range d.Children(e) {
			if c.Name != (soap.Name{Space: nsSignature, Local: local}) {
				continue
			}
			if found != nil {
				return nil, fmt.Errorf("two %s in a KeyDescriptor", local)
			}
			found = c
		}
		if found == nil {
			return nil, fmt.Errorf("no %s in a KeyDescriptor", local)
		}
		e = found
	}
	text, err := d.Text(e)
	if err != nil {
		return nil, err
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("certificate in a KeyDescriptor: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate in a KeyDescriptor: %w", err)
	}
	return c, nil
}
