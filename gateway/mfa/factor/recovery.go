package factor

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"stsgate/gateway/account"
)

const (
	recoveryCodes = 10
	// recoveryRounds are PBKDF2's: few, since codes are random and no list of
	// likely ones shortens the search of 2^80.
	recoveryRounds = 10_000
	recoverySalt   = 16 // bytes
	recoveryHash   = 32 // bytes
)

// recovery are a user's recovery codes, as hashes (MFA-13).
type recovery struct {
	bound
	guesses
	Rounds int      `json:"rounds"`
	Salt   []byte   `json:"salt"`
	Hashes [][]byte `json:"hashes"` // of those that were not used
}

// hash is the hash of a code.
func (r *recovery) hash(code []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, string(code), r.Salt, r.Rounds, recoveryHash)
}

// find returns which of the codes has the hash, -1 for none.
func (r *recovery) find(hash []byte) int {
	at := -1
	for i, h := range r.Hashes {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(h, hash), i, at)
	}
	return at
}

// NewRecoveryCodes returns ten codes for when the user has nothing else, in
// place of all before them. They are told this once. The proof is the user's,
// at most [Fresh] old.
func (v *Verifier) NewRecoveryCodes(ctx context.Context, user string, p Proof, from Source) ([]account.Password, error) {
	set := recovery{Rounds: recoveryRounds, Salt: make([]byte, recoverySalt)}
	rand.Read(set.Salt)
	var codes []account.Password
	for range recoveryCodes {
		code := newCode(recoveryChars)
		h, err := set.hash(code)
		if err != nil {
			return nil, err
		}
		set.Hashes, codes = append(set.Hashes, h), append(codes, grouped(code, 4))
	}
	err := v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		if err := e.permits(p, user, now); err != nil {
			return false, err
		}
		if e.Recovery != nil {
			e.unbind(e.Recovery.ID, from, now)
		}
		set := set
		set.bound = newBound(Recovery, "Recovery codes", from, now)
		e.Recovery = &set
		return e.tell(RecoveryIssued, &set.bound, from, now)
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// ReplaceRecoveryCode checks a recovery code as CheckCode does, and with the same
// write that spends it puts a new one in its place, which the user is told this
// once (MFA-13).
func (v *Verifier) ReplaceRecoveryCode(ctx context.Context, user string, code account.Password, from Source) (Proof, account.Password, error) {
	next := newCode(recoveryChars)
	p, err := v.checkRecovery(ctx, user, plain(code.Bytes(), recoveryChars), next, from)
	v.metrics.attempted(Recovery, err)
	if err != nil {
		clear(next)
		return Proof{}, account.Password{}, err
	}
	return p, grouped(next, 4), nil
}

// checkRecovery spends a recovery code, in whose place comes next, unless that is
// nil.
func (v *Verifier) checkRecovery(ctx context.Context, user string, code, next []byte, from Source) (p Proof, err error) {
	var salt, hash []byte
	err = v.change(ctx, user, func(e *enrolment, now time.Time) (_ bool, err error) {
		r := e.Recovery
		if r == nil {
			return false, ErrMissing
		}
		if err := r.open(now); err != nil {
			return false, err
		}
		if !bytes.Equal(salt, r.Salt) { // once for all tries to write
			if hash, err = r.hash(code); err != nil {
				return false, errors.Join(ErrDown, err)
			}
			salt = r.Salt
		}
		p = Proof{User: user, Kind: Recovery, Authenticator: r.ID, At: now}
		if i := r.find(hash); i >= 0 {
			return e.spend(i, next, from, now)
		}
		mac := v.mac("wrong code", user, code)
		if r.repeats(mac, step(now)) {
			return false, ErrWrong
		}
		r.fail(mac, step(now), now)
		return e.failed(&r.bound, r.disabled(), from, now)
	})
	if err != nil {
		return Proof{}, err
	}
	return p, nil
}

// spend takes the recovery code at i away, or puts next in its place, and tells.
func (e *enrolment) spend(i int, next []byte, from Source, now time.Time) (write bool, err error) {
	r := e.Recovery
	if next == nil {
		r.Hashes = slices.Delete(r.Hashes, i, i+1)
	} else if r.Hashes[i], err = r.hash(next); err != nil {
		return false, errors.Join(ErrDown, err)
	}
	r.guesses, r.Used = guesses{}, now.UTC().Truncate(time.Second)
	if told, err := e.tell(RecoveryUsed, &r.bound, from, now); !told {
		return false, err
	}
	n := &e.Notices[len(e.Notices)-1]
	n.Left, n.Replaced = len(r.Hashes), next != nil
	return true, nil
}

func (r *recovery) shown() Authenticator {
	a := r.bound.shown()
	a.Disabled, a.Until, a.Left = r.disabled(), r.Until, len(r.Hashes)
	return a
}
