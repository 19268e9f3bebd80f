package factor_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
	"stsgate/policy"
)

// MFA-12: each of the nine things that can happen is queued when the call
// returns, with who did it and from where.
func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, withPasskeys)
		v := s.nodes[0]
		var a app
		var d *device
		var codes []string
		expect := func(do func() error, want ...factor.Event) {
			t.Helper()
			before := len(s.events())
			if err := do(); err != nil {
				t.Fatal(err)
			}
			got := s.events()[before:]
			// One may be told twice, where the look for what waits comes in between.
			got = slices.CompactFunc(got, func(a, b factor.Event) bool { return a.ID == b.ID })
			if len(got) != len(want) {
				t.Fatalf("%d events: %+v", len(got), got)
			}
			for i, g := range got {
				if g.ID == "" || g.User != alice || g.At.IsZero() || g.What != want[i].What || g.Source != want[i].Source || g.Kind != want[i].Kind || g.Added.IsZero() != (g.Kind == 0) {
					t.Errorf("got %+v, want %+v", g, want[i])
				}
			}
		}
		expect(func() error { a = enrol(t, v, alice); return nil }, factor.Event{What: factor.Bound, Source: home, Kind: factor.TOTP})
		expect(func() error { d = newDevice(t, v, alice); return nil }, factor.Event{What: factor.Bound, Source: home, Kind: factor.Passkey})
		expect(func() error {
			set, err := v.NewRecoveryCodes(t.Context(), alice, binding(alice), home)
			for _, c := range set {
				codes = append(codes, string(c.Bytes()))
			}
			return err
		}, factor.Event{What: factor.RecoveryIssued, Source: home, Kind: factor.Recovery})
		expect(func() error {
			_, err := v.CheckCode(t.Context(), user(alice), typed(codes[0]), policy.Recovery, home)
			return err
		}, factor.Event{What: factor.RecoveryUsed, Source: home, Kind: factor.Recovery})
		expect(func() error {
			_, err := v.NewBindingCode(t.Context(), alice, office)
			return err
		}, factor.Event{What: factor.BindingIssued, Source: office})
		expect(func() error {
			if _, err := d.signIn(t, v, alice, answer{count: 1}); err != nil {
				return err
			}
			if _, err := d.signIn(t, v, alice, answer{count: 1}); !errors.Is(err, factor.ErrCloned) {
				return fmt.Errorf("a passkey that may have been copied: %w", err)
			}
			return nil
		}, factor.Event{What: factor.Cloned, Source: home, Kind: factor.Passkey})
		expect(func() error { return v.Rename(t.Context(), alice, d.id, "name") })
		expect(func() error { return v.Unbind(t.Context(), alice, d.id, binding(alice), home) },
			factor.Event{What: factor.Unbound, Source: home, Kind: factor.Passkey})
		expect(func() error {
			for n := 0; ; n++ {
				_, err := v.CheckCode(t.Context(), user(alice), typed(a.wrong(n)), policy.TOTP, home)
				if errors.Is(err, factor.ErrDisabled) {
					return nil
				}
				if throttle, ok := errors.AsType[factor.Throttle](err); ok {
					time.Sleep(time.Until(throttle.Until))
				}
			}
		}, factor.Event{What: factor.Disabled, Source: home, Kind: factor.TOTP})
		time.Sleep(time.Second)
		if ok, err := v.Stands(t.Context(), factor.Proof{User: alice, Kind: factor.TOTP, Authenticator: a.id, At: time.Now()}); ok || err != nil {
			t.Errorf("a proof of what is disabled stands: %v, %v", ok, err)
		}
		expect(func() error { return v.Reset(t.Context(), alice, office) }, factor.Event{What: factor.Reset, Source: office})
	})
}

// MFA-12: who had what is kept, with when and who.
func TestPast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		v := s.nodes[0]
		a := enrol(t, v, alice)
		began := time.Now().Truncate(time.Second)
		time.Sleep(time.Minute)
		if err := v.Reset(t.Context(), alice, office); err != nil {
			t.Fatal(err)
		}
		past := must(v.Past(t.Context(), alice))(t)
		if len(past) != 1 || past[0].ID != a.id || past[0].Kind != factor.TOTP || !past[0].Bound.Equal(began) || past[0].From != home ||
			!past[0].Unbound.Equal(began.Add(time.Minute)) || past[0].By != office {
			t.Errorf("got %+v", past)
		}
	})
}

// What a user had before leaves room for what the user has, however long names
// are: the record can always be written, and a code be spent.
func TestPastLeavesRoom(t *testing.T) {
	long := strings.Repeat("<", 64) // each is six bytes in JSON
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, withPasskeys)
		v := s.nodes[0]
		for range 10 {
			newDevice(t, v, alice)
		}
		for range 120 {
			a := enrol(t, v, alice)
			for _, has := range must(v.List(t.Context(), alice))(t) {
				if err := v.Rename(t.Context(), alice, has.ID, long); has.ID == a.id && err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
		}
		past := must(v.Past(t.Context(), alice))(t)
		if n := len(past); n < 50 || past[n-1].Label != long || time.Since(past[n-1].Unbound) > 2*time.Minute {
			t.Errorf("%d are left of what she had", n)
		}
	})
}

