package factor_test

import (
	"errors"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// STATE-09: after a backup of yesterday is restored, no code is good that was
// good before, and the authenticators are there.
func TestRestored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, withPasskeys)
		v := s.nodes[0]
		a, d := enrol(t, v, alice), newDevice(t, v, alice)
		codes := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
		backup := must(s.store.List(t.Context(), state.Enrolments.Key()))(t)
		if len(backup) != 2 {
			t.Fatalf("%d records, want the user's and whose handle it is", len(backup))
		}

		time.Sleep(time.Hour)
		used := a.now()
		must(v.CheckCode(t.Context(), user(alice), typed(used), policy.TOTP, home))(t)
		must(v.CheckCode(t.Context(), user(alice), codes[0], policy.Recovery, home))(t)

		store := state.NewMemory(nil)
		for _, r := range backup {
			value := must(factor.Restored(r.Key, r.Value, time.Now()))(t)
			must(store.Create(t.Context(), r.Key, value, 0))(t)
		}
		s = newSite(t, 1, store, withPasskeys)
		v = s.nodes[0]
		ahead := a.at(time.Now().Add(30 * time.Second))
		for _, code := range []string{used, ahead} {
			if _, err := v.CheckCode(t.Context(), user(alice), typed(code), policy.TOTP, home); !errors.Is(err, factor.ErrReused) {
				t.Errorf("a code of before: %v", err)
			}
		}
		for _, code := range codes[:2] {
			if _, err := v.CheckCode(t.Context(), user(alice), code, policy.Recovery, home); !errors.Is(err, factor.ErrMissing) {
				t.Errorf("a recovery code of before: %v", err)
			}
		}
		time.Sleep(time.Minute)
		must(v.CheckCode(t.Context(), user(alice), typed(a.now()), policy.TOTP, home))(t)
		for _, by := range []string{alice, ""} {
			must(d.signIn(t, v, by, answer{handle: d.handle}))(t)
		}
		if got, want := s.whats(), "unbound"; got != want {
			t.Errorf("the user was told %q, want %q", got, want)
		}
		if _, err := factor.Restored(state.Enrolments.Key(alice), []byte(`{"v":2}`), time.Now()); err == nil {
			t.Error("a record of a later program is restored")
		}
	})
}
