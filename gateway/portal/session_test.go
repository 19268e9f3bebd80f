package portal_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/portal"
	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
)

// PORT-01: the cookie, and a new id at every step of a sign-in.
func TestCookie(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		b := s.browser()
		seen := map[string]bool{}
		step := func(what string, a answer) {
			t.Helper()
			for _, c := range (&http.Response{Header: a.header}).Cookies() {
				if c.Name != portal.CookieName {
					continue
				}
				if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
					t.Errorf("%s: %s", what, c)
				}
				if len(c.Value) < 43 {
					t.Errorf("%s: an id of %d characters", what, len(c.Value))
				}
				if seen[c.Value] {
					t.Errorf("%s: the id is not new", what)
				}
				seen[c.Value] = true
				return
			}
			t.Errorf("%s: no new id", what)
		}
		step("a visit", b.get("/sign-in"))
		step("the password", b.post("/sign-in", "name", "alice", "password", pw))
		b.get("/sign-in/factor")
		step("the factor", b.post("/sign-in/factor", "code", s.code(alice)))
		b.get("/")
		time.Sleep(time.Minute)
		step("a step-up", b.post("/devices/recovery-codes", "code", s.code(alice)))
		b.get("/")
		ended := b.cookies[portal.CookieName]
		step("the sign-out", b.post("/sign-out"))
		synctest.Wait() // the mirror follows
		b.cookies[portal.CookieName] = ended
		if a := b.get("/"); a.location != "/sign-in" {
			t.Errorf("after the sign-out: %d to %q", a.status, a.location)
		}
	})
}

// PORT-01: an id that somebody chose is never one of a session, and no id
// stands in the store.
func TestFixation(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		b := s.browser()
		b.get("/sign-in")
		chosen := b.cookies[portal.CookieName]
		b.follow("/sign-in", "name", "alice", "password", pw)
		b.follow("/sign-in/factor", "code", s.code(alice))
		o := s.browser()
		o.cookies[portal.CookieName] = chosen
		if a := o.get("/"); a.location != "/sign-in" {
			t.Errorf("the chosen id: %d to %q", a.status, a.location)
		}
		all, err := s.store.List(t.Context(), state.Sessions.Key())
		if err != nil || len(all) == 0 {
			t.Fatalf("%d records, %v", len(all), err)
		}
		for _, r := range all {
			if id := b.cookies[portal.CookieName]; strings.Contains(r.Key.String()+string(r.Value), id) {
				t.Error("the store has the id")
			}
		}
	})
}

// PORT-01: 30 minutes idle, 12 hours overall, half a sign-in for 10 minutes.
func TestSessionEnds(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		here := func(b *browser) bool { return b.get("/").status == http.StatusOK }
		b := s.browser()
		b.signIn("alice", alice)
		begun := time.Now()
		for time.Since(begun) < 12*time.Hour-28*time.Minute {
			time.Sleep(27 * time.Minute)
			if !here(b) {
				t.Fatalf("over after %s in use", time.Since(begun))
			}
		}
		time.Sleep(12*time.Hour - time.Since(begun) + time.Second)
		if here(b) {
			t.Error("it lasts for more than 12 hours")
		}
		b.signIn("alice", alice)
		time.Sleep(30*time.Minute + time.Second)
		if here(b) {
			t.Error("it lasts for more than 30 minutes without use")
		}
		b.password("alice")
		time.Sleep(9 * time.Minute)
		if a := b.get("/sign-in/factor"); a.status != http.StatusOK {
			t.Errorf("half a sign-in after 9 minutes: %d", a.status)
		}
		time.Sleep(61 * time.Second)
		if a := b.get("/sign-in/factor"); a.location != "/sign-in" {
			t.Errorf("half a sign-in after 10 minutes: %d", a.status)
		}
	})
}

