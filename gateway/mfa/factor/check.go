package factor

import (
	"context"
	"errors"

	"stsgate/gateway/account"
	"stsgate/policy"
)

// CheckCode checks a code that the user typed, as one of the factors, and
// spends it: it is accepted once on all gateways. The caller has proven the
// user's password, and still owns the code. Digits are the user's app's if
// there is one, otherwise the MFA server's, never both. The error is one of
// ErrWrong, ErrReused, ErrThrottled, ErrDisabled, ErrMissing, ErrChallenge and
// ErrDown.
func (v *Verifier) CheckCode(ctx context.Context, user User, code account.Password, f policy.Factors, from Source) (Proof, error) {
	kind, p, err := v.checkCode(ctx, user, code.Bytes(), f&CodeFactors(code.Bytes()), from)
	v.metrics.attempted(kind, err)
	return p, err
}

func (v *Verifier) checkCode(ctx context.Context, user User, code []byte, f policy.Factors, from Source) (Kind, Proof, error) {
	if f.Has(policy.Recovery) {
		p, err := v.checkRecovery(ctx, user.ID, plain(code, recoveryChars), nil, from)
		return Recovery, p, err
	}
	if f.Has(policy.TOTP) {
		p, err := v.checkTOTP(ctx, user.ID, code, from)
		if !errors.Is(err, ErrMissing) {
			return TOTP, p, err
		}
	}
	if f.Has(policy.RADIUS) && v.radius != nil {
		p, err := v.askRADIUS(ctx, user, code, challenged{}, from)
		return RADIUS, p, err
	}
	return TOTP, Proof{}, ErrMissing
}

// outcome is what became of a try, as metrics name it.
func outcome(err error) string {
	for _, o := range []struct {
		err   error
		label string
	}{{nil, "accepted"}, {ErrDown, "down"}, {ErrWrong, "wrong"}, {ErrReused, "reused"}, {ErrThrottled, "throttled"}, {ErrDisabled, "disabled"}, {ErrCloned, "cloned"}, {ErrOver, "over"}, {ErrChallenge, "challenged"}} {
		if errors.Is(err, o.err) {
			return o.label
		}
	}
	return "missing"
}
