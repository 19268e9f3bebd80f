package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"stsgate/gateway/state"
)

// noteEvery is how often the highest revisions are written down.
const noteEvery = 10 * time.Second

// highest remembers the highest revision that was acknowledged in each bucket,
// in a file beside the server's. A server that reads its files anew, as after a
// kill, cuts them at the first bit that flipped and says nothing: everything
// later is lost, and revisions are given out twice (seen with 2.15.2).
type highest struct {
	mu      sync.Mutex
	of      map[string]uint64
	changed bool
}

func highestFile(dir string) string { return filepath.Join(dir, "highest.json") }

func readHighest(dir string) (*highest, error) {
	h := &highest{of: map[string]uint64{}}
	text, err := os.ReadFile(highestFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &h.of)
	}
	if err != nil {
		return nil, fmt.Errorf("state: %s: %w", highestFile(dir), err)
	}
	return h, nil
}

// check refuses a bucket that lost its end.
func (h *highest) check(b state.Bucket, last uint64) error {
	if before := h.of[b.String()]; last < before {
		return fmt.Errorf("the bucket %s lost its last %d writes: restore the backup, or remove highest.json to go on without them", b, before-last)
	}
	return nil
}

// acked notes a write. A nil highest notes nothing.
func (h *highest) acked(b state.Bucket, revision uint64) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if revision > h.of[b.String()] {
		h.of[b.String()], h.changed = revision, true
	}
}

// write writes the file if anything changed.
func (h *highest) write(dir string) error {
	h.mu.Lock()
	changed := h.changed
	text, err := json.Marshal(h.of)
	h.changed = false
	h.mu.Unlock()
	if !changed || err != nil {
		return err
	}
	return replaceFile(highestFile(dir), append(text, '\n'))
}

// keep writes the file from time to time until the store closes.
func (s *Store) keep() {
	defer close(s.kept)
	t := time.NewTicker(noteEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.note()
		case <-s.closing:
			s.note()
			return
		}
	}
}

func (s *Store) note() {
	if err := s.highest.write(s.c.Dir); err != nil && s.c.Log != nil {
		s.c.Log.Error("highest revisions are not written down", "err", err)
	}
}
