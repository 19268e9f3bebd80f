package factor

import (
	"bytes"
	"crypto/subtle"
	"slices"
	"time"
)

// Limits of guessing (MFA-06): after every fifth failure in a row comes a wait,
// each twice as long as the one before; after the hundredth the authenticator
// is of no use until it is bound anew. Only a success forgets failures.
const (
	failuresToWait    = 5
	failuresToDisable = 100
	firstWait         = 5 * time.Minute
	longestWait       = 60 * time.Minute
)

// guesses are the wrong codes of one authenticator. They stand in its record,
// so that a code is spent or counted by the same write.
type guesses struct {
	Failures int       `json:"failures,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	// Wrong are keyed hashes of the wrong codes of a step (MFA-24).
	Wrong [][]byte `json:"wrong,omitempty"`
	Step  int64    `json:"step,omitempty"`
}

func (g *guesses) disabled() bool { return g.Failures >= failuresToDisable }

// open reports why no code may be checked.
func (g *guesses) open(now time.Time) error {
	if g.disabled() {
		return ErrDisabled
	}
	if now.Before(g.Until) {
		return Throttle{g.Until}
	}
	return nil
}

// repeats tells whether the same wrong code was tried in the step.
func (g *guesses) repeats(mac []byte, step int64) bool {
	found := 0
	for _, w := range g.Wrong {
		found |= subtle.ConstantTimeCompare(w, mac)
	}
	return found == 1 && g.Step == step
}

// fail counts a wrong code.
func (g *guesses) fail(mac []byte, step int64, now time.Time) {
	if g.Step != step {
		g.Step, g.Wrong = step, nil
	}
	g.Wrong = append(g.Wrong, mac)
	g.Failures++
	if g.Failures%failuresToWait == 0 {
		g.Until = now.Add(wait(g.Failures / failuresToWait)).UTC()
	}
}

// wait is how long the nth wait is.
func wait(n int) time.Duration {
	d := firstWait
	for ; n > 1 && d < longestWait; n-- {
		d *= 2
	}
	return min(d, longestWait)
}

// refund takes back what fail counted.
func (g *guesses) refund(mac []byte) {
	at := slices.IndexFunc(g.Wrong, func(w []byte) bool { return bytes.Equal(w, mac) })
	if at < 0 {
		return // forgotten by a success
	}
	g.Wrong = slices.Delete(g.Wrong, at, at+1)
	if g.Failures%failuresToWait == 0 {
		g.Until = time.Time{}
	}
	g.Failures--
}
