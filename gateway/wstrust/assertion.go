package wstrust

import (
	"slices"

	"stsgate/gateway/soap"
)

// assertion11 reads a SAML 1.1 assertion (protocol.md, section 11.1). Advice
// and whatever else is not named here is passed over: nothing in it counts.
func (x *answerReader) assertion11(e *soap.Element) error {
	a := &x.a.Assertion
	a.Kind = SAML11
	a.ID, _ = x.doc.Attr(e, soap.Name{Local: "AssertionID"})
	a.Issuer, _ = x.doc.Attr(e, soap.Name{Local: "Issuer"})
	conditions := false
	for c := range x.doc.Children(e) {
		if c.Name.Space != NSSAML11 {
			continue
		}
		var err error
		switch c.Name.Local {
		case "Conditions":
			if conditions {
				return x.refuse(Malformed, ruleAnswer, c, "two Conditions")
			}
			conditions = true
			err = x.conditions(c, "AudienceRestrictionCondition")
		case "AttributeStatement":
			for attribute := range x.doc.Children(c) {
				if attribute.Name == (soap.Name{Space: NSSAML11, Local: "Attribute"}) {
					space, _ := x.doc.Attr(attribute, soap.Name{Local: "AttributeNamespace"})
					local, _ := x.doc.Attr(attribute, soap.Name{Local: "AttributeName"})
					x.claim(attribute, space+"/"+local)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	return x.complete(e)
}

// assertion20 reads a SAML 2.0 assertion (protocol.md, section 11.2).
func (x *answerReader) assertion20(e *soap.Element) error {
	a := &x.a.Assertion
	a.Kind = SAML20
	a.ID, _ = x.doc.Attr(e, soap.Name{Local: "ID"})
	seen := make(map[string]bool)
	for c := range x.doc.Children(e) {
		if c.Name.Space != NSSAML20 {
			continue
		}
		var err error
		switch c.Name.Local {
		case "Issuer", "Subject", "Conditions":
			if seen[c.Name.Local] {
				return x.refuse(Malformed, ruleAnswer, c, "two %s in the assertion", c.Name.Local)
			}
			seen[c.Name.Local] = true
		}
		switch c.Name.Local {
		case "Issuer":
			a.Issuer, _, err = x.text(c, ruleAnswer)
		case "Conditions":
			err = x.conditions(c, "AudienceRestriction")
		case "AttributeStatement":
			for attribute := range x.doc.Children(c) {
				if attribute.Name == (soap.Name{Space: NSSAML20, Local: "Attribute"}) {
					uri, _ := x.doc.Attr(attribute, soap.Name{Local: "Name"})
					x.claim(attribute, uri)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	return x.complete(e)
}

// subject returns the name identifier of an assertion, empty when it has none:
// in SAML 1.1 that of the Subject in each statement, which must be the same,
// in SAML 2.0 that of the Subject beside them.
func (m *message) subject(assertion *soap.Element, rule string) (id string, err error) {
	subject := soap.Name{Space: assertion.Name.Space, Local: "Subject"}
	for e := range m.doc.Children(assertion) {
		if e.Name == subject {
			if id, err = m.nameIn(e, id, rule); err != nil {
				return "", err
			}
			continue
		}
		for c := range m.doc.Children(e) {
			if c.Name != subject {
				continue
			}
			if id, err = m.nameIn(c, id, rule); err != nil {
				return "", err
			}
		}
	}
	return id, nil
}

// nameIn returns the name identifier in a Subject, which must not differ from
// one that is known.
func (m *message) nameIn(subject *soap.Element, known, rule string) (string, error) {
	for c := range m.doc.Children(subject) {
		if c.Name.Space != subject.Name.Space || c.Name.Local != "NameIdentifier" && c.Name.Local != "NameID" {
			continue
		}
		id, _, err := m.text(c, rule)
		if err != nil {
			return "", err
		}
		if known != "" && known != id {
			return "", m.refuse(Malformed, rule, c, "the assertion is about two subjects")
		}
		known = id
	}
	return known, nil
}

// conditions reads when and for whom the assertion is valid. A second
// restriction would narrow the first, so it is refused.
func (x *answerReader) conditions(e *soap.Element, restriction string) (err error) {
	a := &x.a.Assertion
	if a.NotBefore, err = x.instantAttr(e, "NotBefore"); err != nil {
		return err
	}
	if a.NotOnOrAfter, err = x.instantAttr(e, "NotOnOrAfter"); err != nil {
		return err
	}
	for c := range x.doc.Children(e) {
		if c.Name != (soap.Name{Space: e.Name.Space, Local: restriction}) {
			continue
		}
		if a.Audiences != nil {
			return x.refuse(Malformed, ruleAnswer, c, "two restrictions of the audience")
		}
		for audience := range x.doc.Children(c) {
			if audience.Name != (soap.Name{Space: e.Name.Space, Local: "Audience"}) {
				return x.refuse(Malformed, ruleAnswer, audience, "%s beside Audience", name(audience))
			}
			text, _, err := x.text(audience, ruleAnswer)
			if err != nil {
				return err
			}
			a.Audiences = append(a.Audiences, text)
		}
	}
	return nil
}

// claim reads an attribute. Its values that are not plain text are passed over.
func (x *answerReader) claim(attribute *soap.Element, uri string) {
	var values []string
	for c := range x.doc.Children(attribute) {
		if c.Name != (soap.Name{Space: attribute.Name.Space, Local: "AttributeValue"}) {
			continue
		}
		if value, err := x.doc.Text(c); err == nil {
			values = append(values, value)
		}
	}
	claims := x.a.Assertion.Claims
	if i := slices.IndexFunc(claims, func(c Claim) bool { return c.URI == uri }); i >= 0 {
		claims[i].Values = append(claims[i].Values, values...)
		return
	}
	x.a.Assertion.Claims = append(claims, Claim{URI: uri, Values: values})
}

// complete reads whom the assertion is about, and refuses one that does not
// say who issued it and which it is.
func (x *answerReader) complete(e *soap.Element) error {
	if x.a.Assertion.ID == "" || x.a.Assertion.Issuer == "" {
		return x.refuse(Malformed, ruleAnswer, e, "the assertion has no id or no issuer")
	}
	var err error
	x.a.Assertion.Subject, err = x.subject(e, ruleAnswer)
	return err
}
