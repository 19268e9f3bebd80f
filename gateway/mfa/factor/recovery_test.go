package factor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/policy"
)

// MFA-13: each of ten codes of 80 bits is good once, as long as no others take
// their place, and every use is told.
func TestRecovery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		v, other := s.nodes[0], s.nodes[1]
		check := func(what, id, code string, want error) {
			t.Helper()
			p, err := other.CheckCode(t.Context(), user(id), typed(code), policy.TOTP|policy.Recovery, home)
			if !errors.Is(err, want) || err == nil && (p.Kind != factor.Recovery || p.User != id) {
				t.Errorf("%s: got %+v, %v; want %v", what, p, err, want)
			}
		}
		var old []string
		for _, c := range must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t) {
			old = append(old, string(c.Bytes()))
		}
		if len(old) != 10 || len(old[0]) != 19 || strings.Count(old[0], "-") != 3 || old[0] == old[1] {
			t.Errorf("codes like %q", old)
		}
		check("of another user", bob, old[0], factor.ErrMissing)
		check("right", alice, old[0], nil)
		check("again", alice, old[0], factor.ErrWrong)
		check("small and without hyphens", alice, strings.ToLower(strings.ReplaceAll(old[1], "-", "")), nil)
		if all := must(v.List(t.Context(), alice))(t); len(all) != 1 || all[0].Left != 8 || all[0].Kind != factor.Recovery {
			t.Errorf("left: %+v", all)
		}
		fresh := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
		check("of the set before", alice, old[2], factor.ErrWrong)
		check("of the new set", alice, string(fresh[0].Bytes()), nil)
		if got, want := s.whats(), "recovery-issued recovery-used recovery-used recovery-issued recovery-used"; got != want {
			t.Errorf("the user was told %q, want %q", got, want)
		}
		time.Sleep(2 * time.Second)
		if f := must(other.Accepts(alice, policy.TOTP|policy.Recovery))(t); f != policy.Recovery {
			t.Errorf("accepts %s", f)
		}
		for i := range 5 {
			check("wrong", alice, strings.Repeat(string(rune('A'+i)), 16), factor.ErrWrong)
		}
		check("right, after five that were not", alice, string(fresh[1].Bytes()), factor.ErrThrottled)
		time.Sleep(5 * time.Minute)
		check("right, after the wait", alice, string(fresh[1].Bytes()), nil)
	})
}
