package jetstream

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"stsgate/gateway/state"
)

const format = 1

// A sentinel tells whose a store is and what must be in it, without which a
// lost or unreadable bucket would look like one that was never made.
type sentinel struct {
	Format int `json:"format"`
	// Seal is the key that the server encrypts its files with, sealed. It proves
	// the state key, and stays when that changes: a server that is given an old
	// and a new key of its own removes every stream (seen with 2.15.2).
	Seal      []byte   `json:"seal"`
	Encrypted bool     `json:"encrypted"` // whether it is used
	Buckets   []string `json:"buckets"`   // those that are on the disk for certain
}

const use = "sentinel"

func sentinelFile(dir string) string { return filepath.Join(dir, "sentinel.json") }

// readSentinel returns the zero sentinel for a directory that was never used.
func readSentinel(dir string) (*sentinel, error) {
	text, err := os.ReadFile(sentinelFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "nats")); err == nil {
			return nil, fmt.Errorf("state: %s holds a store but no sentinel.json: restore it from the backup, or remove the store to begin anew", dir)
		}
		return &sentinel{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	s, err := parseSentinel(text)
	if err != nil {
		return nil, fmt.Errorf("state: %s: %w", dir, err)
	}
	return s, nil
}

func parseSentinel(text []byte) (*sentinel, error) {
	s := &sentinel{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("sentinel: %w", err)
	}
	if s.Format != format {
		return nil, fmt.Errorf("the store has format %d, this program reads %d", s.Format, format)
	}
	return s, nil
}

var errWrongKey = errors.New("the store was written with another state key")

// unlock tells whether the store may be opened with these keys, and returns
// the server's. The first time it makes one. It reports whether the sentinel
// changed, which it also does when the state key did.
func (s *sentinel) unlock(k *state.Keys, encrypted bool) (secret []byte, changed bool, err error) {
	if s.Format == 0 {
		s.Format, s.Encrypted = format, encrypted
		secret = make([]byte, state.KeySize)
		rand.Read(secret)
	} else {
		var first bool
		if secret, first, err = k.Open(use, s.Seal); err != nil {
			return nil, false, errWrongKey
		}
		if s.Encrypted != encrypted {
			return nil, false, fmt.Errorf("its files are encrypted: %t, configured: %t", s.Encrypted, encrypted)
		}
		if first {
			return secret, false, nil
		}
	}
	s.Seal, err = k.Seal(use, secret)
	return secret, true, err
}

// complete notes that the directory has all buckets. They are synced first,
// because what the sentinel names and the disk lacks is refused.
func (s *sentinel) complete(dir string) error {
	all := bucketNames()
	if slices.Equal(all, s.Buckets) {
		return nil
	}
	if err := syncAll(filepath.Join(dir, "nats")); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	s.Buckets = all
	return s.write(dir)
}

func (s *sentinel) write(dir string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(sentinelFile(dir), append(text, '\n'))
}

// replaceFile replaces a file as a whole, durably.
func replaceFile(name string, text []byte) error {
	next := name + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := errors.Join(syncFile(next), os.Rename(next, name), syncFile(filepath.Dir(name))); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

// syncAll syncs every file and directory below and at path.
func syncAll(path string) error {
	return filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return ignoreGone(err)
		}
		return ignoreGone(syncFile(name))
	})
}

// ignoreGone forgives files that the server removes while it runs.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func bucketNames() []string {
	var all []string
	for _, b := range state.Buckets() {
		all = append(all, b.String())
	}
	return all
}
