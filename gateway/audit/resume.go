package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A torn is what stands behind the last line of the chain: what a crash left of
// lines that nobody was told of.
type torn struct {
	bytes int64
	hash  hash
	ended bool // the file ends with a newline
}

// tailWindow is how much of the end of a file is read to find the end of its
// chain, in bytes: more than one commit can leave.
const tailWindow = 8 << 20

// errNoChain says that a file has lines and that none is of a chain.
var errNoChain = errors.New("does not end in an audit chain; move it away")

// resume finds the end of the chain: in the file or, when that is new, in the
// one that was rotated away last.
func (l *Log) resume() error {
	if !l.regular {
		return nil
	}
	if l.size == 0 {
		l.chain.last = newest(l.path)
		return nil
	}
	t, err := readTail(l.file, l.size)
	if err != nil {
		return fmt.Errorf("audit log %s: %w", l.path, err)
	}
	if t.last.sequence == 0 {
		t.last = newest(l.path)
	}
	l.chain.last, l.chain.torn = t.last, t.torn
	// What was written before may lack its checkpoint: the next line comes with one.
	l.chain.seal = !t.checkpoint || t.torn != nil
	if l.chain.since = 0; l.chain.seal {
		l.chain.since, l.chain.sealed = 1, time.Now()
	}
	if t.torn != nil {
		_ = l.commit(nil) // if not now, then with the next line
	}
	return nil
}

// A tail is the end of a file.
type tail struct {
	last       link // zero without a line of the chain
	checkpoint bool // the last line is one
	torn       *torn
}

// readTail follows the chain through the end of a file, up to where it breaks.
func readTail(f io.ReaderAt, size int64) (tail, error) {
	from := max(0, size-tailWindow)
	b := make([]byte, size-from)
	if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return tail{}, err
	}
	var t tail
	if from > 0 { // begin with a whole line
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			n = len(b)
		}
		next, ok := readLink(b[:n])
		if !ok || t.last.sequence > 0 && !next.follows(t.last) {
			if n = seam(b, t.last); n == 0 {
				break
			}
			b = b[n:]
			continue
		}
		t.last, t.checkpoint = next, isCheckpoint(b[:n])
		if b[n-1] != '\n' { // whole, but for its newline
			t.torn = &torn{}
		}
		b = b[n:]
	}
	if len(b) > 0 {
		t.torn = &torn{bytes: int64(len(b)), hash: sha256.Sum256(b), ended: b[len(b)-1] == '\n'}
	}
	if t.last.sequence == 0 && from > 0 {
		return t, errNoChain
	}
	return t, nil
}

// newest returns the last link of the chain in the files beside path that begin
// with its name, as they do after a rotation; zero without one.
func newest(path string) link {
	folder, name := filepath.Split(path)
	name = strings.TrimSuffix(name, filepath.Ext(name))
	entries, _ := os.ReadDir(filepath.Clean(folder + "."))
	var all []string
	for _, e := range entries {
		if file := folder + e.Name(); strings.HasPrefix(e.Name(), name) && file != path {
			all = append(all, file)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return modified(b).Compare(modified(a)) })
	const enough = 8
	var last link
	for _, file := range all[:min(len(all), enough)] {
		if t, err := readTailOf(file); err == nil && t.last.sequence > last.sequence {
			last = t.last
		}
	}
	return last
}

func modified(file string) time.Time {
	fi, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return fi.ModTime()
}

func readTailOf(file string) (tail, error) {
	f, err := os.Open(file)
	if err != nil {
		return tail{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return tail{}, errNoChain
	}
	return readTail(f, fi.Size())
}

// A recovered is the record that seals what a crash left.
type recovered struct {
	// When the log was opened again, UTC.
	Time string `json:"@timestamp"`
	// audit-recovered.
	Action string `json:"event.action"`
	// unknown.
	Outcome string `json:"event.outcome"`
	// torn.
	Reason string `json:"event.reason"`
	// The length in bytes of what a crash left of the line before.
	Bytes int64 `json:"labels.torn_bytes"`
	// SHA-256 of that.
	Hash string `json:"hash.sha256"`
}

// appendTorn ends the torn line and adds the record that says what it is.
func (c *chain) appendTorn(dst []byte, now time.Time) []byte {
	if !c.torn.ended {
		dst = append(dst, '\n')
	}
	if c.torn.bytes > 0 {
		r := recovered{
			Time: stamp(now), Action: actionRecovered, Outcome: "unknown", Reason: "torn",
			Bytes: c.torn.bytes, Hash: fmt.Sprintf("%x", c.torn.hash),
		}
		dst = c.add(dst, ownLine(&r))
		c.since++
	}
	c.torn = nil
	return dst
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// actionRecovered is the event.action of a recovered.
const actionRecovered = "audit-recovered"

// seam returns the length of what was torn at the start of b and sealed later:
// what follows is the line after last and says so. 0 means that there is no such
// line.
func seam(b []byte, last link) int {
	for at := 0; ; {
		n := bytes.IndexByte(b[at:], '\n') + 1
		if n == 0 {
			return 0
		}
		at += n
		end := bytes.IndexByte(b[at:], '\n') + 1
		if end == 0 {
			return 0
		}
		if next, ok := readLink(b[at : at+end]); ok && (last.sequence == 0 || next.follows(last)) && sealsTorn(b[at:at+end], b[:at]) {
			return at
		}
	}
}

// sealsTorn tells that a line seals the bytes before it. Where a newline was
// added to end them, it does not count.
func sealsTorn(line, before []byte) bool {
	if !bytes.Contains(line[:min(len(line), 128)], []byte(`"`+actionRecovered+`"`)) {
		return false
	}
	var r recovered
	if json.Unmarshal(line, &r) != nil {
		return false
	}
	switch int64(len(before)) {
	case r.Bytes:
	case r.Bytes + 1:
		before = before[:r.Bytes]
	default:
		return false
	}
	return fmt.Sprintf("%x", sha256.Sum256(before)) == r.Hash
}
