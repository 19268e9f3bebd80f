package state

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"
)

// A Memory is a Store in this process, for one gateway that may forget
// everything when it ends, and for tests.
type Memory struct {
	now func() time.Time

	mu       sync.Mutex
	revision uint64
	records  map[Key]Record
	watches  map[*memoryWatch]bool
	sweepAt  int // how many records there are when the expired ones are looked for
}

// leastSwept is how many records are not worth a look.
const leastSwept = 1024

// NewMemory returns an empty store. Records expire by now; nil is time.Now.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, records: map[Key]Record{}, watches: map[*memoryWatch]bool{}, sweepAt: leastSwept}
}

// live returns the record at key unless it has expired. m.mu is held.
func (m *Memory) live(key Key) (Record, bool) {
	r, ok := m.records[key]
	if ok && !r.Expires.IsZero() && !m.now().Before(r.Expires) {
		delete(m.records, key)
		return Record{}, false
	}
	return r, ok
}

// put writes the record and tells the watches. m.mu is held.
func (m *Memory) put(key Key, value []byte, ttl time.Duration) uint64 {
	m.revision++
	r := Record{Key: key, Value: bytes.Clone(value), Revision: m.revision, Written: m.now()}
	if ttl > 0 {
		r.Expires = r.Written.Add(ttl)
		if before := m.records[key].Expires; before.After(r.Expires) {
			r.Expires = before
		}
	}
	m.records[key] = r
	m.sweep()
	m.tell(Event{Kind: Put, Record: r})
	return r.Revision
}

// sweep drops what has expired, whenever there is twice as much as was left
// the last time. m.mu is held.
func (m *Memory) sweep() {
	if len(m.records) < m.sweepAt {
		return
	}
	for k := range m.records {
		m.live(k)
	}
	m.sweepAt = max(2*len(m.records), leastSwept)
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key Key) (Record, error) {
	if err := errors.Join(key.Check(), over(ctx)); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.live(key)
	if !ok {
		return Record{}, ErrNotFound
	}
	return copied(r), nil
}

// Create implements Store.
func (m *Memory) Create(ctx context.Context, key Key, value []byte, ttl time.Duration) (uint64, error) {
	ttl, err := Admit(key, value, ttl)
	if err := errors.Join(err, over(ctx)); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.live(key); ok {
		return 0, ErrExists
	}
	return m.put(key, value, ttl), nil
}

// CompareAndSwap implements Store.
func (m *Memory) CompareAndSwap(ctx context.Context, key Key, revision uint64, value []byte, ttl time.Duration) (uint64, error) {
	ttl, err := Admit(key, value, ttl)
	if err := errors.Join(err, CheckRevision(revision), over(ctx)); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.live(key); !ok || r.Revision != revision {
		return 0, ErrConflict
	}
	return m.put(key, value, ttl), nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key Key, revision uint64) error {
	if err := errors.Join(key.Check(), CheckRevision(revision), over(ctx)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.live(key); !ok || r.Revision != revision {
		return ErrConflict
	}
	delete(m.records, key)
	m.revision++
	m.tell(Event{Kind: Gone, Record: Record{Key: key}})
	return nil
}

// List implements Store.
func (m *Memory) List(ctx context.Context, prefix Key) ([]Record, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.below(prefix)
	slices.SortFunc(all, func(a, b Record) int { return cmp.Compare(a.Key.path, b.Key.path) })
	return all, nil
}

// below returns the records below prefix, in no order. m.mu is held.
func (m *Memory) below(prefix Key) []Record {
	var all []Record
	for k := range m.records {
		if !prefix.Covers(k) {
			continue
		}
		if r, ok := m.live(k); ok {
			all = append(all, copied(r))
		}
	}
	return all
}

// A memoryWatch is what a watch has not been told yet.
type memoryWatch struct {
	prefix Key
	events []Event
	wake   chan struct{} // holds one token while there are events
}

// tell hands the event to the watches. m.mu is held.
func (m *Memory) tell(e Event) {
	for w := range m.watches {
		if !w.prefix.Covers(e.Record.Key) {
			continue
		}
		e.Record = copied(e.Record)
		w.events = append(w.events, e)
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Watch implements Store.
func (m *Memory) Watch(ctx context.Context, prefix Key) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := m.watch(prefix)
		defer m.unwatch(w)
		beat := time.NewTicker(BeatInterval)
		defer beat.Stop()
		for {
			for _, e := range m.take(w) {
				if !yield(e, nil) {
					return
				}
			}
			select {
			case <-ctx.Done():
				yield(Event{}, over(ctx))
				return
			case <-w.wake:
			case <-beat.C:
			}
		}
	}
}

func (m *Memory) watch(prefix Key) *memoryWatch {
	w := &memoryWatch{prefix: prefix, wake: make(chan struct{}, 1)}
	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.below(prefix)
	slices.SortFunc(first, func(a, b Record) int { return cmp.Compare(a.Revision, b.Revision) })
	for _, r := range first {
		w.events = append(w.events, Event{Kind: Put, Record: r})
	}
	m.watches[w] = true
	return w
}

func (m *Memory) unwatch(w *memoryWatch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watches, w)
}

// take returns what there is to tell, and that it is all.
func (m *Memory) take(w *memoryWatch) []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	events := append(w.events, Event{Kind: Current, AsOf: time.Now()})
	w.events = nil
	return events
}

func copied(r Record) Record {
	r.Value = bytes.Clone(r.Value)
	return r
}

// over reports as ErrUnavailable that the context is.
func over(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(ErrUnavailable, err)
	}
	return nil
}
