package wstrust

import "strconv"

// A Kind is what is wrong with a message, as far as its sender is told.
type Kind uint8

// The kinds of Error.
const (
	Malformed             Kind = iota // not one strict message, or a rule of its shape is broken
	WrongVersion                      // a SOAP or WS-Trust version that the endpoint does not serve
	Unsupported                       // another verb, key type or token type than can be answered
	UnsupportedCredential             // no user name with a plain password
	SecondCredential                  // another credential or a signature beside the user name
	Expired                           // the Timestamp is stale or in the future
	Misaddressed                      // wsa:To is missing or names another place
)

// An Error says why a message is not accepted. It is for the operator: it
// names rule, element and place, and never holds a credential.
type Error struct {
	Kind Kind
	// Rule is the requirement that is broken (security.md), such as SOAP-07.
	Rule string
	// Offset is the byte of the message at which it is broken, -1 for none.
	Offset int
	// Header is the HTTP header that breaks it, empty where it is the message.
	Header string
	// Msg says what is wrong.
	Msg string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Offset < 0 {
		return e.Rule + ": " + e.Msg
	}
	return e.Rule + " at byte " + strconv.Itoa(e.Offset) + ": " + e.Msg
}

// Error implements error.
func (f *Fault) Error() string {
	return "fault " + f.Subcode.Local + ": " + f.Text
}
