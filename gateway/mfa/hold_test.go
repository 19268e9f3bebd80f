package mfa_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// A request that waits on one gateway is approved on another.
func TestHoldApprovedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 3, nil, nil)
		waits := start(s.nodes[0], s.request(hold))
		time.Sleep(10 * time.Second)
		p := s.only(s.nodes[2], alice)
		if p.Application != "payroll" || p.Family != "unknown" || p.Address.Addr() != home || p.Place != "AT" || p.Waiting != 1 || p.Number {
			t.Errorf("the portal shows %+v", p)
		}
		if knocks, _ := s.told(); knocks != 1 || s.knocks[0].Application != "payroll" || s.knocks[0].To.Mail != "alice@contoso.example" {
			t.Errorf("knocks: %+v", s.knocks)
		}
		s.answer(s.nodes[1], alice, approve(alice))
		r := <-waits
		want(t, "approved", r, passed)
		// MFA-20, MFA-25.
		if got := r.String(); got != "approve-only passkey-uv" {
			t.Errorf("proof %q", got)
		}
		if r.after > 11*time.Second {
			t.Errorf("heard of it after %s", r.after-10*time.Second)
		}
		want(t, "what comes after the answer", now(s.nodes[0], s.unwaiting(s.request(hold))), refusal.SecondFactorApprove)
	})
}

// unwaiting makes a request whose client has no time left to wait.
func (s *site) unwaiting(r *mfa.Request) *mfa.Request {
	r.Start = time.Now().Add(-mfa.MaxHold)
	return r
}

// What the portal's user says is for all who wait then, and for nobody later.
func TestBurst(t *testing.T) {
	for _, verdict := range []mfa.Verdict{mfa.Approve, mfa.Deny, mfa.NotMe} {
		bubble(t, func(t *testing.T) {
			s := newSite(t, 3, nil, nil)
			var waits []<-chan result
			for i := range mfa.MaxWaiting {
				waits = append(waits, start(s.nodes[i%3], s.request(hold)))
			}
			time.Sleep(time.Second)
			if p := s.only(s.nodes[0], alice); p.Waiting != mfa.MaxWaiting {
				t.Errorf("%d wait, want %d", p.Waiting, mfa.MaxWaiting)
			}
			want(t, "one more", now(s.nodes[0], s.request(hold)), refusal.SecondFactorApprove)
			d := approve(alice)
			d.Verdict = verdict
			s.answer(s.nodes[0], alice, d)
			reason := refusal.SecondFactorDenied
			if verdict == mfa.Approve {
				reason = passed
			}
			for _, w := range waits {
				want(t, "one of the burst", <-w, reason)
			}
			if knocks, _ := s.told(); knocks != 1 {
				t.Errorf("%d knocks, want 1", knocks)
			}
			late := start(s.nodes[0], s.request(hold))
			time.Sleep(3 * time.Second)
			if verdict == mfa.NotMe {
				want(t, "from a closed address", <-late, refusal.AddressBlocked)
				return
			}
			if p := s.only(s.nodes[0], alice); p.Waiting != 1 {
				t.Errorf("%d wait after the answer, want 1", p.Waiting)
			}
			want(t, "late", <-late, refusal.SecondFactorApprove)
		})
	}
}

// A hold that ran out leaves the approval for one retry of the same user,
// application, address and password, within 5 minutes (MFA-02).
func TestRetryRedeemsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		r := <-start(s.nodes[0], s.request(hold))
		want(t, "nobody answered", r, refusal.SecondFactorApprove)
		if r.after != mfa.DefaultHold {
			t.Errorf("waited %s", r.after)
		}
		if got := errorsAs(t, r.err).Text(); got != "A second factor is needed: open https://approve.contoso.example, approve this sign-in there, and try again here." {
			t.Errorf("the client is told %q", got)
		}
		s.answer(s.nodes[1], alice, approve(alice))
		for what, change := range map[string]func(*mfa.Request){
			"another user":        func(r *mfa.Request) { r.User.ID = bob },
			"another application": func(r *mfa.Request) { r.Application = mailbox },
			"another address":     func(r *mfa.Request) { r.Address = away },
			"another password":    func(r *mfa.Request) { r.Password = account.NewPassword([]byte("hunter3")) },
		} {
			r := s.unwaiting(s.request(hold))
			change(r)
			if got := now(s.nodes[0], r); got.err == nil {
				t.Errorf("%s: passed", what)
			}
		}
		want(t, "the retry", now(s.nodes[0], s.request(hold)), passed)
		if got := now(s.nodes[1], s.unwaiting(s.request(hold))); got.err == nil {
			t.Error("redeemed twice")
		}
	})
}

