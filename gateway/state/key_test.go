package state_test

import (
	"errors"
	"slices"
	"testing"

	"stsgate/gateway/state"
)

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		parts []string
		path  string
	}{
		{nil, ""},
		{[]string{"a"}, "a"},
		{[]string{"a", "b-_9"}, "a.b-_9"},
		{[]string{""}, "="},
		{[]string{"", ""}, "=.="},
		{[]string{"a.b"}, "a=2Eb"},
		{[]string{"="}, "=3D"},
		{[]string{"*", ">", "/x"}, "=2A.=3E.=2Fx"},
		{[]string{"é"}, "=C3=A9"},
		{[]string{"\xff"}, "=FF"},
	} {
		k := state.Locks.Key(c.parts...)
		if k.Path() != c.path || !slices.Equal(k.Parts(), c.parts) {
			t.Errorf("%q: path %q, parts %q, want path %q", c.parts, k.Path(), k.Parts(), c.path)
		}
		if back, err := state.Locks.ParseKey(c.path); len(c.parts) > 0 && (err != nil || back != k) {
			t.Errorf("%q: read back as %s, error %v", c.path, back, err)
		}
	}
	for _, bad := range []string{"", ".", "a.", ".a", "a..b", "a b", "a/b", "=2", "=2g", "=2e", "=61", "/beat.x", "a=", "=="} {
		if k, err := state.Locks.ParseKey(bad); !errors.Is(err, state.ErrInvalid) {
			t.Errorf("%q is read as %q, error %v", bad, k.Parts(), err)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("a", "b")
	f.Add("=", ".")
	f.Add("", "a=2E")
	f.Fuzz(func(t *testing.T, one, two string) {
		k := state.Bans.Key(one, two)
		if got := k.Parts(); len(got) != 2 || got[0] != one || got[1] != two {
			t.Fatalf("%q, %q became %q", one, two, got)
		}
		if back, err := state.Bans.ParseKey(k.Path()); err != nil || back != k {
			t.Fatalf("%q is read back as %q, error %v", k.Path(), back.Path(), err)
		}
		if !state.Bans.Key(one).Covers(k) || k.Covers(k) || state.Bans.Key(one+"x").Covers(k) {
			t.Fatalf("what covers %q is wrong", k.Path())
		}
	})
}

// STATE-12: what strangers can cause is never in a bucket with what stands,
// and every bucket has a limit.
func TestBuckets(t *testing.T) {
	names := map[string]bool{}
	for _, b := range state.Buckets() {
		names[b.String()] = true
		if b.Limit() <= 0 {
			t.Errorf("%s has no limit", b)
		}
		standing := b == state.Bans || b == state.Enrolments || b == state.ACME
		if b.Standing() != standing {
			t.Errorf("%s is standing: %t", b, b.Standing())
		}
	}
	if len(names) != 10 {
		t.Errorf("%d names of buckets, want 10", len(names))
	}
	if err := state.Bucket(0).Key("a").Check(); !errors.Is(err, state.ErrInvalid) {
		t.Errorf("the zero bucket: %v", err)
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "ok"},
		{errors.New("x"), "failed"},
		{errors.Join(state.ErrUnavailable, errors.New("x")), "unavailable"},
		{state.ErrUnknown, "unknown"},
		{state.ErrExists, "exists"},
	} {
		if got := state.Outcome(c.err); got != c.want || !slices.Contains(state.Outcomes(), got) {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
