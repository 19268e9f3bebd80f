package portal

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// mostStreams is how many pages of a user are told of news on one gateway.
	mostStreams = 2
	// beat is how often such a page hears something, and check how often it is
	// asked whether its session still lasts (security.md, PORT-10).
	beat  = 15 * time.Second
	check = 2 * time.Second
)

// streams counts the pages that are told of news.
type streams struct {
	mu      sync.Mutex
	users   map[string]int
	stopped chan struct{}
	once    sync.Once
}

func newStreams() *streams { return &streams{users: map[string]int{}, stopped: make(chan struct{})} }

// stop lets all of them go.
func (s *streams) stop() { s.once.Do(func() { close(s.stopped) }) }

func (s *streams) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.users {
		n += o
	}
	return n
}

func (s *streams) enter(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[user] >= mostStreams {
		return false
	}
	s.users[user]++
	return true
}

func (s *streams) leave(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[user]--; s.users[user] == 0 {
		delete(s.users, user)
	}
}

// events tells an open page what waits, by server-sent events, until the
// session ends, the page goes away or the gateway stops.
func (v *visit) events() error {
	user := v.session.User.ID
	if !v.p.streams.enter(user) {
		v.w.WriteHeader(http.StatusNoContent) // a browser does not ask again
		return nil
	}
	defer v.p.streams.leave(user)
	changed, stop := v.p.c.MFA.Changes(user)
	defer stop()
	v.w.Header().Set("Content-Type", "text/event-stream")
	if err := v.tell(); err != nil {
		return err
	}
	beats, checks := time.NewTicker(beat), time.NewTicker(check)
	defer beats.Stop()
	defer checks.Stop()
	for {
		var err error
		select {
		case <-v.ctx().Done():
			return nil
		case <-v.p.streams.stopped:
			return nil
		case <-changed:
			err = v.tell()
		case <-beats.C:
			err = v.tell()
		case <-checks.C:
			s, _, failed := v.p.resume(v.ctx(), v.id, time.Now(), v.client.Addresses())
			if err = failed; err == nil && !s.signedIn() {
				return v.send("end", "")
			}
		}
		if err != nil {
			v.p.c.Log.Debug("a page is not told of news any more", "err", err)
			return nil
		}
	}
}

func (v *visit) tell() error {
	all, err := v.p.c.MFA.Pending(v.ctx(), v.session.User.ID)
	if err != nil {
		return err
	}
	return v.send("waiting", v.p.seen(all))
}

func (v *visit) send(event, data string) error {
	if _, err := fmt.Fprintf(v.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return err
	}
	return http.NewResponseController(v.w).Flush()
}
