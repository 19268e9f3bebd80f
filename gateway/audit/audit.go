// Package audit writes one record of every exchange, as a line of JSON, and
// has it on the disk before the client hears anything. A reload has a record too,
// which is on the disk before anything of it is in force.
//
// The lines are a chain: each has its number and the hash of the line before,
// and signed checkpoints vouch for all lines before them, so that a reader of
// the files can tell that none was changed, taken out or put in. The records of
// exchanges that released a token are the ledger.
//
// It is a leaf. It never decides whether an exchange may go on without its
// record: a failed Append is an error, and the gateway refuses.
package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("audit log is closed")

// Config configures a Log.
type Config struct {
	// File is the path of the log; it is created with mode 0600 and appended to.
	File string
	// Host is the name of this gateway's machine, on every line.
	Host string
	// Clock tells of the machine's clock, for every line: what keeps it right, and
	// by how much it was stepped. Nil is a clock of which nothing is known.
	Clock func() (source string, offset time.Duration)
	// NameKey keys the hashes of names, at least 32 bytes; nil is a random key.
	// HashNames has the names of users written as such hashes alone.
	NameKey   []byte
	HashNames bool
	// Reserve is the room on the disk, in bytes, that is kept for the records of
	// exchanges that are under way; 0 for none.
	Reserve int64
	// Key signs the checkpoints; nil means that there are none. Origin names the
	// log in them.
	Key    ed25519.PrivateKey
	Origin string
	// Checkpoints is a file, in another place than File, that gets a copy of each
	// checkpoint; empty for none.
	Checkpoints string
	// Wrote is told how long each write and sync took. It may be nil.
	Wrote func(time.Duration)
}

// A Log appends records to a file. Records that arrive while the disk is busy
// share the next write and sync (group commit).
type Log struct {
	wrote func(time.Duration)

	mu     sync.Mutex
	next   *batch
	closed bool
	wake   chan struct{} // holds one token while next has lines; closed by Close

	// The writer's own, until stopped is closed.
	file    *os.File
	size    int64 // up to here the file holds whole lines
	held    int64 // up to here the file has room on the disk
	regular bool
	broken  bool // what stands behind size is not known
	chain   chain
	out     []byte
	stopped chan struct{}

	path     string
	signs    bool // there are checkpoints
	reserve  int64
	clock    func() (source string, offset time.Duration)
	names    names
	reopen   chan chan error
	full     atomic.Bool
	failing  atomic.Pointer[gap] // nil unless the latest commit failed
	sequence atomic.Uint64       // of the last line that is on the disk
	second   *second             // nil without a second place
	early    *early
}

// A batch is the lines that are written and synced together.
type batch struct {
	lines [][]byte
	done  chan struct{}
	err   error
}

// Open opens or creates the log and finds the end of its chain. What a crash
// left behind the last whole line stays, and a record of its own says so.
func Open(c Config) (*Log, error) {
	l := &Log{
		wrote:   c.Wrote,
		clock:   c.Clock,
		names:   newNames(c.NameKey, c.HashNames),
		next:    newBatch(),
		wake:    make(chan struct{}, 1),
		chain:   newChain(c.Host, c.Origin, c.Key),
		stopped: make(chan struct{}),
		path:    c.File,
		signs:   c.Key != nil,
		reserve: c.Reserve,
		reopen:  make(chan chan error),
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	if err := l.resume(); err != nil {
		l.file.Close()
		return nil, err
	}
	if c.Checkpoints != "" {
		var err error
		if l.second, err = newSecond(c.Checkpoints); err != nil {
			l.file.Close()
			return nil, err
		}
	}
	l.sequence.Store(l.chain.last.sequence)
	l.early = newEarly(l)
	go l.write()
	return l, nil
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// open opens the file by its name. Two programs that wrote to one file would
// break its chain, so that it is locked.
func (l *Log) open() error {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	fi, err := f.Stat()
	if err == nil && fi.Mode().IsRegular() {
		err = lock(f)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("open audit log: %w", err)
	}
	l.file, l.size, l.held, l.regular = f, fi.Size(), fi.Size(), fi.Mode().IsRegular()
	l.hold()
	return nil
}

// Append writes r and returns when it is on the disk.
func (l *Log) Append(r *Record) error {
	line, err := r.line(&l.names)
	if err != nil {
		return fmt.Errorf("encode audit record: %w", err)
	}
	return l.append(line)
}

func (l *Log) append(line []byte) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	b := l.next
	b.lines = append(b.lines, line)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	l.mu.Unlock()
	<-b.done
	return b.err
}

// write is the only goroutine that touches the file.
func (l *Log) write() {
	defer close(l.stopped)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			l.extend()
			l.retry()
			if l.chain.due(now) {
				l.seal()
			}
		case answer := <-l.reopen:
			answer <- l.rotate()
		case _, open := <-l.wake:
			l.mu.Lock()
			b := l.next
			l.next = newBatch()
			l.mu.Unlock()
			if len(b.lines) > 0 {
				b.err = l.commit(b.lines)
				close(b.done)
			}
			if !open {
				l.seal()
				return
			}
		}
	}
}

