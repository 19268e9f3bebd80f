// Package state is what the gateways of one service remember together: a small
// Store of records, an in-memory one, a wrapper that seals what any Store
// keeps, and a watched copy whose age is known.
//
// It is a leaf. It knows the lifetimes of what it keeps and never the rules:
// when somebody is locked or an approval is spent is decided by guard and mfa.
package state

import (
	"context"
	"iter"
	"time"
)

const (
	// Deadline bounds every call whose context has no deadline (FAIL-02).
	Deadline = 500 * time.Millisecond
	// BeatInterval is how often a watch says how current it is.
	BeatInterval = 250 * time.Millisecond
	// Silence is for how long a watch may tell nothing before it is begun anew.
	// One that is there survives the choice of a leader, which takes a cluster
	// seconds; a new one needs more of the cluster than the old one did.
	Silence = 30 * time.Second
	// MaxValue is the largest value, in bytes, as the caller gives it.
	MaxValue = 64 << 10
	// MaxKey is the longest path of a key, in bytes.
	MaxKey = 512
	// Overhead is what Sealed may add to a value, in bytes.
	Overhead = 128
)

// A Store is a small memory shared by every gateway of a service.
//
// A write that returned is durable, and ordered with all writes of its key. A
// read may be stale, except right after a write through the same Store: what
// is used once is decided by Create and CompareAndSwap, never by Get.
//
// Every call ends by the context's deadline, or after Deadline when it has
// none. Errors are told apart with errors.Is. A write that fails with
// ErrUnknown may have been made, or may yet be; with any other error it was not.
//
// All methods may be called at the same time. Values that a Store returns are
// the caller's.
type Store interface {
	// Get returns the record at key, or ErrNotFound.
	Get(ctx context.Context, key Key) (Record, error)
	// Create makes the record at key and returns its revision, or ErrExists
	// when there is one. The ttl is a second or more, rounded up to whole ones;
	// in standing buckets it is 0, and what is there stays until it is deleted.
	// A record can be read until its ttl has passed by the store's clock, and
	// its key is free two seconds later.
	Create(ctx context.Context, key Key, value []byte, ttl time.Duration) (revision uint64, err error)
	// CompareAndSwap replaces the record at key if it still has the revision,
	// and returns the new one; otherwise ErrConflict, also when the record is
	// gone. The ttl, as Create's, begins anew, but the record lasts at least as
	// long as the one that it replaces would have: a crash can bring back what
	// was replaced when what replaced it has expired.
	CompareAndSwap(ctx context.Context, key Key, revision uint64, value []byte, ttl time.Duration) (uint64, error)
	// Delete removes the record at key if it still has the revision, otherwise
	// ErrConflict. Create makes it anew, with a higher revision.
	Delete(ctx context.Context, key Key, revision uint64) error
	// List returns the records below prefix, ordered by key. The records of
	// which nothing can be read are left out; the error then joins an
	// ErrCorrupt for each, and the others are returned all the same.
	List(ctx context.Context, prefix Key) ([]Record, error)
	// Watch tells of every record below prefix that there is, then of every
	// change, in the order of revisions; of changes of one record that follow
	// each other closely, perhaps only the last. It does not tell of records
	// that expire: Record.Expires does. It ends when ctx does, when the caller
	// stops, or after its first error; then what the caller knows is outdated.
	Watch(ctx context.Context, prefix Key) iter.Seq2[Event, error]
}

// A Record is what a Store keeps at a key.
type Record struct {
	Key   Key
	Value []byte
	// Revision grows with every write of the bucket.
	Revision uint64
	// Replaces is the revision that this one was written over; 0 for a record
	// that was created. Only Sealed fills it in.
	Replaces uint64
	// Written is when the record was written, by the store's clock.
	Written time.Time
	// Expires is when it expires, by the same clock; zero for a record that stands.
	Expires time.Time
}

// A Kind says what an Event tells.
type Kind uint8

const (
	// Put tells of a record that is there or was written.
	Put Kind = iota + 1
	// Gone tells that the record at Record.Key was deleted.
	Gone
	// Corrupt tells of a record whose value cannot be read.
	Corrupt
	// Current tells that every write that was acknowledged before AsOf has been
	// delivered. The first one ends the records that were there at the start;
	// others follow at least every 300 ms while the store can be reached.
	Current
)

// An Event is what a watch tells.
type Event struct {
	Kind   Kind
	Record Record    // of Put; without a value of Corrupt; its Key of Gone
	AsOf   time.Time // of Current, by this process's clock
}

// Bound returns ctx itself when it has a deadline, otherwise one that ends
// after Deadline.
func Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, Deadline)
}
