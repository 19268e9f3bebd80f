package state_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
)

// mirror runs a mirror until the test ends.
func mirror(t *testing.T, s state.Store, b state.Bucket, of ...string) *state.Mirror {
	m := state.NewMirror(s, b, of...)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return m
}

func created(t *testing.T, s state.Store, k state.Key, value string, ttl time.Duration) uint64 {
	t.Helper()
	r, err := s.Create(t.Context(), k, []byte(value), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A mirror of a part has that part, and says of nothing else that it is not there.
func TestMirrorOfAPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.NewMemory(nil)
		created(t, s, state.Grants.Key("home-alice", "1"), "one", time.Hour)
		m := mirror(t, s, state.Grants, "home-", "away-")
		if err := m.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		created(t, s, state.Grants.Key("mfa-alice", "2"), "two", time.Hour)
		created(t, s, state.Grants.Key("away-alice", "3"), "three", time.Hour)
		time.Sleep(state.BeatInterval)
		if all, err := m.List(state.Grants.Key()); err != nil || len(all) != 2 {
			t.Errorf("got %v, %v, want what begins with home- and away-", all, err)
		}
		if _, err := m.Get(state.Grants.Key("mfa-alice", "2")); !errors.Is(err, state.ErrStale) {
			t.Errorf("of another part: %v, want ErrStale", err)
		}
	})
}

func TestMirrorFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.NewMemory(nil)
		a, b := state.Grants.Key("alice", "1"), state.Grants.Key("alice", "2")
		revision := created(t, s, a, "one", time.Hour)
		m := mirror(t, s, state.Grants)
		if _, err := m.Get(a); !errors.Is(err, state.ErrStale) {
			t.Errorf("before there is a copy: %v, want ErrStale", err)
		}
		if _, err := m.Empty(); !errors.Is(err, state.ErrStale) {
			t.Errorf("empty before there is a copy: %v, want ErrStale", err)
		}
		if err := m.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, v := range []struct {
			m    *state.Mirror
			want bool
		}{{m, false}, {mirror(t, s, state.Locks), true}} {
			_ = v.m.Wait(t.Context())
			if empty, err := v.m.Empty(); err != nil || empty != v.want {
				t.Errorf("empty: got %v, %v, want %v", empty, err, v.want)
			}
		}
		if r, err := m.Get(a); err != nil || string(r.Value) != "one" {
			t.Errorf("got %q, %v", r.Value, err)
		}
		if _, err := s.CompareAndSwap(t.Context(), a, revision, []byte("two"), time.Hour); err != nil {
			t.Fatal(err)
		}
		created(t, s, b, "other", time.Hour)
		created(t, s, state.Grants.Key("alicea", "3"), "", time.Hour)
		created(t, s, state.Bans.Key("alice", "1"), "", 0)
		synctest.Wait()
		if r, err := m.Get(a); err != nil || string(r.Value) != "two" {
			t.Errorf("after a swap: got %q, %v", r.Value, err)
		}
		all, err := m.List(state.Grants.Key("alice"))
		if err != nil || len(all) != 2 || string(all[1].Value) != "other" {
			t.Errorf("the list has %d records, error %v", len(all), err)
		}
		if whole, err := m.List(state.Grants.Key()); err != nil || len(whole) != 3 {
			t.Errorf("the whole list has %d records, error %v", len(whole), err)
		}
		if _, err := m.Get(state.Bans.Key("alice", "1")); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("a key of another bucket: %v", err)
		}
		if err := s.Delete(t.Context(), b, all[1].Revision); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := m.Get(b); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("after a delete: %v", err)
		}
	})
}

// Records expire in the mirror to the moment, without a word from the store.
func TestMirrorExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.NewMemory(nil)
		m := mirror(t, s, state.Locks)
		k := state.Locks.Key("alice")
		revision := created(t, s, k, "", 10*time.Second)
		<-time.After(9 * time.Second)
		if _, err := s.CompareAndSwap(t.Context(), k, revision, nil, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		<-time.After(10*time.Second - 1)
		if _, err := m.Get(k); err != nil {
			t.Errorf("a moment too early: %v", err)
		}
		<-time.After(1)
		if _, err := m.Get(k); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("after its time: %v", err)
		}
		if all, err := m.List(state.Locks.Key()); err != nil || len(all) != 0 {
			t.Errorf("after its time the list has %d records, error %v", len(all), err)
		}
		<-time.After(3 * time.Second)
		if n := m.Len(); n != 0 {
			t.Errorf("%d records are held when all have expired", n)
		}
	})
}

