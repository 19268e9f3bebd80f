package factor

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stsgate/gateway/state"
)

// version is that of the record. A gateway that meets a higher one changes
// nothing: it would lose what it does not know (STATE-11).
const version = 1

// An enrolment is what is kept of a user.
type enrolment struct {
	Version int   `json:"v"`
	TOTP    *totp `json:"totp,omitempty"`
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

// mostPast is how many are kept with the user. All are in the audit.
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

func (e *enrolment) encode() ([]byte, error) { return json.Marshal(e) }

// all are the parts that all authenticators have.
func (e *enrolment) all() []*bound {
	var all []*bound
	if e.TOTP != nil {
		all = append(all, &e.TOTP.bound)
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

// unbind takes an authenticator away and remembers that it was there.
func (e *enrolment) unbind(id string, by Source, now time.Time) error {
	b := e.find(id)
	if b == nil {
		return ErrMissing
	}
	e.Past = append(e.Past, past{*b, now.UTC().Truncate(time.Second), by})
	if over := len(e.Past) - mostPast; over > 0 {
		e.Past = e.Past[over:]
	}
	switch b.Kind {
	case TOTP:
		e.TOTP = nil
	default:
		return errors.New("an authenticator of no kind")
	}
	return nil
}

func (e *enrolment) list() []Authenticator {
	var list []Authenticator
	for _, b := range e.all() {
		a := Authenticator{ID: b.ID, Kind: b.Kind, Label: b.Label, Bound: b.Bound, From: b.From, Used: b.Used}
		if b.Kind == TOTP {
			a.Disabled, a.Until = e.TOTP.disabled(), e.TOTP.Until
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b Authenticator) int {
		if c := a.Bound.Compare(b.Bound); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}
