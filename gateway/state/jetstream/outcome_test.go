package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"stsgate/gateway/state"
)

// A cable is between the client and the server in this process. It loses what
// goes one way while it is cut there.
type cable struct {
	server   nats.InProcessConnProvider
	answers  atomic.Bool // are lost
	requests atomic.Bool
	conn     atomic.Pointer[cabled]
}

type cabled struct {
	net.Conn
	cable *cable
}

func (c *cable) InProcessConn() (net.Conn, error) {
	conn, err := c.server.InProcessConn()
	if err != nil {
		return nil, err
	}
	one := &cabled{conn, c}
	c.conn.Store(one)
	return one, nil
}

func (c *cabled) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.cable.answers.Load() {
			return n, err
		}
	}
}

func (c *cabled) Write(b []byte) (int, error) {
	if c.cable.requests.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// cabledStore is a store behind a cable whose tries are short.
func cabledStore(t *testing.T) (*Store, *cable) {
	c := &cable{}
	s := open(t, Config{Dir: t.TempDir(), Keys: newKeys(t), attempt: 50 * time.Millisecond,
		provider: func(in nats.InProcessConnProvider) nats.InProcessConnProvider { c.server = in; return c }})
	return s, c
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// A write whose answer is lost is made, and says that its outcome is unknown;
// FAIL-02: in time.
func TestLostAnswers(t *testing.T) {
	s, c := cabledStore(t)
	k := state.Approvals.Key("a")
	revision := put(t, s, k, "open", time.Hour)
	c.answers.Store(true)
	start := time.Now()
	_, err := s.CompareAndSwap(t.Context(), k, revision, []byte("spent"), time.Hour)
	took := time.Since(start)
	c.answers.Store(false)
	if !errors.Is(err, state.ErrUnknown) || errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("got error %v, want ErrUnknown", err)
	}
	if took < state.Deadline/2 || took > 20*state.Deadline {
		t.Errorf("took %s, want about %s", took, state.Deadline)
	}
	if got := get(t, s, k); got != "spent" {
		t.Errorf("the record is %q: the write was not made", got)
	}
}

// A write whose first answer is lost is tried again and succeeds once, with
// the revision of the first try.
func TestRetryFindsItsOwnWrite(t *testing.T) {
	for name, do := range map[string]func(s *Store, k state.Key, revision uint64) (uint64, error){
		"create": func(s *Store, k state.Key, _ uint64) (uint64, error) {
			return s.Create(within(t, 5*time.Second), state.Approvals.Key("new"), []byte("v"), time.Hour)
		},
		"swap": func(s *Store, k state.Key, revision uint64) (uint64, error) {
			return s.CompareAndSwap(within(t, 5*time.Second), k, revision, []byte("v"), time.Hour)
		},
		"delete": func(s *Store, k state.Key, revision uint64) (uint64, error) {
			return revision + 1, s.Delete(within(t, 5*time.Second), k, revision)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := cabledStore(t)
			retries := 0
			s.c.Metrics.Retry = func(error) {
				retries++
				c.answers.Store(false)
			}
			k := state.Approvals.Key("a")
			revision := put(t, s, k, "old", time.Hour)
			c.answers.Store(true)
			got, err := do(s, k, revision)
			if err != nil || got != revision+1 {
				t.Fatalf("revision %d after %d, error %v", got, revision, err)
			}
			if retries != 1 {
				t.Errorf("%d retries, want 1", retries)
			}
		})
	}
}

// A write that another one followed before it could be tried again was
// perhaps made: nobody may be told that it was not.
func TestRetryAfterAnotherWrite(t *testing.T) {
	s, c := cabledStore(t)
	k := state.Approvals.Key("a")
	revision := put(t, s, k, "old", time.Hour)
	s.c.Metrics.Retry = func(error) {
		c.answers.Store(false)
		if _, err := s.CompareAndSwap(t.Context(), k, revision+1, []byte("theirs"), time.Hour); err != nil {
			t.Error(err)
		}
	}
	c.answers.Store(true)
	if _, err := s.CompareAndSwap(within(t, 5*time.Second), k, revision, []byte("ours"), time.Hour); !errors.Is(err, state.ErrUnknown) {
		t.Errorf("got error %v, want ErrUnknown", err)
	}
}

