package guard_test

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"stsgate/gateway/state"
)

// A broken is a Store that can fail.
type broken struct {
	state.Store
	writes, watches atomic.Bool
	lag             time.Duration // of what watches tell
}

func (b *broken) Create(ctx context.Context, k state.Key, v []byte, ttl time.Duration) (uint64, error) {
	if b.writes.Load() {
		return 0, state.ErrUnavailable
	}
	return b.Store.Create(ctx, k, v, ttl)
}

func (b *broken) CompareAndSwap(ctx context.Context, k state.Key, revision uint64, v []byte, ttl time.Duration) (uint64, error) {
	if b.writes.Load() {
		return 0, state.ErrUnavailable
	}
	return b.Store.CompareAndSwap(ctx, k, revision, v, ttl)
}

func (b *broken) Watch(ctx context.Context, prefix state.Key) iter.Seq2[state.Event, error] {
	return func(yield func(state.Event, error) bool) {
		for e, err := range b.Store.Watch(ctx, prefix) {
			if time.Sleep(b.lag); b.watches.Load() {
				yield(state.Event{}, state.ErrUnavailable)
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