func errorsAs(t *testing.T, err error) *refusal.Refusal {
	t.Helper()
	r, ok := errors.AsType[*refusal.Refusal](err)
	if !ok {
		t.Fatalf("%v is no refusal", err)
	}
	return r
}

// An approval is worth nothing after 5 minutes, nor is a prompt answered then.
func TestTooLate(t *testing.T) {
	for _, c := range []struct {
		answer, retry time.Duration // after the request, after the answer
		decided       error
		reason        refusal.Reason
	}{
		{4*time.Minute + 59*time.Second, 4*time.Minute + 59*time.Second, nil, passed},
		{4 * time.Minute, 5*time.Minute + time.Second, nil, refusal.SecondFactorApprove},
		{5*time.Minute + time.Second, 0, mfa.ErrOver, refusal.SecondFactorApprove},
	} {
		bubble(t, func(t *testing.T) {
			s := newSite(t, 1, nil, nil)
			node := s.nodes[0]
			waits := start(node, s.request(hold))
			synctest.Wait()
			id := s.only(node, alice).ID
			time.Sleep(c.answer)
			<-waits
			if err := node.Decide(t.Context(), alice, id, approve(alice)); !errors.Is(err, c.decided) {
				t.Errorf("%v: got %v", c, err)
			}
			time.Sleep(c.retry)
			want(t, "the retry", now(node, s.unwaiting(s.request(hold))), c.reason)
		})
	}
}

// An answer is given once, by its user, with a fresh factor that the rules take.
func TestDecide(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		node := s.nodes[0]
		waits := start(node, s.request(hold))
		synctest.Wait()
		id := s.only(node, alice).ID
		with := func(change func(*factor.Proof)) mfa.Decision {
			d := approve(alice)
			change(&d.Factor)
			return d
		}
		for what, c := range map[string]struct {
			user, id string
			d        mfa.Decision
			want     error
		}{
			"another user":         {bob, id, approve(bob), mfa.ErrMismatch},
			"another user's proof": {alice, id, approve(bob), mfa.ErrOldFactor},
			"no id":                {alice, "", approve(alice), mfa.ErrMismatch},
			"an id cut short":      {alice, id[:40], approve(alice), mfa.ErrMismatch},
			"a changed id":         {alice, "00" + id[2:], approve(alice), mfa.ErrMismatch},
			"an old factor":        {alice, id, with(func(p *factor.Proof) { p.At = p.At.Add(-5*time.Minute - time.Second) }), mfa.ErrOldFactor},
			"a factor to come":     {alice, id, with(func(p *factor.Proof) { p.At = p.At.Add(time.Minute) }), mfa.ErrOldFactor},
			"no factor":            {alice, id, mfa.Decision{Verdict: mfa.Approve}, mfa.ErrOldFactor},
			"a binding code":       {alice, id, with(func(p *factor.Proof) { p.Kind = factor.Binding }), mfa.ErrOldFactor},
			"a recovery code":      {alice, id, with(func(p *factor.Proof) { p.Kind = factor.Recovery }), mfa.ErrFactor},
		} {
			if err := node.Decide(t.Context(), c.user, c.id, c.d); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", what, err, c.want)
			}
		}
		if err := node.Decide(t.Context(), alice, id, mfa.Decision{}); err != nil {
			t.Error(err)
		}
		want(t, "denied", <-waits, refusal.SecondFactorDenied)
		for _, n := range s.nodes {
			if err := n.Decide(t.Context(), alice, id, approve(alice)); !errors.Is(err, mfa.ErrOver) {
				t.Errorf("a second answer: %v", err)
			}
		}
	})
}

