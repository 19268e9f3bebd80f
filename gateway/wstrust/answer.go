package wstrust

import (
	"time"

	"stsgate/gateway/soap"
)

// ReadAnswer reads the answer to a request to issue a token. want is the
// version that was asked for, zero for any: a bare RSTR in Feb 2005, a
// collection of exactly one in 1.3. Of the RSTR only what the Answer has is
// read; a RequestedDisplayToken never is.
//
// A fault is returned as a *Fault error. Anything else that is not one
// readable answer is an *Error or, when the bytes are not one strict SOAP
// message, a *soap.Error.
func ReadAnswer(body []byte, want Version) (*Answer, error) {
	a, err := InspectAnswer(body, want)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// InspectAnswer is ReadAnswer for a person who wants to know what a refused
// answer is: with an error, too, it returns an Answer, which has what was read
// before the rule was broken.
func InspectAnswer(body []byte, want Version) (*Answer, error) {
	x := &answerReader{a: Answer{Body: body}}
	return &x.a, x.read(want)
}

// InspectToken reads a token that stands alone, as it does in a log or in the
// hands of an application, the way that it is read in an answer. The Answer has
// only Body, Token, Encrypted and Assertion; with an error it has what was read
// before the rule was broken. The error is a *soap.Error or an *Error.
func InspectToken(body []byte) (*Answer, error) {
	x := &answerReader{a: Answer{Body: body}}
	if err := x.doc.Scan(body, soap.Answer); err != nil {
		return &x.a, err
	}
	return &x.a, x.token(x.doc.Root())
}

// ruleAnswer is the requirement that an answer which cannot be read breaks.
const ruleAnswer = "SIG-10"

// An answerReader takes one answer apart. What it finds goes to a.
type answerReader struct {
	message
	a      Answer
	claims map[string]int // where each claim is, by its URI
}

// read reads the answer whose bytes a has.
func (x *answerReader) read(want Version) error {
	if err := x.open(x.a.Body, soap.Answer); err != nil {
		return err
	}
	x.a.SOAP = x.env.Version
	if x.env.Content.Name == (soap.Name{Space: x.env.Version.Namespace(), Local: "Fault"}) {
		return x.fault()
	}
	rstr, err := x.response(want)
	if err != nil {
		return err
	}
	if err := x.relatesTo(); err != nil {
		return err
	}
	return x.rstr(rstr)
}

// response finds the one RSTR (protocol.md, section 4.1).
func (x *answerReader) response(want Version) (*soap.Element, error) {
	content := x.env.Content
	version, slash := versionOf(content.Name.Space)
	if version == 0 || slash || want != 0 && version != want {
		return nil, x.refuse(WrongVersion, ruleAnswer, content, "Body holds %s, not an answer of the WS-Trust version asked for", name(content))
	}
	x.a.Version = version
	rstr := content
	if version == V13 {
		if content.Name.Local != "RequestSecurityTokenResponseCollection" {
			return nil, x.refuse(Malformed, ruleAnswer, content, "Body holds %s where 1.3 has a collection", name(content))
		}
		if err := x.container(content, ruleAnswer); err != nil {
			return nil, err
		}
		for c := range x.doc.Children(content) {
			if rstr != content {
				return nil, x.refuse(Malformed, ruleAnswer, c, "a second element in the collection")
			}
			rstr = c
		}
	}
	if rstr.Name != (soap.Name{Space: content.Name.Space, Local: "RequestSecurityTokenResponse"}) {
		return nil, x.refuse(Malformed, ruleAnswer, rstr, "%s instead of one RequestSecurityTokenResponse", name(rstr))
	}
	return rstr, nil
}

// relatesTo reads which message is answered.
func (x *answerReader) relatesTo() (err error) {
	if x.env.Header == nil {
		return nil
	}
	for c := range x.doc.Children(x.env.Header) {
		if c.Name != (soap.Name{Space: soap.NSAddressing, Local: "RelatesTo"}) {
			continue
		}
		if x.a.RelatesTo != "" {
			return x.refuse(Malformed, ruleAnswer, c, "two RelatesTo")
		}
		if x.a.RelatesTo, _, err = x.text(c, ruleAnswer); err != nil {
			return err
		}
	}
	return nil
}

// rstr reads the response.
func (x *answerReader) rstr(e *soap.Element) error {
	if err := x.container(e, ruleAnswer); err != nil {
		return err
	}
	for c := range x.doc.Children(e) {
		var err error
		switch {
		case c.Name == soap.Name{Space: NSPolicy, Local: "AppliesTo"}:
			x.a.AppliesTo, err = x.address(c)
		case c.Name.Space != e.Name.Space:
		case c.Name.Local == "TokenType":
			x.a.TokenType, _, err = x.text(c, ruleAnswer)
		case c.Name.Local == "Lifetime":
			x.a.Lifetime, err = x.span(c, ruleAnswer)
		case c.Name.Local == "RequestedSecurityToken":
			err = x.requestedToken(c)
		}
		if err != nil {
			return err
		}
	}
	if x.a.Token == nil {
		return x.refuse(Malformed, ruleAnswer, e, "no RequestedSecurityToken")
	}
	return nil
}

// address reads the one Address of the one EndpointReference in AppliesTo.
func (x *answerReader) address(appliesTo *soap.Element) (address string, err error) {
	if err := x.container(appliesTo, ruleAnswer); err != nil {
		return "", err
	}
	for epr := range x.doc.Children(appliesTo) {
		if err := x.container(epr, ruleAnswer); err != nil {
			return "", err
		}
		for c := range x.doc.Children(epr) {
			switch {
			case c.Name.Local != "Address" || c.Name.Space != soap.NSAddressing && c.Name.Space != soap.NSAddressing2004:
				continue
			case address != "":
				return "", x.refuse(Malformed, ruleAnswer, c, "two addresses in AppliesTo")
			}
			if address, _, err = x.text(c, ruleAnswer); err != nil {
				return "", err
			}
		}
	}
	if address == "" {
		return "", x.refuse(Malformed, ruleAnswer, appliesTo, "AppliesTo without an Address")
	}
	return address, nil
}

// requestedToken reads the one token.
func (x *answerReader) requestedToken(e *soap.Element) error {
	if x.doc.HasText(e) {
		return x.refuse(Malformed, ruleAnswer, e, "text in RequestedSecurityToken")
	}
	var token *soap.Element
	for c := range x.doc.Children(e) {
		if token != nil {
			return x.refuse(Malformed, ruleAnswer, c, "two tokens")
		}
		token = c
	}
	if token == nil {
		return x.refuse(Malformed, ruleAnswer, e, "RequestedSecurityToken is empty")
	}
	return x.token(token)
}

// token reads what the token says, if it is one that is read.
func (x *answerReader) token(token *soap.Element) error {
	x.a.Token, x.a.doc, x.a.token = x.doc.Raw(token), &x.doc, token
	switch token.Name {
	case soap.Name{Space: NSSAML11, Local: "Assertion"}:
		return x.assertion11(token)
	case soap.Name{Space: NSSAML20, Local: "Assertion"}:
		return x.assertion20(token)
	case soap.Name{Space: nsEncryption, Local: "EncryptedData"}, soap.Name{Space: NSSAML20, Local: "EncryptedAssertion"}:
		x.a.Encrypted = true
		return nil
	default:
		return x.refuse(Unsupported, ruleAnswer, token, "the token is %s, which is not read", name(token))
	}
}

// instantAttr reads a time in an attribute, zero when there is none.
func (x *answerReader) instantAttr(e *soap.Element, attr string) (time.Time, error) {
	value, ok := x.doc.Attr(e, soap.Name{Local: attr})
	if !ok {
		return time.Time{}, nil
	}
	t, ok := parseInstant([]byte(value))
	if !ok {
		return time.Time{}, x.refuse(Malformed, ruleAnswer, e, "%s of %s is not a time with a zone", attr, name(e))
	}
	return t, nil
}
