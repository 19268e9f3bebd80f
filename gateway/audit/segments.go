package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Segments returns the log of that name and what was rotated away from it: the
// files beside it that begin with its name and hold lines of a chain. Compressed
// ones are not read.
func Segments(file string) ([]string, error) {
	folder, name := filepath.Split(file)
	name = strings.TrimSuffix(name, filepath.Ext(name))
	entries, err := os.ReadDir(filepath.Clean(folder + "."))
	if err != nil {
		return nil, err
	}
	all := []string{file}
	for _, e := range entries {
		other := folder + e.Name()
		if !strings.HasPrefix(e.Name(), name) || !e.Type().IsRegular() || other == file {
			continue
		}
		if s, err := openSegment(other); err == nil {
			s.Close()
			all = append(all, other)
		}
	}
	return all, nil
}

// A segment is one file of a log.
type segment struct {
	*os.File
	size        int64
	first, last link
	from, until time.Time // of the first and the last line
}

// errNoLine says that a file holds no line of a chain.
var errNoLine = errors.New("holds no line of an audit log")

// openSegment opens a file and reads where it begins and ends.
func openSegment(name string) (*segment, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	s := &segment{File: f}
	if err := s.measure(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *segment) measure() error {
	fi, err := s.Stat()
	if err != nil {
		return err
	}
	s.size = fi.Size()
	if err := s.lines(0, func(line []byte) bool {
		var ok bool
		s.first, ok = readLink(line)
		s.from = timeOf(line)
		return !ok
	}); err != nil {
		return err
	}
	// What a crash left of one commit may stand behind the last line.
	for back := int64(longestLine); s.last.sequence == 0; back *= 4 {
		if err := s.lines(max(0, s.size-back), func(line []byte) bool {
			if l, ok := readLink(line); ok && l.sequence > s.last.sequence {
				s.last, s.until = l, timeOf(line)
			}
			return true
		}); err != nil {
			return err
		}
		if s.last.sequence == 0 && back > s.size {
			return errNoLine
		}
	}
	return nil
}

// lines calls f with each line from the first that begins at or behind an
// offset, until f returns false. A line without an end is none.
func (s *segment) lines(offset int64, f func(line []byte) bool) error {
	return s.between(offset, s.size, f)
}

// between is lines of those that begin before another offset.
func (s *segment) between(offset, end int64, f func(line []byte) bool) error {
	skip := offset > 0
	if skip {
		offset-- // if a line ends there, the next begins at the offset
	}
	r := bufio.NewReaderSize(io.NewSectionReader(s, offset, s.size-offset), longestLine)
	for offset < end {
		line, err := r.ReadSlice('\n')
		offset += int64(len(line))
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // torn, or not ours
			skip = true
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case skip:
			skip = false
			continue
		}
		if !f(line) {
			return nil
		}
	}
	return nil
}

// find returns an offset before which all lines are older than t, but for those
// that waited: lines stand in the order in which they were written, with the
// time at which a request came.
func (s *segment) find(t time.Time) (int64, error) {
	return s.locate(func(line []byte) bool { return timeOf(line).Before(t) })
}

// locate returns an offset before which all lines are early, and behind which, but
// for a few, none is.
func (s *segment) locate(early func(line []byte) bool) (int64, error) {
	low, high := int64(0), s.size
	for high-low > longestLine {
		middle := (low + high) / 2
		before := false
		if err := s.lines(middle, func(line []byte) bool {
			whole := !timeOf(line).IsZero()
			before = whole && early(line)
			return !whole
		}); err != nil {
			return 0, err
		}
		if before {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// live tells that a gateway has one of the files open and writes to it, so that
// whatever it released until now stands there.
func live(files []string) bool {
	return slices.ContainsFunc(files, func(name string) bool {
		f, err := os.Open(name)
		if err != nil {
			return false
		}
		defer f.Close()
		return locked(f)
	})
}

// openSegments opens files in the order of their lines.
func openSegments(files []string) ([]*segment, error) {
	var all []*segment
	for _, file := range files {
		s, err := openSegment(file)
		if errors.Is(err, errNoLine) && len(files) > 1 {
			continue // new, after a rotation
		}
		if err != nil {
			closeSegments(all)
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *segment) int { return cmp.Compare(a.first.sequence, b.first.sequence) })
	return all, nil
}

func closeSegments(all []*segment) {
	for _, s := range all {
		s.Close()
	}
}

// timeOf returns the time of a line, which is its first field, and the zero time
// for none.
func timeOf(line []byte) time.Time {
	rest, ok := bytes.CutPrefix(line, []byte(`{"@timestamp":"`))
	if !ok {
		return time.Time{}
	}
	text, _, _ := bytes.Cut(rest[:min(len(rest), 64)], []byte(`"`))
	t, _ := time.Parse(time.RFC3339Nano, string(text)) // the zero time for none
	return t
}
