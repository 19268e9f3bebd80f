package state

import "fmt"

// A Bucket is a class of records with one kind of lifetime and a room of its
// own, so that what strangers can cause (counters, marks, approvals) never
// crowds out what stands (STATE-12). The set is closed; the zero Bucket is none.
type Bucket uint8

const (
	// Marks are what was used once: codes, nonces, assertions, Kerberos
	// authenticators. They are created and never changed.
	Marks Bucket = iota + 1
	// Counters count failures.
	Counters
	// Locks are what guard closed for a while: accounts, addresses.
	Locks
	// Approvals are second factors that somebody waits for.
	Approvals
	// Grants are proofs that are remembered.
	Grants
	// Sessions are those of the portal, and the challenges it sent.
	Sessions
	// Bans are what operators closed. One that ends says so in its value.
	Bans
	// Enrolments are the authenticators of users.
	Enrolments
	// ACME holds certificates, their keys and the account.
	ACME
	// Notices are what users have yet to be told, and where.
	Notices
)

// A class is what is fixed for a bucket.
type class struct {
	name     string
	standing bool  // records have no ttl
	secret   bool  // values are encrypted
	limit    int64 // bytes, with what the store adds
}

const mib = 1 << 20

var classes = [...]class{
	Marks:      {name: "marks", limit: 256 * mib},
	Counters:   {name: "counters", limit: 128 * mib},
	Locks:      {name: "locks", limit: 64 * mib},
	Approvals:  {name: "approvals", limit: 64 * mib},
	Grants:     {name: "grants", limit: 128 * mib},
	Sessions:   {name: "sessions", limit: 128 * mib, secret: true},
	Bans:       {name: "bans", limit: 16 * mib, standing: true},
	Enrolments: {name: "enrolments", limit: 256 * mib, standing: true, secret: true},
	ACME:       {name: "acme", limit: 64 * mib, standing: true, secret: true},
	Notices:    {name: "notices", limit: 64 * mib, secret: true},
}

// Buckets returns all buckets.
func Buckets() []Bucket {
	all := make([]Bucket, 0, len(classes)-1)
	for b := Marks; int(b) < len(classes); b++ {
		all = append(all, b)
	}
	return all
}

func (b Bucket) class() class {
	if int(b) < len(classes) {
		return classes[b]
	}
	return class{}
}

// String returns the bucket's name, which is also what stores call it.
func (b Bucket) String() string {
	if n := b.class().name; n != "" {
		return n
	}
	return fmt.Sprintf("bucket(%d)", uint8(b))
}

// Standing tells whether records have no ttl.
func (b Bucket) Standing() bool { return b.class().standing }

// Secret tells whether values are encrypted, not only authenticated (MFA-19).
func (b Bucket) Secret() bool { return b.class().secret }

// Limit is the room of the bucket in bytes, with what the store adds.
func (b Bucket) Limit() int64 { return b.class().limit }
