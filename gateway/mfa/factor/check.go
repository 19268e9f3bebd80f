package factor

import (
	"context"
	"errors"

	"stsgate/gateway/account"
	"stsgate/policy"
)

// CheckCode checks a code that the user typed, as one of the factors, and
// spends it: it is accepted once on all gateways. The caller has proven the
// user's password, and still owns the code. The error is one of ErrWrong,
// ErrReused, ErrThrottled, ErrDisabled, ErrMissing and ErrDown.
func (v *Verifier) CheckCode(ctx context.Context, user User, code account.Password, f policy.Factors, from Source) (Proof, error) {
	var p Proof
	err := ErrMissing
	f &= CodeFactors(code.Bytes())
	kind := Kind(0)
	switch {
	case f.Has(policy.TOTP):
		kind = TOTP
		p, err = v.checkTOTP(ctx, user.ID, code.Bytes())
	case f.Has(policy.Recovery):
		kind = Recovery
		p, err = v.checkRecovery(ctx, user.ID, plain(code.Bytes(), recoveryChars), from)
	}
	v.metrics.attempted(kind, err)
	return p, err
}

// outcome is what became of a try, as metrics name it.
func outcome(err error) string {
	for _, o := range []struct {
		err   error
		label string
	}{{nil, "accepted"}, {ErrDown, "down"}, {ErrWrong, "wrong"}, {ErrReused, "reused"}, {ErrThrottled, "throttled"}, {ErrDisabled, "disabled"}, {ErrCloned, "cloned"}, {ErrOver, "over"}} {
		if errors.Is(err, o.err) {
			return o.label
		}
	}
	return "missing"
}
