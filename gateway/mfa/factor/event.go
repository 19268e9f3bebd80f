package factor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
)

// An Event is what a user must hear of through another channel than the one it
// happened on (MFA-12), and what audit records.
type Event struct {
	// ID is unique. An event that is told twice has the same.
	ID     string    `json:"id"`
	What   What      `json:"what"`
	User   string    `json:"user"`
	At     time.Time `json:"at"`
	Source Source    `json:"source,omitzero"`
	// Authenticator, Kind and Label are of the authenticator that it is about,
	// if it is about one.
	Authenticator string `json:"authenticator,omitempty"`
	Kind          Kind   `json:"kind,omitempty"`
	Label         string `json:"label,omitempty"`
	// Added is when it was bound.
	Added time.Time `json:"added,omitzero"`
	// Left is how many recovery codes are left after one was used, and Replaced
	// tells that one of them is new, in its place.
	Left     int  `json:"left,omitempty"`
	Replaced bool `json:"replaced,omitempty"`
}

// A What says what happened.
type What string

// What happens.
const (
	Bound   What = "bound"   // an authenticator was added
	Unbound What = "unbound" // one was taken away
	Reset   What = "reset"   // all were, by an administrator
	// RecoveryIssued and RecoveryUsed are of recovery codes, BindingIssued is
	// of a code with which to enrol.
	RecoveryIssued What = "recovery-issued"
	RecoveryUsed   What = "recovery-used"
	BindingIssued  What = "binding-issued"
	// Disabled is after a hundred wrong codes one after the other, Cloned when
	// a passkey may have been copied.
	Disabled What = "disabled"
	Cloned   What = "cloned"
)

// Whats returns all that can happen.
func Whats() []What {
	return []What{Bound, Unbound, Reset, RecoveryIssued, RecoveryUsed, BindingIssued, Disabled, Cloned}
}

// mostNotices is how many may wait to be sent. While none can be, nothing is
// changed that a user must hear of.
const mostNotices = 32

// tell adds what the user must hear of to what is written. Where it cannot,
// nothing is to be written: it returns what a change returns.
func (e *enrolment) tell(what What, b *bound, from Source, now time.Time) (write bool, err error) {
	ev := Event{ID: rand.Text(), What: what, At: now.UTC(), Source: from}
	if b != nil {
		ev.Authenticator, ev.Kind, ev.Label, ev.Added = b.ID, b.Kind, b.Label, b.Bound
	}
	if len(e.Notices) >= mostNotices {
		return false, fmt.Errorf("%w: %d notices wait to be sent", ErrDown, len(e.Notices))
	}
	e.Notices = append(e.Notices, ev)
	return true, nil
}

// failed is what a wrong code returns from a change that counted it. That a
// code was the last is written also when nobody can be told.
func (e *enrolment) failed(b *bound, disables bool, from Source, now time.Time) (write bool, says error) {
	if disables {
		if told, err := e.tell(Disabled, b, from, now); !told {
			return true, errors.Join(ErrWrong, err)
		}
	}
	return true, ErrWrong
}

// send queues notices, and takes from the record those that were. What fails is
// tried again by survey.
func (v *Verifier) send(ctx context.Context, user string, notices []Event) {
	sent := map[string]bool{}
	for _, ev := range notices {
		ev.User = user
		if v.notify != nil {
			if err := v.notify(ctx, ev); err != nil {
				v.log.Error("a notice of a change to an authenticator is not queued yet", "user", user, "event", ev.ID, "what", string(ev.What), "err", err)
				break
			}
		}
		v.metrics.events[ev.What].Inc()
		sent[ev.ID] = true
	}
	if len(sent) == 0 {
		return
	}
	err := v.change(ctx, user, func(e *enrolment, _ time.Time) (bool, error) {
		before := len(e.Notices)
		e.Notices = slices.DeleteFunc(e.Notices, func(ev Event) bool { return sent[ev.ID] })
		return len(e.Notices) < before, nil
	})
	if err != nil {
		v.log.Warn("a notice may be sent twice", "user", user, "err", err)
	}
}
