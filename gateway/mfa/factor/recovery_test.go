package factor_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
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

// MFA-13: with the write that spends a code a new one takes its place: the used
// one is dead on every gateway, the others are as they were, and the user is told.
// Where no new one comes, the user is told how many are left.
func TestReplaceRecoveryCode(t *testing.T) {
	s := newSite(t, 3, nil, nil)
	v, other := s.nodes[0], s.nodes[1]
	codes := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
	left := func(want int) {
		t.Helper()
		if all := must(v.List(t.Context(), alice))(t); all[0].Left != want {
			t.Errorf("%d codes are left, want %d", all[0].Left, want)
		}
	}
	next := make(chan account.Password, statetest.Racers)
	won := s.race(func(v *factor.Verifier) error {
		p, code, err := v.ReplaceRecoveryCode(t.Context(), alice, codes[0], home)
		if err == nil && (p.User != alice || p.Kind != factor.Recovery) {
			t.Errorf("proven %+v", p)
		}
		next <- code
		return err
	})
	close(next)
	var fresh []account.Password
	for code := range next {
		if len(code.Bytes()) > 0 {
			fresh = append(fresh, code)
		}
	}
	if won != 1 || len(fresh) != 1 || len(fresh[0].Bytes()) != len(codes[0].Bytes()) {
		t.Fatalf("one code was replaced %d times, by %d", won, len(fresh))
	}
	left(10)
	for what, code := range map[string]account.Password{"used": codes[0], "never made": typed("0000-0000-0000-0000"), "no code": typed("123456")} {
		if _, next, err := other.ReplaceRecoveryCode(t.Context(), alice, code, home); !errors.Is(err, factor.ErrWrong) || len(next.Bytes()) > 0 {
			t.Errorf("%s: got %v", what, err)
		}
	}
	must(other.CheckCode(t.Context(), user(alice), fresh[0], policy.Recovery, home))(t)
	left(9)
	must(other.CheckCode(t.Context(), user(alice), codes[1], policy.Recovery, home))(t)
	left(8)
	all := s.events()
	for i, want := range []factor.Event{
		{What: factor.RecoveryUsed, Left: 10, Replaced: true}, {What: factor.RecoveryUsed, Left: 9}, {What: factor.RecoveryUsed, Left: 8},
	} {
		if e := all[i+1]; e.What != want.What || e.Left != want.Left || e.Replaced != want.Replaced {
			t.Errorf("event %d: %+v, want %+v", i, e, want)
		}
	}
}

// MFA-13: no code is shown of which it is not known that it is good, and however a
// write failed, there is the old set, or the new one without the used code.
func TestReplaceIsOneWrite(t *testing.T) {
	for fault, spent := range map[statetest.Fault]bool{statetest.Fail: false, statetest.FailLost: false, statetest.FailPersisted: true} {
		store := &statetest.Faulty{Store: state.NewMemory(nil)}
		v := newSite(t, 1, store, nil).nodes[0]
		codes := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
		store.Break(func(op string, key state.Key) statetest.Fault {
			if op == "swap" && key == state.Enrolments.Key(alice) {
				return fault
			}
			return statetest.None
		})
		p, next, err := v.ReplaceRecoveryCode(t.Context(), alice, codes[0], home)
		if !errors.Is(err, factor.ErrDown) || len(next.Bytes()) > 0 || p.User != "" {
			t.Errorf("fault %d: got %v", fault, err)
		}
		store.Break(nil)
		if all := must(v.List(t.Context(), alice))(t); all[0].Left != 10 {
			t.Errorf("fault %d: %d codes are left", fault, all[0].Left)
		}
		if _, err := v.CheckCode(t.Context(), user(alice), codes[0], policy.Recovery, home); spent != errors.Is(err, factor.ErrWrong) || !spent && err != nil {
			t.Errorf("fault %d, again: %v", fault, err)
		}
		must(v.CheckCode(t.Context(), user(alice), codes[1], policy.Recovery, home))(t)
	}
}

// MFA-13: what was shown survives the process, and so does that the code before it
// was used.
func TestReplacedIsDurable(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	_, store := open(t, dir)
	v := newSite(t, 1, store, nil).nodes[0]
	codes := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
	_, next, err := v.ReplaceRecoveryCode(t.Context(), alice, codes[0], home)
	if err = errors.Join(err, os.CopyFS(copied, os.DirFS(dir))); err != nil {
		t.Fatal(err)
	}
	_, store = open(t, copied)
	v = newSite(t, 1, store, nil).nodes[0]
	if _, err := v.CheckCode(t.Context(), user(alice), codes[0], policy.Recovery, home); !errors.Is(err, factor.ErrWrong) {
		t.Errorf("the used code: %v", err)
	}
	must(v.CheckCode(t.Context(), user(alice), next, policy.Recovery, home))(t)
}
