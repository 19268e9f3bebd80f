package guard_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
)

// SOAP-09: of messages with one nonce, at several gateways at once, one is
// answered; another user's, another time's, and one that is 15 minutes younger
// are others.
func TestSpend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3, nil, nil)
		var won atomic.Int32
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				for n := range 500 {
					if err := s.guards[i%3].Spend(t.Context(), "alice", fmt.Sprint(n), "now"); err == nil {
						won.Add(1)
					} else if refusal.Of(err) != refusal.Replayed {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if won.Load() != 500 {
			t.Errorf("%d of 500 nonces were spent", won.Load())
		}
		for _, other := range [][2]string{{"bob", "now"}, {"alice", "later"}} {
			if err := s.guards[0].Spend(t.Context(), other[0], "1", other[1]); err != nil {
				t.Errorf("%v: %v", other, err)
			}
		}
		marks, err := s.store.List(t.Context(), state.Marks.Key())
		if err != nil || len(marks) != 502 || strings.Contains(fmt.Sprint(marks), "alice") {
			t.Errorf("got %d marks, %v", len(marks), err)
		}
		time.Sleep(15*time.Minute + 3*time.Second)
		if err := s.guards[0].Spend(t.Context(), "alice", "1", "now"); err != nil {
			t.Errorf("after its time: %v", err)
		}
	})
}

// unsure is a store whose writes may have been made.
type unsure struct{ state.Store }

func (unsure) Create(context.Context, state.Key, []byte, time.Duration) (uint64, error) {
	return 0, state.ErrUnknown
}

// SOAP-09: what may have been spent was.
func TestSpendUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSite(t, 1, unsure{state.NewMemory(nil)}, func(c *guard.Config) { c.ReportOnly = true }).guards[0]
		if err := g.Spend(t.Context(), "alice", "1", ""); refusal.Of(err) != refusal.StateDown {
			t.Errorf("got %v, want state-down", err)
		}
	})
}
