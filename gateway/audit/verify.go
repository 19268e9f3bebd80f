package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// VerifyConfig says what a log is held against.
type VerifyConfig struct {
	// Files are the log and what was rotated away, in any order.
	Files []string
	// Key is the public key of the checkpoints. Without it nothing is signed for
	// the reader: whoever can write the files can write a chain anew.
	Key ed25519.PublicKey
	// Checkpoints are files with checkpoints from another place: lines of the
	// log, of which all others are passed over. They need Key.
	Checkpoints []string
}

// A Report is what Verify found.
type Report struct {
	// Lines is how many lines are as they were written, the first with the number
	// First and the last with the number Last; 0 without any.
	Lines, First, Last uint64
	// Sealed is the number of the last line that a checkpoint vouches for, 0
	// without one, and SealedAt when that was.
	Sealed   uint64
	SealedAt time.Time
	// Unsealed is how many lines behind it nothing vouches for.
	Unsealed int
	// Checkpoints is how many were found in the log, and Elsewhere how many of
	// them are in the other place too.
	Checkpoints, Elsewhere int
	// Recovered is how often a crash left something torn.
	Recovered int
	// Unended tells that the last line has no end: the gateway is writing it, or
	// it was stopped there and did not start again.
	Unended bool
	// Purged is the record of the latest removal of old lines, nil without one:
	// its Last and Hash say with which line the log may begin.
	Purged *Purged
	// Bad is the first line that is not as it was written, nil without one.
	Bad *BadLine

	before hash // of the line before the first
}

// A Purged says that lines up to one were removed, and by which line of the log.
type Purged struct {
	Last uint64
	Hash [sha256.Size]byte
	By   uint64
	Time time.Time
}

// Lawful tells that the log begins where a purge left it, or before.
func (r *Report) Lawful() bool {
	return r.First <= 1 || r.Purged != nil && (r.First <= r.Purged.Last || r.First == r.Purged.Last+1 && r.before == r.Purged.Hash)
}

// A BadLine is where a log is not what was written.
type BadLine struct {
	File string
	Line int
	Msg  string
}

// Error implements error: "audit.jsonl:12: the line is not what its hash says".
func (b *BadLine) Error() string { return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Msg) }

// Verify follows the chain through files and holds it against its checkpoints.
// The error is about reading them; what is wrong in them is the report's.
func Verify(c VerifyConfig) (*Report, error) {
	if len(c.Checkpoints) > 0 && c.Key == nil {
		return nil, errors.New("checkpoints from another place need the key")
	}
	v := &verifier{key: c.Key, elsewhere: make(map[uint64]Checkpoint)}
	for _, file := range c.Checkpoints {
		if err := v.readElsewhere(file); err != nil {
			return nil, err
		}
	}
	files, err := inOrder(c.Files)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := v.file(file); err != nil {
			return nil, err
		}
		if v.report.Bad != nil {
			return &v.report, nil
		}
	}
	v.end()
	return &v.report, nil
}

// inOrder sorts files by the number of their first line.
func inOrder(files []string) ([]string, error) {
	type segment struct {
		file  string
		first uint64
	}
	var all []segment
	for _, file := range files {
		first, err := firstOf(file)
		if err != nil {
			return nil, err
		}
		all = append(all, segment{file, first})
	}
	slices.SortStableFunc(all, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	files = nil
	for _, s := range all {
		files = append(files, s.file)
	}
	return files, nil
}

// firstOf returns the number of the first line of a file that is whole; an empty
// file, as there is after a rotation, is the last.
func firstOf(file string) (uint64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, longestLine)
	for {
		line, err := r.ReadSlice('\n')
		if l, ok := readLink(line); ok {
			return l.sequence, nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return ^uint64(0), nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return 0, fmt.Errorf("%s: %w", file, err)
		}
	}
}

// longestLine is the longest line that is read, in bytes: more than any that is
// written.
const longestLine = 64 << 10

// A verifier follows the chain.
type verifier struct {
	key       ed25519.PublicKey
	elsewhere map[uint64]Checkpoint

	report   Report
	last     link
	name     string // of the file
	number   int    // of the line in it
	unsealed []byte // the first line that no checkpoint vouches for
	latest   []byte // the last line
	count    int    // lines since the latest checkpoint
	buffer   []byte
}

func (v *verifier) readElsewhere(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for n := 1; s.Scan(); n++ {
		if !bytes.Contains(s.Bytes(), []byte(`"`+actionCheckpoint+`"`)) {
			continue
		}
		c, err := readCheckpoint(s.Bytes(), v.key)
		if errors.Is(err, errNote) {
			continue // torn, by a disk that was full
		}
		if err != nil {
			return fmt.Errorf("%s:%d: the checkpoint %w", file, n, err)
		}
		if other, ok := v.elsewhere[c.Sequence]; ok && other.Hash != c.Hash {
			return fmt.Errorf("%s:%d: two checkpoints differ about line %d: two logs were written", file, n, c.Sequence)
		}
		v.elsewhere[c.Sequence] = c
		if own, ok := readLink(s.Bytes()); ok { // its own line, which it does not vouch for
			v.elsewhere[own.sequence] = Checkpoint{Sequence: own.sequence, Hash: own.hash, Time: c.Time}
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(v.elsewhere) == 0 {
		return fmt.Errorf("%s: no checkpoint in it", file)
	}
	return nil
}

// file follows the chain through one file.
func (v *verifier) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	v.name, v.number = name, 0
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if room := min(4*tailWindow, int(fi.Size())+1); len(v.buffer) < room {
		v.buffer = make([]byte, room)
	}
	in := v.buffer[:0]
	for ended := false; !ended && v.report.Bad == nil; {
		n, err := io.ReadFull(f, v.buffer[len(in):])
		in = v.buffer[:len(in)+n]
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			ended = true
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		}
		rest := v.lines(in, ended)
		in = v.buffer[:copy(v.buffer, rest)]
	}
	return nil
}

