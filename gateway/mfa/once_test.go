package mfa_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stsgate/gateway/mfa"
	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
	"stsgate/policy"
)

const racers = 16

// race has all racers, spread over all nodes, try at once, and returns how many
// passed.
func (s *site) race(try func(node *mfa.Service) error) int {
	var all sync.WaitGroup
	var won atomic.Int64
	ready := make(chan struct{})
	for i := range racers {
		all.Go(func() {
			<-ready
			if try(s.nodes[i%len(s.nodes)]) == nil {
				won.Add(1)
			}
		})
	}
	close(ready)
	all.Wait()
	return int(won.Load())
}

// What is used once is used once, by 16 racers on 3 gateways: an approval, its
// answer, a grant (STATE-05, MFA-03).
func (s *site) usedOnce(t *testing.T, rounds int) {
	ctx := t.Context()
	for round := range rounds {
		user := string(rune('a'+round)) + alice[1:]
		request := func(m *policy.MFA) *mfa.Request {
			r := s.request(m)
			r.User.ID = user
			return r
		}
		number := s.challenged(s.nodes[0], request(challenge))
		id := s.only(s.nodes[1], user).ID
		d := mfa.Decision{Verdict: mfa.Approve, Number: number, Factor: passkey(user)}
		if n := s.race(func(node *mfa.Service) error { return node.Decide(ctx, user, id, d) }); n != 1 {
			t.Errorf("an answer counted %d times", n)
		}
		redeem := func(node *mfa.Service) error { _, err := satisfy(ctx, node, request(challenge)); return err }
		if n := s.race(redeem); n != 1 {
			t.Errorf("an approval was redeemed %d times", n)
		}
		if err := s.nodes[0].Allow(ctx, user, "payroll", home, true, passkey(user)); err != nil {
			t.Fatal(err)
		}
		s.heard(user)
		use := func(node *mfa.Service) error { _, err := satisfy(ctx, node, request(granted)); return err }
		if n := s.race(use); n != 1 {
			t.Errorf("a grant was used %d times", n)
		}
	}
}

// heard waits until all gateways know of a grant.
func (s *site) heard(user string) {
	s.t.Helper()
	for _, n := range s.nodes {
		for begin := time.Now(); ; {
			heard, err := n.Heard(user)
			if heard {
				break
			}
			if time.Since(begin) > 30*time.Second {
				s.t.Fatalf("a gateway does not know of a grant: %v", err)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
}

func TestUsedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) { newSite(t, 3, nil, nil).usedOnce(t, 20) })
}

// A first use with others beside it, where a rule remembers: all pass.
func TestFirstUseTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 3, nil, nil)
		m := remembering(granted, time.Hour)
		if err := s.nodes[0].Allow(t.Context(), alice, "payroll", home, true, passkey(alice)); err != nil {
			t.Fatal(err)
		}
		s.heard(alice)
		if n := s.race(func(node *mfa.Service) error { _, err := satisfy(t.Context(), node, s.request(m)); return err }); n != racers {
			t.Errorf("%d of %d passed", n, racers)
		}
	})
}

// No write that fails, whether it was made or not, lets a request pass twice,
// or one pass that was not approved.
func TestWritesThatFail(t *testing.T) {
	for name, fault := range map[string]statetest.Fault{"not made": statetest.Fail, "made": statetest.FailPersisted, "lost": statetest.FailLost} {
		for _, bucket := range []state.Bucket{state.Approvals, state.Grants, state.Counters, state.Locks} {
			t.Run(name+" in "+bucket.String(), func(t *testing.T) {
				for after := range 6 {
					bubble(t, func(t *testing.T) { oneFault(t, bucket, fault, after) })
				}
			})
		}
	}
}

// oneFault plays both flows with one write of a bucket that fails, the nth one.
func oneFault(t *testing.T, bucket state.Bucket, fault statetest.Fault, after int) {
	store := &statetest.Faulty{Store: state.NewMemory(nil)}
	s := newSite(t, 2, store, nil)
	var seen atomic.Int64
	store.Break(func(op string, key state.Key) statetest.Fault {
		if (op == "create" || op == "swap") && key.Bucket() == bucket && seen.Add(1) == int64(after+1) {
			return fault
		}
		return statetest.None
	})
	passes := 0
	for range 8 {
		r := now(s.nodes[0], s.request(challenge))
		if r.err == nil {
			passes++
		}
	}
	if passes != 0 {
		t.Fatalf("write %d: %d passed without an approval", after, passes)
	}
	approvals := 0
	if all, err := s.nodes[1].Pending(t.Context(), alice); err == nil && len(all) == 1 {
		d := approve(alice)
		d.Number = s.challenged(s.nodes[0], s.request(challenge))
		if s.nodes[1].Decide(t.Context(), alice, all[0].ID, d) == nil {
			approvals++
		}
	}
	for i := range 8 {
		if now(s.nodes[i%2], s.request(challenge)).err == nil {
			passes++
		}
	}
	if passes > 1 || passes > approvals && fault == statetest.Fail {
		t.Errorf("write %d: %d passed for %d approvals", after, passes, approvals)
	}
	passes = 0
	if s.nodes[0].Allow(t.Context(), alice, "payroll", home, true, passkey(alice)) == nil {
		time.Sleep(time.Second)
	}
	for i := range 8 {
		if now(s.nodes[i%2], s.request(granted)).err == nil {
			passes++
		}
		time.Sleep(time.Second)
	}
	if passes > 1 {
		t.Errorf("write %d: a grant was used %d times", after, passes)
	}
}
