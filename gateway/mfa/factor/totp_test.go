package factor_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/policy"
)

// MFA-05, MFA-24: a code is accepted once, none of an earlier step is after it,
// and one that is no more of use is not counted.
func TestTOTPOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		v := s.nodes[0]
		a := enrol(t, v, alice)
		check := func(what, code string, want error) {
			t.Helper()
			p, err := v.CheckCode(t.Context(), user(alice), typed(code), policy.TOTP|policy.RADIUS, home)
			if !errors.Is(err, want) || (err == nil) != (p.Authenticator == a.id && p.User == alice && p.Kind == factor.TOTP) {
				t.Errorf("%s: got %+v, %v; want %v", what, p, err, want)
			}
		}
		check("the code that confirmed", a.now(), factor.ErrReused)
		time.Sleep(30 * time.Second)
		first := a.now()
		check("the next code", first, nil)
		check("the same again", first, factor.ErrReused)
		check("the one before it", a.at(time.Now().Add(-30*time.Second)), factor.ErrReused)
		ahead := a.at(time.Now().Add(30 * time.Second))
		check("of a clock that is ahead", ahead, nil)
		time.Sleep(30 * time.Second)
		check("the same when it is due", ahead, factor.ErrReused)
		time.Sleep(time.Hour)
		for range 1000 {
			check("a stored code an hour later", first, factor.ErrReused)
		}
		check("two steps behind", a.at(time.Now().Add(-60*time.Second)), factor.ErrWrong)
		check("one step behind", a.at(time.Now().Add(-30*time.Second)), nil)
		for _, text := range []string{"", "12345", "1234567", "12345a", "１２３４５６"} {
			check(fmt.Sprintf("%q", text), text, factor.ErrMissing)
		}
	})
}

// FAIL-01: while the clock was stepped no code of an app is taken, nor counted,
// nor is one enrolled; passkeys and recovery codes are.
func TestTOTPNeedsTheClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var stepped error
		s := newSite(t, 1, nil, func(c *factor.Config) { c.Clock = func() error { return stepped } })
		v := s.nodes[0]
		a := enrol(t, v, alice)
		codes, err := v.NewRecoveryCodes(t.Context(), alice, factor.Proof{User: alice, Kind: factor.TOTP, Authenticator: a.id, At: time.Now()}, home)
		if err != nil {
			t.Fatal(err)
		}
		half, err := v.BeginTOTP(t.Context(), user(bob), factor.Proof{User: bob, Kind: factor.Admission, At: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		stepped = errors.New("the clock was stepped by 40s")
		for range 200 {
			if _, err := v.CheckCode(t.Context(), user(alice), typed("000000"), policy.TOTP, home); !errors.Is(err, factor.ErrDown) {
				t.Fatalf("a wrong code: got %v", err)
			}
		}
		if _, err := v.CheckCode(t.Context(), user(alice), typed(a.now()), policy.TOTP, home); !errors.Is(err, factor.ErrDown) {
			t.Errorf("the right code: got %v", err)
		}
		if _, err := v.ConfirmTOTP(t.Context(), bob, half.ID, typed("000000"), "", home); !errors.Is(err, factor.ErrDown) {
			t.Errorf("an enrolment: got %v", err)
		}
		if _, err := v.CheckCode(t.Context(), user(alice), codes[0], policy.Recovery, home); err != nil {
			t.Errorf("a recovery code: got %v", err)
		}
		stepped = nil
		if _, err := v.CheckCode(t.Context(), user(alice), typed(a.now()), policy.TOTP, home); err != nil {
			t.Errorf("the clock is right again: got %v", err)
		}
	})
}

// MFA-05: a code of another user is nobody's.
func TestTOTPOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		v := s.nodes[0]
		a := enrol(t, v, alice)
		enrol(t, v, bob)
		time.Sleep(30 * time.Second)
		if _, err := v.CheckCode(t.Context(), user(bob), typed(a.now()), policy.TOTP, home); !errors.Is(err, factor.ErrWrong) {
			t.Errorf("got %v", err)
		}
		if _, err := v.CheckCode(t.Context(), user(alice), typed(a.now()), policy.Passkey, home); !errors.Is(err, factor.ErrMissing) {
			t.Errorf("a factor that was not asked for: %v", err)
		}
		if _, err := v.CheckCode(t.Context(), user(alice), typed(a.now()), policy.TOTP, home); err != nil {
			t.Error(err)
		}
	})
}

// Nothing is enrolled by half: without a right code, after ten minutes, twice,
// by another user, or on a proof that is not the user's own and fresh.
func TestTOTPHalf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		v, other := s.nodes[0], s.nodes[1]
		for what, p := range map[string]factor.Proof{
			"none":   {},
			"bob's":  binding(bob),
			"kind 0": {User: alice, At: time.Now()},
			"old":    {User: alice, Kind: factor.TOTP, At: time.Now().Add(-factor.Fresh - time.Second)},
			"future": {User: alice, Kind: factor.TOTP, At: time.Now().Add(2 * time.Minute)},
		} {
			if _, err := v.BeginTOTP(t.Context(), user(alice), p); !errors.Is(err, factor.ErrUnproven) {
				t.Errorf("a proof that is %s: %v", what, err)
			}
		}
		half := must(v.BeginTOTP(t.Context(), user(alice), binding(alice)))(t)
		a := app{secret: strings.ReplaceAll(half.Secret(), " ", "")}
		confirm := func(by, code string, want error) {
			t.Helper()
			if _, err := other.ConfirmTOTP(t.Context(), by, half.ID, typed(code), "", home); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		confirm(bob, a.now(), factor.ErrOver)
		confirm(alice, a.wrong(0), factor.ErrWrong)
		if again := must(other.HalfTOTP(t.Context(), alice, half.ID))(t); again.URI() != half.URI() {
			t.Error("shown again, it is another")
		}
		if all := must(v.List(t.Context(), alice))(t); len(all) != 0 {
			t.Errorf("enrolled before a code: %+v", all)
		}
		confirm(alice, a.now(), nil)
		confirm(alice, a.now(), factor.ErrOver)
		half = must(v.BeginTOTP(t.Context(), user(alice), binding(alice)))(t)
		time.Sleep(10*time.Minute + 3*time.Second)
		confirm(alice, app{secret: strings.ReplaceAll(half.Secret(), " ", "")}.now(), factor.ErrOver)
	})
}

// A new app takes the place of the old one.
func TestTOTPAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		v := s.nodes[0]
		old := enrol(t, v, alice)
		recent := enrol(t, v, alice)
		time.Sleep(30 * time.Second)
		if _, err := v.CheckCode(t.Context(), user(alice), typed(old.now()), policy.TOTP, home); !errors.Is(err, factor.ErrWrong) {
			t.Errorf("the old app: %v", err)
		}
		if _, err := v.CheckCode(t.Context(), user(alice), typed(recent.now()), policy.TOTP, home); err != nil {
			t.Errorf("the new app: %v", err)
		}
		if got, want := s.whats(), "bound unbound bound"; got != want {
			t.Errorf("the user was told %q, want %q", got, want)
		}
	})
}
