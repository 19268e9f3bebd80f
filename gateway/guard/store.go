package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stsgate/gateway/state"
)

// A change makes a record's next value from its last, nil for none, and says
// for how long to keep it.
type change func(value []byte) (next []byte, keep time.Duration, err error)

// update changes one record, whoever else does at the same time. It begins
// with the record that is thought to be there, whose revision is 0 when that is
// none.
func (g *Guard) update(ctx context.Context, thought state.Record, c change) (state.Record, error) {
	ctx, done := state.Bound(ctx)
	defer done()
	r := thought
	for wait := time.Duration(0); ; wait = min(2*wait+time.Millisecond, 20*time.Millisecond) {
		next, keep, err := c(r.Value)
		if err != nil {
			return state.Record{}, fmt.Errorf("%s: %w", r.Key, err)
		}
		revision, err := g.write(ctx, r, next, keep)
		if err == nil {
			return state.Record{Key: r.Key, Value: next, Revision: revision}, nil
		}
		if !errors.Is(err, state.ErrConflict) && !errors.Is(err, state.ErrExists) {
			return state.Record{}, fmt.Errorf("write %s: %w", r.Key, err)
		}
		if r, err = g.read(ctx, r); err != nil {
			return state.Record{}, err
		}
		select {
		case <-ctx.Done():
			return state.Record{}, fmt.Errorf("write %s: %w: %w", r.Key, state.ErrUnavailable, ctx.Err())
		case <-time.After(wait): // a read may be older than what the write met
		}
	}
}

func (g *Guard) write(ctx context.Context, r state.Record, next []byte, keep time.Duration) (uint64, error) {
	if r.Revision == 0 {
		return g.store.Create(ctx, r.Key, next, keep)
	}
	return g.store.CompareAndSwap(ctx, r.Key, r.Revision, next, keep)
}

func (g *Guard) read(ctx context.Context, old state.Record) (state.Record, error) {
	r, err := g.store.Get(ctx, old.Key)
	if errors.Is(err, state.ErrNotFound) {
		return state.Record{Key: old.Key}, nil
	}
	if err != nil {
		return state.Record{}, fmt.Errorf("read %s: %w", old.Key, err)
	}
	return r, nil
}

// found is what a mirror has at key; the record has revision 0 when there is none.
func found(m *state.Mirror, key state.Key) (state.Record, error) {
	r, err := m.Get(key)
	if errors.Is(err, state.ErrNotFound) {
		return state.Record{Key: key}, nil
	}
	if err != nil {
		return state.Record{}, fmt.Errorf("%s: %w", key, err)
	}
	return r, nil
}
