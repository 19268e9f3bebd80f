package wstrust

import (
	"strings"

	"stsgate/gateway/soap"
)

// A Proof is what a farm's fault says about the password that was sent.
type Proof uint8

// The proofs. The zero Proof counts as a failed try.
const (
	NotProven     Proof = iota // the password or the account was not accepted
	ProvenRefused              // the password was accepted, the request was refused for another reason
	ProvesNothing              // neither is known
)

// Proves reads a fault as WCF and AD FS mean it (security.md, LOCK-09;
// protocol.md, appendix C, rows 2 and 3): tokens are authenticated before the
// request is looked at, so that a refusal of the request proves the password.
// Texts are localised and only their leading code is read.
func (f *Fault) Proves() Proof {
	switch f.Subcode.Space {
	case NS2005, NS13, soap.NSSecurity:
	default:
		return ProvesNothing
	}
	switch f.Subcode.Local {
	case "FailedAuthentication":
		if f.code() == "MSIS7068" {
			return ProvenRefused
		}
		return NotProven
	case "InvalidScope":
		return ProvenRefused
	default:
		return ProvesNothing
	}
}

// code returns the code that the text begins with, such as MSIS7068, empty
// when there is none.
func (f *Fault) code() string {
	code, _, ok := strings.Cut(f.Text, ":")
	number := strings.TrimPrefix(code, "MSIS")
	if number == code {
		number = strings.TrimPrefix(code, "ID")
	}
	if !ok || number == code || number == "" || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return code
}

// fault reads a Fault of either SOAP version. What is missing stays empty: a
// fault is one however little it says.
func (m *message) fault() *Fault {
	f := &Fault{}
	if m.env.Version == soap.V11 {
		m.fault11(f)
	} else {
		m.fault12(f)
	}
	return f
}

// fault11 reads a fault of SOAP 1.1 (section 4.4), whose code may be a
// qualified name of another namespace (WS-Trust 1.3, section 11).
func (m *message) fault11(f *Fault) {
	for c := range m.doc.Children(m.env.Content) {
		switch c.Name {
		case soap.Name{Local: "faultcode"}:
			code := m.qname(c)
			if code.Space == soap.NSSOAP11 {
				class, _, _ := strings.Cut(code.Local, ".")
				f.Sender = class == "Client"
				continue
			}
			f.Subcode = code
			f.Sender = code.Local != "" && code.Local != "RequestFailed"
		case soap.Name{Local: "faultstring"}:
			f.Text = m.reason(c)
		}
	}
}

// fault12 reads a fault of SOAP 1.2 (part 1, section 5.4).
func (m *message) fault12(f *Fault) {
	for c := range m.doc.Children(m.env.Content) {
		switch c.Name {
		case soap.Name{Space: soap.NSSOAP12, Local: "Code"}:
			f.Sender = m.code12(c, f).Local == "Sender"
		case soap.Name{Space: soap.NSSOAP12, Local: "Reason"}:
			for text := range m.doc.Children(c) {
				if f.Text == "" && text.Name == (soap.Name{Space: soap.NSSOAP12, Local: "Text"}) {
					f.Text = m.reason(text)
				}
			}
		}
	}
}

// code12 returns the Value of a Code or Subcode, and stores that of the
// innermost Subcode in f.
func (m *message) code12(e *soap.Element, f *Fault) (value soap.Name) {
	for c := range m.doc.Children(e) {
		switch c.Name {
		case soap.Name{Space: soap.NSSOAP12, Local: "Value"}:
			value = m.qname(c)
			if e.Name.Local == "Subcode" {
				f.Subcode = value
			}
		case soap.Name{Space: soap.NSSOAP12, Local: "Subcode"}:
			m.code12(c, f)
		}
	}
	return value
}

// qname reads a qualified name in content, the zero Name when it is none.
func (m *message) qname(e *soap.Element) soap.Name {
	text, err := m.doc.Text(e)
	if err != nil {
		return soap.Name{}
	}
	name, err := m.doc.Resolve(e, strings.Trim(text, space))
	if err != nil {
		return soap.Name{}
	}
	return name
}

// reason reads a text for people.
func (m *message) reason(e *soap.Element) string {
	text, err := m.doc.Text(e)
	if err != nil {
		return ""
	}
	return strings.Trim(text, space)
}