// MFA-12: a change whose notice cannot be queued is made and told later, also by
// another gateway after this one ended, with the same ID; when too many wait,
// nothing is changed that must be told.
func TestEventsWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		v := s.nodes[0]
		s.mu.Lock()
		s.refuse = errors.New("the queue is gone")
		s.mu.Unlock()
		enrol(t, v, alice)
		issued := 0
		for ; ; issued++ {
			if _, err := v.NewBindingCode(t.Context(), alice, office); errors.Is(err, factor.ErrDown) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if issued != 31 || len(s.events()) != 0 {
			t.Errorf("%d codes issued that nobody was told of", issued)
		}
		s.mu.Lock()
		s.refuse = nil
		s.mu.Unlock()
		other := newSite(t, 1, s.store, nil)
		time.Sleep(2 * time.Minute)
		seen := map[string]bool{}
		for _, e := range append(s.events(), other.events()...) {
			seen[e.ID] = true
		}
		if len(seen) != 32 {
			t.Errorf("told %d of 32", len(seen))
		}
		if _, err := v.NewBindingCode(t.Context(), alice, office); err != nil {
			t.Error(err)
		}
	})
}

// Users are counted by what they have, every minute.
func TestUsers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, withPasskeys)
		v := s.nodes[0]
		enrol(t, v, alice)
		newDevice(t, v, alice)
		newDevice(t, v, bob)
		must(v.NewBindingCode(t.Context(), "9b2d3c1e-0000-4000-8000-000000000000", office))(t)
		time.Sleep(2 * time.Minute)
		for kind, want := range map[string]float64{"any": 2, "totp": 1, "passkey": 2} {
			if got := s.metric("stsgate_factor_users", kind); got != want {
				t.Errorf("%s: %g, want %g", kind, got, want)
			}
		}
	})
}

// What must be written and cannot is not answered as if it were, and a code
// whose spending is not known is spent.
func TestFaults(t *testing.T) {
	for fault, spent := range map[statetest.Fault]bool{statetest.Fail: false, statetest.FailLost: false, statetest.FailPersisted: true} {
		bubble(t, func(t *testing.T) {
			store := &statetest.Faulty{Store: state.NewMemory(nil)}
			s := newSite(t, 1, store, withPasskeys)
			v := s.nodes[0]
			a, d := enrol(t, v, alice), newDevice(t, v, alice)
			codes := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
			bindingCode := must(v.NewBindingCode(t.Context(), alice, office))(t)
			half := must(v.BeginTOTP(t.Context(), user(bob), binding(bob)))(t)
			confirm := app{secret: strings.ReplaceAll(half.Secret(), " ", "")}
			signIn := must(v.BeginSignIn(t.Context(), alice))(t)
			challenge, _ := asked(t, signIn)
			time.Sleep(time.Minute)
			for what, do := range map[string]func() error{
				"TOTP": func() error {
					return failure(v.CheckCode(t.Context(), user(alice), typed(a.now()), policy.TOTP, home))
				},
				"recovery": func() error {
					return failure(v.CheckCode(t.Context(), user(alice), codes[0], policy.Recovery, home))
				},
				"binding": func() error { return failure(v.RedeemBindingCode(t.Context(), alice, bindingCode)) },
				"confirm": func() error {
					return failure(v.ConfirmTOTP(t.Context(), bob, half.ID, typed(confirm.now()), "", home))
				},
				"passkey": func() error {
					return failure(v.FinishSignIn(t.Context(), alice, signIn.ID, d.signed(challenge, answer{}), home))
				},
			} {
				store.Break(func(op string, _ state.Key) statetest.Fault {
					if op == "swap" || op == "create" {
						return fault
					}
					return statetest.None
				})
				if err := do(); !errors.Is(err, factor.ErrDown) {
					t.Errorf("fault %d, %s: %v", fault, what, err)
				}
				store.Break(nil)
				if err := do(); (err != nil) != spent {
					t.Errorf("fault %d, %s, then again: %v, want it spent: %t", fault, what, err, spent)
				}
			}
		})
	}
}

// A store that cannot be read accepts nothing, and tells no password from
// another: what may stand behind one is not known.
func TestReadFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &statetest.Faulty{Store: state.NewMemory(nil)}
		s := newSite(t, 1, store, withPasskeys)
		v := s.nodes[0]
		a := enrol(t, v, alice)
		time.Sleep(30 * time.Second)
		if f := must(v.Accepts(alice, policy.TOTP|policy.Passkey))(t); f != policy.TOTP {
			t.Errorf("accepts %s", f)
		}
		if f := must(v.Accepts(bob, policy.TOTP))(t); f != 0 {
			t.Errorf("accepts %s of a user who has nothing", f)
		}
		store.Break(func(string, state.Key) statetest.Fault { return statetest.Fail })
		for what, err := range map[string]error{
			"check":   failure(v.CheckCode(t.Context(), user(alice), typed(a.now()), policy.TOTP, home)),
			"list":    failure(v.List(t.Context(), alice)),
			"begin":   failure(v.BeginTOTP(t.Context(), user(alice), binding(alice))),
			"passkey": failure(v.BeginSignIn(t.Context(), "")),
			"admit":   failure(v.Admit(t.Context(), bob)),
		} {
			if !errors.Is(err, factor.ErrDown) {
				t.Errorf("%s: %v", what, err)
			}
		}
		time.Sleep(2 * time.Second)
		if _, err := v.Accepts(alice, policy.TOTP); !errors.Is(err, factor.ErrDown) || v.Ready() == nil {
			t.Errorf("two seconds later: %v, ready: %v", err, v.Ready())
		}
	})
}
