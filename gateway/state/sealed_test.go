package state_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/state"
	"stsgate/gateway/state/statetest"
)

func newKeys(t testing.TB) *state.Keys { return parse(t, state.NewKey()) }

func parse(t testing.TB, text []byte) *state.Keys {
	t.Helper()
	k, err := state.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ttlOf(k state.Key) time.Duration {
	if k.Bucket().Standing() {
		return 0
	}
	return time.Hour
}

// stored writes value through a sealed store and returns what is below.
func stored(t *testing.T, m *state.Memory, keys *state.Keys, k state.Key, value string) state.Record {
	t.Helper()
	if _, err := state.Seal(m, keys).Create(t.Context(), k, []byte(value), ttlOf(k)); err != nil {
		t.Fatal(err)
	}
	r, err := m.Get(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func replace(t *testing.T, m *state.Memory, k state.Key, value []byte) {
	t.Helper()
	r, err := m.Get(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.CompareAndSwap(t.Context(), k, r.Revision, value, ttlOf(k)); err != nil {
		t.Fatal(err)
	}
}

// STATE-08: every single bit that flips is found, in clear and secret records.
func TestFlippedBits(t *testing.T) {
	for _, b := range []state.Bucket{state.Locks, state.Enrolments} {
		m, keys := state.NewMemory(nil), newKeys(t)
		s, k := state.Seal(m, keys), b.Key("user", "one")
		good := stored(t, m, keys, k, "the value of the record").Value
		for bit := range 8 * len(good) {
			bad := bytes.Clone(good)
			bad[bit/8] ^= 1 << (bit % 8)
			replace(t, m, k, bad)
			if r, err := s.Get(t.Context(), k); !errors.Is(err, state.ErrCorrupt) {
				t.Fatalf("%s: bit %d: got %q, error %v, want ErrCorrupt", b, bit, r.Value, err)
			}
		}
		for size := range len(good) {
			replace(t, m, k, good[:size])
			if _, err := s.Get(t.Context(), k); !errors.Is(err, state.ErrCorrupt) {
				t.Fatalf("%s: cut to %d bytes: error %v, want ErrCorrupt", b, size, err)
			}
		}
		replace(t, m, k, good)
		if r, err := s.Get(t.Context(), k); err != nil || string(r.Value) != "the value of the record" {
			t.Fatalf("%s: the good record: %q, %v", b, r.Value, err)
		}
	}
}

// MFA-19: records of two users that are exchanged, or moved to another bucket
// or version, are found.
func TestMovedRecords(t *testing.T) {
	m, keys := state.NewMemory(nil), newKeys(t)
	s := state.Seal(m, keys)
	alice, bob := state.Enrolments.Key("alice", "totp"), state.Enrolments.Key("bob", "totp")
	a, b := stored(t, m, keys, alice, "secret of alice"), stored(t, m, keys, bob, "secret of bob")
	replace(t, m, alice, b.Value)
	replace(t, m, bob, a.Value)
	for _, k := range []state.Key{alice, bob} {
		if r, err := s.Get(t.Context(), k); !errors.Is(err, state.ErrCorrupt) {
			t.Errorf("%s: got %q, error %v, want ErrCorrupt", k, r.Value, err)
		}
	}
	one, two := state.Locks.Key("one"), state.Locks.Key("two")
	stored(t, m, keys, one, "a lock")
	replace(t, m, one, stored(t, m, keys, two, "another lock").Value)
	if _, err := s.Get(t.Context(), one); !errors.Is(err, state.ErrCorrupt) {
		t.Errorf("a record of another key: error %v, want ErrCorrupt", err)
	}
	ban, lock := state.Bans.Key("x"), state.Locks.Key("x")
	stored(t, m, keys, ban, "a ban")
	l := stored(t, m, keys, lock, "a lock")
	replace(t, m, ban, l.Value)
	if _, err := s.Get(t.Context(), ban); !errors.Is(err, state.ErrCorrupt) {
		t.Errorf("a record of another bucket: error %v, want ErrCorrupt", err)
	}
}

// A record says over which revision it was written; one that says a later
// revision than its own was moved from another store.
func TestRevisionIsSealed(t *testing.T) {
	keys, k := newKeys(t), state.Locks.Key("x")
	far := state.NewMemory(nil)
	stored(t, far, keys, state.Locks.Key("other"), "")
	s := state.Seal(far, keys)
	revision := stored(t, far, keys, k, "one").Revision
	for range 10 {
		var err error
		if revision, err = s.CompareAndSwap(t.Context(), k, revision, []byte("later"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.Get(t.Context(), k)
	if err != nil || r.Replaces != r.Revision-1 {
		t.Fatalf("revision %d replaces %d, error %v", r.Revision, r.Replaces, err)
	}
	raw, err := far.Get(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	near := state.NewMemory(nil)
	if _, err := near.Create(t.Context(), k, raw.Value, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Seal(near, keys).Get(t.Context(), k); !errors.Is(err, state.ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
}

// MFA-19: the store has nothing of a secret in clear, and the same secret
// twice is not the same bytes.
func TestSecretsAreEncrypted(t *testing.T) {
	for _, b := range state.Buckets() {
		m, keys := state.NewMemory(nil), newKeys(t)
		const secret = "JBSWY3DPEHPK3PXP"
		one := stored(t, m, keys, b.Key("a"), secret).Value
		two := stored(t, m, keys, b.Key("b"), secret).Value
		if got := !bytes.Contains(one, []byte(secret)); got != b.Secret() {
			t.Errorf("%s: encrypted: %t, want %t", b, got, b.Secret())
		}
		if b.Secret() && bytes.Equal(one[13:len(one)-32], two[13:len(two)-32]) {
			t.Errorf("%s: equal secrets are equal in the store", b)
		}
		if over := len(one) - len(secret); over > state.Overhead {
			t.Errorf("%s: %d bytes more, want at most %d", b, over, state.Overhead)
		}
	}
	for _, b := range []state.Bucket{state.Enrolments, state.Sessions, state.ACME} {
		if !b.Secret() {
			t.Errorf("%s is not secret", b)
		}
	}
}

// Corrupt records neither hide the others nor stop a watch.
func TestListAndWatchGoOnPastCorrupt(t *testing.T) {
	m, keys := state.NewMemory(nil), newKeys(t)
	s := state.Seal(m, keys)
	stored(t, m, keys, state.Bans.Key("a"), "good a")
	stored(t, m, keys, state.Bans.Key("b"), "bad")
	stored(t, m, keys, state.Bans.Key("c"), "good c")
	replace(t, m, state.Bans.Key("b"), []byte("not sealed"))
	all, err := s.List(t.Context(), state.Bans.Key())
	if !errors.Is(err, state.ErrCorrupt) || !strings.Contains(err.Error(), "bans.b") || len(all) != 2 || string(all[1].Value) != "good c" {
		t.Errorf("list: %d records, error %v", len(all), err)
	}
	var told []string
	for e, err := range s.Watch(t.Context(), state.Bans.Key()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == state.Current {
			break
		}
		told = append(told, fmt.Sprintf("%d %s %s", e.Kind, e.Record.Key, e.Record.Value))
	}
	if got, want := strings.Join(told, ", "), "1 bans.a good a, 1 bans.c good c, 3 bans.b "; got != want {
		t.Errorf("watch told %q, want %q", got, want)
	}
}

// KEY-04: while keys change, both are read and the new one writes; after Rekey
// the old one can go.
func TestRotation(t *testing.T) {
	ctx := t.Context()
	before, next := state.NewKey(), state.NewKey()
	m := state.NewMemory(nil)
	old := state.Seal(m, parse(t, before))
	both := state.Seal(m, parse(t, append(bytes.Clone(next), before...)))
	after := state.Seal(m, parse(t, next))
	k := state.Enrolments.Key("alice")
	for key, ttl := range map[state.Key]time.Duration{k: 0, state.Grants.Key("a"): time.Hour} {
		if _, err := old.Create(ctx, key, []byte("v"), ttl); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := after.Get(ctx, k); !errors.Is(err, state.ErrCorrupt) {
		t.Fatalf("the new key alone reads a record of the old one: %v", err)
	}
	if r, err := both.Get(ctx, k); err != nil || string(r.Value) != "v" {
		t.Fatalf("both keys: %q, %v", r.Value, err)
	}
	for _, want := range []int{1, 0} {
		for _, b := range []state.Bucket{state.Enrolments, state.Grants} {
			if n, err := both.Rekey(ctx, b); err != nil || n != want {
				t.Fatalf("rekey of %s wrote %d records, error %v, want %d", b, n, err, want)
			}
		}
	}
	if r, err := after.Get(ctx, k); err != nil || string(r.Value) != "v" || !r.Expires.IsZero() {
		t.Errorf("the new key: %q, expires %s, %v", r.Value, r.Expires, err)
	}
	if r, err := after.Get(ctx, state.Grants.Key("a")); err != nil || r.Expires.IsZero() || time.Until(r.Expires) > time.Hour+time.Second {
		t.Errorf("a grant expires at %s, %v", r.Expires, err)
	}
	if _, err := old.Get(ctx, k); !errors.Is(err, state.ErrCorrupt) {
		t.Errorf("the old key reads a record of the new one: %v", err)
	}
}

func TestKeyFiles(t *testing.T) {
	a, b := string(state.NewKey()), string(state.NewKey())
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		want       string // in the error
	}{
		{"one key", a, 0o600, ""},
		{"read only", a, 0o400, ""},
		{"without newline", strings.TrimSpace(a), 0o600, ""},
		{"two keys", a + b, 0o600, ""},
		{"group may read", a, 0o640, "mode 0640"},
		{"others may read", a, 0o604, "mode 0604"},
		{"empty", "", 0o600, "line 1"},
		{"short", "c2hvcnQ=\n", 0o600, "line 1: not 32 bytes"},
		{"second is bad", a + "x\n", 0o600, "line 2: not 32 bytes"},
		{"not base64", strings.Repeat("%", 44), 0o600, "line 1"},
		{"three keys", a + b + string(state.NewKey()), 0o600, "3 lines"},
		{"same key twice", a + a, 0o600, "the same"},
		{"empty line", a + "\n" + b, 0o600, "3 lines"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state.key")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, c.mode); err != nil {
				t.Fatal(err)
			}
			k, err := state.LoadKeys(file)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if text := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Trim(text, " ") != "[redacted] [redacted] [redacted] [redacted]" {
					t.Errorf("keys print as %s", text)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("got error %v, want %q and the file", err, c.want)
			}
			if line := strings.TrimSpace(c.text); err != nil && line != "" && strings.Contains(err.Error(), line) {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
}

// What is sealed outside of records opens for its use, with its key.
func TestSealOutsideOfRecords(t *testing.T) {
	a, b := state.NewKey(), state.NewKey()
	one, both := parse(t, a), parse(t, append(bytes.Clone(b), a...))
	text, err := one.Seal("sentinel", []byte("value"))
	if err != nil || bytes.Contains(text, []byte("value")) {
		t.Fatalf("sealed %q, %v", text, err)
	}
	for _, c := range []struct {
		keys  *state.Keys
		use   string
		first bool
		want  error
	}{
		{one, "sentinel", true, nil},
		{both, "sentinel", false, nil},
		{parse(t, b), "sentinel", false, state.ErrCorrupt},
		{one, "other", false, state.ErrCorrupt},
	} {
		value, first, err := c.keys.Open(c.use, text)
		if !errors.Is(err, c.want) || first != c.first || err == nil && string(value) != "value" {
			t.Errorf("%s: %q, first %t, %v", c.use, value, first, err)
		}
	}
}

// A write that failed but persisted is seen by the next one.
func TestFaulty(t *testing.T) {
	ctx := t.Context()
	f := &statetest.Faulty{Store: state.NewMemory(nil)}
	k := state.Approvals.Key("a")
	set := func(fault statetest.Fault) { f.Break(func(string, state.Key) statetest.Fault { return fault }) }
	create := func() error { _, err := f.Create(ctx, k, nil, time.Hour); return err }
	steps := []struct {
		fault statetest.Fault
		do    func() error
		want  error
	}{
		{statetest.Fail, create, state.ErrUnavailable},
		{statetest.FailLost, create, state.ErrUnknown},
		{statetest.FailPersisted, create, state.ErrUnknown},
		{statetest.FailPersisted, create, state.ErrExists},
		{statetest.Fail, func() error { _, err := f.Get(ctx, k); return err }, state.ErrUnavailable},
		{statetest.Fail, func() error { _, err := f.List(ctx, state.Approvals.Key()); return err }, state.ErrUnavailable},
		{statetest.FailPersisted, func() error { _, err := f.CompareAndSwap(ctx, k, 1, nil, time.Hour); return err }, state.ErrUnknown},
		{statetest.None, func() error { _, err := f.CompareAndSwap(ctx, k, 1, nil, time.Hour); return err }, state.ErrConflict},
		{statetest.FailPersisted, func() error { return f.Delete(ctx, k, 2) }, state.ErrUnknown},
		{statetest.None, create, nil},
	}
	for i, s := range steps {
		set(s.fault)
		if err := s.do(); !errors.Is(err, s.want) {
			t.Errorf("step %d: got %v, want %v", i, err, s.want)
		}
	}
	set(statetest.Fail)
	for _, err := range f.Watch(context.Background(), state.Approvals.Key()) {
		if !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("watch: %v", err)
		}
	}
}
