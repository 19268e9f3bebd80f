package saml

import (
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"

	"stsgate/gateway/wstrust"
)

// prefix11 is the prefix that clients look for by its letters
// (messages/CLIENTS.md, section 1, rule 6).
const prefix11 = "saml"

// build11 follows protocol.md, section 11.1.
func build11(g *wstrust.Grant, issuer, id string, now time.Time) (*etree.Element, error) {
	assertion := etree.NewElement("saml:Assertion")
	assertion.CreateAttr("MajorVersion", "1")
	assertion.CreateAttr("MinorVersion", "1")
	assertion.CreateAttr("AssertionID", id)
	assertion.CreateAttr("Issuer", issuer)
	assertion.CreateAttr("IssueInstant", instant(now))
	assertion.CreateAttr("xmlns:saml", wstrust.NSSAML11)

	conditions := add(assertion, "saml:Conditions",
		"NotBefore", instant(g.Lifetime.Created), "NotOnOrAfter", instant(g.Lifetime.Expires))
	add(add(conditions, "saml:AudienceRestrictionCondition"), "saml:Audience").SetText(g.Audience)

	if len(g.Claims) > 0 {
		statement := add(assertion, "saml:AttributeStatement")
		subject11(statement, g)
		for _, c := range g.Claims {
			if err := attribute11(statement, c); err != nil {
				return nil, err
			}
		}
	}
	statement := add(assertion, "saml:AuthenticationStatement",
		"AuthenticationMethod", password11, "AuthenticationInstant", instant(g.Authenticated))
	subject11(statement, g)
	return assertion, nil
}

func subject11(statement *etree.Element, g *wstrust.Grant) {
	subject := add(statement, "saml:Subject")
	name := add(subject, "saml:NameIdentifier")
	if g.NameFormat != "" {
		name.CreateAttr("Format", g.NameFormat)
	}
	name.SetText(g.NameID)
	add(add(subject, "saml:SubjectConfirmation"), "saml:ConfirmationMethod").SetText(bearer11)
}

// attribute11 splits the claim type at its last slash (protocol.md, section 1.7).
func attribute11(statement *etree.Element, c wstrust.Claim) error {
	i := strings.LastIndexByte(c.URI, '/')
	if i <= 0 || i == len(c.URI)-1 {
		return fmt.Errorf("build assertion: claim %q: SAML 1.1 needs a namespace, a slash and a name", c.URI)
	}
	attribute := add(statement, "saml:Attribute", "AttributeName", c.URI[i+1:], "AttributeNamespace", c.URI[:i])
	for _, v := range c.Values {
		add(attribute, "saml:AttributeValue").SetText(v)
	}
	return nil
}
