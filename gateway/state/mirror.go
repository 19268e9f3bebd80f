package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// MaxAge is the age from which on a mirror answers nothing.
	MaxAge = time.Second
	// lastPause is between watches of a store that starts none.
	lastPause = 2 * time.Second
)

// A Mirror is a copy of one bucket in memory, or of a part of it, that follows
// the store. It answers only while it is known to have everything that was
// written until a second ago, and forgets records as they expire. All methods may
// be called at the same time.
type Mirror struct {
	store  Store
	bucket Bucket
	of     []string      // how the paths of its part begin
	ready  chan struct{} // closed when there is a first copy

	mu   sync.RWMutex
	held *held
	asOf time.Time // of held
	err  error     // why the last watch ended
}

// NewMirror returns a mirror that is stale until Run has a copy. It has the
// records whose paths begin with one of those named, or all if none is.
func NewMirror(store Store, b Bucket, of ...string) *Mirror {
	return &Mirror{store: store, bucket: b, of: of, ready: make(chan struct{})}
}

// wants tells that the mirror has the record at k, if there is one.
func (m *Mirror) wants(k Key) bool {
	return len(m.of) == 0 || slices.ContainsFunc(m.of, func(begin string) bool { return strings.HasPrefix(k.path, begin) })
}

// Run follows the store until ctx ends. When a watch ends, it starts another;
// meanwhile the old copy grows stale.
func (m *Mirror) Run(ctx context.Context) {
	for wait := time.Duration(0); ctx.Err() == nil; wait = min(2*wait+10*time.Millisecond, lastPause) {
		if m.follow(ctx) {
			wait = 0
		}
		pause(ctx, wait)
	}
}

// pause returns after a while, or when ctx ends. It selects on no timer: one
// that is due at once crashes the race detector in simulated time.
func pause(ctx context.Context, d time.Duration) {
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	<-ctx.Done()
}

// follow runs one watch. It tells whether that was ever current.
func (m *Mirror) follow(ctx context.Context) (current bool) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	late := time.AfterFunc(Silence, func() { stop(fmt.Errorf("%w: nothing heard for %s", ErrStale, Silence)) })
	defer late.Stop()
	h := newHeld()
	for e, err := range m.store.Watch(ctx, m.bucket.Key()) {
		if err != nil {
			m.failed(errors.Join(err, context.Cause(ctx)))
			return current
		}
		if e.Kind != Current {
			m.apply(h, e, current)
			continue
		}
		m.current(h, e.AsOf)
		late.Reset(Silence)
		current = true
	}
	return current
}

func (m *Mirror) failed(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// apply takes in one event. Until a new copy is complete nobody else has it.
func (m *Mirror) apply(h *held, e Event, shared bool) {
	if !m.wants(e.Record.Key) {
		return
	}
	if shared {
		m.mu.Lock()
		defer m.mu.Unlock()
	}
	if e.Kind == Gone {
		h.remove(e.Record.Key)
		return
	}
	h.put(e.Record, e.Kind == Corrupt)
}

// current notes that h has everything until asOf, and drops what expired.
func (m *Mirror) current(h *held, asOf time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		close(m.ready)
	}
	h.expire(time.Now())
	m.held, m.asOf, m.err = h, asOf, nil
}

// Wait returns when there is a first copy, or when ctx ends.
func (m *Mirror) Wait(ctx context.Context) error {
	select {
	case <-m.ready:
		return nil
	case <-ctx.Done():
		m.mu.RLock()
		defer m.mu.RUnlock()
		return errors.Join(ErrStale, m.err, ctx.Err())
	}
}

// Age is how old the copy is; ok is false as long as there is none. The error
// is why the watch ended that the copy is from, nil while it goes on.
func (m *Mirror) Age() (age time.Duration, ok bool, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.held == nil {
		return 0, false, m.err
	}
	return time.Since(m.asOf), true, m.err
}

// fresh returns the copy. m.mu is held.
func (m *Mirror) fresh(now time.Time) (*held, error) {
	if m.held == nil || now.Sub(m.asOf) > MaxAge {
		return nil, ErrStale
	}
	return m.held, nil
}

// Get returns the record at key, or ErrNotFound, ErrCorrupt, ErrStale. The
// value must not be changed.
func (m *Mirror) Get(key Key) (Record, error) {
	if !m.wants(key) {
		return Record{}, fmt.Errorf("%w: %s is not of this mirror", ErrStale, key)
	}
	now := time.Now()
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, err := m.fresh(now)
	if err != nil {
		return Record{}, err
	}
	return h.get(key, now)
}

// Empty tells that the mirror has no record at all. The error is ErrStale.
func (m *Mirror) Empty() (bool, error) {
	now := time.Now()
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, err := m.fresh(now)
	return err == nil && len(h.records) == 0, err
}

// List returns the records below prefix, ordered by key. The error is
// ErrStale, or ErrCorrupt when nothing can be read of one of them. Values must
// not be changed.
func (m *Mirror) List(prefix Key) ([]Record, error) {
	now := time.Now()
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, err := m.fresh(now)
	if err != nil {
		return nil, err
	}
	return h.list(prefix, now)
}
