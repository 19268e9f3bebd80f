package mfa_test

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// allow makes a grant for the application from an address that was seen, and
// lets every gateway hear of it.
func (s *site) allow(node *mfa.Service, address netip.Addr) {
	s.t.Helper()
	if err := node.Allow(s.t.Context(), alice, "payroll", address, false, passkey(alice)); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

// A grant is for an address that the right password came from, or the portal's
// own, never for one typed in (MFA-23).
func TestGrantNeedsASeenAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		node := s.nodes[0]
		allow := func(user string, address netip.Addr, own bool, p factor.Proof) error {
			return node.Allow(t.Context(), user, "payroll", address, own, p)
		}
		if err := allow(alice, home, false, passkey(alice)); !errors.Is(err, mfa.ErrUnseen) {
			t.Errorf("an address that nobody saw: %v", err)
		}
		r := now(node, s.request(granted))
		want(t, "without a grant", r, refusal.SecondFactorApprove)
		seen, err := s.nodes[1].Seen(t.Context(), alice)
		if err != nil || len(seen) != 1 || seen[0].Address != home || seen[0].Application != "payroll" {
			t.Errorf("seen: %+v, %v", seen, err)
		}
		for what, err := range map[string]error{
			"another address":      allow(alice, away, false, passkey(alice)),
			"another user":         allow(bob, home, false, passkey(bob)),
			"no address":           allow(alice, netip.Addr{}, true, passkey(alice)),
			"another user's proof": allow(alice, home, false, passkey(bob)),
			"no proof":             allow(alice, home, true, factor.Proof{}),
		} {
			if err == nil {
				t.Errorf("%s: allowed", what)
			}
		}
		if err := allow(alice, away, true, passkey(alice)); err != nil {
			t.Errorf("the portal's own address: %v", err)
		}
		old := passkey(alice)
		old.At = old.At.Add(-6 * time.Minute)
		if err := allow(alice, home, false, old); !errors.Is(err, mfa.ErrOldFactor) {
			t.Errorf("an old proof: %v", err)
		}
		if err := allow(alice, home, false, passkey(alice)); err != nil {
			t.Error(err)
		}
	})
}

// A grant is bound to its application and address, used first within 10
// minutes, and once where no rule remembers.
func TestGrant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		node := s.nodes[0]
		now(node, s.request(granted))
		s.allow(s.nodes[1], home)
		for what, change := range map[string]func(*mfa.Request){
			"another application": func(r *mfa.Request) { r.Application = mailbox },
			"another address":     func(r *mfa.Request) { r.Address = away },
			"its neighbour":       func(r *mfa.Request) { r.Address = home.Next() },
			"another user":        func(r *mfa.Request) { r.User.ID = bob },
			"no address":          func(r *mfa.Request) { r.Address = netip.Addr{} },
		} {
			r := s.request(granted)
			change(r)
			if got := now(node, r); got.err == nil {
				t.Errorf("%s: passed", what)
			}
		}
		r := now(node, s.request(granted))
		want(t, "the first use", r, passed)
		if r.String() != "pre-approved passkey-uv" || r.proofs[0].Remembered {
			t.Errorf("proof %v", r)
		}
		synctest.Wait()
		want(t, "the second use", now(s.nodes[1], s.request(granted)), refusal.SecondFactorApprove)

		s.allow(s.nodes[1], home)
		time.Sleep(10*time.Minute + time.Second)
		want(t, "a first use after 10 minutes", now(node, s.request(granted)), refusal.SecondFactorApprove)
	})
}

// The portal shows of a grant until when rules take it, and nothing of one that no
// rule takes any more.
func TestGrantShown(t *testing.T) {
	for remember, shown := range map[time.Duration]bool{0: false, 30 * time.Minute: true} {
		bubble(t, func(t *testing.T) {
			s := newSite(t, 2, nil, nil)
			m := remembering(granted, remember)
			now(s.nodes[0], s.request(m))
			s.allow(s.nodes[1], home)
			made := time.Now()
			want(t, "the first use", now(s.nodes[0], s.request(m)), passed)
			synctest.Wait()
			all, err := s.nodes[1].Grants(t.Context(), alice)
			if err != nil || (len(all) == 1) != shown {
				t.Fatalf("remembered for %s: %+v, %v", remember, all, err)
			}
			if shown && all[0].Until.Sub(made).Round(time.Minute) != remember {
				t.Errorf("shown until %s after it was made, want %s", all[0].Until.Sub(made), remember)
			}
		})
	}
}

