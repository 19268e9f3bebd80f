package guard

import (
	"time"

	"stsgate/gateway/refusal"
)

// A meter lets so many events pass in a minute, and those of a pause at once
// (GCRA, ITU-T I.371).
type meter struct{ next time.Time }

// take counts one more event if there is room for it.
func (m *meter) take(now time.Time, perMinute int) bool {
	each := time.Minute / time.Duration(perMinute)
	next := m.next
	if next.Before(now) {
		next = now
	}
	if next.Sub(now) > time.Minute-each {
		return false
	}
	m.next = next.Add(each)
	return true
}

// throttled refuses what comes faster than a user or an address may. Each gateway
// counts for itself: this bounds what reaches the directory, and guesses are
// bounded by the failures that all gateways count.
func (t *Try) throttled(now time.Time) *refusal.Refusal {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range t.sources {
		if !g.tries.make(s.address).take(now, g.limits.SourceTries) {
			return refusal.New(refusal.Throttled, "more than %d passwords in a minute from %s", g.limits.SourceTries, s.address)
		}
	}
	if !g.people.make(t.user).tries.take(now, g.limits.UserTries) {
		return refusal.New(refusal.Throttled, "more than %d passwords of the user in a minute", g.limits.UserTries)
	}
	return nil
}
