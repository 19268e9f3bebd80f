// Package audit writes one record of every exchange, as a line of JSON, and
// has it on the disk before the client hears anything.
//
// It is a leaf. It never decides whether an exchange may go on without its
// record: a failed Append is an error, and the gateway refuses.
package audit

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("audit log is closed")

// Config configures a Log.
type Config struct {
	// File is the path of the log; it is created with mode 0600 and appended to.
	File string
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
	regular bool
	stopped chan struct{}

	path   string
	reopen chan chan error
}

// A batch is the lines that are written and synced together.
type batch struct {
	lines []byte
	done  chan struct{}
	err   error
}

// Open opens or creates the log.
func Open(c Config) (*Log, error) {
	l := &Log{
		wrote:   c.Wrote,
		next:    newBatch(),
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
		path:    c.File,
		reopen:  make(chan chan error),
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	go l.write()
	return l, nil
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (l *Log) open() error {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open audit log: %w", err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.size, l.regular = f, fi.Size(), fi.Mode().IsRegular()
	return nil
}

// Append writes r and returns when it is on the disk.
func (l *Log) Append(r *Record) error {
	line, err := r.line()
	if err != nil {
		return fmt.Errorf("encode audit record: %w", err)
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	b := l.next
	b.lines = append(b.lines, line...)
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
	for {
		select {
		case answer := <-l.reopen:
			answer <- l.open()
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
				return
			}
		}
	}
}

// commit writes and syncs whole lines, or leaves none of them behind.
func (l *Log) commit(lines []byte) error {
	start := time.Now()
	_, err := l.file.Write(lines)
	if err == nil && l.regular {
		err = l.file.Sync()
	}
	if err != nil {
		if l.regular {
			err = errors.Join(err, l.file.Truncate(l.size))
		}
		return fmt.Errorf("write audit record: %w", err)
	}
	l.size += int64(len(lines))
	if l.wrote != nil {
		l.wrote(time.Since(start))
	}
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

// Close writes what was appended and closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.closed = true
	close(l.wake)
	l.mu.Unlock()
	<-l.stopped
	return l.file.Close()
}