// A proof that is remembered stands for the shortest time of all rules, 24
// hours at the most and an hour without use (MFA-15).
func TestRemembered(t *testing.T) {
	long, short := remembering(granted, 24*time.Hour), remembering(granted, 2*time.Hour)
	for what, c := range map[string]struct {
		rules []*policy.MFA
		every time.Duration // between uses
		lasts time.Duration // the first use that does not pass
	}{
		"overall": {[]*policy.MFA{long}, 50 * time.Minute, 24*time.Hour + 10*time.Minute},
		"idle":    {[]*policy.MFA{long}, 61 * time.Minute, 61 * time.Minute},
		"rule":    {[]*policy.MFA{long, short}, 30 * time.Minute, 2 * time.Hour},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSite(t, 1, nil, nil) // a day of another's beats takes long
				now(s.nodes[0], s.request(c.rules...))
				s.allow(s.nodes[0], home)
				want(t, "first", now(s.nodes[0], s.request(c.rules...)), passed)
				began := time.Now()
				for {
					time.Sleep(c.every)
					r := now(s.nodes[0], s.request(c.rules...))
					if r.err != nil {
						break
					}
					if !r.proofs[0].Remembered {
						t.Fatalf("proof %v is not remembered", r)
					}
				}
				if got := time.Since(began); got != c.lasts {
					t.Errorf("it stood for less than %s, want %s", got, c.lasts)
				}
			})
		})
	}
}

// What was proven otherwise is remembered as what it was, and meets no rule
// that would not have taken it.
func TestRememberedKeepsItsShape(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		waits := start(s.nodes[0], s.request(remembering(hold, time.Hour)))
		synctest.Wait()
		s.answer(s.nodes[1], alice, approve(alice))
		want(t, "approved", <-waits, passed)
		synctest.Wait()
		r := now(s.nodes[1], s.request(remembering(hold, time.Hour)))
		want(t, "remembered", r, passed)
		if r.String() != "approve-only passkey-uv" || !r.proofs[0].Remembered {
			t.Errorf("proof %v", r)
		}
		totp := remembering(hold, time.Hour)
		totp.Factors = policy.TOTP
		for what, m := range map[string]*policy.MFA{
			"a rule that remembers nothing": hold, "a rule that takes no hold": remembering(challenge, time.Hour), "another factor": totp,
		} {
			if got := now(s.nodes[1], s.unwaiting(s.request(m))); got.err == nil {
				t.Errorf("%s: passed", what)
			}
		}
		elsewhere := s.unwaiting(s.request(remembering(hold, time.Hour)))
		elsewhere.Address = home.Next()
		if got := now(s.nodes[1], elsewhere); got.err == nil {
			t.Error("remembered for another address")
		}
	})
}

// A rule that binds the network takes what was proven beside.
func TestByNetwork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		m := remembering(granted, time.Hour)
		m.ByNetwork = true
		six := netip.MustParseAddr("2001:db8:1:2::7")
		for _, address := range []netip.Addr{home, six} {
			r := s.request(m)
			r.Address = address
			now(s.nodes[0], r)
			s.allow(s.nodes[0], address)
			r = s.request(m)
			r.Address = address.Next()
			if got := now(s.nodes[0], r); (got.err == nil) != address.Is6() { // IPv6 binds the /64 itself
				t.Errorf("the first use from %s beside %s: %v", r.Address, address, got)
			}
			r.Address = address
			want(t, "the first use", now(s.nodes[0], r), passed)
		}
		synctest.Wait()
		for address, passes := range map[string]bool{
			"203.0.113.200": true, "203.0.112.7": false, "2001:db8:1:3::1": true, "2001:db8:2::1": false,
		} {
			r := s.request(m)
			r.Address = netip.MustParseAddr(address)
			if got := now(s.nodes[0], r); (got.err == nil) != passes {
				t.Errorf("from %s: %v", address, got)
			}
		}
	})
}

// A grant that is revoked is worth nothing within a second, on any gateway.
func TestRevoke(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 3, nil, nil)
		m := remembering(granted, 24*time.Hour)
		for _, all := range []bool{false, true} {
			now(s.nodes[0], s.request(m))
			s.allow(s.nodes[0], home)
			want(t, "used", now(s.nodes[1], s.request(m)), passed)
			synctest.Wait()
			shown, err := s.nodes[2].Grants(t.Context(), alice)
			if err != nil || len(shown) != 1 || shown[0].Application != "payroll" || shown[0].Address.Addr() != home || shown[0].Proof.Assurance() != mfa.PreApproved {
				t.Fatalf("grants: %+v, %v", shown, err)
			}
			if err := s.nodes[2].Revoke(t.Context(), bob, shown[0].ID); !errors.Is(err, mfa.ErrNoGrant) {
				t.Errorf("bob revokes: %v", err)
			}
			if all {
				err = s.nodes[2].RevokeAll(t.Context(), alice)
			} else {
				err = s.nodes[2].Revoke(t.Context(), alice, shown[0].ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			for _, n := range s.nodes {
				want(t, "revoked", now(n, s.request(m)), refusal.SecondFactorApprove)
			}
		}
		if err := s.nodes[0].RevokeAll(t.Context(), alice); err != nil {
			t.Errorf("nothing to revoke: %v", err)
		}
	})
}

