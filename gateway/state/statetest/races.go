package statetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stsgate/gateway/state"
)

// Racers is how many try for each key at once.
const Racers = 16

func createOnce(t *testing.T, doors []state.Store) { CreateOnce(t, doors, 50) }

// CreateOnce lets 16 racers, spread over all doors, create each of n keys
// (STATE-05): exactly one of them does, and the record is the winner's.
func CreateOnce(t *testing.T, doors []state.Store, n int) {
	ctx := patientFor(t, n)
	for i := range n {
		k := key(t, state.Marks, fmt.Sprint(i))
		winner := race(t, func(racer int) error {
			_, err := doors[racer%len(doors)].Create(ctx, k, []byte(fmt.Sprint(racer)), hour)
			return err
		}, state.ErrExists)
		if r := must(doors[0].Get(ctx, k))(t); string(r.Value) != fmt.Sprint(winner) {
			t.Fatalf("%s: racer %d won, the record is of racer %s", k, winner, r.Value)
		}
	}
}

// swapOnce lets 16 racers spend the same revision.
func swapOnce(t *testing.T, doors []state.Store) {
	ctx, k := patientFor(t, 50), key(t, state.Approvals)
	revision := must(doors[0].Create(ctx, k, nil, hour))(t)
	for range 50 {
		winner := race(t, func(racer int) error {
			_, err := doors[racer%len(doors)].CompareAndSwap(ctx, k, revision, []byte(fmt.Sprint(racer)), hour)
			return err
		}, state.ErrConflict)
		r := must(doors[0].Get(ctx, k))(t)
		if string(r.Value) != fmt.Sprint(winner) || r.Revision <= revision {
			t.Fatalf("racer %d won, the record is of racer %s, revision %d after %d", winner, r.Value, r.Revision, revision)
		}
		revision = r.Revision
	}
}

// race starts all racers at once and returns the only one without an error.
// The others must have lost.
func race(t *testing.T, try func(racer int) error, lost error) (winner int) {
	t.Helper()
	var wins atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for racer := range Racers {
		wg.Go(func() {
			<-start
			if err := try(racer); err == nil {
				wins.Add(1)
				winner = racer
			} else if !errors.Is(err, lost) {
				t.Errorf("racer %d: %v", racer, err)
			}
		})
	}
	close(start)
	wg.Wait()
	if got := wins.Load(); got != 1 {
		t.Fatalf("%d winners, want one", got)
	}
	return winner
}

// patientFor leaves a second for each key on a busy machine.
func patientFor(t *testing.T, n int) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Second)
	t.Cleanup(cancel)
	return ctx
}
