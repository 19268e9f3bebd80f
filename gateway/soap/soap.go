// Package soap reads XML strictly and writes SOAP envelopes and faults.
//
// Scan is the only code that reads XML from outside. It accepts a subset of
// XML 1.0 that every reader understands alike (the strict profile), so that
// what is decided here is decided on what the farm will read. It never
// repairs, skips or guesses: a document is accepted whole or refused, with
// the rule that it breaks. It never changes a byte of what it read.
//
// The rules, by the names that errors carry:
//
//	XML-01  UTF-8 only
//	XML-02  a byte order mark only at the start
//	XML-03  an XML declaration only in the usual form
//	XML-04  characters of XML 1.0; CR only before LF
//	XML-05  the five predefined references, and numeric ones to a legal character
//	XML-06  no DOCTYPE or other declaration
//	XML-07  no processing instructions
//	XML-08  no CDATA sections
//	XML-09  no comments beside text; elements that are read as text hold text only
//	XML-10  attribute values in quotes, in one line, without <
//	XML-11  no attribute twice, by raw or by expanded name
//	XML-12  white space between attributes, matching end tags
//	XML-13  every prefix declared, nothing reserved redefined; of xml: only xml:lang
//	XML-14  names of ASCII letters, with at most one colon
//	XML-15  one complete root, only white space outside it
//	DOS-03  the limits of the Profile
//	SOAP-06 an Envelope with Header and Body in their places
//	SIG-04  no id twice, where CheckIDs is asked
package soap

import (
	"errors"
	"strconv"
)

// ErrVersion is matched, by errors.Is, by the *Error of a document whose root
// is not the Envelope of a SOAP version that is read. Its sender is told
// VersionMismatch.
var ErrVersion = errors.New("no SOAP version that is read")

// An Error says which rule a document breaks, and where. It never quotes the
// document, which may hold a password at that place.
type Error struct {
	// Rule is the rule's name, such as XML-06.
	Rule string
	// Offset is the position in the source, in bytes.
	Offset int
	// Msg says what is wrong.
	Msg string

	version bool
}

// Error implements error: "XML-06 at byte 123: DOCTYPE is not allowed".
func (e *Error) Error() string {
	return e.Rule + " at byte " + strconv.Itoa(e.Offset) + ": " + e.Msg
}

// Is reports whether target is ErrVersion and e is about the SOAP version.
func (e *Error) Is(target error) bool { return e.version && target == ErrVersion }
