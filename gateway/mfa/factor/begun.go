package factor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"stsgate/gateway/state"
)

// A beginning is what was begun and waits for its end: it expires, and ends once.
type beginning[T any] struct {
	store    state.Store
	key      state.Key
	revision uint64
	value    T
}

// spent is the value of a beginning that ended. The record stays until it
// expires, so that nothing brings back the one before it.
const spent = "spent"

// begin remembers value for a while under a new id, for one use of it and one user.
func begin(ctx context.Context, s state.Store, use, user string, value any, last time.Duration) (id string, err error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	id = rand.Text()
	k := state.Sessions.Key("factor-"+use, user, id)
	if _, err := s.Create(ctx, k, text, last); err != nil {
		return "", down(k, err)
	}
	return id, nil
}

// begun returns what begin remembered, or ErrOver.
func begun[T any](ctx context.Context, s state.Store, use, user, id string) (*beginning[T], error) {
	k := state.Sessions.Key("factor-"+use, user, id)
	if k.Check() != nil {
		return nil, ErrOver
	}
	r, err := s.Get(ctx, k)
	if errors.Is(err, state.ErrNotFound) || err == nil && string(r.Value) == spent {
		return nil, ErrOver
	}
	if err != nil {
		return nil, down(k, err)
	}
	b := &beginning[T]{store: s, key: k, revision: r.Revision}
	if err := json.Unmarshal(r.Value, &b.value); err != nil {
		return nil, down(k, err)
	}
	return b, nil
}

// end spends the beginning. Of all that end it, one does not get ErrOver.
func (b *beginning[T]) end(ctx context.Context) error {
	_, err := b.store.CompareAndSwap(ctx, b.key, b.revision, []byte(spent), time.Second)
	if errors.Is(err, state.ErrConflict) {
		return ErrOver
	}
	if err != nil {
		return down(b.key, err)
	}
	return nil
}
