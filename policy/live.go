package policy

import "sync/atomic"

// A Live is the set in force. A reload swaps it; who decides takes the set
// once and keeps it for the whole exchange.
type Live struct{ set atomic.Pointer[Set] }

// NewLive puts the first set in force.
func NewLive(s *Set) *Live {
	l := new(Live)
	l.Store(s)
	return l
}

// Load returns the set in force.
func (l *Live) Load() *Set { return l.set.Load() }

// Store puts another set in force.
func (l *Live) Store(s *Set) { l.set.Store(s) }
