package state

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Sealed is a Store whose records cannot be forged, moved to another key, or
// read from the disk, by anybody who has the store but not the key. Values of
// secret buckets are encrypted. A record of which one bit changed, or that an
// unknown key sealed, is ErrCorrupt.
//
// What it cannot see is that the store lost a record, or that somebody who may
// write to it put an older state of everything back.
type Sealed struct {
	store Store
	keys  *Keys
}

// Seal returns what seals the records of store.
func Seal(store Store, keys *Keys) *Sealed { return &Sealed{store, keys} }

// Get implements Store.
func (s *Sealed) Get(ctx context.Context, key Key) (Record, error) {
	r, err := s.store.Get(ctx, key)
	if err != nil {
		return Record{}, err
	}
	return s.opened(r)
}

// Create implements Store.
func (s *Sealed) Create(ctx context.Context, key Key, value []byte, ttl time.Duration) (uint64, error) {
	text, err := s.sealed(key, 0, value)
	if err != nil {
		return 0, err
	}
	return s.store.Create(ctx, key, text, ttl)
}

// CompareAndSwap implements Store.
func (s *Sealed) CompareAndSwap(ctx context.Context, key Key, revision uint64, value []byte, ttl time.Duration) (uint64, error) {
	text, err := s.sealed(key, revision, value)
	if err != nil {
		return 0, err
	}
	return s.store.CompareAndSwap(ctx, key, revision, text, ttl)
}

// Delete implements Store.
func (s *Sealed) Delete(ctx context.Context, key Key, revision uint64) error {
	return s.store.Delete(ctx, key, revision)
}

// List implements Store.
func (s *Sealed) List(ctx context.Context, prefix Key) ([]Record, error) {
	all, err := s.store.List(ctx, prefix)
	good := all[:0]
	for _, r := range all {
		r, e := s.opened(r)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		good = append(good, r)
	}
	return slices.Clip(good), err
}

// Watch implements Store.
func (s *Sealed) Watch(ctx context.Context, prefix Key) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for e, err := range s.store.Watch(ctx, prefix) {
			if err == nil && e.Kind == Put {
				e = s.told(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// told opens the record of a Put.
func (s *Sealed) told(e Event) Event {
	r, err := s.opened(e.Record)
	if err != nil {
		r, e.Kind = e.Record, Corrupt
		r.Value = nil
	}
	e.Record = r
	return e
}

func (s *Sealed) sealed(key Key, replaces uint64, value []byte) ([]byte, error) {
	if len(value) > MaxValue {
		return nil, fmt.Errorf("%w: a value of %d bytes in %s, more than %d", ErrInvalid, len(value), key.bucket, MaxValue)
	}
	return s.keys.all[0].wrap(key, replaces, value)
}

func (s *Sealed) opened(r Record) (Record, error) {
	replaces, value, err := s.keys.unwrap(r.Key, r.Value)
	if err == nil && replaces >= r.Revision {
		err = fmt.Errorf("revision %d says that it replaces %d", r.Revision, replaces)
	}
	if err != nil {
		return Record{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, r.Key, err)
	}
	r.Value, r.Replaces = value, replaces
	return r, nil
}

// Check reports as ErrCorrupt that a record, as the store below has it, is not
// what was written under its key.
func (s *Sealed) Check(r Record) error {
	_, err := s.opened(r)
	return err
}

// Rekey writes every record of the bucket anew that the first key did not
// seal, and returns how many it wrote. When it has no error for any bucket, the
// old key is needed no more. Records that others change meanwhile are theirs.
func (s *Sealed) Rekey(ctx context.Context, b Bucket) (int, error) {
	all, err := s.store.List(ctx, b.Key())
	written := 0
	for _, r := range all {
		if len(r.Value) > idEnd && [4]byte(r.Value[idStart:idEnd]) == s.keys.all[0].id {
			continue
		}
		e := s.rekey(ctx, r)
		if e == nil {
			written++
		} else if !errors.Is(e, ErrConflict) {
			err = errors.Join(err, e)
		}
	}
	return written, err
}

func (s *Sealed) rekey(ctx context.Context, r Record) error {
	revision := r.Revision
	r, err := s.opened(r)
	if err != nil {
		return err
	}
	var ttl time.Duration
	if !r.Expires.IsZero() {
		ttl = max(time.Second, time.Until(r.Expires))
	}
	if _, err := s.CompareAndSwap(ctx, r.Key, revision, r.Value, ttl); err != nil {
		return fmt.Errorf("rekey %s: %w", r.Key, err)
	}
	return nil
}