// lines takes lines while there is enough of what follows to judge them by, and
// returns what is left.
func (v *verifier) lines(b []byte, ended bool) (rest []byte) {
	for len(b) > 0 && (ended || len(b) > 2*tailWindow) && v.report.Bad == nil {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			n = len(b)
		}
		v.number++
		l, ok := readLink(b[:n])
		switch {
		case ok && b[n-1] == '\n' && (v.report.Lines == 0 || l.follows(v.last)):
			v.line(l, b[:n])
		case v.tornHere(b):
			n = 0
		case !ok && n == len(b) && b[n-1] != '\n':
			v.report.Unended = true
		case !ok:
			v.bad("the line is not what was written: its hash differs")
		case b[n-1] != '\n':
			v.report.Unended = true
		default:
			v.bad("%s", v.gap(l))
		}
		if n == 0 {
			n = seam(b, v.last)
			v.number += bytes.Count(b[:n], []byte("\n")) - 1
		}
		b = b[n:]
	}
	return b
}

// tornHere tells that b begins with what a crash left, which was sealed later. A
// whole line in it was not torn by a crash.
func (v *verifier) tornHere(b []byte) bool {
	n := seam(b[:min(len(b), tailWindow+longestLine)], v.last)
	for line := range bytes.Lines(b[:n]) {
		if _, ok := readLink(line); ok {
			return false
		}
	}
	if n > 0 {
		v.report.Recovered++
	}
	return n > 0
}

// gap says how a line that is whole does not follow the last.
func (v *verifier) gap(l link) string {
	switch next := v.last.sequence + 1; {
	case l.sequence == next:
		return fmt.Sprintf("line %d of the log does not follow the one that stands before it: one of them was written anew", l.sequence)
	case l.sequence > next:
		return fmt.Sprintf("this is line %d of the log, and line %d was expected: %d are missing", l.sequence, next, l.sequence-next)
	default:
		return fmt.Sprintf("this is line %d of the log, and line %d was expected", l.sequence, next)
	}
}

func (v *verifier) bad(format string, args ...any) {
	if v.report.Bad == nil {
		v.report.Bad = &BadLine{v.name, v.number, fmt.Sprintf(format, args...)}
	}
}

// line takes a line that follows.
func (v *verifier) line(l link, line []byte) {
	if c, ok := v.elsewhere[l.sequence]; ok {
		if c.Hash != l.hash {
			v.bad("line %d of the log is not the one that the checkpoint of %s in the other place vouches for: it, or one before it, was written anew",
				l.sequence, c.Time.Format(time.RFC3339))
			return
		}
		v.sealed(c)
	}
	switch {
	case isCheckpoint(line):
		if !v.checkpoint(l, line) {
			return
		}
	case v.count == 0:
		v.unsealed = append(v.unsealed[:0], line...)
		v.count = 1
	case v.count >= 2*checkpointLines && v.key != nil:
		v.bad("more than %d lines without a checkpoint: it was taken out", v.count)
		return
	default:
		v.latest = append(v.latest[:0], line...)
		v.count++
	}
	if v.report.Lines == 0 {
		v.report.First, v.report.before = l.sequence, l.previous
	}
	if isPurge(line) {
		v.report.Purged = readPurge(l, line)
	}
	v.report.Lines++
	v.report.Last, v.last = l.sequence, l
}

// checkpoint takes the line of one.
func (v *verifier) checkpoint(l link, line []byte) bool {
	c, err := readCheckpoint(line, v.key)
	switch {
	case err != nil:
		v.bad("the checkpoint %v", err)
	case c.Sequence+1 != l.sequence, c.Hash != l.previous:
		v.bad("the checkpoint vouches for another line %d", c.Sequence)
	case !bytes.HasPrefix(line, bytes.TrimSuffix(checkpointLine(c.Time, c.note), []byte("}\n"))):
		v.bad("the checkpoint is not written as the gateway does")
	default:
		v.report.Checkpoints++
		if _, ok := v.elsewhere[c.Sequence]; ok {
			v.report.Elsewhere++
		}
		v.sealed(c)
		return true
	}
	return false
}

func (v *verifier) sealed(c Checkpoint) {
	v.count = 0
	if v.key != nil {
		v.report.Sealed, v.report.SealedAt = c.Sequence, c.Time
	}
}

// longestUnsealed is the longest time that lines can be without a checkpoint
// while the gateway runs: until it is made, and a request that was held.
const longestUnsealed = checkpointTime + 4*time.Minute

// end looks at what lies behind the last checkpoint, and at checkpoints behind
// the last line.
func (v *verifier) end() {
	var missing Checkpoint
	for _, c := range v.elsewhere {
		if c.Sequence > v.report.Last && c.Sequence > missing.Sequence {
			missing = c
		}
	}
	if missing.Sequence > 0 {
		v.number++
		v.bad("lines %d to %d of the log are missing at the end: the checkpoint of %s in the other place vouches for them",
			v.report.Last+1, missing.Sequence, missing.Time.Format(time.RFC3339))
	}
	v.report.Unsealed = v.count
	if v.key == nil || v.count < 2 {
		return
	}
	if from, to := timeOf(v.unsealed), timeOf(v.latest); to.Sub(from) > longestUnsealed {
		v.bad("the lines since %s are without a checkpoint: it was taken out", from.Format(time.RFC3339))
	}
}
