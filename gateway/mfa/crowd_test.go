package mfa_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
	"stsgate/gateway/state/jetstream"
)

// Requests of many users that come at one instant are all held; some of them
// are approved, and the others leave at one instant (FAIL-02). MFA_HELD is how
// many there are.
func TestCrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("holds thousands of requests")
	}
	held := 2_000
	if n, err := strconv.Atoi(os.Getenv("MFA_HELD")); err == nil {
		held = n
	}
	t.Run("memory", func(t *testing.T) { newSite(t, 1, nil, nil).crowd(t, held) })
	t.Run("directory", func(t *testing.T) {
		keys, err := state.ParseKeys(state.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		store, err := jetstream.Open(t.Context(), jetstream.Config{Keys: keys, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		newSite(t, 1, state.Seal(store, keys), nil).crowd(t, held)
	})
}

func (s *site) crowd(t *testing.T, held int) {
	ctx, scatter := context.WithCancel(t.Context())
	defer scatter()
	results := make([]result, held)
	var ended atomic.Int64 // before their time
	var all sync.WaitGroup
	begin := time.Now()
	for i := range held {
		all.Go(func() {
			results[i].proofs, results[i].err = satisfy(ctx, s.nodes[0], s.patient(s.as(one(i), s.request(hold))))
			ended.Add(1)
		})
	}
	for s.knocked()+int(ended.Load()) < held {
		<-time.After(10 * time.Millisecond)
	}
	took := time.Since(begin)

	// A portal has a few users at a time.
	approved := held / 10
	var portals sync.WaitGroup
	for first := range 8 {
		portals.Go(func() {
			for i := first; i < approved; i += 8 {
				if len(s.waiting(s.nodes[0], one(i))) == 1 {
					s.answer(s.nodes[0], one(i), approve(one(i)))
				}
			}
		})
	}
	portals.Wait()
	for int(ended.Load()) < approved {
		<-time.After(10 * time.Millisecond)
	}
	scatter()
	all.Wait()
	// A write takes more than 500 ms now and then, on a machine that others use.
	down := 0
	for i, r := range results {
		switch reason := r.reason(); {
		case reason == refusal.StateDown:
			down++
		case i < approved && reason != passed:
			t.Fatalf("approved: %v", r)
		case i >= approved && reason != refusal.ClientGone:
			t.Fatalf("left alone: %v", r)
		}
	}
	if down > held/10 {
		t.Errorf("%d of %d are refused because of the store", down, held)
	}
	t.Logf("%d are held after %s; the store cost %d", held, took.Round(time.Millisecond), down)
}

// patient makes the request one of a client that waits as long as any.
func (s *site) patient(r *mfa.Request) *mfa.Request {
	r.Family = "msal-net"
	return r
}

// one is a user of a crowd.
func one(i int) string { return fmt.Sprintf("%08x-d9cb-469f-a165-70867728950e", i) }

// Whatever a request of a burst asks of the store, it waits in line for it:
// where its user is told is remembered by no more at a time than the store
// answers (FAIL-02).
func TestLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var now, most atomic.Int64
		s := newSite(t, 1, nil, func(c *mfa.Config) {
			c.Know = func(context.Context, knock.Recipient) {
				for n, m := now.Add(1), most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				time.Sleep(20 * time.Millisecond)
				now.Add(-1)
			}
		})
		const crowd = 200
		var waits []<-chan result
		for i := range crowd {
			waits = append(waits, start(s.nodes[0], s.as(one(i), s.request(hold))))
		}
		time.Sleep(5 * time.Second)
		if held := s.knocked(); held != crowd {
			t.Errorf("%d of %d are held", held, crowd)
		}
		if n := most.Load(); n < 2 || n > mfa.AtStore {
			t.Errorf("%d at a time, want 2 to %d", n, mfa.AtStore)
		}
		for i, w := range waits {
			s.answer(s.nodes[0], one(i), approve(one(i)))
			want(t, one(i), <-w, passed)
		}
	})
}
