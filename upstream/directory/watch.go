package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// checkEvery is how often the controller is asked whether it is there, and
	// recheckEvery while it is down.
	checkEvery, recheckEvery = 5 * time.Second, time.Second
	// maxStrikes is how many requests in a row may fail before none is tried.
	maxStrikes = 3
)

// A health is whether the controller answers. The zero health does not know,
// and lets everything be tried.
type health struct {
	mu      sync.Mutex
	known   bool
	isDown  bool
	strikes int // failures since the last answer
	err     error
}

// down returns why nothing is to be tried, nil where something is.
func (h *health) down() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.isDown {
		return nil
	}
	return fmt.Errorf("the controller is down: %w", h.err)
}

// up tells whether the controller answers, as far as is known.
func (h *health) up() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known && !h.isDown
}

// passed notes an answer, and reports whether it is news.
func (h *health) passed() (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	news = h.isDown || !h.known
	h.known, h.isDown, h.strikes, h.err = true, false, 0, nil
	return news
}

// failed notes a failure, and reports whether the controller is down from now
// on: after so many strikes.
func (h *health) failed(err error, strikes int) (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.strikes += strikes
	h.err = err
	news = !h.isDown && h.strikes >= maxStrikes
	h.isDown = h.isDown || news
	return news
}

// Healthy returns nil while the controller answers, and otherwise why it does
// not.
func (l *LDAP) Healthy() error {
	h := &l.health
	if err := h.down(); err != nil || h.up() {
		return err
	}
	return errors.New("not asked yet")
}

// Watch asks the controller every 5 seconds whether it is there, and every
// second while it is not, until ctx ends. One failure takes it down, and so do
// three of requests in a row; then nothing is asked in vain until it has
// answered again.
func (l *LDAP) Watch(ctx context.Context) {
	for {
		l.check(ctx)
		next := checkEvery
		if l.health.down() != nil {
			next = recheckEvery
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return
		}
	}
}

func (l *LDAP) check(ctx context.Context) {
	err := l.within(ctx, func(ctx context.Context, s *session, d *domain) error {
		_, err := s.one(ctx, d.head, "objectClass")
		return err
	})
	if ctx.Err() == nil && !errors.Is(err, errBusy) {
		l.settle(err, maxStrikes)
	}
}

// note learns from how a request ended. A client that has gone says nothing
// of the controller, and whatever the controller answered is an answer.
func (l *LDAP) note(ctx context.Context, err error) {
	_, lost := errors.AsType[*unreachable](err)
	switch {
	case ctx.Err() != nil, errors.Is(err, errBusy):
	case lost, errors.Is(err, errSlow):
		l.settle(err, 1)
	default:
		l.settle(nil, 0)
	}
}

// settle notes an answer, or a failure that counts for so many strikes.
func (l *LDAP) settle(err error, strikes int) {
	switch {
	case err == nil && l.health.passed():
		l.log.Info("directory is up", "controller", l.address)
	case err != nil && l.health.failed(err, strikes):
		l.log.Warn("directory is down", "controller", l.address, "err", err)
		l.pool.discard()
	}
}
