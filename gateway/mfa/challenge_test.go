package mfa_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/mfa"
	"stsgate/gateway/refusal"
)

// challenged has a request refused with a number, and returns it.
func (s *site) challenged(node *mfa.Service, r *mfa.Request) string {
	s.t.Helper()
	got := now(node, r)
	want(s.t, "a challenge", got, refusal.SecondFactorNumber)
	if got.err == nil {
		return ""
	}
	why, _ := errors.AsType[*refusal.Refusal](got.err)
	if why.Portal != portal || !regexp.MustCompile(`^[0-9]{6}$`).MatchString(why.Number) {
		s.t.Fatalf("the fault tells portal %q and number %q", why.Portal, why.Number)
	}
	return why.Number
}

// The number of the fault is typed in the portal, and the retry redeems it once.
func TestChallenge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		number := s.challenged(s.nodes[0], s.request(challenge))
		if again := s.challenged(s.nodes[1], s.request(challenge)); again != number {
			t.Errorf("told %s, then %s", number, again)
		}
		p := s.only(s.nodes[1], alice)
		if !p.Number || p.Waiting != 0 {
			t.Errorf("the portal shows %+v", p)
		}
		// MFA-08.
		if shown := fmt.Sprintf("%+v", p); strings.Contains(strings.ReplaceAll(shown, p.ID, ""), number) {
			t.Errorf("the portal is told the number: %s", shown)
		}
		if knocks, _ := s.told(); knocks != 0 {
			t.Error("a knock for a challenge, whose user reads it in the client")
		}
		d := approve(alice)
		d.Number = number
		s.answer(s.nodes[1], alice, d)
		r := now(s.nodes[0], s.request(challenge))
		want(t, "the retry", r, passed)
		if r.String() != "bound passkey-uv" {
			t.Errorf("proof %v", r)
		}
		if again := s.challenged(s.nodes[1], s.request(challenge)); again == number {
			t.Error("a new challenge with the old number")
		}
	})
}

// Two wrong numbers end it, and the right one comes too late then (MFA-03, MFA-08).
func TestWrongNumbers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		number := s.challenged(s.nodes[0], s.request(challenge))
		id := s.only(s.nodes[0], alice).ID
		try := func(node *mfa.Service, number string, want error) {
			t.Helper()
			d := approve(alice)
			d.Number = number
			if err := node.Decide(t.Context(), alice, id, d); !errors.Is(err, want) {
				t.Errorf("%q: got %v, want %v", number, err, want)
			}
		}
		try(s.nodes[0], "", mfa.ErrNumber)
		if again := s.challenged(s.nodes[1], s.request(challenge)); again != number {
			t.Error("another number after a wrong one: the count begins anew")
		}
		try(s.nodes[1], number[1:]+"0x", mfa.ErrNumbers)
		try(s.nodes[0], number, mfa.ErrOver)
		if got := now(s.nodes[0], s.request(challenge)); got.err == nil {
			t.Error("passed")
		}
	})
}

// A number lives for 5 minutes.
func TestNumberExpires(t *testing.T) {
	for after, want := range map[time.Duration]error{5*time.Minute - time.Second: nil, 5*time.Minute + time.Second: mfa.ErrOver} {
		bubble(t, func(t *testing.T) {
			s := newSite(t, 1, nil, nil)
			d := mfa.Decision{Verdict: mfa.Approve, Number: s.challenged(s.nodes[0], s.request(challenge))}
			id := s.only(s.nodes[0], alice).ID
			time.Sleep(after)
			d.Factor = passkey(alice)
			if err := s.nodes[0].Decide(t.Context(), alice, id, d); !errors.Is(err, want) {
				t.Errorf("after %s: %v, want %v", after, err, want)
			}
		})
	}
}

// What was approved without a number is worth nothing where one is due, nor the
// other way round.
func TestShapesDoNotMix(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		node := s.nodes[0]
		<-start(node, s.request(hold))
		want(t, "a challenge while a hold is pending", now(node, s.request(challenge)), refusal.SecondFactorStopped)
		s.answer(node, alice, approve(alice))
		if got := now(node, s.request(challenge)); got.err == nil {
			t.Error("a challenge redeemed what a hold was approved for")
		}
	})
}
