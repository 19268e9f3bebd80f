package wstrust

import (
	"iter"
	"slices"
	"strings"

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
		case "AuthenticationStatement":
			method, _ := x.doc.Attr(c, soap.Name{Local: "AuthenticationMethod"})
			x.method(method)
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
		case "AuthnStatement":
			err = x.context(c)
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

// subject returns the name identifier of an assertion, empty when it has none.
// Those of several subjects must be the same.
func (m *message) subject(assertion *soap.Element, rule string) (id string, err error) {
	for e := range m.subjects(assertion) {
		if id, err = m.nameIn(e, id, rule); err != nil {
			return "", err
		}
	}
	return id, nil
}

// subjects are the elements Subject of an assertion: in SAML 1.1 that in each
// statement, in SAML 2.0 the one beside them.
func (m *message) subjects(assertion *soap.Element) iter.Seq[*soap.Element] {
	subject := soap.Name{Space: assertion.Name.Space, Local: "Subject"}
	return func(yield func(*soap.Element) bool) {
		for e := range m.doc.Children(assertion) {
			if e.Name == subject {
				if !yield(e) {
					return
				}
				continue
			}
			for c := range m.doc.Children(e) {
				if c.Name == subject && !yield(c) {
					return
				}
			}
		}
	}
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
			x.method(value)
		}
	}
	claims := x.a.Assertion.Claims
	if i, ok := x.claims[uri]; ok {
		claims[i].Values = append(claims[i].Values, values...)
		return
	}
	if x.claims == nil {
		x.claims = make(map[string]int)
	}
	x.claims[uri] = len(claims)
	x.a.Assertion.Claims = append(claims, Claim{URI: uri, Values: values})
}

// context reads how a subject of SAML 2.0 signed in.
func (x *answerReader) context(statement *soap.Element) error {
	for e := range x.doc.Children(statement) {
		for c := range x.doc.Children(e) {
			if c.Name != (soap.Name{Space: NSSAML20, Local: "AuthnContextClassRef"}) {
				continue
			}
			method, _, err := x.text(c, ruleAnswer)
			if err != nil {
				return err
			}
			x.method(method)
		}
	}
	return nil
}

// method notes a way to sign in that stands for a second factor (protocol.md,
// appendix C, row 10; security.md, TOK-02).
func (x *answerReader) method(uri string) {
	switch strings.TrimSpace(uri) {
	case "http://schemas.microsoft.com/claims/multipleauthn", "http://schemas.microsoft.com/claims/wiaormultiauthn":
		x.a.Assertion.MultipleAuthn = true
	}
}

// complete reads whom the assertion is about, and refuses one that does not
// say who issued it and which it is.
func (x *answerReader) complete(e *soap.Element) error {
	if x.a.Assertion.ID == "" || x.a.Assertion.Issuer == "" {
		return x.refuse(Malformed, ruleAnswer, e, "the assertion has no id or no issuer")
	}
	var err error
	if x.a.Assertion.Subject, err = x.subject(e, ruleAnswer); err != nil {
		return err
	}
	return x.confirmations(e)
}

// Bearer tells that whoever holds the assertion may present it: every Subject
// is confirmed in this way, and in no other.
func (a *Assertion) Bearer() bool { return a.confirmedBy("bearer") }

// HolderOfKey tells that only who has the key in the assertion may present it,
// in the same sense.
func (a *Assertion) HolderOfKey() bool { return a.confirmedBy("holder-of-key") }

func (a *Assertion) confirmedBy(method string) bool {
	prefix := "urn:oasis:names:tc:SAML:1.0:cm:"
	if a.Kind == SAML20 {
		prefix = "urn:oasis:names:tc:SAML:2.0:cm:"
	}
	return len(a.Confirmation) == 1 && a.Confirmation[0] == prefix+method
}

// confirmations reads how the subject is confirmed: in SAML 1.1 by the elements
// ConfirmationMethod of the Subject in each statement, in SAML 2.0 by the
// Method of each SubjectConfirmation.
func (x *answerReader) confirmations(assertion *soap.Element) error {
	space := assertion.Name.Space
	for subject := range x.subjects(assertion) {
		found := false
		for c := range x.doc.Children(subject) {
			if c.Name != (soap.Name{Space: space, Local: "SubjectConfirmation"}) {
				continue
			}
			found = true
			if space == NSSAML20 {
				method, _ := x.doc.Attr(c, soap.Name{Local: "Method"})
				x.confirmed(method)
				continue
			}
			if err := x.methods(c); err != nil {
				return err
			}
		}
		if !found {
			x.confirmed("")
		}
	}
	return nil
}

// methods reads a SubjectConfirmation of SAML 1.1.
func (x *answerReader) methods(confirmation *soap.Element) error {
	found := false
	for m := range x.doc.Children(confirmation) {
		if m.Name != (soap.Name{Space: NSSAML11, Local: "ConfirmationMethod"}) {
			continue
		}
		found = true
		method, _, err := x.text(m, ruleAnswer)
		if err != nil {
			return err
		}
		x.confirmed(method)
	}
	if !found {
		x.confirmed("")
	}
	return nil
}

func (x *answerReader) confirmed(method string) {
	if a := &x.a.Assertion; !slices.Contains(a.Confirmation, method) {
		a.Confirmation = append(a.Confirmation, method)
	}
}
