package statetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"stsgate/gateway/state"
)

// late is how much later than its ttl a record may go, with what a busy
// machine adds.
const late = 2*time.Second + 3*time.Second

// gone waits until the record is, and returns how long after start that was.
func gone(t *testing.T, s state.Store, k state.Key, start time.Time) time.Duration {
	t.Helper()
	for {
		_, err := s.Get(t.Context(), k)
		took := time.Since(start)
		if errors.Is(err, state.ErrNotFound) {
			return took
		}
		if err != nil {
			t.Fatal(err)
		}
		if took > 30*time.Second {
			t.Fatalf("%s is there after %s", k, took)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func between(t *testing.T, what string, got, ttl time.Duration) {
	t.Helper()
	if got < ttl || got > ttl+late {
		t.Errorf("%s: gone after %s, want %s to %s", what, got, ttl, ttl+late)
	}
}

func expiry(t *testing.T, doors []state.Store) {
	ctx, s := patient(t), doors[0]
	other := doors[len(doors)-1]
	k := key(t, state.Marks)
	start := time.Now()
	first := must(s.Create(ctx, k, nil, 1100*time.Millisecond))(t) // 2 s
	between(t, "a record", gone(t, other, k, start), 2*time.Second)
	_, err := s.CompareAndSwap(ctx, k, first, nil, hour)
	fails(t, "swap of what expired", err, state.ErrConflict)
	fails(t, "delete of what expired", s.Delete(ctx, k, first), state.ErrConflict)
	again, err := s.Create(ctx, k, nil, hour)
	for ; errors.Is(err, state.ErrExists) && time.Since(start) < 2*time.Second+late; again, err = s.Create(ctx, k, nil, hour) {
		<-time.After(20 * time.Millisecond)
	}
	if err != nil || again <= first {
		t.Errorf("created anew: revision %d after %d, %v", again, first, err)
	}
}

// swapRenews holds a swap to its own ttl while the first one passes.
func swapRenews(t *testing.T, doors []state.Store) {
	ctx, s, k, marker := patient(t), doors[0], key(t, state.Counters), key(t, state.Marks)
	revision := must(s.Create(ctx, k, nil, time.Second))(t)
	revision = must(s.CompareAndSwap(ctx, k, revision, []byte("renewed"), hour))(t)
	start := time.Now()
	must(s.Create(ctx, marker, nil, 3*time.Second))(t)
	gone(t, s, marker, start)
	if r := must(s.Get(ctx, k))(t); r.Revision != revision || string(r.Value) != "renewed" {
		t.Errorf("got %q, revision %d, want revision %d", r.Value, r.Revision, revision)
	}
}

// swapExpires finds a store whose swaps drop the ttl.
func swapExpires(t *testing.T, doors []state.Store) {
	ctx, s, k := patient(t), doors[0], key(t, state.Counters)
	revision := must(s.Create(ctx, k, nil, time.Second))(t)
	var start time.Time
	for i := range 3 {
		start = time.Now()
		revision = must(s.CompareAndSwap(ctx, k, revision, []byte(fmt.Sprint(i)), 2*time.Second))(t)
	}
	between(t, "a swapped record", gone(t, s, k, start), 2*time.Second)
}

// swapLasts holds a swap to the life of what it replaces, through another door
// and from a revision of any origin.
func swapLasts(t *testing.T, doors []state.Store) {
	ctx, s, other := patient(t), doors[0], doors[len(doors)-1]
	k := key(t, state.Approvals)
	revision := must(s.Create(ctx, k, nil, hour))(t)
	end := must(s.Get(ctx, k))(t).Expires
	for _, door := range []state.Store{other, s} {
		revision = must(door.CompareAndSwap(ctx, k, revision, []byte("spent"), time.Second))(t)
		if r := must(s.Get(ctx, k))(t); r.Expires.Before(end) || r.Expires.After(end.Add(10*time.Second)) {
			t.Errorf("expires at %s, want %s, as what it replaced", r.Expires, end)
		}
	}
}
