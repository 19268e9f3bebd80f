package wstrust

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"stsgate/gateway/soap"
)

// space is the white space of XML.
const space = " \t\r\n"

// A message is a scanned envelope that is being taken apart.
type message struct {
	doc soap.Document
	env *soap.Envelope

	scratch [512]byte
}

// open scans body and finds the parts of its envelope.
func (m *message) open(body []byte, profile soap.Profile) error {
	if err := m.doc.Scan(body, profile); err != nil {
		return err
	}
	var err error
	m.env, err = soap.Open(&m.doc)
	if errors.Is(err, soap.ErrVersion) {
		return &Error{Kind: WrongVersion, Rule: "SOAP-06", Offset: int(m.doc.Root().Start), Msg: "the root is not the Envelope of SOAP 1.1 or 1.2"}
	}
	return err
}

// refuse makes the error of a rule that is broken at e.
func (m *message) refuse(kind Kind, rule string, e *soap.Element, format string, args ...any) error {
	return &Error{Kind: kind, Rule: rule, Offset: int(e.Start), Msg: fmt.Sprintf(format, args...)}
}

// container refuses text between e's children, and a child that is there
// twice (security.md, XML-16).
func (m *message) container(e *soap.Element, rule string) error {
	if m.doc.HasText(e) {
		return m.refuse(Malformed, rule, e, "text beside the elements of %s", name(e))
	}
	for c := range m.doc.Children(e) {
		for d := range m.doc.Children(e) {
			if d == c {
				break
			}
			if d.Name == c.Name {
				return m.refuse(Malformed, rule, c, "%s is there twice", name(c))
			}
		}
	}
	return nil
}

// leaf refuses elements in e, whose text is of no interest.
func (m *message) leaf(e *soap.Element) error {
	_, err := m.doc.AppendText(m.scratch[:0], e)
	return err
}

// text returns the text of e without the white space at its ends, and whether
// there was any. It is not empty.
func (m *message) text(e *soap.Element, rule string) (text string, padded bool, err error) {
	whole, err := m.doc.Text(e)
	if err != nil {
		return "", false, err
	}
	text = strings.Trim(whole, space)
	if text == "" {
		return "", false, m.refuse(Malformed, rule, e, "%s is empty", name(e))
	}
	return text, len(text) != len(whole), nil
}

// instant returns the time that e holds.
func (m *message) instant(e *soap.Element, rule string) (time.Time, error) {
	b, err := m.doc.AppendText(m.scratch[:0], e)
	if err != nil {
		return time.Time{}, err
	}
	t, ok := parseInstant(b)
	if !ok {
		return time.Time{}, m.refuse(Malformed, rule, e, "%s is not a time with a zone, such as 2006-01-02T15:04:05Z", name(e))
	}
	return t, nil
}

// span reads Created and Expires, in this order, as the only children of e.
func (m *message) span(e *soap.Element, rule string) (Lifetime, error) {
	var l Lifetime
	if err := m.container(e, rule); err != nil {
		return l, err
	}
	for c := range m.doc.Children(e) {
		var err error
		switch {
		case c.Name == soap.Name{Space: soap.NSUtility, Local: "Created"} && l.Expires.IsZero():
			l.Created, err = m.instant(c, rule)
		case c.Name == soap.Name{Space: soap.NSUtility, Local: "Expires"}:
			l.Expires, err = m.instant(c, rule)
		default:
			err = m.refuse(Malformed, rule, c, "%s in %s", name(c), name(e))
		}
		if err != nil {
			return l, err
		}
	}
	if !l.Created.IsZero() && !l.Expires.IsZero() && !l.Expires.After(l.Created) {
		return l, m.refuse(Malformed, rule, e, "%s expires before it is created", name(e))
	}
	return l, nil
}

// name returns an element's name as errors quote it: without its namespace
// where that is one of the usual.
func name(e *soap.Element) string {
	switch e.Name.Space {
	case soap.NSSOAP11, soap.NSSOAP12, soap.NSAddressing, soap.NSSecurity, soap.NSUtility, NS2005, NS13, NSPolicy:
		return clip(e.Name.Local)
	default:
		return fmt.Sprintf("%s in namespace %q", clip(e.Name.Local), clip(e.Name.Space))
	}
}

// clip shortens what an error quotes of a message.
func clip(s string) string {
	const longest = 100
	if len(s) > longest {
		return s[:longest] + "..."
	}
	return s
}
