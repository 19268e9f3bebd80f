package saml

import (
	"time"

	"github.com/beevik/etree"

	"stsgate/gateway/wstrust"
)

// build20 follows protocol.md, section 11.2. The declaration of the prefix
// saml is for clients that tell the version by it; exclusive canonicalization
// drops it (messages/CLIENTS.md, section 1, rule 7).
func build20(g *wstrust.Grant, issuer, id string, now time.Time) *etree.Element {
	assertion := etree.NewElement("Assertion")
	assertion.CreateAttr("ID", id)
	assertion.CreateAttr("IssueInstant", instant(now))
	assertion.CreateAttr("Version", "2.0")
	assertion.CreateAttr("xmlns", wstrust.NSSAML20)
	assertion.CreateAttr("xmlns:saml", wstrust.NSSAML20)
	add(assertion, "Issuer").SetText(issuer)

	subject := add(assertion, "Subject")
	name := add(subject, "NameID")
	if g.NameFormat != "" {
		name.CreateAttr("Format", g.NameFormat)
	}
	name.SetText(g.NameID)
	confirmation := add(subject, "SubjectConfirmation", "Method", bearer20)
	until := now.Add(delivery)
	if until.After(g.Lifetime.Expires) {
		until = g.Lifetime.Expires
	}
	add(confirmation, "SubjectConfirmationData", "NotOnOrAfter", instant(until))

	conditions := add(assertion, "Conditions",
		"NotBefore", instant(g.Lifetime.Created), "NotOnOrAfter", instant(g.Lifetime.Expires))
	add(add(conditions, "AudienceRestriction"), "Audience").SetText(g.Audience)

	if len(g.Claims) > 0 {
		statement := add(assertion, "AttributeStatement")
		for _, c := range g.Claims {
			attribute := add(statement, "Attribute", "Name", c.URI)
			for _, v := range c.Values {
				add(attribute, "AttributeValue").SetText(v)
			}
		}
	}
	statement := add(assertion, "AuthnStatement", "AuthnInstant", instant(g.Authenticated), "SessionIndex", id)
	add(add(statement, "AuthnContext"), "AuthnContextClassRef").SetText(password20)
	return assertion
}
