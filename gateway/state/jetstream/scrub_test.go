package jetstream

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"stsgate/gateway/state"
)

// STATE-08: a scrub reads all records and finds those that changed on the disk.
func TestScrub(t *testing.T) {
	s := inDir(t)
	sealed := state.Seal(s, s.c.Keys)
	for i := range 20 {
		put(t, sealed, state.Bans.Key(fmt.Sprint(i)), "ban", 0)
	}
	got, err := s.Scrub(t.Context(), state.Bans, sealed.Check)
	if err != nil || got.Records != 20 || got.Bad != nil {
		t.Errorf("%+v, %v", got, err)
	}
	// A copy that lacks what the leader has, and two of a record that changed since.
	r, err := s.Get(t.Context(), state.Bans.Key("3"))
	if err != nil {
		t.Fatal(err)
	}
	seed := maphash.MakeSeed()
	sum := digest(seed, r)
	for _, c := range []struct {
		one, other copied
		bad        []state.Key
	}{
		{copied{"3": sum}, copied{"3": sum}, nil},
		{copied{"3": sum}, copied{}, []state.Key{r.Key}},
		{copied{"3": sum}, copied{"3": sum + 1}, []state.Key{r.Key}},
		{copied{"3": sum + 1}, copied{"3": sum + 2}, nil},
		{copied{"gone": sum}, copied{}, nil},
	} {
		var out Scrubbed
		if err := s.compare(t.Context(), state.Bans, seed, map[string]copied{"n0": c.one, "n1": c.other}, &out); err != nil || !slices.Equal(out.Bad, c.bad) {
			t.Errorf("%v beside %v: %v, %v, want %v", c.one, c.other, out.Bad, err, c.bad)
		}
	}
	put(t, s, state.Bans.Key("forged"), "ban", 0)
	got, err = s.Scrub(t.Context(), state.Bans, sealed.Check)
	if err != nil || got.Records != 21 || !slices.Equal(got.Bad, []state.Key{state.Bans.Key("forged")}) {
		t.Errorf("with one that nobody sealed: %+v, %v", got, err)
	}
}

// STATE-08: one server of three whose file changed is found, whichever leads, and
// nobody is told what it has.
func TestScrubOfServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	c := newCluster(t)
	s := open(t, c.config(0))
	sealed := state.Seal(s, c.keys)
	for i := range 40 {
		put(t, sealed, state.Enrolments.Key(fmt.Sprint(i)), fmt.Sprint("value of ", i), 0)
	}
	scrub := func() Scrubbed {
		t.Helper()
		var got Scrubbed
		var err error
		until(t, func() bool {
			got, err = s.Scrub(within(t, 30*time.Second), state.Enrolments, sealed.Check)
			return !errors.Is(err, state.ErrUnavailable)
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := scrub(); got.Records != 40 || len(got.Servers) != 3 || got.Bad != nil {
		t.Fatalf("%+v", got)
	}
	for i := range c.servers {
		c.stop(i)
		file := filepath.Join(c.options[i].StoreDir, "jetstream/STSGATE/streams/KV_stsgate-enrolments/msgs/1.blk")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(text, []byte("stsgate-enrolments."+fmt.Sprint(i+7)))
		text[at+150] ^= 4
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c.start(i)
		if got := scrub(); got.Records != 40 || !slices.Contains(got.Bad, state.Enrolments.Key(fmt.Sprint(i+7))) || len(got.Bad) > i+1 {
			t.Errorf("after a bit of n%d flipped: %+v", i, got)
		}
		for j := range 40 {
			r, err := sealed.Get(within(t, 20*time.Second), state.Enrolments.Key(fmt.Sprint(j)))
			if err != nil && !errors.Is(err, state.ErrCorrupt) || err == nil && string(r.Value) != fmt.Sprint("value of ", j) {
				t.Errorf("record %d: %q, %v", j, r.Value, err)
			}
		}
	}
}
