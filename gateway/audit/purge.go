package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A purged is the record of the removal of segments, written before they go.
type purged struct {
	// When, UTC.
	Time string `json:"@timestamp"`
	// audit-purged.
	Action string `json:"event.action"`
	// unknown: the files are removed after this record. One that could not be removed is in the next.
	Outcome string `json:"event.outcome"`
	// retention.
	Reason string `json:"event.reason"`
	// The names of the files.
	Files []string `json:"labels.files"`
	// The number of the first line in them.
	First uint64 `json:"labels.first_sequence"`
	// The number of the last line in them.
	Last uint64 `json:"labels.last_sequence"`
	// The event.hash of that line, which the first line that is left has as labels.previous_hash.
	Hash string `json:"labels.last_hash"`
	// The time of that line.
	Until string `json:"event.end"`
}

// actionPurged is the event.action of a purged.
const actionPurged = "audit-purged"

// PurgeConfig says what may be removed.
type PurgeConfig struct {
	// Keep is how long lines are kept after they were written.
	Keep time.Duration
	// Hold is a file that keeps everything while it exists, empty for none.
	Hold string
	// Sent is the number of the last line that a receiver has got; nil where
	// nobody waits for lines.
	Sent func() uint64
}

// mostPurged is how many files are removed at once, so that a record has room
// for their names.
const mostPurged = 16

// Purge removes the oldest files that were rotated away, whole, sealed and with no
// line that is to be kept, and returns how many. What it cannot read it leaves:
// compressed files are somebody else's to remove. The record of it is on the disk
// before anything is removed; without the record nothing is.
func (l *Log) Purge(c PurgeConfig, now time.Time) (int, error) {
	if c.Hold != "" {
		if _, err := os.Stat(c.Hold); !errors.Is(err, fs.ErrNotExist) {
			return 0, nil // also when that cannot be told
		}
	}
	old, err := l.outdated(c, now)
	if err != nil || len(old) == 0 {
		return 0, err
	}
	defer closeSegments(old)
	first, last := old[0], old[len(old)-1]
	r := purged{
		Time: stamp(now), Action: actionPurged, Outcome: "unknown", Reason: "retention",
		First: first.first.sequence, Last: last.last.sequence, Hash: fmt.Sprintf("%x", last.last.hash), Until: stamp(last.until),
	}
	for _, s := range old {
		r.Files = append(r.Files, clean(filepath.Base(s.Name())))
	}
	if err := l.append(ownLine(&r)); err != nil {
		return 0, err
	}
	for i, s := range old {
		if err := s.remove(); err != nil {
			return i, fmt.Errorf("purge audit log: %w", err)
		}
	}
	return len(old), nil
}

// outdated returns the files that may go, the oldest first: those before the
// first that may not. They are open.
func (l *Log) outdated(c PurgeConfig, now time.Time) ([]*segment, error) {
	files, err := Segments(l.path)
	if err != nil {
		return nil, err
	}
	if len(files) < 2 { // the log alone, which may be a device
		return nil, nil
	}
	all, err := openSegments(files)
	if err != nil {
		return nil, err
	}
	var sent uint64
	if c.Sent != nil {
		sent = c.Sent()
	}
	n := 0
	for ; n < min(len(all), mostPurged); n++ {
		s := all[n]
		if s.Name() == l.path || now.Sub(s.until) <= c.Keep || c.Sent != nil && s.last.sequence > sent || !l.sealed(s) {
			break
		}
	}
	closeSegments(all[n:])
	return all[:n], nil
}

// remove removes the file, unless another has its name since, as after a
// rotation by numbers.
func (s *segment) remove() error {
	now, err := os.Stat(s.Name())
	if err != nil {
		return err
	}
	was, err := s.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(now, was) {
		return fmt.Errorf("%s is another file since", s.Name())
	}
	return os.Remove(s.Name())
}

// sealed tells that a checkpoint is the last line of a segment or, where lines
// are not signed, that the segment is whole.
func (l *Log) sealed(s *segment) bool {
	t, err := readTail(s, s.size)
	return err == nil && t.torn == nil && t.last == s.last && (t.checkpoint || !l.signs)
}

// isPurge tells that a line of the chain is the record of a purge. No client
// writes in what precedes event.action.
func isPurge(line []byte) bool {
	return bytes.Contains(line[:min(len(line), 128)], []byte(`,"event.action":"`+actionPurged+`"`))
}

// readPurge reads it; nil for one that says nothing.
func readPurge(l link, line []byte) *Purged {
	var r purged
	p := Purged{By: l.sequence, Time: timeOf(line)}
	if json.Unmarshal(line, &r) != nil || len(r.Hash) != 2*len(p.Hash) {
		return nil
	}
	if _, err := hex.Decode(p.Hash[:], []byte(r.Hash)); err != nil {
		return nil
	}
	p.Last = r.Last
	return &p
}