// A copy that is more than a second old answers nothing; when the store is
// back, it answers again, with what it missed.
func TestMirrorIsClosedWhenStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &statetest.Faulty{Store: state.NewMemory(nil)}
		m := mirror(t, f, state.Bans)
		k := state.Bans.Key("mallory")
		revision := created(t, f, k, "", 0)
		<-time.After(time.Second)
		f.Break(func(op string, _ state.Key) statetest.Fault {
			if op == "watch" {
				return statetest.Fail
			}
			return statetest.None
		})
		<-time.After(state.MaxAge - state.BeatInterval - 10*time.Millisecond)
		if _, err := m.Get(k); err != nil {
			t.Errorf("less than a second old: %v", err)
		}
		<-time.After(state.BeatInterval + 20*time.Millisecond)
		for what, err := range map[string]error{"get": second(m.Get(k)), "get of nothing": second(m.Get(state.Bans.Key("x"))), "list": second(m.List(state.Bans.Key()))} {
			if !errors.Is(err, state.ErrStale) {
				t.Errorf("%s after a second: %v, want ErrStale", what, err)
			}
		}
		if age, ok, err := m.Age(); !ok || age < state.MaxAge || err == nil {
			t.Errorf("age %s, %t, error %v", age, ok, err)
		}
		if err := f.Delete(t.Context(), k, revision); err != nil {
			t.Fatal(err)
		}
		f.Break(nil)
		<-time.After(time.Second)
		if _, err := m.Get(k); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("after the store came back: %v, want ErrNotFound", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// A silent store is one whose watches say nothing after a while.
type silent struct {
	state.Store
	mute    atomic.Bool
	watches atomic.Int32
}

func (s *silent) Watch(ctx context.Context, prefix state.Key) iter.Seq2[state.Event, error] {
	s.watches.Add(1)
	return func(yield func(state.Event, error) bool) {
		for e, err := range s.Store.Watch(ctx, prefix) {
			if err == nil && s.mute.Load() {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// FAIL-02: a watch that hangs is left and begun again.
func TestMirrorLeavesASilentWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &silent{Store: state.NewMemory(nil)}
		m := mirror(t, s, state.Bans)
		<-time.After(time.Second)
		s.mute.Store(true)
		<-time.After(state.Silence + state.MaxAge)
		if got := s.watches.Load(); got < 2 {
			t.Errorf("%d watches in a long silence, want another one", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.Get(state.Bans.Key("a")); !errors.Is(err, state.ErrStale) {
			t.Errorf("get: %v", err)
		}
		if err := state.NewMirror(s, state.Bans).Wait(ctx); !errors.Is(err, state.ErrStale) {
			t.Errorf("wait for a mirror that nobody runs: %v", err)
		}
		s.mute.Store(false)
		<-time.After(state.Silence + state.MaxAge)
		if _, err := m.Get(state.Bans.Key("a")); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("get after the silence: %v", err)
		}
	})
}

// STATE-08: an old record that is put back is found, and a corrupt record is
// refused without hiding the others.
func TestMirrorFindsWhatWasPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := state.NewMemory(nil)
		keys := newKeys(t)
		s := state.Seal(below, keys)
		m := mirror(t, s, state.Locks)
		k, other := state.Locks.Key("alice"), state.Locks.Key("bob")
		created(t, s, other, "", time.Hour)
		revision := created(t, s, k, "first", time.Hour)
		for _, value := range []string{"old", "locked"} {
			var err error
			if revision, err = s.CompareAndSwap(t.Context(), k, revision, []byte(value), time.Hour); err != nil {
				t.Fatal(err)
			}
			if value == "old" {
				raw, err := below.Get(t.Context(), k)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					replace(t, below, k, raw.Value)
					synctest.Wait()
					if r, err := m.Get(k); !errors.Is(err, state.ErrCorrupt) {
						t.Errorf("an old record was put back: got %q, %v, want ErrCorrupt", r.Value, err)
					}
					if _, err := m.List(state.Locks.Key()); !errors.Is(err, state.ErrCorrupt) {
						t.Errorf("list: %v", err)
					}
					if _, err := m.Get(other); err != nil {
						t.Errorf("another record: %v", err)
					}
				}()
			}
		}
		synctest.Wait()
		if r, err := m.Get(k); err != nil || string(r.Value) != "locked" {
			t.Errorf("got %q, %v", r.Value, err)
		}
	})
}

func BenchmarkMirror(b *testing.B) {
	s := state.NewMemory(nil)
	var keys []state.Key
	for i := range 50_000 {
		k := state.Grants.Key(fmt.Sprintf("%08x-0000-4000-8000-000000000000", i), "payroll")
		if _, err := s.Create(b.Context(), k, make([]byte, 200), time.Hour); err != nil {
			b.Fatal(err)
		}
		keys = append(keys, k)
	}
	m := state.NewMirror(s, state.Grants)
	go m.Run(b.Context())
	if err := m.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			if _, err := m.Get(keys[i%len(keys)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get parallel", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			for i := 0; p.Next(); i++ {
				if _, err := m.Get(keys[i%len(keys)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("list of one user", func(b *testing.B) {
		for i := range b.N {
			if _, err := m.List(state.Grants.Key(keys[i%len(keys)].Parts()[0])); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, bucket := range []state.Bucket{state.Locks, state.Sessions} {
		m := state.NewMemory(nil)
		s := state.Seal(m, newKeys(b))
		k := bucket.Key("alice", "1")
		revision, err := s.Create(b.Context(), k, make([]byte, 300), time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bucket.String()+"/swap", func(b *testing.B) {
			for range b.N {
				if revision, err = s.CompareAndSwap(b.Context(), k, revision, make([]byte, 300), time.Hour); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bucket.String()+"/get", func(b *testing.B) {
			for range b.N {
				if _, err := s.Get(b.Context(), k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
