package state

import "context"

// Kept returns the records of a bucket as the store keeps them, sealed, for a
// backup: whoever reads that needs the key as well.
func (s *Sealed) Kept(ctx context.Context, b Bucket) ([]Record, error) {
	return s.store.List(ctx, b.Key())
}

// Opened opens a record that Kept returned, of this store or of another that was
// sealed with a key that this one has.
func (s *Sealed) Opened(r Record) (Record, error) { return s.opened(r) }
