package gateway

import (
	"fmt"
	"sync"
	"time"
)

// So many panics within so long are no accident of one message any more
// (security.md, FAIL-05).
const (
	manyPanics  = 3
	panicWindow = time.Minute
)

// panics are the times of the latest.
type panics struct {
	mu     sync.Mutex
	latest [manyPanics]time.Time
	next   int // of latest, the oldest
}

func (p *panics) add(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest[p.next] = now
	p.next = (p.next + 1) % manyPanics
}

// many tells that there were many until now.
func (p *panics) many(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := p.latest[p.next]
	return !oldest.IsZero() && now.Sub(oldest) < panicWindow
}

// Sound reports that exchanges panic again and again, nil when they do not. It
// ends a minute after they did.
func (g *Gateway) Sound() error {
	if !g.panics.many(time.Now()) {
		return nil
	}
	return fmt.Errorf("%d panics or more within %v", manyPanics, panicWindow)
}
