package portal

import (
	"net/http"
	"sync"
)

const (
	// mostLookers is how many requests may look into the past at a time,
	// mostOfUser how many of one user may do so or wait.
	mostLookers = 4
	mostOfUser  = 2
)

// lookers are the requests that look into the past: that takes a while, and much
// of a disk.
type lookers struct {
	turn chan struct{} // holds a token for each that looks

	mu     sync.Mutex
	ofUser map[string]int // those that wait too
}

func newLookers() *lookers {
	return &lookers{turn: make(chan struct{}, mostLookers), ofUser: map[string]int{}}
}

var errManyLooks = problem{http.StatusTooManyRequests, "One moment", "You asked for this several times at once. Wait until it is there, and try again."}

// enter counts a request of a user, unless there are too many.
func (l *lookers) enter(user string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ofUser[user] >= mostOfUser {
		return errManyLooks
	}
	l.ofUser[user]++
	return nil
}

func (l *lookers) leave(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ofUser[user]--; l.ofUser[user] == 0 {
		delete(l.ofUser, user)
	}
}

// look waits for its turn to look into the past.
func (v *visit) look() (release func(), err error) {
	l, user := v.p.lookers, v.session.User.ID
	if err := l.enter(user); err != nil {
		return nil, err
	}
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; l.leave(user) }, nil
	case <-v.ctx().Done():
		l.leave(user)
		return nil, v.ctx().Err()
	}
}