// A write that another one came before, was not made, however often it was tried.
func TestRetryAfterALostRace(t *testing.T) {
	s, c := cabledStore(t)
	k, fresh := state.Approvals.Key("a"), state.Marks.Key("a")
	revision := put(t, s, k, "old", time.Hour)
	s.c.Metrics.Retry = func(error) {
		s.c.Metrics.Retry = nil
		c.requests.Store(false)
		if _, err := s.CompareAndSwap(t.Context(), k, revision, []byte("theirs"), time.Hour); err != nil {
			t.Error(err)
		}
		put(t, s, fresh, "theirs", time.Hour)
	}
	again := s.c.Metrics.Retry
	c.requests.Store(true)
	if _, err := s.CompareAndSwap(within(t, 5*time.Second), k, revision, []byte("ours"), time.Hour); !errors.Is(err, state.ErrConflict) {
		t.Errorf("swap: got error %v, want ErrConflict", err)
	}
	if err := s.Delete(t.Context(), fresh, 1); err != nil {
		t.Fatal(err)
	}
	k, fresh = state.Approvals.Key("b"), state.Marks.Key("b")
	revision = put(t, s, k, "old", time.Hour)
	s.c.Metrics.Retry = again
	c.requests.Store(true)
	if _, err := s.Create(within(t, 5*time.Second), fresh, []byte("ours"), time.Hour); !errors.Is(err, state.ErrExists) {
		t.Errorf("create: got error %v, want ErrExists", err)
	}
}

// A write that never left is made by a later try.
func TestRetryAfterLostRequest(t *testing.T) {
	s, c := cabledStore(t)
	s.c.Metrics.Retry = func(error) { c.requests.Store(false) }
	c.requests.Store(true)
	if _, err := s.Create(within(t, 5*time.Second), state.Marks.Key("a"), nil, time.Hour); err != nil {
		t.Errorf("got error %v", err)
	}
	c.requests.Store(true)
	s.c.Metrics.Retry = nil
	if _, err := s.Get(t.Context(), state.Marks.Key("a")); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("a read without an answer: %v, want ErrUnavailable", err)
	}
	if _, err := s.List(t.Context(), state.Marks.Key()); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("a list without an answer: %v, want ErrUnavailable", err)
	}
}

// A store whose server is gone says so at once, and writes nothing.
func TestServerGone(t *testing.T) {
	s := inDir(t)
	s.server.Shutdown()
	until(t, func() bool { return !s.nc.IsConnected() }) // before, nobody knows what became of a write
	start := time.Now()
	_, err := s.Create(t.Context(), state.Marks.Key("a"), nil, time.Hour)
	if !errors.Is(err, state.ErrUnavailable) || errors.Is(err, state.ErrUnknown) {
		t.Errorf("create: %v, want ErrUnavailable", err)
	}
	if _, err := s.Get(t.Context(), state.Marks.Key("a")); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("get: %v, want ErrUnavailable", err)
	}
	for _, err := range s.Watch(t.Context(), state.Marks.Key()) {
		if !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("watch: %v, want ErrUnavailable", err)
		}
	}
	if took := time.Since(start); took > 20*state.Deadline {
		t.Errorf("took %s", took)
	}
}

// A list has every record when the server is slow.
func TestSlowList(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), Keys: newKeys(t), idle: time.Nanosecond})
	for i := range 100 {
		put(t, s, state.Grants.Key("alice", fmt.Sprint(i)), "v", time.Hour)
	}
	for range 10 {
		if all, err := s.List(within(t, 10*time.Second), state.Grants.Key("alice")); err != nil || len(all) != 100 {
			t.Fatalf("%d records, %v", len(all), err)
		}
	}
}

// A mirror over a real store is closed within a second and a beat of silence.
func TestMirrorIsClosedInSilence(t *testing.T) {
	s, c := cabledStore(t)
	m := state.NewMirror(s, state.Bans)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if err := m.Wait(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	k := state.Bans.Key("mallory")
	put(t, s, k, "", 0)
	until(t, func() bool { _, err := m.Get(k); return err == nil })
	c.answers.Store(true)
	start := time.Now()
	until(t, func() bool { _, err := m.Get(k); return errors.Is(err, state.ErrStale) })
	if took := time.Since(start); took > state.MaxAge+10*time.Second {
		t.Errorf("closed after %s, want about %s", took, state.MaxAge)
	}
	c.answers.Store(false)
	until(t, func() bool { _, err := m.Get(k); return err == nil })
}

// until waits for something that must come to be.
func until(t *testing.T, is func() bool) {
	t.Helper()
	for start := time.Now(); !is(); <-time.After(5 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatal("it did not come to be within 20 s")
		}
	}
}