// PORT-01: signing out everywhere ends the sessions of that user, on every
// gateway within a second, and of nobody else; a later one lasts.
func TestSignOutEverywhere(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		first, second, other := s.browser(), s.browser(), s.signedIn("bob", bob)
		first.signIn("alice", alice)
		second.signIn("alice", alice)
		if a := second.follow("/sign-out/everywhere"); !strings.Contains(a.text(), "signed out") {
			t.Errorf("%d %s", a.status, a.text())
		}
		time.Sleep(time.Second)
		for name, b := range map[string]*browser{"the other": first, "its own": second} {
			if a := b.get("/"); a.location != "/sign-in" {
				t.Errorf("%s session: %d", name, a.status)
			}
		}
		if a := other.get("/"); a.status != http.StatusOK {
			t.Errorf("another user's session: %d", a.status)
		}
		second.signIn("alice", alice)
		if !strings.Contains(s.acted(), "sign-out-everywhere unknown") {
			t.Errorf("recorded: %s", s.acted())
		}
	})
}

// FAIL-02: a store that does not answer signs nobody in, and loses nobody.
func TestStoreDown(t *testing.T) {
	faulty := &statetest.Faulty{}
	bubble(t, func(c *portal.Config) { faulty.Store = c.Store; c.Store = faulty }, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		faulty.Break(func(string, state.Key) statetest.Fault { return statetest.Fail })
		time.Sleep(2 * time.Second)
		if a := b.get("/"); a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "alice@") {
			t.Errorf("%d %s", a.status, a.text())
		}
		faulty.Break(nil)
		time.Sleep(4 * time.Second)
		if a := b.get("/"); a.status != http.StatusOK {
			t.Errorf("after it is back: %d %s", a.status, a.text())
		}
	})
}

// A session is one on all gateways, and ends on all within a second.
func TestSessionOnAnotherGateway(t *testing.T) {
	secret := []byte("thirty-two bytes for these tests")
	bubble(t, func(c *portal.Config) { c.Secret = secret }, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		first := s.portal
		c := s.config
		c.Metrics = prometheus.NewRegistry()
		second, err := portal.New(c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { second.Run(ctx) })
		defer running.Wait()
		defer stop()
		if err := second.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		s.portal = second
		if a := b.get("/devices"); a.status != http.StatusOK {
			t.Fatalf("on the other gateway: %d to %q", a.status, a.location)
		}
		if a := b.post("/devices/rename", "id", "none", "label", "x"); a.status != http.StatusNotFound {
			t.Errorf("its form there: %d %s", a.status, a.text())
		}
		if err := first.EndSessions(ctx, alice); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if a := b.get("/devices"); a.location != "/sign-in" {
			t.Errorf("after it was ended on the first: %d", a.status)
		}
	})
}

// AUD-01: who signs in while that cannot be recorded is not signed in, nor any
// further than before.
func TestUnrecordedSignIn(t *testing.T) {
	var refused string // the act that cannot be recorded
	change := func(c *portal.Config) {
		record := c.Record
		c.Record = func(a portal.Act) error {
			if a.Name == refused {
				return errors.New("disk full")
			}
			return record(a)
		}
	}
	bubble(t, change, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		b := s.browser()
		refused = "sign-in"
		if a := b.password("alice"); a.status != http.StatusServiceUnavailable {
			t.Errorf("a password: %d %s", a.status, a.text())
		}
		if a := b.get("/sign-in/factor"); a.location != "/sign-in" {
			t.Errorf("then: %d to %q", a.status, a.location)
		}
		refused = "factor"
		b.password("alice")
		if a := b.post("/sign-in/factor", "code", s.code(alice)); a.status != http.StatusServiceUnavailable {
			t.Errorf("a factor: %d %s", a.status, a.text())
		}
		if a := b.get("/"); a.location == "" {
			t.Errorf("then: %d %s", a.status, a.text())
		}
	})
}

// A passkey that does not sign in is written down, as a password is.
func TestPasskeyRefusedIsRecorded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.browser()
		b.get("/sign-in")
		if a := b.post("/sign-in/passkey", "challenge", "none", "assertion", "{}"); a.status != http.StatusForbidden {
			t.Errorf("%d %s", a.status, a.text())
		}
		if got := s.acted(); got != "sign-in failure" {
			t.Errorf("recorded: %q", got)
		}
	})
}

// MFA-09: who has a passkey that may have been copied is told so, and not to try
// again.
func TestClonedPasskeyIsTold(t *testing.T) {
	if got := portal.WhatWasWrong(factor.ErrCloned); !strings.Contains(got, "copied") {
		t.Errorf("told: %q", got)
	}
}