// seal writes a checkpoint if there is anything to vouch for. One that cannot
// be written comes with the next line that can.
func (l *Log) seal() {
	if l.chain.unsealed() {
		l.chain.seal = true
		_ = l.commit(nil)
	}
}

// rotate seals the file and opens it by its name again; the chain goes on in the
// new one, which must be empty. On an error the old one stays.
func (l *Log) rotate() error {
	l.seal()
	now, err := os.Stat(l.path)
	was, statErr := l.file.Stat()
	if err == nil && statErr == nil && os.SameFile(now, was) {
		return nil
	}
	if err == nil && l.regular && now.Mode().IsRegular() && now.Size() > 0 {
		return fmt.Errorf("open audit log: %s is another file and has lines already", l.path)
	}
	old, size, held, regular := l.file, l.size, l.held, l.regular
	if err := l.open(); err != nil {
		return err
	}
	if regular && held > size {
		_ = old.Truncate(size) // the room that was held behind the lines
	}
	return old.Close()
}

// commit writes and syncs whole lines, or leaves none of them behind.
func (l *Log) commit(lines [][]byte) error {
	start := time.Now()
	if l.broken {
		if err := l.repair(); err != nil {
			err = fmt.Errorf("write audit record: %w", err)
			l.note(err, len(lines), start)
			return err
		}
	}
	next := l.chain
	next.clock = appendClock(nil, l.clock)
	out := next.append(l.out[:0], lines, start)
	if cap(out) <= maxKept {
		l.out = out
	}
	_, err := l.file.Write(out)
	if err == nil && l.regular {
		err = l.file.Sync()
	}
	if err != nil {
		err = fmt.Errorf("write audit record: %w", l.undo(err))
		l.note(err, len(lines), start)
		return err
	}
	l.chain = next
	l.failing.Store(nil)
	l.sequence.Store(next.last.sequence)
	l.size += int64(len(out))
	l.hold()
	if l.second != nil {
		l.second.add(next.checkpoints)
	}
	l.chain.checkpoints = nil
	if l.wrote != nil {
		l.wrote(time.Since(start))
	}
	return nil
}

// maxKept is the largest buffer, in bytes, that is kept from one commit to the
// next.
const maxKept = 1 << 20

// undo takes away what a failed commit left.
func (l *Log) undo(err error) error {
	if l.regular {
		if cut := l.file.Truncate(l.size); cut != nil {
			l.broken = true
			err = errors.Join(err, cut)
		}
		l.held = l.size
		l.hold()
	}
	return err
}

// repair finds the end of the chain again, after it could not be restored.
func (l *Log) repair() error {
	fi, err := l.file.Stat()
	if err != nil {
		return err
	}
	l.size, l.held = fi.Size(), fi.Size()
	if err := l.resume(); err != nil {
		return err
	}
	l.broken = false
	return nil
}

// Reopen opens the file by its name again, for log rotation. On an error the
// file that was open stays.
func (l *Log) Reopen() error {
	answer := make(chan error)
	select {
	case l.reopen <- answer:
		return <-answer
	case <-l.stopped:
		return ErrClosed
	}
}

// Close writes what was appended, and a checkpoint, and closes the file.
func (l *Log) Close() error {
	l.early.close()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.closed = true
	close(l.wake)
	l.mu.Unlock()
	<-l.stopped
	if l.second != nil {
		l.second.close()
	}
	l.release()
	return l.file.Close()
}

// Full tells that the disk has no room but for the records of exchanges that are
// under way: no other should begin. It ends by itself when there is room again.
func (l *Log) Full() bool { return l.full.Load() }

// Withheld tells that the second place did not take the latest checkpoint.
func (l *Log) Withheld() bool { return l.second != nil && l.second.failed.Load() }
