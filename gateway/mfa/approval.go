package mfa

import (
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/policy"
)

// A phase is where an approval stands. The zero phase is that there is none.
type phase uint8

const (
	pending  phase = iota + 1
	approved       // for those who waited, or once for a retry when nobody did
	denied
	spent
)

// An approval is what user, application, address and password proof wait for
// together. Its methods are pure; whoever calls them writes it back by
// compare-and-set.
type approval struct {
	Phase phase `json:"phase"`
	// Prompt names what was asked, at random: an answer is for it alone.
	Prompt []byte `json:"prompt"`
	// Seed is what its number is made of.
	Seed   []byte        `json:"seed"`
	Way    policy.Shapes `json:"way"` // Hold or Challenge
	Opened time.Time     `json:"opened"`
	// Until is the end of pending, and then of approved.
	Until time.Time `json:"until"`

	Application string       `json:"application"`
	Address     netip.Prefix `json:"address,omitzero"`
	Place       string       `json:"place,omitzero"`
	New         bool         `json:"new,omitzero"`
	Family      string       `json:"family"`
	// Factors are those that may approve.
	Factors policy.Factors `json:"factors"`
	Wrong   int            `json:"wrong,omitzero"` // numbers

	// Waiting are the transactions that wait, and then those that the answer is for.
	Waiting []waiting    `json:"waiting,omitempty"`
	Decided time.Time    `json:"decided,omitzero"`
	Factor  factor.Proof `json:"factor,omitzero"` // that approved
	// Past are answers of which those who waited may not know yet.
	Past []past `json:"past,omitempty"`
}

// A waiting transaction is in one process and ends by itself.
type waiting struct {
	Transaction string    `json:"transaction"`
	Answer      []byte    `json:"answer,omitempty"` // keyed hash
	Until       time.Time `json:"until"`
}

// A past is an answer that was given.
type past struct {
	Phase   phase         `json:"phase"`
	Way     policy.Shapes `json:"way"`
	Factor  factor.Proof  `json:"factor,omitzero"`
	Waiting []waiting     `json:"waiting"`
	Decided time.Time     `json:"decided"`
}

// live tells that the user can still answer.
func (a *approval) live(now time.Time) bool { return a.Phase == pending && now.Before(a.Until) }

// redeemable tells that a retry may take what was approved.
func (a *approval) redeemable(now time.Time) bool {
	return a.Phase == approved && len(a.Waiting) == 0 && now.Before(a.Until)
}

// proof is what an approval proves.
func (a *approval) proof() *Proof { return &Proof{Shape: a.Way, Factor: a.Factor} }

// open begins a new prompt.
func (a *approval) open(now time.Time) {
	old := *a
	*a = approval{Phase: pending, Prompt: random(), Seed: random(), Opened: now, Until: now.Add(promptFor)}
	for _, p := range append(old.Past, past{old.Phase, old.Way, old.Factor, old.Waiting, old.Decided}) {
		if len(p.Waiting) > 0 && !p.Decided.IsZero() && now.Sub(p.Decided) < MaxHold+skew {
			a.Past = append(a.Past, p)
		}
	}
}

func random() []byte {
	b := make([]byte, 16)
	rand.Read(b)
	return b
}

var errFull = errors.New("as many requests wait as one approval is for")

// join adds a transaction to those that wait, unless they are many.
func (a *approval) join(w waiting, now time.Time) error {
	a.Waiting = slices.DeleteFunc(a.Waiting, func(o waiting) bool { return o.over(now) })
	if len(a.Waiting) >= MaxWaiting {
		return errFull
	}
	a.Waiting = append(a.Waiting, w)
	return nil
}

// over tells that it no longer waits, even if its gateway died without a word.
func (w *waiting) over(now time.Time) bool { return now.After(w.Until.Add(skew)) }

// leave takes a transaction out.
func (a *approval) leave(transaction string) {
	a.Waiting = slices.DeleteFunc(a.Waiting, func(o waiting) bool { return o.Transaction == transaction })
}

// decide answers for those who wait now.
func (a *approval) decide(p phase, f factor.Proof, now time.Time) {
	a.Waiting = slices.DeleteFunc(a.Waiting, func(o waiting) bool { return o.over(now) })
	a.Phase, a.Factor, a.Decided = p, f, now
	a.Until = now.Add(redeemFor)
}

// verdict is the answer for a transaction, if it has been given: the phase, and
// what proved it. An approval never releases another answer than the one that
// it waited with (MFA-16).
func (a *approval) verdict(transaction string, answer []byte) (phase, Proof) {
	for _, p := range append(slices.Clip(a.Past), past{a.Phase, a.Way, a.Factor, a.Waiting, a.Decided}) {
		if p.Phase == pending {
			continue
		}
		for _, w := range p.Waiting {
			if w.Transaction == transaction && hmac.Equal(w.Answer, answer) {
				return p.Phase, Proof{Shape: p.Way, Factor: p.Factor}
			}
		}
	}
	return 0, Proof{}
}

// keep is for how long the record is of use.
func (a *approval) keep(now time.Time) time.Duration {
	return max(a.Until.Sub(now), MaxHold) + time.Minute
}
