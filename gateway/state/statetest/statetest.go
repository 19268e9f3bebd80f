// Package statetest is the contract of state.Store as tests, and a Store that
// fails on demand.
package statetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"stsgate/gateway/state"
)

// A Case is one clause of the contract. Run gets one or more Stores that share
// their records, as gateways of one service do, and keys of its own.
type Case struct {
	Name string
	Run  func(t *testing.T, doors []state.Store)
	Slow bool // waits for records to expire
}

// Cases returns the contract. Tests of a Store whose clock is the test's call
// each case in a bubble; others call Run.
func Cases() []Case {
	return []Case{
		{Name: "create", Run: create},
		{Name: "compare and swap", Run: compareAndSwap},
		{Name: "delete", Run: remove},
		{Name: "create has one winner", Run: createOnce},
		{Name: "swap has one winner", Run: swapOnce},
		{Name: "list", Run: list},
		{Name: "keys of any text", Run: anyText},
		{Name: "values are the caller's", Run: ownValues},
		{Name: "limits", Run: limits},
		{Name: "deadline", Run: deadline},
		{Name: "watch tells what is there", Run: watchLoads},
		{Name: "watch tells changes in order", Run: watchOrder},
		{Name: "watch knows its age", Run: watchCurrent},
		{Name: "watch ends", Run: watchEnds},
		{Name: "swap lasts as long", Run: swapLasts},
		{Name: "expiry", Run: expiry, Slow: true},
		{Name: "swap renews the ttl", Run: swapRenews, Slow: true},
		{Name: "swap keeps a ttl", Run: swapExpires, Slow: true},
	}
}

// Run runs the contract, cases side by side. Each gets what open returns;
// records of other cases may be in it.
func Run(t *testing.T, open func(t *testing.T) []state.Store) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if c.Slow && testing.Short() {
				t.Skip("waits for records to expire")
			}
			c.Run(t, open(t))
		})
	}
}

// must is for calls that have to succeed.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func fails(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got error %v, want %v", what, err, want)
	}
}

// patient is a context for calls whose speed is not what is tested.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// key is one that no other case has.
func key(t *testing.T, b state.Bucket, parts ...string) state.Key {
	return b.Key(append([]string{t.Name()}, parts...)...)
}

const hour = time.Hour

func create(t *testing.T, doors []state.Store) {
	ctx, k := patient(t), key(t, state.Marks, "a")
	for i, s := range doors {
		_, err := s.Get(ctx, k)
		fails(t, fmt.Sprint("get of nothing through door ", i), err, state.ErrNotFound)
	}
	revision := must(doors[0].Create(ctx, k, []byte("first"), hour))(t)
	if revision == 0 {
		t.Fatal("revision 0")
	}
	for i, s := range doors {
		_, err := s.Create(ctx, k, []byte("second"), hour)
		fails(t, fmt.Sprint("second create through door ", i), err, state.ErrExists)
		r := must(s.Get(ctx, k))(t)
		if string(r.Value) != "first" || r.Key != k || r.Revision != revision {
			t.Fatalf("got %q at %s, revision %d, want the first value, revision %d", r.Value, r.Key, r.Revision, revision)
		}
		lives(t, r, hour)
	}
	standing := key(t, state.Bans, "for ever")
	must(doors[0].Create(ctx, standing, nil, 0))(t)
	if r := must(doors[0].Get(ctx, standing))(t); !r.Expires.IsZero() || len(r.Value) != 0 {
		t.Errorf("a standing record expires at %s, value %q", r.Expires, r.Value)
	}
}

// lives holds a record to its ttl; a store may round once more than it has to.
func lives(t *testing.T, r state.Record, ttl time.Duration) {
	t.Helper()
	if life := r.Expires.Sub(r.Written); life < ttl || life > ttl+2*time.Second {
		t.Errorf("%s expires after %s, want %s", r.Key, life, ttl)
	}
}

