package mfa

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/refusal"
)

// MFA-17: whatever is wrong with a code looks like a wrong password, also that a
// server asks for more, whose words reach nobody; what is down does not.
func TestCodeRefusals(t *testing.T) {
	challenge := &factor.Challenge{ID: "1", Text: "Type what we sent to +43 1 555"}
	password := refusal.New(refusal.WrongPassword, "x").Reason.Row()
	for _, c := range []struct {
		err  error
		want refusal.Reason
	}{
		{factor.ErrWrong, refusal.WrongCode}, {factor.ErrReused, refusal.WrongCode}, {factor.ErrDisabled, refusal.WrongCode},
		{factor.ErrMissing, refusal.WrongCode}, {factor.Throttle{Until: time.Now()}, refusal.WrongCode}, {challenge, refusal.WrongCode},
		{factor.ErrDown, refusal.SecondFactorDown}, {errors.Join(factor.ErrWrong, factor.ErrDown), refusal.SecondFactorDown},
		{fmt.Errorf("%w: the clock was stepped", factor.ErrDown), refusal.SecondFactorDown}, {errors.New("unforeseen"), refusal.SecondFactorDown},
	} {
		got, ok := errors.AsType[*refusal.Refusal](codeRefusal(c.err))
		if !ok || got.Reason != c.want {
			t.Errorf("%v: refused as %v, want %v", c.err, got, c.want)
			continue
		}
		if row := got.Reason.Row(); c.want == refusal.WrongCode && (row.Text != password.Text || row.Code != password.Code || row.Status != password.Status) {
			t.Errorf("%v: the client can tell it from a wrong password: %+v", c.err, row)
		}
	}
}
