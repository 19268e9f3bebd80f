package guard

import (
	"bytes"
	"encoding/json"
	"time"
)

// A class is whether addresses are familiar to a user. Failures are counted
// apart, so that a lock from elsewhere does not stop the user at home
// (security.md, LOCK-02).
type class uint8

const (
	unfamiliar class = iota
	familiar
	numClasses
)

// String returns the class as metrics name it.
func (c class) String() string { return [numClasses]string{"unfamiliar", "familiar"}[c] }

// failures are the record of one user.
type failures struct {
	Chains [numClasses]chain `json:"chains"`
	Wrong  []wrong           `json:"wrong,omitempty"`
	// Held is an operator's lock.
	Held *Hold `json:"held,omitempty"`
}

// blank tells that the record says nothing.
func (f *failures) blank() bool {
	return f.Chains == [numClasses]chain{} && len(f.Wrong) == 0 && f.Held == nil
}

// A chain are failures that followed one another within the window, and the
// locks that came of them.
type chain struct {
	// Sent is how many wrong passwords the directory was asked about: what its
	// own count is, or less. A right one in between resets the directory's and
	// not this: the owner's sign-ins give nobody more guesses.
	Sent int `json:"sent,omitempty"`
	// Last is when the last one was.
	Last time.Time `json:"last,omitzero"`
	// Locks are those that followed one another within a day.
	Locks int `json:"locks,omitempty"`
	// Until is when the last lock ends.
	Until time.Time `json:"until,omitzero"`
}

// A wrong is a password that is known to be wrong, as its keyed hash.
type wrong struct {
	Mac []byte `json:"mac"`
	// Sent is when the directory was last asked about it.
	Sent time.Time `json:"sent"`
}

// parseFailures reads a record; nothing is no failures.
func parseFailures(value []byte) (*failures, error) {
	f := new(failures)
	if len(value) == 0 {
		return f, nil
	}
	return f, json.Unmarshal(value, f)
}

// slack is how much longer failures are remembered here than in the directory,
// whose clock may be behind.
const slack = time.Minute

// at is the chain as of now: what is over is forgotten.
func (c chain) at(now time.Time, l *Limits) chain {
	if !now.Before(c.Until) && !now.Before(c.Last.Add(l.Window+slack)) {
		c.Sent = 0
	}
	if !now.Before(c.Until.Add(memory)) {
		c.Locks = 0
	}
	return c
}

func (c chain) locked(now time.Time) bool { return now.Before(c.Until) }

// known returns the password if it is known to be wrong, nil if it is not.
func (f *failures) known(now time.Time, l *Limits, m *macer) *wrong {
	for i := range f.Wrong {
		w := &f.Wrong[i]
		if !f.forgets(now, l) && bytes.Equal(w.Mac, m.at(w.Sent)) {
			return w
		}
	}
	return nil
}

// forgets tells that what was wrong is no longer known. That is when the failures
// are forgotten and not before: devices with different old passwords would else
// keep one another's failures alive, each adding one in every window.
func (f *failures) forgets(now time.Time, l *Limits) bool {
	last := f.Chains[unfamiliar].Last
	for _, c := range f.Chains {
		last = latest(last, c.Last)
	}
	return !now.Before(last.Add(l.Window + slack))
}

// probe tells whether the directory may be asked again about a password that
// is known to be wrong: seldom, and only while most of the failures that it
// bears are left to the user (security.md, LOCK-05).
func (f *failures) probe(w *wrong, c class, now time.Time, l *Limits) bool {
	return !now.Before(w.Sent.Add(l.Probe)) && f.Chains[c].at(now, l).Sent < l.Failures/2
}

// fail counts a password that the directory did not accept. It tells whether
// that locks.
func (f *failures) fail(c class, now time.Time, l *Limits, m *macer) (locks bool) {
	if f.forgets(now, l) {
		f.Wrong = nil
	}
	if w := f.known(now, l, m); w != nil {
		w.Sent, w.Mac = now, m.at(now)
	} else {
		f.Wrong = append(f.Wrong, wrong{Mac: m.at(now), Sent: now})
	}
	return f.count(c, now, l)
}

func (f *failures) count(c class, now time.Time, l *Limits) (locks bool) {
	if most := int(numClasses) * l.Failures; len(f.Wrong) > most {
		f.Wrong = f.Wrong[len(f.Wrong)-most:]
	}
	k := &f.Chains[c]
	*k = k.at(now, l)
	k.Sent++
	k.Last = latest(k.Last, now)
	if k.Sent < l.Failures || k.locked(now) {
		return false
	}
	k.Until = now.Add(grown(l.Window+slack, l.LongestLock, k.Locks))
	k.Locks++
	return true
}

// keep is for how long the record says anything.
func (f *failures) keep(now time.Time, l *Limits) time.Duration {
	until := now.Add(l.Window + slack)
	for _, c := range f.Chains {
		if c.Locks > 0 {
			until = latest(until, c.Until.Add(memory))
		}
	}
	if f.Held != nil {
		until = latest(until, f.Held.Until)
	}
	return until.Sub(now)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
