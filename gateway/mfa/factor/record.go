package factor

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"stsgate/gateway/state"
)

// version is that of the record. A gateway that meets a higher one changes
// nothing: it would lose what it does not know (STATE-11).
const version = 1

// An enrolment is what is kept of a user.
type enrolment struct {
	Version  int         `json:"v"`
	TOTP     *totp       `json:"totp,omitempty"`
	Passkeys []passkey   `json:"passkeys,omitempty"`
	Recovery *recovery   `json:"recovery,omitempty"`
	RADIUS   *radiusUser `json:"radius,omitempty"`
	// Handle is what passkeys know the user by.
	Handle []byte `json:"handle,omitempty"`
	// Reset is when an administrator took everything away. What was begun or
	// proven before is worth nothing.
	Reset time.Time `json:"reset,omitzero"`
	// Past are authenticators that the user has no more.
	Past []past `json:"past,omitempty"`
	// Notices are what the user must still hear of. They are written with what
	// they tell, so that neither is without the other (MFA-12).
	Notices []Event `json:"notices,omitempty"`
}

// A bound is what all authenticators have.
type bound struct {
	ID    string    `json:"id"`
	Kind  Kind      `json:"kind"`
	Label string    `json:"label"`
	Bound time.Time `json:"bound"`
	From  Source    `json:"from,omitzero"`
	Used  time.Time `json:"used,omitzero"`
}

func newBound(k Kind, label string, from Source, now time.Time) bound {
	return bound{ID: rand.Text(), Kind: k, Label: label, Bound: now.UTC().Truncate(time.Second), From: from}
}

// A past is an authenticator that was taken away.
type past struct {
	bound
	Unbound time.Time `json:"unbound"`
	By      Source    `json:"by,omitzero"`
}

// mostPast is how many are kept with the user at most. All are in the audit.
const mostPast = 100

// key is where the user's record stands.
func key(user string) (state.Key, error) {
	if user == "" {
		return state.Key{}, fmt.Errorf("%w: no user", ErrMissing)
	}
	return state.Enrolments.Key(user), nil
}

// parse reads a record; nothing is what a user has at first.
func parse(value []byte) (*enrolment, error) {
	e := &enrolment{Version: version}
	if len(value) == 0 {
		return e, nil
	}
	if err := json.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("%w: %w", state.ErrCorrupt, err)
	}
	if e.Version > version {
		return nil, fmt.Errorf("a record of version %d, of a later program than this", e.Version)
	}
	return e, nil
}

// encode writes a record that fits into the store: what the user had longest ago
// gives way to what the user has.
func (e *enrolment) encode() ([]byte, error) {
	for {
		value, err := json.Marshal(e)
		if err != nil || len(value) <= state.MaxValue || len(e.Past) == 0 {
			return value, err
		}
		e.Past = e.Past[(len(e.Past)+7)/8:]
	}
}

// all are the parts that all authenticators have.
func (e *enrolment) all() []*bound {
	var all []*bound
	if e.TOTP != nil {
		all = append(all, &e.TOTP.bound)
	}
	for i := range e.Passkeys {
		all = append(all, &e.Passkeys[i].bound)
	}
	if e.Recovery != nil {
		all = append(all, &e.Recovery.bound)
	}
	if e.RADIUS != nil {
		all = append(all, &e.RADIUS.bound)
	}
	return all
}

func (e *enrolment) find(id string) *bound {
	for _, b := range e.all() {
		if b.ID == id {
			return b
		}
	}
	return nil
}

// untouched tells whether the user never had an authenticator.
func (e *enrolment) untouched() bool {
	return len(e.all()) == 0 && len(e.Past) == 0 && e.Reset.IsZero()
}

// permits tells whether the proof lets its user change what there is (PORT-02).
func (e *enrolment) permits(p Proof, user string, now time.Time) error {
	age := now.Sub(p.At)
	switch {
	case p.User != user || user == "":
		return fmt.Errorf("%w: a proof of another user", ErrUnproven)
	case p.Kind == 0 || p.Kind >= numKinds:
		return fmt.Errorf("%w: no proof", ErrUnproven)
	case age > Fresh || age < -time.Minute:
		return fmt.Errorf("%w: a proof of %s ago", ErrUnproven, age.Round(time.Second))
	}
	return e.stillPermits(p)
}

// stillPermits tells whether what was begun on a proof may be ended: whatever
// its age by now, not after a reset, and not when another was first.
func (e *enrolment) stillPermits(p Proof) error {
	switch {
	case !p.At.After(e.Reset):
		return fmt.Errorf("%w: a proof of before the reset", ErrUnproven)
	case p.Kind == Admission && !e.untouched():
		return fmt.Errorf("%w: the user has or had an authenticator", ErrUnproven)
	}
	return nil
}

// stands tells whether what a proof proved still does.
func (e *enrolment) stands(p Proof) bool {
	if !p.At.After(e.Reset) {
		return false
	}
	if p.Kind.Factors() == 0 {
		return true
	}
	return slices.ContainsFunc(e.list(), func(a Authenticator) bool {
		return a.Kind == p.Kind && !a.Disabled && (a.ID == p.Authenticator || p.Kind == Recovery)
	})
}

// unbind takes an authenticator away and remembers that it was there.
func (e *enrolment) unbind(id string, by Source, now time.Time) {
	b := e.find(id)
	e.Past = append(e.Past, past{*b, now.UTC().Truncate(time.Second), by})
	if over := len(e.Past) - mostPast; over > 0 {
		e.Past = e.Past[over:]
	}
	switch b.Kind {
	case TOTP:
		e.TOTP = nil
	case Passkey:
		e.Passkeys = slices.DeleteFunc(e.Passkeys, func(k passkey) bool { return k.ID == id })
	case Recovery:
		e.Recovery = nil
	case RADIUS:
		e.RADIUS = nil
	}
}

func (b *bound) shown() Authenticator {
	return Authenticator{ID: b.ID, Kind: b.Kind, Label: b.Label, Bound: b.Bound, From: b.From, Used: b.Used}
}

// list are the authenticators, the oldest first.
func (e *enrolment) list() []Authenticator {
	var list []Authenticator
	if e.TOTP != nil {
		list = append(list, e.TOTP.shown())
	}
	for i := range e.Passkeys {
		list = append(list, e.Passkeys[i].shown())
	}
	if e.Recovery != nil {
		list = append(list, e.Recovery.shown())
	}
	if e.RADIUS != nil {
		list = append(list, e.RADIUS.shown())
	}
	slices.SortStableFunc(list, func(a, b Authenticator) int { return a.Bound.Compare(b.Bound) })
	return list
}
