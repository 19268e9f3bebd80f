package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// A party is a user at an address, asking for an application, and what was
// told of the sign-in.
type party struct {
	user    string
	app     *policy.Application
	address netip.Addr
	waits   <-chan result
	id      string
	number  string
}

func (p *party) request(s *site, m *policy.MFA) *mfa.Request {
	r := s.request(m)
	r.User.ID, r.Application, r.Address = p.user, p.app, p.address
	r.Password = account.NewPassword([]byte("the same for all"))
	return r
}

// MFA-01: pairs sign in at the same time, with handles, numbers, codes and
// approvals of one used for the other, in all orders. Nothing of one completes
// another. MFA_PAIRS is how many pairs, 10,000 in make campaign.
func TestBinding(t *testing.T) {
	const together = 100
	pairs := 1000
	if s := os.Getenv("MFA_PAIRS"); s != "" {
		var err error
		if pairs, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	var crossed, completed atomic.Int64
	for first := 0; first < pairs; first += together {
		bubble(t, func(t *testing.T) {
			s := newSite(t, 3, nil, nil)
			var all sync.WaitGroup
			for i := range together {
				order := random.Perm(4)
				shape := []*policy.MFA{hold, challenge, code}[i%3]
				all.Go(func() {
					a, b := s.pair(first + i)
					if shape == code {
						s.swapCodes(a, b, order, &crossed, &completed)
					} else {
						s.interleave(a, b, shape, order, &crossed, &completed)
					}
				})
			}
			all.Wait()
		})
	}
	if n := crossed.Load(); n != 0 {
		t.Errorf("%d of %d pairs completed across", n, pairs)
	}
	if n := completed.Load(); n != int64(2*pairs) {
		t.Errorf("%d of %d completed by themselves", n, 2*pairs)
	}
}

// pair returns two users who ask for the same application from the same address,
// for another application, or from another address.
func (s *site) pair(i int) (a, b *party) {
	user := func(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", i, n) }
	a = &party{user: user(1), app: payroll, address: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}
	b = &party{user: user(2), app: a.app, address: a.address}
	switch i % 3 {
	case 1:
		b.app = mailbox
	case 2:
		b.address = netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	return a, b
}

// interleave has both ask, then uses what each was told for the other, in an
// order, and only then for itself.
func (s *site) interleave(a, b *party, m *policy.MFA, order []int, crossed, completed *atomic.Int64) {
	ctx := context.Background()
	for i, p := range []*party{a, b} {
		node := s.nodes[i]
		if m == hold {
			p.waits = start(node, p.request(s, m))
		} else {
			p.number = s.challenged(node, p.request(s, m))
		}
	}
	time.Sleep(time.Second)
	for i, p := range []*party{a, b} {
		p.id = s.only(s.nodes[2-i], p.user).ID
	}
	decide := func(user, id, number string, proof factor.Proof) {
		err := s.nodes[2].Decide(ctx, user, id, mfa.Decision{Verdict: mfa.Approve, Number: number, Factor: proof})
		if err == nil {
			crossed.Add(1)
		}
	}
	for _, step := range order {
		switch step {
		case 0:
			decide(b.user, a.id, a.number, passkey(b.user)) // a's prompt by b
		case 1:
			decide(a.user, b.id, b.number, passkey(a.user))
		case 2:
			decide(a.user, a.id, a.number, passkey(b.user)) // with b's factor
		case 3:
			if m == challenge {
				decide(a.user, a.id, b.number, passkey(a.user)) // with b's number
			} else {
				decide(b.user, b.id, "", passkey(a.user))
			}
		}
	}
	for i, p := range []*party{a, b} {
		other := []*party{b, a}[i]
		if err := s.nodes[i].Decide(ctx, p.user, p.id, mfa.Decision{Verdict: mfa.Approve, Number: p.number, Factor: passkey(p.user)}); err != nil {
			continue
		}
		// The other is no further: what it retries for does not pass, nor what
		// the user asks for in its place.
		tries := []*party{{user: p.user, app: other.app, address: other.address}}
		if i == 0 {
			tries = append(tries, other)
		}
		for _, try := range tries {
			if try.user == p.user && try.app == p.app && try.address == p.address {
				continue // its own
			}
			r := try.request(s, m)
			r.Start = time.Now().Add(-mfa.MaxHold)
			if now(s.nodes[2], r).err == nil {
				crossed.Add(1)
			}
		}
		got := result{err: errors.New("nobody waits")}
		if p.waits != nil {
			got = <-p.waits
		} else {
			got = now(s.nodes[2], p.request(s, m))
		}
		if got.err == nil && got.proofs[0].Factor.User == p.user {
			completed.Add(1)
		}
	}
}

// swapCodes has each type the other's code, at several gateways and in an order,
// and then its own.
func (s *site) swapCodes(a, b *party, order []int, crossed, completed *atomic.Int64) {
	both := []*party{a, b}
	apps := []app{s.enrol(a.user), s.enrol(b.user)}
	time.Sleep(30 * time.Second) // the codes that enrolled are spent
	types := func(p *party, c app, node int) error {
		r := p.request(s, code)
		r.Code = c.code(s.t)
		return now(s.nodes[node], r).err
	}
	for _, step := range order {
		if apps[step%2].shows(apps[1-step%2].code(s.t)) { // once in 300,000
			continue
		}
		if types(both[step%2], apps[1-step%2], step%3) == nil {
			crossed.Add(1)
		}
	}
	for i, p := range both {
		if types(p, apps[i], i) == nil {
			completed.Add(1)
		}
	}
}

// MFA-02: an attacker with the same password at another address waits too. The
// victim approves hers, and 1,000 tries of the attacker are worth nothing.
func TestAttackerElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 3, nil, nil)
		hers := start(s.nodes[0], s.request(hold))
		synctest.Wait()
		theirs := func() *mfa.Request { r := s.request(hold); r.Address = away; return r }
		attack := start(s.nodes[1], theirs())
		time.Sleep(time.Second)
		if p := s.only(s.nodes[2], alice); p.Address.Addr() != home {
			t.Fatalf("the portal shows %v", p.Address)
		}
		s.answer(s.nodes[2], alice, approve(alice))
		want(t, "hers", <-hers, passed)
		want(t, "the attacker's", <-attack, refusal.SecondFactorStopped)
		for i := range 1000 {
			r := s.unwaiting(theirs())
			if got := now(s.nodes[i%3], r); got.err == nil {
				t.Fatalf("try %d passed", i)
			}
		}
	})
}

// An approval releases the answer that it was asked for, and no other (MFA-16).
func TestAnswerIsBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		r := s.request(hold)
		waits := start(s.nodes[0], r)
		synctest.Wait()
		r.Answer = []byte("the answer of another transaction")
		s.answer(s.nodes[0], alice, approve(alice))
		if got := <-waits; got.err == nil {
			t.Error("another answer was released")
		}
	})
}
