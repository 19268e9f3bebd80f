package statetest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"stsgate/gateway/state"
)

// A Fault is what becomes of a call.
type Fault uint8

const (
	// None lets it through.
	None Fault = iota
	// Fail refuses it: nothing is written.
	Fail
	// FailPersisted makes a write and says that its outcome is unknown. Reads
	// fail.
	FailPersisted
	// FailLost says the same of a write and does not make it.
	FailLost
)

// Faulty is a Store that fails on demand.
type Faulty struct {
	state.Store

	mu   sync.Mutex
	next func(op string, key state.Key) Fault
}

// Break makes every call ask next, which may be nil, what becomes of it. The
// op is get, create, swap, delete, list or watch.
func (f *Faulty) Break(next func(op string, key state.Key) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = next
}

func (f *Faulty) fault(op string, key state.Key) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		return None
	}
	return f.next(op, key)
}

var errInjected = errors.New("injected")

// write does what becomes of a write.
func (f *Faulty) write(op string, key state.Key, do func() (uint64, error)) (uint64, error) {
	switch f.fault(op, key) {
	case Fail:
		return 0, errors.Join(state.ErrUnavailable, errInjected)
	case FailLost:
		return 0, errors.Join(state.ErrUnknown, errInjected)
	case FailPersisted:
		if _, err := do(); err != nil {
			return 0, err
		}
		return 0, errors.Join(state.ErrUnknown, errInjected)
	}
	return do()
}

func (f *Faulty) read(op string, key state.Key) error {
	if f.fault(op, key) != None {
		return errors.Join(state.ErrUnavailable, errInjected)
	}
	return nil
}

// Get implements state.Store.
func (f *Faulty) Get(ctx context.Context, key state.Key) (state.Record, error) {
	if err := f.read("get", key); err != nil {
		return state.Record{}, err
	}
	return f.Store.Get(ctx, key)
}

// Create implements state.Store.
func (f *Faulty) Create(ctx context.Context, key state.Key, value []byte, ttl time.Duration) (uint64, error) {
	return f.write("create", key, func() (uint64, error) { return f.Store.Create(ctx, key, value, ttl) })
}

// CompareAndSwap implements state.Store.
func (f *Faulty) CompareAndSwap(ctx context.Context, key state.Key, revision uint64, value []byte, ttl time.Duration) (uint64, error) {
	return f.write("swap", key, func() (uint64, error) { return f.Store.CompareAndSwap(ctx, key, revision, value, ttl) })
}

// Delete implements state.Store.
func (f *Faulty) Delete(ctx context.Context, key state.Key, revision uint64) error {
	_, err := f.write("delete", key, func() (uint64, error) { return 0, f.Store.Delete(ctx, key, revision) })
	return err
}

// List implements state.Store.
func (f *Faulty) List(ctx context.Context, prefix state.Key) ([]state.Record, error) {
	if err := f.read("list", prefix); err != nil {
		return nil, err
	}
	return f.Store.List(ctx, prefix)
}

// Watch implements state.Store. It asks for every event, and ends at the first
// that fails.
func (f *Faulty) Watch(ctx context.Context, prefix state.Key) iter.Seq2[state.Event, error] {
	return func(yield func(state.Event, error) bool) {
		for e, err := range f.Store.Watch(ctx, prefix) {
			if err == nil {
				err = f.read("watch", prefix)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
