package factor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	otptotp "github.com/pquerna/otp/totp"

	"stsgate/gateway/account"
	"stsgate/gateway/state"
)

// Apps know one form of RFC 6238 all: HMAC-SHA-1, six digits, thirty seconds.
const (
	totpSecret = 20 // bytes
	totpDigits = 6
	totpStep   = 30 // seconds
	// totpWindow is how many steps before and after the present one are
	// accepted.
	totpWindow = 1
	// totpAccepted is how many accepted codes are known as such when they come
	// again, as from a program that stored one with its password.
	totpAccepted = 16
)

// totp is a user's app. A user has one: a second would double the chance of
// every guess (MFA-06).
type totp struct {
	bound
	guesses
	Secret secret `json:"secret"`
	// Last is the latest step that was accepted, and Accepted are the last ones.
	Last     int64   `json:"last"`
	Accepted []int64 `json:"accepted,omitempty"`
}

func step(t time.Time) int64 { return t.Unix() / totpStep }

// code is the secret's code of a step.
func (s secret) code(step int64) ([]byte, error) {
	c, err := hotp.GenerateCodeCustom(base32.StdEncoding.EncodeToString(s), uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	return []byte(c), err
}

// match returns the latest step of the window that the code is of.
func (s secret) match(code []byte, now time.Time) (at int64, ok bool, err error) {
	for i := step(now) - totpWindow; i <= step(now)+totpWindow; i++ {
		c, err := s.code(i)
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare(c, code) == 1 {
			at, ok = i, true
		}
	}
	return at, ok, nil
}

// used tells whether the code is one that was accepted before.
func (t *totp) used(code []byte) (bool, error) {
	found := 0
	for _, i := range t.Accepted {
		c, err := t.Secret.code(i)
		if err != nil {
			return false, err
		}
		found |= subtle.ConstantTimeCompare(c, code)
	}
	return found == 1, nil
}

func (t *totp) accept(step int64, now time.Time) {
	t.Last = step
	t.Accepted = append(t.Accepted, step)
	if over := len(t.Accepted) - totpAccepted; over > 0 {
		t.Accepted = slices.Clone(t.Accepted[over:])
	}
	t.guesses = guesses{}
	t.Used = now.UTC().Truncate(time.Second)
}

// try checks a code, and accepts it, counts it as wrong, or changes nothing.
func (t *totp) try(code, mac []byte, now time.Time) (counted bool, says error) {
	if err := t.open(now); err != nil {
		return false, err
	}
	at, ok, err := t.Secret.match(code, now)
	used, err2 := t.used(code)
	switch {
	case err != nil || err2 != nil:
		return false, errors.Join(ErrDown, err, err2)
	case ok && at > t.Last:
		t.accept(at, now)
		return false, nil
	case ok || used:
		return false, ErrReused
	case t.repeats(mac, step(now)):
		return false, ErrWrong
	}
	t.fail(mac, step(now), now)
	return true, ErrWrong
}

// timely refuses while the clock may show a time at which a code is right that
// was seen long ago, or will be.
func (v *Verifier) timely() error {
	if err := v.clock(); err != nil {
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	return nil
}

// checkTOTP spends a code of the user's app.
func (v *Verifier) checkTOTP(ctx context.Context, user string, code []byte, from Source) (p Proof, err error) {
	mac := v.mac("wrong code", user, code)
	err = v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		if e.TOTP == nil {
			return false, ErrMissing
		}
		if err := v.timely(); err != nil {
			return false, err
		}
		p = Proof{User: user, Kind: TOTP, Authenticator: e.TOTP.ID, At: now}
		counted, says := e.TOTP.try(code, mac, now)
		if counted {
			return e.failed(&e.TOTP.bound, e.TOTP.disabled(), from, now)
		}
		return says == nil, says
	})
	if err != nil {
		return Proof{}, err
	}
	return p, nil
}

// A Half is an app that is enrolled by half: its secret is known to the user
// and to the store, and no code of it was seen. It prints as "[redacted]".
type Half struct {
	ID  string // for ConfirmTOTP
	key *otp.Key
}

// halfLast is how long a half enrolment can be confirmed.
const halfLast = 10 * time.Minute

// halfTOTP is the record of one.
type halfTOTP struct {
	Proof  Proof  `json:"proof"` // on which it was begun
	Secret secret `json:"secret"`
	Name   string `json:"name"`
}

// BeginTOTP makes a secret for the user's app. The proof is the user's, at most
// [Fresh] old.
func (v *Verifier) BeginTOTP(ctx context.Context, user User, p Proof) (*Half, error) {
	if err := v.permits(ctx, user.ID, p); err != nil {
		return nil, err
	}
	h := halfTOTP{Proof: p, Secret: make(secret, totpSecret), Name: user.UPN}
	if h.Name == "" {
		h.Name = user.ID
	}
	rand.Read(h.Secret)
	id, err := begin(ctx, v.store, "totp", user.ID, h, halfLast)
	if err != nil {
		return nil, err
	}
	return v.half(id, h)
}

// HalfTOTP returns what BeginTOTP did, to show it once more.
func (v *Verifier) HalfTOTP(ctx context.Context, user, id string) (*Half, error) {
	b, err := begun[halfTOTP](ctx, v.store, "totp", user, id)
	if err != nil {
		return nil, err
	}
	return v.half(id, b.value)
}

func (v *Verifier) half(id string, h halfTOTP) (*Half, error) {
	k, err := otptotp.Generate(otptotp.GenerateOpts{Issuer: v.issuer, AccountName: h.Name, Secret: h.Secret})
	if err != nil {
		return nil, fmt.Errorf("address of a TOTP secret: %w", err)
	}
	return &Half{id, k}, nil
}

// ConfirmTOTP enrols the app that BeginTOTP made the secret for, once a code
// proves that the user has it, and takes the place of the app that the user had.
// The code is spent by that. A wrong one may be tried again.
func (v *Verifier) ConfirmTOTP(ctx context.Context, user, id string, code account.Password, name string, from Source) (Authenticator, error) {
	if err := v.timely(); err != nil {
		return Authenticator{}, err
	}
	ctx, done := state.Bound(ctx)
	defer done()
	b, err := begun[halfTOTP](ctx, v.store, "totp", user, id)
	if err != nil {
		return Authenticator{}, err
	}
	at, ok, err := b.value.Secret.match(code.Bytes(), time.Now())
	if err != nil || !ok {
		return Authenticator{}, errors.Join(ErrWrong, err)
	}
	if err := b.end(ctx); err != nil {
		return Authenticator{}, err
	}
	var t totp
	err = v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		if err := e.stillPermits(b.value.Proof); err != nil {
			return false, err
		}
		if e.TOTP != nil {
			old := e.TOTP.bound
			e.unbind(old.ID, from, now)
			if told, err := e.tell(Unbound, &old, from, now); !told {
				return false, err
			}
		}
		t = totp{bound: newBound(TOTP, label(name, "Authenticator app"), from, now), Secret: b.value.Secret}
		t.accept(at, now)
		e.TOTP = &t
		return e.tell(Bound, &t.bound, from, now)
	})
	return t.shown(), err
}

func (t *totp) shown() Authenticator {
	a := t.bound.shown()
	a.Disabled, a.Until = t.disabled(), t.Until
	return a
}
