package audit

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A second is the second place of the checkpoints, another disk or another
// machine's. Nobody waits for it: what it could not take yet is kept, the latest
// of it if that is too much, and tried again with the next.
type second struct {
	path   string
	failed atomic.Bool

	mu      sync.Mutex
	waiting [][]byte
	wake    chan struct{} // holds one token while there are any; closed by close
	done    chan struct{}
}

// maxWaiting is how many checkpoints are kept for the second place.
const maxWaiting = 4096

func newSecond(path string) (*second, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open checkpoints: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open checkpoints: %w", err)
	}
	s := &second{path: path, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.run()
	return s, nil
}

func (s *second) add(lines [][]byte) {
	if len(lines) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, lines...)
	s.waiting = s.waiting[max(0, len(s.waiting)-maxWaiting):]
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *second) run() {
	defer close(s.done)
	for range s.wake {
		s.mu.Lock()
		lines := s.waiting
		s.waiting = nil
		s.mu.Unlock()
		err := s.write(lines)
		s.failed.Store(err != nil)
		if err != nil {
			s.mu.Lock()
			s.waiting = append(lines, s.waiting...)
			s.mu.Unlock()
		}
	}
}

// write appends lines. The file is opened each time: the second place may be
// mounted again, or rotated.
func (s *second) write(lines [][]byte) error {
	f, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, line := range lines {
		if _, err := f.Write(line); err != nil {
			return err
		}
	}
	return f.Sync()
}

// close gives what is waiting some time to be written.
func (s *second) close() {
	close(s.wake)
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
	}
}
