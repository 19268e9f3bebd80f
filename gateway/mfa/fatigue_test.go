package mfa_test

import (
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/mfa"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// MFA-07: who has the password and tries 1,000 times an hour makes the phone
// ring 5 times and one alarm; the user still comes in with what was approved
// beforehand, or with a code.
func TestFatigue(t *testing.T) {
	for name, shape := range map[string]*policy.MFA{"hold": hold, "challenge": challenge} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSite(t, 3, nil, nil)
				app := s.enrol(alice)
				prompts := map[string]bool{}
				begin := time.Now()
				for i := range 1000 {
					r := s.request(shape)
					r.Address = away
					waits := start(s.nodes[i%3], r)
					time.Sleep(time.Hour / 1000)
					all, err := s.nodes[0].Pending(t.Context(), alice)
					if err != nil || len(all) > 1 {
						t.Fatalf("%d live prompts, %v", len(all), err)
					}
					for _, p := range all {
						prompts[p.ID] = true
					}
					go func() { <-waits }()
				}
				knocks, notices := s.told()
				if len(prompts) > 5 || knocks > 5 || notices != 1 {
					t.Errorf("in %s: %d prompts, %d knocks, %d alarms; want at most 5, 5, and 1", time.Since(begin), len(prompts), knocks, notices)
				}
				if name == "hold" && knocks == 0 {
					t.Error("no knock at all")
				}
				// She signs in to the portal with her passkey and approves her own program.
				if err := s.nodes[0].Allow(t.Context(), alice, "payroll", home, true, passkey(alice)); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				want(t, "a grant", now(s.nodes[1], s.request(granted)), passed)
				r := s.request(anything)
				r.Code = app.code(t)
				want(t, "a code", now(s.nodes[1], r), passed)
				want(t, "another prompt", now(s.nodes[2], s.request(shape)), refusal.SecondFactorStopped)
			})
		})
	}
}

// At most 3 in 10 minutes, even if all are approved; and one that is approved
// forgives those before.
func TestPromptsWithin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		node := s.nodes[0]
		ask := func(approves bool) refusal.Reason {
			waits := start(node, s.request(hold))
			time.Sleep(3 * time.Second)
			if all, _ := node.Pending(t.Context(), alice); len(all) == 1 {
				d := mfa.Decision{}
				if approves {
					d = approve(alice)
				}
				s.answer(node, alice, d)
			}
			return (<-waits).reason()
		}
		for i := range 3 {
			if got := ask(true); got != passed {
				t.Errorf("prompt %d: %v", i, got)
			}
		}
		if got := ask(true); got != refusal.SecondFactorStopped {
			t.Errorf("a fourth within 10 minutes: %v", got)
		}
		time.Sleep(10 * time.Minute)
		for i := range 12 { // four denied, one approved, over and over
			reason := refusal.SecondFactorDenied
			if i%5 == 4 {
				reason = passed
			}
			if got := ask(i%5 == 4); got != reason {
				t.Errorf("answer %d: %v, want %v", i, got, reason)
			}
			time.Sleep(5 * time.Minute)
		}
		for range 5 { // until five in a row are denied
			ask(false)
			time.Sleep(5 * time.Minute)
		}
		if got := ask(true); got != refusal.SecondFactorStopped {
			t.Errorf("after five denials: %v", got)
		}
		time.Sleep(time.Hour)
		if got := ask(false); got != refusal.SecondFactorDenied {
			t.Errorf("an hour later: %v", got)
		}
		time.Sleep(5 * time.Minute)
		if got := ask(true); got != refusal.SecondFactorStopped {
			t.Errorf("after one more denial: %v", got)
		}
	})
}

// One live prompt: while an attacker's waits, the user's own is not shown; once
// it is denied, it is.
func TestOneLivePrompt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		theirs := s.request(hold)
		theirs.Address = away
		waits := start(s.nodes[0], theirs)
		time.Sleep(time.Second)
		want(t, "hers meanwhile", now(s.nodes[1], s.request(hold)), refusal.SecondFactorStopped)
		time.Sleep(3 * time.Second)
		want(t, "hers meanwhile", now(s.nodes[1], s.request(hold)), refusal.SecondFactorStopped)
		s.answer(s.nodes[1], alice, mfa.Decision{Verdict: mfa.NotMe})
		want(t, "theirs", <-waits, refusal.SecondFactorDenied)
		hers := start(s.nodes[1], s.request(hold))
		synctest.Wait()
		s.answer(s.nodes[0], alice, approve(alice))
		want(t, "hers", <-hers, passed)
	})
}