func compareAndSwap(t *testing.T, doors []state.Store) {
	ctx, k := patient(t), key(t, state.Counters)
	s, other := doors[0], doors[len(doors)-1]
	_, err := s.CompareAndSwap(ctx, k, 1, nil, hour)
	fails(t, "swap of nothing", err, state.ErrConflict)
	first := must(s.Create(ctx, k, []byte("1"), hour))(t)
	second := must(other.CompareAndSwap(ctx, k, first, []byte("2"), hour))(t)
	if second <= first {
		t.Fatalf("revision %d after %d", second, first)
	}
	_, err = s.CompareAndSwap(ctx, k, first, []byte("3"), hour)
	fails(t, "swap of an old revision", err, state.ErrConflict)
	_, err = s.CompareAndSwap(ctx, k, second+1, []byte("3"), hour)
	fails(t, "swap of a revision to come", err, state.ErrConflict)
	if r := must(other.Get(ctx, k))(t); string(r.Value) != "2" || r.Revision != second {
		t.Fatalf("got %q, revision %d, want 2, revision %d", r.Value, r.Revision, second)
	}
}

func remove(t *testing.T, doors []state.Store) {
	ctx, k := patient(t), key(t, state.Grants)
	s, other := doors[0], doors[len(doors)-1]
	fails(t, "delete of nothing", s.Delete(ctx, k, 1), state.ErrConflict)
	first := must(s.Create(ctx, k, []byte("1"), hour))(t)
	fails(t, "delete of another revision", other.Delete(ctx, k, first+1), state.ErrConflict)
	if err := other.Delete(ctx, k, first); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(ctx, k)
	fails(t, "get of what was deleted", err, state.ErrNotFound)
	fails(t, "second delete", s.Delete(ctx, k, first), state.ErrConflict)
	_, err = s.CompareAndSwap(ctx, k, first, nil, hour)
	fails(t, "swap of what was deleted", err, state.ErrConflict)
	if all := must(s.List(ctx, state.Grants.Key(t.Name())))(t); len(all) != 0 {
		t.Errorf("the list has %d records", len(all))
	}
	again := must(s.Create(ctx, k, []byte("2"), hour))(t)
	if again <= first {
		t.Errorf("revision %d after %d", again, first)
	}
	if r := must(other.Get(ctx, k))(t); string(r.Value) != "2" {
		t.Errorf("got %q, want 2", r.Value)
	}
}

func list(t *testing.T, doors []state.Store) {
	ctx, s := patient(t), doors[0]
	for _, parts := range [][]string{{"b"}, {"a", "2"}, {"a", "1"}, {"ab"}, {"a"}, {"a", "1", "x"}} {
		must(s.Create(ctx, key(t, state.Enrolments, parts...), []byte(fmt.Sprint(parts)), 0))(t)
	}
	for _, c := range []struct {
		below []string
		want  []string
	}{
		{nil, []string{"[a]", "[a 1]", "[a 1 x]", "[a 2]", "[ab]", "[b]"}},
		{[]string{"a"}, []string{"[a 1]", "[a 1 x]", "[a 2]"}},
		{[]string{"a", "1"}, []string{"[a 1 x]"}},
		{[]string{"c"}, nil},
	} {
		var got []string
		for _, r := range must(doors[len(doors)-1].List(ctx, key(t, state.Enrolments, c.below...)))(t) {
			got = append(got, string(r.Value))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("below %v: got %v, want %v", c.below, got, c.want)
		}
	}
	whole := must(s.List(ctx, state.Enrolments.Key()))(t)
	if len(whole) < 6 {
		t.Errorf("the whole bucket has %d records, want at least 6", len(whole))
	}
}

