package factor

import (
	"bytes"
	"context"
	"errors"
	"time"

	"stsgate/gateway/state"
)

// surveyEvery is how often all records are looked at.
const surveyEvery = time.Minute

// survey counts users, and sends what was left to send when a gateway ended or a
// queue did not answer. A record that cannot be read keeps no other from that.
func (v *Verifier) survey(ctx context.Context) {
	if v.enrolments.Wait(ctx) != nil {
		return
	}
	for ; ctx.Err() == nil; pause(ctx, surveyEvery) {
		all, err := v.enrolments.List(state.Enrolments.Key())
		if errors.Is(err, state.ErrCorrupt) {
			all, err = v.store.List(ctx, state.Enrolments.Key())
		}
		if err == nil || errors.Is(err, state.ErrCorrupt) {
			v.count(all)
			v.sendLeft(ctx, all)
		}
	}
}

// Members of a record, as they stand in it and in no string: there, a quotation
// mark has a backslash.
var (
	hasNotices = []byte(`"notices":[`)
	hasTOTP    = []byte(`"totp":{`)
	hasPasskey = []byte(`"passkeys":[`)
)

// count tells how many users have what.
func (v *Verifier) count(all []state.Record) {
	totp, passkey, any := 0, 0, 0
	for _, r := range all {
		t, p := bytes.Contains(r.Value, hasTOTP), bytes.Contains(r.Value, hasPasskey)
		if t {
			totp++
		}
		if p {
			passkey++
		}
		if t || p {
			any++
		}
	}
	v.metrics.users[TOTP].Set(float64(totp))
	v.metrics.users[Passkey].Set(float64(passkey))
	v.metrics.users[0].Set(float64(any))
}

// sendLeft sends what is in the records.
func (v *Verifier) sendLeft(ctx context.Context, all []state.Record) {
	for _, r := range all {
		if !bytes.Contains(r.Value, hasNotices) {
			continue
		}
		if e, err := parse(r.Value); err == nil {
			v.send(ctx, r.Key.Parts()[0], e.Notices)
		}
	}
}
