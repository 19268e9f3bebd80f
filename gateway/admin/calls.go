package admin

import "time"

// The calls of the socket. Each is a path under which JSON is posted and
// answered; there are no others.
const (
	LockList  = "lock-list"
	LockAdd   = "lock-add"
	LockClear = "lock-clear"
	BanList   = "ban-list"
	BanAdd    = "ban-add"
	BanRemove = "ban-remove"

	MFAList        = "mfa-list"
	MFAReset       = "mfa-reset"
	MFARevoke      = "mfa-revoke"
	MFABindingCode = "mfa-binding-code"

	// Backup answers with a stream, and RestoreStore takes one behind its value.
	Backup       = "backup"
	RestoreStore = "restore"
)

// A Close asks to lock or ban somebody, or to end that.
type Close struct {
	// Target is a user or, for bans and blocks, an address or a prefix: a user
	// name, a GUID, or what a list calls a user whose name did not resolve.
	Target string `json:"target"`
	// Seconds is for how long; 0 for a ban that is to be removed, and to end one.
	Seconds int64 `json:"seconds,omitempty"`
	// Reason is for the audit log and for lists, 1 to 200 characters.
	Reason string `json:"reason"`
}

// Nothing is what a call takes or answers that needs nothing.
type Nothing struct{}

// Done answers a call that changed something.
type Done struct {
	// Target is what was changed: a prefix, or a user as he is kept.
	Target string `json:"target"`
	// Name is the user's name in the directory, if he has one.
	Name string `json:"name,omitempty"`
	// Until is when it ends by itself.
	Until time.Time `json:"until,omitzero"`
}

// A Closed is one row of a list.
type Closed struct {
	// Target is a prefix, or a user as he is kept: a GUID, or a hash of a name that
	// does not resolve.
	Target string `json:"target"`
	// Name is the user as the operator wrote it who closed him, or the name in the
	// directory.
	Name string `json:"name,omitempty"`
	// Addresses are those that a lock is for: familiar, unfamiliar, all, or one that
	// the user said was somebody else's.
	Addresses string    `json:"addresses,omitempty"`
	Until     time.Time `json:"until,omitzero"`
	// By is the operator; empty for what failures brought.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// A List is what is closed now.
type List struct {
	Rows []Closed `json:"rows"`
	// More is how many there are beside the rows, which are at most MostRows.
	More int `json:"more,omitempty"`
	// Unread says what could not be read of the store.
	Unread string `json:"unread,omitempty"`
}

// MostRows bounds a List.
const MostRows = 10_000

// A failed is the answer to a call that was refused, or failed.
type failed struct {
	Error string `json:"error"`
}
