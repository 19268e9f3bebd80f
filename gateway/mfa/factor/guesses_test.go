package factor_test

import (
	"errors"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/policy"
)

// MFA-06: five wrong codes, then five minutes, then twice as long each time up
// to an hour; the hundredth is the last, until the app is bound anew.
func TestGuesses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIdleSite(t, 2)
		a := enrol(t, s.nodes[0], alice)
		check := func(n int, code string) error {
			_, err := s.nodes[n%2].CheckCode(t.Context(), user(alice), typed(code), policy.TOTP, home)
			return err
		}
		waits := []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute}
		for n := range 100 {
			if err := check(n, a.wrong(n)); !errors.Is(err, factor.ErrWrong) {
				t.Fatalf("guess %d: %v", n, err)
			}
			if n == 99 {
				break
			}
			if n%5 != 4 {
				continue
			}
			wait := time.Hour
			if n/5 < len(waits) {
				wait = waits[n/5]
			}
			for _, d := range []time.Duration{0, wait - 2*time.Nanosecond} {
				time.Sleep(d)
				err := check(n, a.now())
				throttle, ok := errors.AsType[factor.Throttle](err)
				if !ok || throttle.Until.After(time.Now().Add(wait)) {
					t.Fatalf("after guess %d and %s: %v", n, d, err)
				}
			}
			time.Sleep(2 * time.Nanosecond)
		}
		for range 2 {
			if err := check(0, a.now()); !errors.Is(err, factor.ErrDisabled) {
				t.Errorf("after a hundred: %v", err)
			}
			time.Sleep(1000 * time.Hour)
		}
		if all := must(s.nodes[0].List(t.Context(), alice))(t); len(all) != 1 || !all[0].Disabled {
			t.Errorf("listed: %+v", all)
		}
		if got, want := s.whats(), "bound disabled"; got != want {
			t.Errorf("the user was told %q, want %q", got, want)
		}
		a = enrol(t, s.nodes[0], alice)
		time.Sleep(30 * time.Second)
		if err := check(0, a.now()); err != nil {
			t.Errorf("bound anew: %v", err)
		}
	})
}

// MFA-06: only a success forgets what was wrong, and forgets all of it.
func TestGuessesForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIdleSite(t, 1)
		v := s.nodes[0]
		a := enrol(t, v, alice)
		check := func(what, code string, want error) {
			t.Helper()
			if _, err := v.CheckCode(t.Context(), user(alice), typed(code), policy.TOTP, home); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		for n := range 4 {
			check("wrong", a.wrong(n), factor.ErrWrong)
		}
		time.Sleep(365 * 24 * time.Hour)
		check("right, a year later", a.now(), nil)
		for n := range 4 {
			check("wrong", a.wrong(n), factor.ErrWrong)
		}
		time.Sleep(365 * 24 * time.Hour)
		check("the fifth, a year later", a.wrong(9), factor.ErrWrong)
		check("right", a.now(), factor.ErrThrottled)
	})
}

// MFA-24: the same wrong code counts once in its step, however often it comes,
// and once more in the next.
func TestGuessesRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIdleSite(t, 2)
		a := enrol(t, s.nodes[0], alice)
		time.Sleep(30*time.Second - time.Duration(time.Now().Nanosecond()))
		one, two := a.wrong(1), a.wrong(2)
		for step := range 2 {
			for n := range 1000 {
				for i, code := range []string{one, two} {
					if _, err := s.nodes[n%2].CheckCode(t.Context(), user(alice), typed(code), policy.TOTP, home); !errors.Is(err, factor.ErrWrong) {
						t.Fatalf("step %d, try %d, code %d: %v", step, n, i, err)
					}
				}
			}
			time.Sleep(30 * time.Second)
		}
		for n, want := range []error{factor.ErrWrong, factor.ErrThrottled} {
			if _, err := s.nodes[0].CheckCode(t.Context(), user(alice), typed(a.wrong(3+n)), policy.TOTP, home); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	})
}

// MFA-06: who guesses for a year, as often as it is allowed, and whose victim
// never signs in, has a hundred guesses: three of a million are right each time.
func TestGuessesOfAYear(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIdleSite(t, 3)
		a := enrol(t, s.nodes[0], alice)
		guesses, n := 0, 0
		for end := time.Now().Add(365 * 24 * time.Hour); time.Now().Before(end); n++ {
			_, err := s.nodes[n%3].CheckCode(t.Context(), user(alice), typed(a.wrong(n)), policy.TOTP, home)
			throttle, waits := errors.AsType[factor.Throttle](err)
			switch {
			case errors.Is(err, factor.ErrWrong):
				guesses++
			case waits:
				time.Sleep(time.Until(throttle.Until))
			default:
				time.Sleep(24 * time.Hour)
			}
		}
		if inMillion := guesses * 3; inMillion != 300 {
			t.Errorf("%d guesses, of which %d in a million are right, want 300", guesses, inMillion)
		}
	})
}
