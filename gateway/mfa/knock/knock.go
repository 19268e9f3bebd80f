// Package knock tells users that something waits for their answer, and what
// happened to their authenticators: by webhook and by mail.
//
// A knock is sent once, never blocks a sign-in and is never a factor. A notice
// is queued in the store before the caller goes on, and delivered at least once
// by any gateway (security.md, MFA-12).
//
// Texts hold what configuration, directory and clock say and nothing that a
// client chose (MFA-22).
package knock

import "time"

// A Recipient is who is told.
type Recipient struct {
	// ID is the directory's GUID, Name its UPN and Mail its mail address, which
	// may be empty.
	ID   string `json:"id"`
	Name string `json:"name,omitzero"`
	Mail string `json:"mail,omitzero"`
}

// A Prompt is a sign-in that waits.
type Prompt struct {
	To Recipient
	// Application is its name in the policy, and Place where the client is.
	Application, Place string
	At                 time.Time
}

// A What says what a notice tells.
type What uint8

// What notices tell.
const (
	// PromptsStopped: five sign-ins in a row were not approved.
	PromptsStopped What = iota + 1
	// Disowned: the user said that a sign-in was somebody else's.
	Disowned

	numWhats
)

var whatNames = [numWhats]string{PromptsStopped: "prompts-stopped", Disowned: "not-me"}

// String returns the name that templates and logs have.
func (w What) String() string {
	if w < numWhats {
		return whatNames[w]
	}
	return ""
}

// A Notice is what a user must hear of.
type Notice struct {
	What What      `json:"what"`
	To   Recipient `json:"to"`
	// Application and Place are of a sign-in, empty for what is of none.
	Application string    `json:"application,omitzero"`
	Place       string    `json:"place,omitzero"`
	At          time.Time `json:"at"`
}
