package jetstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/gateway/state"
)

// STATE-08: one bit that flips in the server's files is never taken for the
// absence of what it was in. With the server's index beside it, the record is
// corrupt; without, as after a kill, the server cuts the file there and the
// store does not open.
func TestFlippedBitOnDisk(t *testing.T) {
	if !*long {
		t.Skip("200 bits at random places are flipped by make races")
	}
	for round := range 50 {
		for _, index := range []bool{true, false} {
			for _, encrypt := range []bool{false, true} {
				t.Run(fmt.Sprintf("round %d index %t encrypted %t", round, index, encrypt), func(t *testing.T) {
					flipped(t, index, Config{Dir: t.TempDir(), Keys: newKeys(t), Encrypt: encrypt})
				})
			}
		}
	}
}

const flippedRecords = 40

func flipped(t *testing.T, index bool, c Config) {
	key := func(i int) state.Key { return state.Enrolments.Key("user", fmt.Sprint(i)) }
	on(t, c, func(s *Store) {
		for i := range flippedRecords {
			put(t, state.Seal(s, c.Keys), key(i), strings.Repeat("secret ", i), 0)
		}
	})
	flip(t, c.Dir, index)
	s, err := Open(t.Context(), c)
	if err != nil {
		if !strings.Contains(err.Error(), "bucket enrolments lost its last") {
			t.Fatal(err)
		}
		return
	}
	defer s.Close()
	sealed := state.Seal(s, c.Keys)
	corrupt, bad := 0, state.Key{}
	for i := range flippedRecords {
		r, err := sealed.Get(t.Context(), key(i))
		if errors.Is(err, state.ErrCorrupt) {
			corrupt, bad = corrupt+1, key(i)
			continue
		}
		if err != nil || string(r.Value) != strings.Repeat("secret ", i) {
			t.Errorf("%s: %q, %v", key(i), r.Value, err)
		}
	}
	if corrupt > 1 || !index && corrupt == 0 {
		t.Fatalf("%d records are corrupt", corrupt)
	}
	if all, err := sealed.List(t.Context(), state.Enrolments.Key()); len(all) != flippedRecords-corrupt || errors.Is(err, state.ErrCorrupt) != (corrupt == 1) {
		t.Errorf("the list has %d records, %v", len(all), err)
	}
	told := 0
	for e, err := range sealed.Watch(t.Context(), state.Enrolments.Key()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == state.Current {
			break
		}
		if e.Kind == state.Corrupt {
			told++
		}
	}
	if told != corrupt {
		t.Errorf("the watch told of %d corrupt records, want %d", told, corrupt)
	}
	if corrupt == 1 {
		// The server takes the write in and then stops; the store must not say
		// that it was made.
		if _, err := sealed.Create(t.Context(), bad, nil, 0); !errors.Is(err, state.ErrUnknown) {
			t.Errorf("creating %s anew: %v, want ErrUnknown", bad, err)
		}
	}
}

// flip changes one bit of the bucket's block.
func flip(t *testing.T, dir string, index bool) {
	t.Helper()
	files := filepath.Join(dir, "nats/jetstream/$G/streams/KV_stsgate-enrolments/msgs")
	text, err := os.ReadFile(filepath.Join(files, "1.blk"))
	if err != nil {
		t.Fatal(err)
	}
	bit := rand.IntN(8 * len(text))
	t.Logf("bit %d of byte %d of %d", bit%8, bit/8, len(text))
	text[bit/8] ^= 1 << (bit % 8)
	if err := os.WriteFile(filepath.Join(files, "1.blk"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if !index {
		remove(t, files, "index.db")
	}
}
