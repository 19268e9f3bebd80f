package portal

import (
	"sync"
	"time"
)

// perSecond is how much strangers may have written down in a second, on one
// gateway: what they begin is kept for five minutes.
const perSecond = 50

// A meter lets events pass at a rate, and those of a pause of a second at once
// (GCRA). Its zero value has had none.
type meter struct {
	mu  sync.Mutex
	due time.Time
}

func (m *meter) pass(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.due.Before(now) {
		m.due = now
	}
	if m.due.Sub(now) >= time.Second {
		return false
	}
	m.due = m.due.Add(time.Second / perSecond)
	return true
}
