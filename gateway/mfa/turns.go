package mfa

import (
	"context"
	"errors"
	"time"

	"stsgate/gateway/state"
)

// atStore is how many requests are at the store at a time. Those of a burst
// wait in line for it: were all there at once, none would be answered within
// its deadline (FAIL-02). A store that needs 10 ms for a write answers so many
// in time.
const atStore = 16

// patience is how long a request waits in line whose client waits for nothing
// else.
const patience = 5 * time.Second

// turns are the places at the store.
type turns chan struct{}

var errLine = errors.New("the line of requests that wait for the store is too long")

// turn waits until a request may go to the store, at most until end. done must
// be called unless it fails. Whoever waited is told at once that the store does
// not answer any more, so that the line does not wait for it one by one.
func (s *Service) turn(ctx context.Context, end time.Time) (done func(), err error) {
	done = func() { <-s.turns }
	select {
	case s.turns <- struct{}{}:
		return done, nil
	default:
	}
	ctx, stop := context.WithDeadline(ctx, end)
	defer stop()
	select {
	case s.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, errors.Join(state.ErrUnavailable, errLine, ctx.Err())
	}
	if err := s.Ready(); err != nil {
		done()
		return nil, err
	}
	return done, nil
}
