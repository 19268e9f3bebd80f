package factor

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/state"
)

const (
	// BindingLast is how long a binding code can be used.
	BindingLast = 10 * time.Minute
	// bindingTries is how many wrong ones end the right one.
	bindingTries = 5
)

// A bindingCode is the record of one (MFA-11).
type bindingCode struct {
	Hash  []byte    `json:"hash,omitempty"` // none when it was used
	Until time.Time `json:"until"`
	Wrong int       `json:"wrong,omitempty"`
}

func bindingKey(user string) state.Key { return state.Sessions.Key("factor-binding", user) }

// NewBindingCode returns a code with which the user can enrol, once, within
// [BindingLast], in place of any before it. It is for administrators, who hand
// it over themselves. The user hears of it.
func (v *Verifier) NewBindingCode(ctx context.Context, user string, from Source) (account.Password, error) {
	ctx, done := state.Bound(ctx)
	defer done()
	err := v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		return e.tell(BindingIssued, nil, from, now)
	})
	if err != nil {
		return account.Password{}, err
	}
	code := newCode(bindingChars)
	b := bindingCode{Hash: v.mac("binding code", user, code), Until: time.Now().Add(BindingLast).UTC()}
	_, r, err := v.bindingCode(ctx, user)
	if err != nil && !errors.Is(err, ErrOver) {
		return account.Password{}, err
	}
	if err := v.putBindingCode(ctx, r, b); err != nil {
		return account.Password{}, err
	}
	return grouped(code, bindingChars/2), nil
}

// bindingCode reads the user's code. The record has a revision if there is one,
// also when the code is over.
func (v *Verifier) bindingCode(ctx context.Context, user string) (bindingCode, state.Record, error) {
	k := bindingKey(user)
	r, err := v.store.Get(ctx, k)
	if errors.Is(err, state.ErrNotFound) {
		return bindingCode{}, state.Record{Key: k}, ErrOver
	}
	if err != nil {
		return bindingCode{}, state.Record{Key: k}, down(k, err)
	}
	var b bindingCode
	if err := json.Unmarshal(r.Value, &b); err != nil {
		return bindingCode{}, r, down(k, err)
	}
	if b.Hash == nil || b.Wrong >= bindingTries || !time.Now().Before(b.Until) {
		return bindingCode{}, r, ErrOver
	}
	return b, r, nil
}

func (v *Verifier) putBindingCode(ctx context.Context, r state.Record, b bindingCode) error {
	value, err := json.Marshal(b)
	if err != nil {
		return err
	}
	last := max(time.Second, time.Until(b.Until))
	if r.Revision == 0 {
		_, err = v.store.Create(ctx, r.Key, value, last)
	} else {
		_, err = v.store.CompareAndSwap(ctx, r.Key, r.Revision, value, last)
	}
	if err != nil {
		return down(r.Key, err)
	}
	return nil
}

// RedeemBindingCode spends the user's binding code for a proof with which to
// enrol. It ends with the fifth wrong one. The error is ErrWrong, ErrOver (there
// is none, or not any more) or ErrDown.
func (v *Verifier) RedeemBindingCode(ctx context.Context, user string, code account.Password) (Proof, error) {
	ctx, done := state.Bound(ctx)
	defer done()
	err := v.redeem(ctx, user, plain(code.Bytes(), bindingChars))
	v.metrics.attempted(Binding, err)
	if err != nil {
		return Proof{}, err
	}
	return Proof{User: user, Kind: Binding, At: time.Now()}, nil
}

func (v *Verifier) redeem(ctx context.Context, user string, code []byte) error {
	for ctx.Err() == nil {
		b, r, err := v.bindingCode(ctx, user)
		if err != nil {
			return err
		}
		says := error(nil)
		if code != nil && subtle.ConstantTimeCompare(b.Hash, v.mac("binding code", user, code)) == 1 {
			b.Hash = nil
		} else {
			b.Wrong++
			says = ErrWrong
		}
		if err = v.putBindingCode(ctx, r, b); err == nil {
			return says
		}
		if !errors.Is(err, state.ErrConflict) {
			return err
		}
		pause(ctx, time.Millisecond)
	}
	return down(bindingKey(user), ctx.Err())
}

// Admit returns a proof with which a user enrols who never had an
// authenticator. Whether one may without any proof is for the caller to decide,
// by network and date (MFA-11); that the user has none is decided here, and
// again when the authenticator is bound.
func (v *Verifier) Admit(ctx context.Context, user string) (Proof, error) {
	e, _, err := v.read(ctx, user)
	if err != nil {
		return Proof{}, err
	}
	if !e.untouched() {
		return Proof{}, fmt.Errorf("%w: the user has or had an authenticator", ErrUnproven)
	}
	return Proof{User: user, Kind: Admission, At: time.Now()}, nil
}
