package mfa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
)

// update changes one record, whoever else does at the same time. change gets
// its value, the zero T when there is none, changes it in place and says for how
// long to keep it; its error ends the update and is returned as it is.
func update[T any](ctx context.Context, s state.Store, key state.Key, change func(v *T, there bool) (keep time.Duration, err error)) error {
	ctx, done := context.WithTimeout(ctx, state.Deadline)
	defer done()
	for wait := time.Duration(0); ; wait = min(2*wait+time.Millisecond, 20*time.Millisecond) {
		v, revision, err := read[T](ctx, s, key)
		if err != nil {
			return err
		}
		keep, err := change(&v, revision > 0)
		if err != nil {
			return err
		}
		err = write(ctx, s, key, revision, &v, keep)
		if err == nil {
			return nil
		}
		if !errors.Is(err, state.ErrConflict) && !errors.Is(err, state.ErrExists) {
			return fmt.Errorf("write %s: %w", key, err)
		}
		if err := pause(ctx, wait); err != nil { // a read may be older than what the write met
			return fmt.Errorf("write %s: %w", key, err)
		}
	}
}

// pause returns after a while. It is an error that ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	over, stop := context.WithTimeout(ctx, d)
	defer stop()
	<-over.Done()
	if err := ctx.Err(); err != nil {
		return errors.Join(state.ErrUnavailable, err)
	}
	return nil
}

// read returns the value at key and its revision, 0 when there is none.
func read[T any](ctx context.Context, s state.Store, key state.Key) (v T, revision uint64, err error) {
	r, err := s.Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) {
		return v, 0, nil
	}
	if err != nil {
		return v, 0, fmt.Errorf("read %s: %w", key, err)
	}
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return v, 0, fmt.Errorf("read %s: %w: %w", key, state.ErrCorrupt, err)
	}
	return v, r.Revision, nil
}

func write(ctx context.Context, s state.Store, key state.Key, revision uint64, v any, keep time.Duration) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if revision == 0 {
		_, err = s.Create(ctx, key, value, keep)
	} else {
		_, err = s.CompareAndSwap(ctx, key, revision, value, keep)
	}
	return err
}

// down refuses because the store did not do what it was asked, or nobody knows.
func down(err error) error {
	if _, ok := errors.AsType[*refusal.Refusal](err); ok {
		return err
	}
	return &refusal.Refusal{Reason: refusal.StateDown, Err: err}
}
