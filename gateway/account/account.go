// Package account holds what the gateway and directories say to each other
// about users: names in canonical form, accounts, and passwords.
//
// It is a leaf. It never looks anything up and never logs.
package account

import (
	"errors"
	"time"
)

// An Account is one user as a directory knows it.
type Account struct {
	// ID is the directory's GUID in the form 8-4-4-4-12, lower case. Whatever
	// is remembered of a user is kept under it, never under a typed name.
	ID string
	// UPN is the user principal name, user@domain.
	UPN string
	// SAM is the name before the @ or behind the backslash.
	SAM string
	// Domain is the short (NetBIOS) or DNS domain name, as the directory says it.
	Domain string
	// Groups are the names of all groups, nested ones included.
	Groups []string
	// Attributes are further values that an application's claims may name,
	// by lower-case name: mail, display_name, immutable_id.
	Attributes map[string][]string
	// Disabled tells that the directory refuses every sign-in of the account.
	Disabled bool
	// Expired and Locked tell the same for an account whose time is over, and
	// for one that had too many wrong passwords; PasswordExpired, that the
	// password must be changed first. All are as the directory last said, which
	// may be minutes ago: what holds now is what Verify returns.
	Expired, Locked, PasswordExpired bool
	// PasswordSet is when the password was last set, zero where the directory
	// does not say.
	PasswordSet time.Time
	// Remembered tells that the directory does not answer, and who the name is
	// was learned from it before. Groups is then empty and means nothing.
	Remembered bool
}

// ImmutableID is the value that Microsoft 365 knows the user by: the
// attribute immutable_id, or the base64 form of the GUID's sixteen bytes in
// Active Directory's order (protocol.md, section 8.2). It is empty when the
// account has neither.
func (a *Account) ImmutableID() string {
	if v := a.Attributes["immutable_id"]; len(v) > 0 {
		return v[0]
	}
	return immutableID(a.ID)
}

var (
	// ErrUnknown says that the directory has no account of that name.
	ErrUnknown = errors.New("unknown account")
	// ErrDenied says that the directory does not accept the password, or
	// refuses the account whatever the password: which one never reaches a client.
	// A directory that knows returns a [Denial].
	ErrDenied = errors.New("not authenticated")
)
