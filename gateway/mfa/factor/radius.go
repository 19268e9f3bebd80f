package factor

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stsgate/gateway/account"
)

const (
	// radiusAccepted is how many accepted codes are known as such when they
	// come again.
	radiusAccepted = 16
	// radiusChallenge is how long a challenge can be answered.
	radiusChallenge = 5 * time.Minute
	// The digits of a token's code.
	fewestDigits, mostDigits = 6, 8
)

// radiusUser is what is kept of a user whose codes an MFA server checks: it
// bound the authenticator, and here it is counted.
type radiusUser struct {
	bound
	guesses
	// Accepted are keyed hashes of the last codes that were accepted.
	Accepted [][]byte `json:"accepted,omitempty"`
}

func (r *radiusUser) shown() Authenticator {
	a := r.bound.shown()
	a.Disabled, a.Until = r.disabled(), r.Until
	return a
}

// used tells whether the code is one that was accepted before.
func (r *radiusUser) used(mac []byte) bool {
	found := 0
	for _, a := range r.Accepted {
		found |= subtle.ConstantTimeCompare(a, mac)
	}
	return found == 1
}

// A Challenge is an ErrChallenge: the MFA server asks for more, as for a code
// that it just sent.
type Challenge struct {
	ID   string // for AnswerChallenge
	Text string // of the server, fit to be shown; it may be empty
}

// Error implements error.
func (*Challenge) Error() string { return ErrChallenge.Error() }

// Is makes a Challenge an ErrChallenge.
func (*Challenge) Is(target error) bool { return target == ErrChallenge }

// challenged is the record of one.
type challenged struct {
	Server string `json:"server"`
	State  secret `json:"state"`
}

// AnswerChallenge has the MFA server check what the user answers to a
// Challenge, which it ends. The error is as CheckCode's.
func (v *Verifier) AnswerChallenge(ctx context.Context, user User, id string, text account.Password, from Source) (Proof, error) {
	p, err := v.answerChallenge(ctx, user, id, text.Bytes(), from)
	v.metrics.attempted(RADIUS, err)
	return p, err
}

func (v *Verifier) answerChallenge(ctx context.Context, user User, id string, text []byte, from Source) (Proof, error) {
	if v.radius == nil {
		return Proof{}, ErrMissing
	}
	b, err := begun[challenged](ctx, v.store, "radius", user.ID, id)
	if err != nil {
		return Proof{}, err
	}
	if err := b.end(ctx); err != nil {
		return Proof{}, err
	}
	return v.askRADIUS(ctx, user, text, b.value, from)
}

// askRADIUS counts the code as wrong, asks, and settles with the answer: many
// that are asked at once are no more than are allowed (MFA-06).
func (v *Verifier) askRADIUS(ctx context.Context, user User, code []byte, c challenged, from Source) (Proof, error) {
	name := user.UPN
	if v.radius.SAM {
		name = user.SAM
	}
	mac := v.mac("RADIUS code", user.ID, append(append([]byte(nil), code...), c.State...))
	if err := v.charge(ctx, user.ID, mac); err != nil {
		return Proof{}, err
	}
	a, server, err := v.radius.ask(ctx, name, code, c.State, c.Server, from.Address)
	switch {
	case err != nil:
		return Proof{}, errors.Join(err, v.refund(ctx, user.ID, mac))
	case a.code == accessChallenge && a.state != nil:
		return Proof{}, v.challenge(ctx, user.ID, server, a)
	case a.code != accessAccept:
		return Proof{}, v.rejected(ctx, user.ID, from)
	case a.name != nil && !strings.EqualFold(string(a.name), user.UPN) && !strings.EqualFold(string(a.name), user.SAM):
		return Proof{}, errors.Join(fmt.Errorf("RADIUS accepted another user, %.100q", a.name), v.rejected(ctx, user.ID, from))
	}
	return v.accepted(ctx, user.ID, mac)
}

// charge counts a code as wrong before it is asked about.
func (v *Verifier) charge(ctx context.Context, user string, mac []byte) error {
	return v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		if e.RADIUS == nil {
			e.RADIUS = &radiusUser{bound: newBound(RADIUS, "MFA server", Source{}, now)}
		}
		r := e.RADIUS
		if err := r.open(now); err != nil {
			return false, err
		}
		switch {
		case r.used(mac):
			return false, ErrReused
		case r.repeats(mac, step(now)):
			return false, ErrWrong
		}
		r.fail(mac, step(now), now)
		return true, nil
	})
}

// refund takes a charge back, because the server did not answer.
func (v *Verifier) refund(ctx context.Context, user string, mac []byte) error {
	ctx, done := after(ctx)
	defer done()
	return v.change(ctx, user, func(e *enrolment, _ time.Time) (bool, error) {
		if e.RADIUS == nil {
			return false, nil
		}
		e.RADIUS.refund(mac)
		return true, nil
	})
}

// rejected leaves the charge as it is, and tells the user if it was the last.
func (v *Verifier) rejected(ctx context.Context, user string, from Source) error {
	ctx, done := after(ctx)
	defer done()
	return v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		if e.RADIUS == nil || e.RADIUS.Failures != failuresToDisable {
			return false, ErrWrong
		}
		return e.failed(&e.RADIUS.bound, true, from, now)
	})
}

// accepted forgets what was counted, and spends the code: of gateways that
// asked about the same one at once, one is the first.
func (v *Verifier) accepted(ctx context.Context, user string, mac []byte) (p Proof, err error) {
	ctx, done := after(ctx)
	defer done()
	err = v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		r := e.RADIUS
		if r == nil {
			return false, ErrMissing // reset meanwhile
		}
		if r.used(mac) {
			return false, ErrReused
		}
		r.Accepted = append(r.Accepted, mac)
		if over := len(r.Accepted) - radiusAccepted; over > 0 {
			r.Accepted = slices.Clone(r.Accepted[over:])
		}
		r.guesses, r.Used = guesses{}, now.UTC().Truncate(time.Second)
		p = Proof{User: user, Kind: RADIUS, Authenticator: r.ID, At: now}
		return true, nil
	})
	if err != nil {
		return Proof{}, err
	}
	return p, nil
}

// challenge remembers what a server asked, for the user alone. The charge
// stays, so that not even the right password lets anybody have messages sent
// without end.
func (v *Verifier) challenge(ctx context.Context, user, server string, a *radiusAnswer) error {
	ctx, done := after(ctx)
	defer done()
	id, err := begin(ctx, v.store, "radius", user, challenged{server, a.state}, radiusChallenge)
	if err != nil {
		return err
	}
	return &Challenge{ID: id, Text: label(string(a.text), "")}
}
