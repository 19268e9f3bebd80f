// Package refusal is the one table of reasons for which an exchange is not
// answered with a token. From a Reason follow the SOAP fault, the HTTP
// status, the metric label, the audit outcome, the log level and the
// manual's table; nothing else in the program decides any of them.
//
// It is a leaf: it never builds a fault and never writes to a connection.
package refusal

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// A Refusal is an error that says how to answer the client. Err is for the
// operator and never leaves the gateway.
type Refusal struct {
	Reason Reason
	Err    error
	// Portal is the address of the portal and Number what is to be typed there,
	// for reasons whose text has holes for them.
	Portal, Number string
}

// New refuses for a reason, with what the operator should know.
func New(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// Error implements error, for the operator.
func (r *Refusal) Error() string {
	if r.Err == nil {
		return r.Reason.String()
	}
	return r.Reason.String() + ": " + r.Err.Error()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Text is the text of the reason with its holes filled.
func (r *Refusal) Text() string {
	return strings.NewReplacer("{portal}", r.Portal, "{number}", r.Number).Replace(r.Reason.Row().Text)
}

// Of returns the reason that err carries, and Internal when it carries none.
func Of(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return Internal
}

// A Reason says why a request got no token. The zero Reason is Internal, so
// that an error nobody thought of is answered as one.
type Reason uint8

// The reasons, in the order of an exchange.
const (
	Internal Reason = iota

	// Before there is a message: a plain HTTP status.
	WrongHost
	WrongPath
	WrongMethod
	WrongMediaType
	TooLarge
	BodyUnread
	ClientGone
	Draining

	// The message cannot be read, or is not one for this gateway.
	Malformed
	WrongVersion
	Unsupported
	UnsupportedCredential
	SecondCredential
	Expired
	Misaddressed

	// The decision.
	UnknownApplication
	Denied
	DeniedUser
	Conflict
	ConflictUser

	// The first factor.
	Banned
	Throttled
	Locked
	StateDown
	UnknownUser
	WrongPassword
	DirectoryDown
	FarmDown
	FarmSlow
	FarmDenied
	FarmUnknownApplication
	FarmFailed

	// The answer and its record.
	AnswerUnreadable
	AnswerUntrusted
	AnswerMismatch
	SecondFactor
	SecondFactorApprove
	SecondFactorNumber
	SecondFactorDenied
	SecondFactorStopped
	SecondFactorDown
	WrongCode
	AddressBlocked
	RateLimited
	Replayed
	IssuerFailed
	AuditFailed

	numReasons
)

// Reasons returns all reasons in order.
func Reasons() []Reason {
	all := make([]Reason, numReasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// A Row is what follows from a reason.
type Row struct {
	// Label names the reason in metrics, audit and logs: lower case, words
	// joined by hyphens, never changed once released.
	Label string
	// Status is the plain HTTP status for what fails before there is a
	// message, and 500 for a SOAP fault.
	Status int
	// Sender tells that the client is at fault: soap:Sender, soap:Client.
	Sender bool
	// Code is the subcode's local name, empty for a plain status.
	Code string
	// Security tells that the subcode is WS-Security's and not WS-Trust's.
	Security bool
	// Text is what the client reads, followed by the transaction id. It may have
	// holes, {portal} and {number}, that Refusal.Text fills.
	Text string
	// Level is the level of the log line.
	Level slog.Level
	// Close tells that the connection may hold the rest of a bad body and is
	// closed after the answer (security.md, HTTP-15).
	Close bool
	// Proven tells that the password was right. An application that hides it
	// shows its clients the row of WrongPassword instead.
	Proven bool
	// Meaning tells the operator what happened, and what to look at.
	Meaning string
}

// Fault tells that the reason is answered with a SOAP fault.
func (r Row) Fault() bool { return r.Code != "" }

// LikeWrongPassword tells that a client cannot tell the reason from a wrong
// password (security.md, SOAP-14).
func (r Reason) LikeWrongPassword() bool { return r.Row().LikeWrongPassword() }

// LikeWrongPassword tells that a client cannot tell the row from that of a wrong
// password.
func (r Row) LikeWrongPassword() bool {
	w := &table[WrongPassword]
	return r.Status == w.Status && r.Sender == w.Sender && r.Code == w.Code && r.Security == w.Security && r.Text == w.Text && r.Close == w.Close
}

// Row returns the table's row for the reason; the row of Internal for a value
// that is none.
func (r Reason) Row() Row {
	if r >= numReasons {
		r = Internal
	}
	return table[r]
}

// String returns the reason's label.
func (r Reason) String() string { return r.Row().Label }

// ByLabel returns the row with that label.
func ByLabel(label string) (Row, bool) {
	for i := range table {
		if table[i].Label == label {
			return table[i], true
		}
	}
	return Row{}, false
}
