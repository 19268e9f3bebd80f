package statetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"stsgate/gateway/state"
)

// A watching reads a watch and remembers what it was told.
type watching struct {
	events chan state.Event
	failed chan error
}

func watch(t *testing.T, s state.Store, prefix state.Key) *watching {
	w := &watching{make(chan state.Event, 4096), make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range s.Watch(ctx, prefix) {
			if err != nil {
				w.failed <- err
				return
			}
			w.events <- e
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// next returns the next event that is not Current.
func (w *watching) next(t *testing.T) state.Event {
	t.Helper()
	for {
		if e := w.any(t); e.Kind != state.Current {
			return e
		}
	}
}

func (w *watching) any(t *testing.T) state.Event {
	t.Helper()
	select {
	case e := <-w.events:
		return e
	case err := <-w.failed:
		t.Fatal(err)
	case <-time.After(20 * time.Second):
		t.Fatal("the watch tells nothing for 20 s")
	}
	panic("unreachable")
}

func watchLoads(t *testing.T, doors []state.Store) {
	ctx, s := patient(t), doors[0]
	revisions := map[string]uint64{}
	for _, name := range []string{"a", "b", "c", "gone"} {
		revisions[name] = must(s.Create(ctx, key(t, state.Locks, "in", name), []byte(name), hour))(t)
	}
	must(s.Create(ctx, key(t, state.Locks, "out", "x"), nil, hour))(t)
	revisions["a"] = must(s.CompareAndSwap(ctx, key(t, state.Locks, "in", "a"), revisions["a"], []byte("a"), hour))(t)
	if err := s.Delete(ctx, key(t, state.Locks, "in", "gone"), revisions["gone"]); err != nil {
		t.Fatal(err)
	}
	delete(revisions, "gone")
	w := watch(t, doors[len(doors)-1], key(t, state.Locks, "in"))
	var last uint64
	for {
		e := w.any(t)
		if e.Kind == state.Gone {
			continue // what is not there may be told as gone
		}
		if e.Kind == state.Current {
			break
		}
		name := string(e.Record.Value)
		if e.Kind != state.Put || e.Record.Revision != revisions[name] || e.Record.Key != key(t, state.Locks, "in", name) {
			t.Fatalf("told %+v, want a Put with revision %d", e, revisions[name])
		}
		if e.Record.Revision <= last {
			t.Errorf("revision %d after %d", e.Record.Revision, last)
		}
		lives(t, e.Record, hour)
		last = e.Record.Revision
		delete(revisions, name)
	}
	if len(revisions) != 0 {
		t.Errorf("was not told of %v before it was current", revisions)
	}
}

func watchOrder(t *testing.T, doors []state.Store) {
	ctx, s := patient(t), doors[0]
	w := watch(t, doors[len(doors)-1], key(t, state.Grants))
	for e := w.any(t); e.Kind != state.Current; e = w.any(t) {
		t.Errorf("told %+v of an empty prefix", e)
	}
	k := key(t, state.Grants, "a")
	var revision uint64
	for round := range 20 {
		value := []byte(fmt.Sprint(round))
		if revision = must(s.Create(ctx, k, value, hour))(t); !told(w.next(t), state.Put, k, revision, value) {
			t.Fatalf("round %d: the creation was not told", round)
		}
		if revision = must(s.CompareAndSwap(ctx, k, revision, value, hour))(t); !told(w.next(t), state.Put, k, revision, value) {
			t.Fatalf("round %d: the swap was not told", round)
		}
		if err := s.Delete(ctx, k, revision); err != nil {
			t.Fatal(err)
		}
		if e := w.next(t); e.Kind != state.Gone || e.Record.Key != k {
			t.Fatalf("round %d: told %+v, want that the record is gone", round, e)
		}
	}
	// Changes that nobody waits for come in order, too.
	for i := range 200 {
		must(s.Create(ctx, key(t, state.Grants, "many", fmt.Sprint(i)), nil, hour))(t)
	}
	for i := range 200 {
		if e := w.next(t); e.Record.Key != key(t, state.Grants, "many", fmt.Sprint(i)) || e.Record.Revision <= revision {
			t.Fatalf("change %d: told %+v after revision %d", i, e, revision)
		} else {
			revision = e.Record.Revision
		}
	}
}

func told(e state.Event, kind state.Kind, k state.Key, revision uint64, value []byte) bool {
	return e.Kind == kind && e.Record.Key == k && e.Record.Revision == revision && string(e.Record.Value) == string(value)
}

// watchCurrent holds a watch to what Current promises: everything that was
// acknowledged before AsOf has been told, and AsOf goes on.
func watchCurrent(t *testing.T, doors []state.Store) {
	ctx := patient(t)
	w := watch(t, doors[0], key(t, state.Bans))
	acked := map[state.Key]time.Time{} // when a Create had returned
	var last time.Time
	for round := range 8 {
		for i := range 10 {
			k := key(t, state.Bans, fmt.Sprint(round), fmt.Sprint(i))
			must(doors[i%len(doors)].Create(ctx, k, nil, 0))(t)
			acked[k] = time.Now()
		}
		for e := w.any(t); e.Kind != state.Current || !e.AsOf.After(last); e = w.any(t) {
			delete(acked, e.Record.Key)
			if e.Kind == state.Current {
				outdated(t, acked, e.AsOf)
			}
			last = later(last, e.AsOf)
		}
	}
	// It is told again and again when nothing changes, and is not old.
	for range 4 {
		e := w.any(t)
		for e.Kind != state.Current {
			delete(acked, e.Record.Key)
			e = w.any(t)
		}
		outdated(t, acked, e.AsOf)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// outdated fails for records that were acknowledged before asOf and not told.
func outdated(t *testing.T, acked map[state.Key]time.Time, asOf time.Time) {
	t.Helper()
	for k, at := range acked {
		if at.Before(asOf) {
			t.Errorf("current as of %s, but %s, acknowledged %s earlier, was not told", asOf, k, asOf.Sub(at))
		}
	}
}

func watchEnds(t *testing.T, doors []state.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	var got error
	for e, err := range doors[0].Watch(ctx, key(t, state.Locks)) {
		if err != nil {
			got = err
			continue // there must be nothing after it
		}
		if got != nil {
			t.Fatal("the watch went on after its error")
		}
		if e.Kind == state.Current {
			cancel()
		}
	}
	cancel()
	if !errors.Is(got, state.ErrUnavailable) {
		t.Errorf("a watch that was cancelled ended with %v", got)
	}
	for e, err := range doors[0].Watch(t.Context(), key(t, state.Locks)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == state.Current {
			break
		}
	}
}
