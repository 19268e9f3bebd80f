package state

import "errors"

var (
	// ErrExists says that Create found a record.
	ErrExists = errors.New("record exists")
	// ErrConflict says that the record has another revision, or is gone.
	ErrConflict = errors.New("record was changed")
	// ErrNotFound says that there is no record.
	ErrNotFound = errors.New("no record")
	// ErrUnavailable says that the store did not do what it was asked: nothing
	// was written.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrUnknown says that a write may have been made, or may yet be. Whoever
	// spends something must take it as spent.
	ErrUnknown = errors.New("outcome of the write is unknown")
	// ErrCorrupt says that a record is not what was written under its key.
	ErrCorrupt = errors.New("record is corrupt")
	// ErrStale says that a mirror's copy is too old to answer.
	ErrStale = errors.New("copy is stale")
	// ErrInvalid says that the caller asked for what no store keeps: a key or
	// value too large, no ttl where one is needed.
	ErrInvalid = errors.New("invalid record")
)

// outcomes are the labels of errors, in the order in which they are looked for.
var outcomes = []struct {
	err   error
	label string
}{
	{ErrExists, "exists"},
	{ErrConflict, "conflict"},
	{ErrNotFound, "not_found"},
	{ErrUnknown, "unknown"},
	{ErrUnavailable, "unavailable"},
	{ErrCorrupt, "corrupt"},
	{ErrStale, "stale"},
	{ErrInvalid, "invalid"},
}

// Outcome returns the label of an error in metrics, from a closed set; "ok"
// for nil.
func Outcome(err error) string {
	if err == nil {
		return "ok"
	}
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o.label
		}
	}
	return "failed"
}

// Outcomes returns all that Outcome may return.
func Outcomes() []string {
	all := []string{"ok", "failed"}
	for _, o := range outcomes {
		all = append(all, o.label)
	}
	return all
}
