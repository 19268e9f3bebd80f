package jetstream

import (
	"maps"
	"time"
)

const (
	// memberLast is how long a gateway is remembered that is not heard of.
	memberLast = 24 * time.Hour
	// hereLast is how long it counts as there.
	hereLast = 3 * helloEvery
	// mostMembers and mostSeen bound what is remembered.
	mostMembers = 64
	mostSeen    = 4096
)

// A roster are the other gateways of a circle, by name.
type roster map[string]presence

type presence struct{ heard, silent time.Time }

func (p presence) here(now time.Time) bool {
	return p.heard.After(p.silent) && now.Sub(p.heard) < hereLast
}

// note takes down when a gateway was heard of, and tells whether it was not
// there before.
func (r roster) note(name string, at, now time.Time) bool {
	p, ok := r[name]
	if !ok && len(r) >= mostMembers {
		return false
	}
	fresh := !p.here(now)
	if at.After(p.heard) {
		p.heard = at
	}
	r[name] = p
	return fresh
}

// forget drops who was not heard of for too long.
func (r roster) forget(now time.Time) {
	maps.DeleteFunc(r, func(_ string, p presence) bool { return now.Sub(p.heard) >= memberLast })
}

// known is since how many seconds each was not heard of.
func (r roster) known(now time.Time) map[string]int64 {
	all := map[string]int64{}
	for name, p := range r {
		all[name] = int64(now.Sub(p.heard)/time.Second) + 1
	}
	return all
}

// A seen set are the questions that came.
type seen map[string]time.Time

// first tells whether a question came for the first time.
func (s seen) first(id string, now time.Time) bool {
	if len(s) >= mostSeen {
		maps.DeleteFunc(s, func(_ string, at time.Time) bool { return now.Sub(at) > 2*letterLast })
	}
	if _, ok := s[id]; ok || len(s) >= mostSeen {
		return false
	}
	s[id] = now
	return true
}
