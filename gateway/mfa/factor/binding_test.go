package factor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
)

// MFA-11: a binding code is the user's, good once, for ten minutes, and ends
// with the fifth wrong one or with the next code.
func TestBindingCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		v, other := s.nodes[0], s.nodes[1]
		issue := func() string {
			t.Helper()
			return string(must(v.NewBindingCode(t.Context(), alice, office))(t).Bytes())
		}
		redeem := func(what, user, code string, want error) {
			t.Helper()
			p, err := other.RedeemBindingCode(t.Context(), user, typed(code))
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
			if err != nil {
				return
			}
			if p.User != user || p.Kind != factor.Binding {
				t.Errorf("%s: got %+v", what, p)
			}
			if _, err := other.BeginTOTP(t.Context(), factor.User{ID: user}, p); err != nil {
				t.Errorf("%s: enrol: %v", what, err)
			}
		}
		first := issue()
		if len(first) != 11 || first[5] != '-' {
			t.Errorf("a code of %d characters, want ten and a hyphen", len(first))
		}
		redeem("of another user", bob, first, factor.ErrOver)
		redeem("right", alice, strings.ToLower(strings.ReplaceAll(first, "-", " ")), nil)
		redeem("again", alice, first, factor.ErrOver)

		second := issue()
		time.Sleep(factor.BindingLast + time.Second)
		redeem("too late", alice, second, factor.ErrOver)

		third, fourth := issue(), issue()
		redeem("the one before", alice, third, factor.ErrWrong)
		for range 3 {
			redeem("wrong", alice, "00000-00000", factor.ErrWrong)
		}
		redeem("right, after four that were not", alice, fourth, nil)

		fifth := issue()
		for _, wrong := range []string{"", "1", "00000-00000", strings.Repeat("0", 500), third} {
			redeem("wrong", alice, wrong, factor.ErrWrong)
		}
		redeem("right, after five that were not", alice, fifth, factor.ErrOver)
		if got, want := s.whats(), strings.TrimSpace(strings.Repeat("binding-issued ", 5)); got != want {
			t.Errorf("the user was told %q, want %q", got, want)
		}
	})
}

// MFA-11: who never had an authenticator can be let in to enrol the first; who
// has or had one cannot, whatever happens in between.
func TestAdmit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		v := s.nodes[0]
		p := must(v.Admit(t.Context(), alice))(t)
		half := must(v.BeginTOTP(t.Context(), user(alice), p))(t)
		enrol(t, v, alice)
		confirm := func() {
			t.Helper()
			code := app{secret: strings.ReplaceAll(half.Secret(), " ", "")}.now()
			if _, err := v.ConfirmTOTP(t.Context(), alice, half.ID, typed(code), "", home); !errors.Is(err, factor.ErrUnproven) {
				t.Errorf("what was begun before the user enrolled: %v", err)
			}
			if _, err := v.Admit(t.Context(), alice); !errors.Is(err, factor.ErrUnproven) {
				t.Errorf("admitted: %v", err)
			}
			if _, err := v.BeginTOTP(t.Context(), user(alice), p); !errors.Is(err, factor.ErrUnproven) {
				t.Errorf("begun on an old admission: %v", err)
			}
		}
		confirm()
		if err := v.Reset(t.Context(), alice, office); err != nil {
			t.Fatal(err)
		}
		half = must(v.BeginTOTP(t.Context(), user(bob), must(v.Admit(t.Context(), bob))(t)))(t)
		if _, err := v.Admit(t.Context(), alice); !errors.Is(err, factor.ErrUnproven) {
			t.Errorf("admitted after a reset: %v", err)
		}
	})
}

// MFA-14: a reset takes everything away, with what was begun or proven before it.
func TestReset(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		v := s.nodes[0]
		enrol(t, v, alice)
		p := binding(alice)
		must(v.NewRecoveryCodes(t.Context(), alice, p, home))(t)
		half := must(v.BeginTOTP(t.Context(), user(alice), p))(t)
		time.Sleep(time.Second)
		if err := v.Reset(t.Context(), alice, office); err != nil {
			t.Fatal(err)
		}
		if all := must(v.List(t.Context(), alice))(t); len(all) != 0 {
			t.Errorf("left: %+v", all)
		}
		code := app{secret: strings.ReplaceAll(half.Secret(), " ", "")}.now()
		if _, err := v.ConfirmTOTP(t.Context(), alice, half.ID, typed(code), "", home); !errors.Is(err, factor.ErrUnproven) {
			t.Errorf("what was begun before: %v", err)
		}
		if _, err := v.NewRecoveryCodes(t.Context(), alice, p, home); !errors.Is(err, factor.ErrUnproven) {
			t.Errorf("a proof of before: %v", err)
		}
		time.Sleep(time.Second)
		enrol(t, v, alice)
		if got, want := s.whats(), "bound recovery-issued reset bound"; got != want {
			t.Errorf("the user was told %q, want %q", got, want)
		}
	})
}