// A recovery code approves only where a rule names it.
func TestFactorsOfAllRules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		node := s.nodes[0]
		totp, both := *hold, *hold
		totp.Factors, both.Factors = policy.TOTP, policy.TOTP|policy.Passkey
		waits := start(node, s.request(&totp, &both))
		synctest.Wait()
		p := s.only(node, alice)
		if p.Factors != policy.TOTP {
			t.Errorf("%v may approve, want totp", p.Factors)
		}
		if err := node.Decide(t.Context(), alice, p.ID, approve(alice)); !errors.Is(err, mfa.ErrFactor) {
			t.Errorf("approved with a passkey: %v", err)
		}
		s.answer(node, alice, mfa.Decision{Verdict: mfa.Approve, Factor: factor.Proof{User: alice, Kind: factor.TOTP, At: time.Now()}})
		r := <-waits
		want(t, "approved", r, passed)
		if r.String() != "approve-only totp" {
			t.Errorf("proof %v", r)
		}
	})
}

// A gateway that stops refuses who waits; the approval is redeemed elsewhere
// (FAIL-08). A client that goes ends its own wait alone.
func TestStopAndGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		waits := start(s.nodes[0], s.request(hold))
		ctx, leave := context.WithCancel(t.Context())
		goes := startUntil(ctx, s.nodes[1], s.request(hold))
		time.Sleep(time.Second)
		leave()
		want(t, "the client that went", <-goes, refusal.ClientGone)
		if p := s.only(s.nodes[1], alice); p.Waiting != 1 {
			t.Errorf("%d wait, want 1", p.Waiting)
		}
		s.stops[0]()
		want(t, "on the gateway that stops", <-waits, refusal.SecondFactorApprove)
		s.answer(s.nodes[1], alice, approve(alice))
		want(t, "the retry elsewhere", now(s.nodes[1], s.request(hold)), passed)
	})
}

// A gateway that died holds nobody's approval.
func TestDeadGateway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		ctx, die := context.WithCancel(t.Context())
		dead := &mortal{Store: s.store}
		lost := newSite(t, 1, dead, nil)
		waits := startUntil(ctx, lost.nodes[0], s.request(hold))
		synctest.Wait()
		dead.die()
		die()
		<-waits
		time.Sleep(mfa.DefaultHold + 3*time.Second)
		s.answer(s.nodes[1], alice, approve(alice))
		want(t, "the retry", now(s.nodes[0], s.request(hold)), passed)
	})
}

// Each family of clients waits as long as it can, and none longer than the
// prompt lasts. A client that cannot wait is not held.
func TestBudgets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		r := s.request(hold)
		r.Family = "msal-net"
		r.Start = r.Start.Add(-5 * time.Second) // spent on the password
		if got := (<-start(s.nodes[0], r)).after; got != 55*time.Second {
			t.Errorf("msal-net waited %s, want 55s", got)
		}
		r = s.request(hold)
		r.Family = "impatient"
		want(t, "a client that cannot wait", now(s.nodes[0], r), refusal.SecondFactor)
		r = s.request(anything)
		r.Family, r.Address = "impatient", away
		time.Sleep(5 * time.Minute)
		want(t, "a client that can be told a number", now(s.nodes[0], r), refusal.SecondFactorNumber)
	})
}

// An answer that the gateway has not heard of counts when the wait ends, and
// leaves nothing to redeem.
func TestAnswerNotHeard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		lost := newSite(t, 1, &deaf{s.store}, nil)
		waits := start(lost.nodes[0], s.request(hold))
		time.Sleep(40 * time.Second)
		s.answer(s.nodes[0], alice, approve(alice))
		r := <-waits
		want(t, "approved, and not heard of", r, passed)
		if r.after != mfa.DefaultHold {
			t.Errorf("answered after %s", r.after)
		}
		if got := now(s.nodes[0], s.unwaiting(s.request(hold))); got.err == nil {
			t.Error("redeemed as well")
		}
	})
}
