package policy

import (
	"net/netip"
	"time"
)

// Facts are what a policy can ask about one request. The zero value of a
// fact means that it is unknown, which counts against the request.
type Facts struct {
	// Time is when the request arrived.
	Time time.Time
	// User is the account that the request says it is from.
	User User
	// Clients are all addresses that are believed to be the client's, in any
	// order; none when it is not known where the client is. An IPv4-mapped
	// address is its IPv4 address, and zones are ignored.
	Clients []netip.Addr
	// AppliesTo is the realm asked for, as in the message. An empty one is no
	// application's.
	AppliesTo string
	// Endpoint is the published path that the request came to.
	Endpoint string
	// Version is the WS-Trust version, "1.2" or "1.3".
	Version string
}

// A UserState tells how much is known of a user.
type UserState uint8

const (
	// UserUnknown means that the directory could not be asked.
	UserUnknown UserState = iota
	// UserKnown means that the fields of User are the directory's.
	UserKnown
	// UserAbsent means that there is no directory, or that it has no such
	// account. The user is then in no group and has no name.
	UserAbsent
)

// A User is an account as the directory knows it.
type User struct {
	State UserState
	// Name is the user principal name, user@domain.
	Name string
	// GUID is the directory's identifier.
	GUID string
	// SAM and Domain are the two parts of DOMAIN\user.
	SAM, Domain string
	// ImmutableID is the identifier in Microsoft 365.
	ImmutableID string
	// Groups are the names of all groups, nested ones included.
	Groups []string
	// Attributes are further values by lower-case name, such as mail and
	// display_name.
	Attributes map[string][]string
}
