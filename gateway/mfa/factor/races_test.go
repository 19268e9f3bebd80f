package factor_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
	"stsgate/gateway/state/jetstream"
	"stsgate/gateway/state/statetest"
	"stsgate/policy"
)

var keys = must(state.ParseKeys(state.NewKey()))

// open opens what is kept in a directory.
func open(t *testing.T, dir string) (*jetstream.Store, state.Store) {
	t.Helper()
	s := must(jetstream.Open(t.Context(), jetstream.Config{Dir: dir, Keys: keys(t)}))(t)
	t.Cleanup(func() { s.Close() })
	return s, state.Seal(s, keys(t))
}

// race has all racers do the same at once, through all nodes, and returns how
// many of them could. Who was not told in time whether a write was made counts
// as one if nobody else could.
func (s *site) race(do func(v *factor.Verifier) error) int {
	s.t.Helper()
	var won, unknown atomic.Int32
	var racing sync.WaitGroup
	start := make(chan struct{})
	for i := range statetest.Racers {
		racing.Go(func() {
			<-start
			err := do(s.nodes[i%len(s.nodes)])
			if err == nil {
				won.Add(1)
			} else if errors.Is(err, state.ErrUnknown) {
				unknown.Add(1)
			} else if !errors.Is(err, factor.ErrReused) && !errors.Is(err, factor.ErrWrong) && !errors.Is(err, factor.ErrOver) {
				s.t.Errorf("a racer: %v", err)
			}
		})
	}
	close(start)
	racing.Wait()
	return int(max(won.Load(), min(1, unknown.Load())))
}

// MFA-03, MFA-05, MFA-11, MFA-13, STATE-05: of sixteen who use the same thing at once, on three
// gateways, one succeeds.
func TestOnce(t *testing.T) {
	_, embedded := open(t, t.TempDir())
	// A busy machine takes its time; what is tested is who wins.
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for name, store := range map[string]state.Store{"memory": state.NewMemory(nil), "JetStream": embedded} {
		s := newSite(t, 3, store, withPasskeys)
		v := s.nodes[0]
		a, d := enrol(t, v, alice), newDevice(t, v, alice)
		codes := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
		once := func(what string, n int, do func(v *factor.Verifier) error) {
			t.Helper()
			if won := s.race(do); won != 1 {
				t.Errorf("%s, %s %d: %d of %d", name, what, n, won, statetest.Racers)
			}
		}
		check := func(code account.Password) func(v *factor.Verifier) error {
			return func(v *factor.Verifier) error {
				return failure(v.CheckCode(ctx, user(alice), code, policy.TOTP|policy.Recovery, home))
			}
		}
		once("TOTP", 0, check(typed(a.at(time.Now().Add(30*time.Second)))))
		for n, c := range codes[:5] {
			once("recovery code", n, check(c))
			code := must(v.NewBindingCode(t.Context(), alice, office))(t)
			once("binding code", n, func(v *factor.Verifier) error { return failure(v.RedeemBindingCode(ctx, alice, code)) })
			c := must(v.BeginSignIn(t.Context(), alice))(t)
			challenge, _ := asked(t, c)
			response := d.signed(challenge, answer{})
			once("passkey", n, func(v *factor.Verifier) error {
				return failure(v.FinishSignIn(ctx, alice, c.ID, response, home))
			})
			half := must(v.BeginTOTP(t.Context(), user(alice), binding(alice)))(t)
			confirm := typed(app{secret: strings.ReplaceAll(half.Secret(), " ", "")}.now())
			once("half enrolment", n, func(v *factor.Verifier) error {
				return failure(v.ConfirmTOTP(ctx, alice, half.ID, confirm, "", home))
			})
		}
	}
}

// MFA-13: what was answered survives the process: codes that were used are used
// when the files are opened as they were at that instant.
func TestUsedIsDurable(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	_, store := open(t, dir)
	v := newSite(t, 1, store, nil).nodes[0]
	a := enrol(t, v, alice)
	codes := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
	code := typed(a.at(time.Now().Add(30 * time.Second)))
	must(v.CheckCode(t.Context(), user(alice), code, policy.TOTP, home))(t)
	must(v.CheckCode(t.Context(), user(alice), codes[0], policy.Recovery, home))(t)
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	_, store = open(t, copied)
	v = newSite(t, 1, store, nil).nodes[0]
	if _, err := v.CheckCode(t.Context(), user(alice), code, policy.TOTP, home); !errors.Is(err, factor.ErrReused) {
		t.Errorf("a code of the app: %v", err)
	}
	if _, err := v.CheckCode(t.Context(), user(alice), codes[0], policy.Recovery, home); !errors.Is(err, factor.ErrWrong) {
		t.Errorf("a recovery code: %v", err)
	}
	must(v.CheckCode(t.Context(), user(alice), codes[1], policy.Recovery, home))(t)
}

// MFA-19: no secret can be read from the files, and what is of one user is
// nothing under the name of another.
func TestAtRest(t *testing.T) {
	dir := t.TempDir()
	raw, store := open(t, dir)
	v := newSite(t, 1, store, withPasskeys).nodes[0]
	a, b := enrol(t, v, alice), enrol(t, v, bob)
	half := must(v.BeginTOTP(t.Context(), user(alice), binding(alice)))(t)
	recovery := must(v.NewRecoveryCodes(t.Context(), alice, binding(alice), home))(t)
	bindingCode := must(v.NewBindingCode(t.Context(), alice, office))(t)
	var secrets [][]byte
	for _, text := range []string{a.secret, b.secret, strings.ReplaceAll(half.Secret(), " ", "")} {
		secrets = append(secrets, []byte(text), must(base32.StdEncoding.DecodeString(text))(t))
	}
	for _, c := range append(recovery, bindingCode) {
		secrets = append(secrets, c.Bytes(), bytes.ReplaceAll(c.Bytes(), []byte("-"), nil))
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(text, secret) {
				t.Errorf("%s holds a secret", path)
			}
		}
		return err
	})
	if err != nil || files < 10 {
		t.Fatalf("%d files: %v", files, err)
	}

	one, two := state.Enrolments.Key(alice), state.Enrolments.Key(bob)
	ones, twos := must(raw.Get(t.Context(), one))(t), must(raw.Get(t.Context(), two))(t)
	must(raw.CompareAndSwap(t.Context(), one, ones.Revision, twos.Value, 0))(t)
	must(raw.CompareAndSwap(t.Context(), two, twos.Revision, ones.Value, 0))(t)
	for _, id := range []string{alice, bob} {
		for _, app := range []app{a, b} {
			_, err := v.CheckCode(t.Context(), user(id), typed(app.at(time.Now().Add(30*time.Second))), policy.TOTP, home)
			if !errors.Is(err, factor.ErrDown) || !errors.Is(err, state.ErrCorrupt) {
				t.Errorf("swapped records of %s: %v", id, err)
			}
		}
	}
}