// So is what was approved for a client's next try.
func TestRevokeApproved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		want(t, "nobody answered", <-start(s.nodes[0], s.request(hold)), refusal.SecondFactorApprove)
		s.answer(s.nodes[1], alice, approve(alice))
		if err := s.nodes[1].RevokeAll(t.Context(), bob); err != nil {
			t.Errorf("bob's: %v", err)
		}
		if err := s.nodes[1].RevokeAll(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
		want(t, "the retry", now(s.nodes[0], s.unwaiting(s.request(hold))), refusal.SecondFactorApprove)
	})
}

// "Not me" closes the address to the user for an hour, ends grants and alarms.
func TestNotMe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		m := remembering(anything, 24*time.Hour)
		now(s.nodes[0], s.request(granted))
		s.allow(s.nodes[0], home)
		elsewhere := func() *mfa.Request { r := s.request(m); r.Address = away; return r }
		waits := start(s.nodes[0], elsewhere())
		synctest.Wait()
		d := approve(alice)
		d.Verdict = mfa.NotMe
		s.answer(s.nodes[1], alice, d)
		want(t, "what waited", <-waits, refusal.SecondFactorDenied)
		if _, notices := s.told(); notices != 1 {
			t.Errorf("%d notices, want 1", notices)
		}
		time.Sleep(time.Second)
		if left, err := s.nodes[0].Grants(t.Context(), alice); err != nil || len(left) != 0 {
			t.Errorf("grants left: %v, %v", left, err)
		}
		for _, n := range s.nodes {
			want(t, "from there", now(n, elsewhere()), refusal.AddressBlocked)
		}
		want(t, "from home", now(s.nodes[0], s.request(granted)), refusal.SecondFactorApprove)
		other := elsewhere()
		other.User.ID = bob
		want(t, "another user from there", now(s.nodes[0], s.unwaiting(other)), refusal.SecondFactorApprove)
		closed, err := s.nodes[1].Closed(t.Context())
		if err != nil || len(closed) != 1 || closed[0].User != alice || closed[0].Address.Addr() != away || time.Until(closed[0].Until) > time.Hour {
			t.Errorf("closed: %+v, %v", closed, err)
		}
		if err := s.nodes[1].Reopen(t.Context(), bob); !errors.Is(err, mfa.ErrOpen) {
			t.Errorf("reopened to bob: %v", err)
		}
		time.Sleep(time.Hour + 3*time.Second)
		want(t, "an hour later", now(s.nodes[0], s.unwaiting(elsewhere())), refusal.SecondFactorApprove)
	})
}

// An address that was closed by mistake can be opened again.
func TestReopen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		for _, a := range []netip.Addr{home, netip.MustParseAddr("2001:db8::7")} {
			if err := s.nodes[0].NotMe(t.Context(), knock.Recipient{ID: alice}, alice, a, "payroll", ""); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if closed, err := s.nodes[1].Closed(t.Context()); err != nil || len(closed) != 2 || s.nodes[1].Blocked(alice, home) == nil {
			t.Fatalf("closed: %+v, %v", closed, err)
		}
		if err := s.nodes[1].Reopen(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := s.nodes[0].Blocked(alice, home); err != nil {
			t.Errorf("still closed: %v", err)
		}
		if err := s.nodes[0].Reopen(t.Context(), alice); !errors.Is(err, mfa.ErrOpen) {
			t.Errorf("once more: %v", err)
		}
	})
}

// MFA-23: where the address binds nothing, each request needs its own proof.
func TestNoAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		node := s.nodes[0]
		request := func() *mfa.Request {
			r := s.request(remembering(anything, time.Hour))
			r.Address = netip.Addr{}
			return r
		}
		first, second := start(node, request()), start(node, request())
		synctest.Wait()
		waits := s.only(node, alice) // and the other is not asked for
		if waits.Waiting != 1 || waits.Address.IsValid() {
			t.Errorf("the portal shows %+v", waits)
		}
		s.answer(node, alice, approve(alice))
		one, other := <-first, <-second
		if (one.err == nil) == (other.err == nil) {
			t.Errorf("one approval: %v and %v", one, other)
		}
		if got := now(node, s.unwaiting(request())); got.err == nil {
			t.Error("passed without its own proof")
		}
		r := request()
		r.Requires = []*policy.MFA{challenge}
		want(t, "a challenge, whose retry nothing binds", now(node, r), refusal.SecondFactor)
	})
}