func anyText(t *testing.T, doors []state.Store) {
	ctx, s := patient(t), doors[0]
	parts := []string{"", "a b", "*", ">", "a.b", "ä", "=20", "=", "\x00", "/beat", "$KV", "-_", "A", "a"}
	for _, p := range parts {
		must(s.Create(ctx, key(t, state.Locks, p), []byte(p), hour))(t)
	}
	for _, r := range must(s.List(ctx, key(t, state.Locks)))(t) {
		got := r.Key.Parts()
		if len(got) != 2 || got[1] != string(r.Value) {
			t.Errorf("the parts %q are of the key of %q", got, r.Value)
		}
		parts = slices.DeleteFunc(parts, func(p string) bool { return p == string(r.Value) })
	}
	if len(parts) != 0 {
		t.Errorf("the list has nothing of %q", parts)
	}
}

func ownValues(t *testing.T, doors []state.Store) {
	ctx, s, k := patient(t), doors[0], key(t, state.Sessions)
	value := []byte("abc")
	must(s.Create(ctx, k, value, hour))(t)
	value[0] = 'x'
	r := must(s.Get(ctx, k))(t)
	if string(r.Value) != "abc" {
		t.Fatalf("changing what was given changed the record: %q", r.Value)
	}
	r.Value[0] = 'y'
	if r := must(s.Get(ctx, k))(t); string(r.Value) != "abc" {
		t.Fatalf("changing what was got changed the record: %q", r.Value)
	}
}

func limits(t *testing.T, doors []state.Store) {
	ctx, s := patient(t), doors[0]
	largest := bytes.Repeat([]byte("x"), state.MaxValue)
	k := key(t, state.ACME, "largest")
	revision := must(s.Create(ctx, k, largest, 0))(t)
	if r := must(s.Get(ctx, k))(t); !bytes.Equal(r.Value, largest) {
		t.Errorf("the largest value came back with %d bytes", len(r.Value))
	}
	long := state.Marks.Key(string(bytes.Repeat([]byte("k"), state.MaxKey)))
	must(s.Create(ctx, long, nil, time.Second))(t)

	larger := append(largest, make([]byte, state.Overhead+1)...)
	for what, err := range map[string]error{
		"value":             second(s.Create(ctx, key(t, state.ACME, "larger"), larger, 0)),
		"value of a swap":   second(s.CompareAndSwap(ctx, k, revision, larger, 0)),
		"key":               second(s.Create(ctx, state.Marks.Key(long.Path()+"k"), nil, hour)),
		"no ttl":            second(s.Create(ctx, key(t, state.Marks, "a"), nil, 0)),
		"no ttl of a swap":  second(s.CompareAndSwap(ctx, key(t, state.Locks, "a"), 1, nil, 0)),
		"negative ttl":      second(s.Create(ctx, key(t, state.Locks, "a"), nil, -1)),
		"ttl of a standing": second(s.Create(ctx, key(t, state.Bans, "a"), nil, hour)),
		"bucket as a key":   second(s.Create(ctx, state.Bans.Key(), nil, 0)),
		"no bucket":         second(s.Create(ctx, state.Key{}, nil, hour)),
		"revision 0":        second(s.CompareAndSwap(ctx, k, 0, nil, 0)),
		"delete revision 0": s.Delete(ctx, k, 0),
		"get of a bucket":   second(s.Get(ctx, state.Bans.Key())),
	} {
		fails(t, what, err, state.ErrInvalid)
	}
	if r := must(s.Get(ctx, k))(t); r.Revision != revision {
		t.Error("a refused write changed the record")
	}
}

func second[T any](_ T, err error) error { return err }

// FAIL-02: a call whose time is over does nothing.
func deadline(t *testing.T, doors []state.Store) {
	s, k := doors[0], key(t, state.Approvals)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range map[string]error{
		"create": second(s.Create(over, k, nil, hour)),
		"swap":   second(s.CompareAndSwap(over, k, 1, nil, hour)),
		"delete": s.Delete(over, k, 1),
		"get":    second(s.Get(over, k)),
		"list":   second(s.List(over, key(t, state.Approvals))),
	} {
		fails(t, what, err, state.ErrUnavailable)
	}
	_, err := s.Get(patient(t), k)
	fails(t, "what was not created", err, state.ErrNotFound)
}
