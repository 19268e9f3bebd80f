package factor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stsgate/gateway/state"
)

// read returns the user's record and its revision, 0 for none.
func (v *Verifier) read(ctx context.Context, user string) (*enrolment, uint64, error) {
	k, err := key(user)
	if err != nil {
		return nil, 0, err
	}
	r, err := v.store.Get(ctx, k)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, 0, down(k, err)
	}
	e, err := parse(r.Value)
	if err != nil {
		return nil, 0, down(k, err)
	}
	return e, r.Revision, nil
}

// known returns the user's record as of a second ago.
func (v *Verifier) known(user string) (*enrolment, error) {
	k, err := key(user)
	if err != nil {
		return nil, err
	}
	r, err := v.enrolments.Get(k)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, down(k, err)
	}
	e, err := parse(r.Value)
	if err != nil {
		return nil, down(k, err)
	}
	return e, nil
}

// change changes the user's record, whoever else does at the same time, and
// sends what the user must hear of. What f returns is what the change says,
// once what it wrote is durable: f tells whether there is something to write.
// When the write is not known to be made, the change says ErrDown.
func (v *Verifier) change(ctx context.Context, user string, f func(e *enrolment, now time.Time) (write bool, says error)) error {
	ctx, done := state.Bound(ctx)
	defer done()
	for wait := time.Duration(0); ; wait = min(2*wait+time.Millisecond, 20*time.Millisecond) {
		e, revision, err := v.read(ctx, user)
		if err != nil {
			return err
		}
		write, says := f(e, time.Now())
		if !write {
			return says
		}
		err = v.write(ctx, user, e, revision)
		if err == nil {
			v.send(ctx, user, e.Notices)
			return says
		}
		if !errors.Is(err, state.ErrConflict) && !errors.Is(err, state.ErrExists) {
			return err
		}
		if pause(ctx, wait); ctx.Err() != nil { // a read may be older than what the write met
			return down(state.Enrolments.Key(user), ctx.Err())
		}
	}
}

func (v *Verifier) write(ctx context.Context, user string, e *enrolment, revision uint64) error {
	k := state.Enrolments.Key(user)
	value, err := e.encode()
	if err != nil {
		return down(k, err)
	}
	if revision == 0 {
		_, err = v.store.Create(ctx, k, value, 0)
	} else {
		_, err = v.store.CompareAndSwap(ctx, k, revision, value, 0)
	}
	if err != nil {
		return down(k, err)
	}
	return nil
}

// down says what was not read or written.
func down(k state.Key, err error) error { return fmt.Errorf("%w: %s: %w", ErrDown, k, err) }

// permits tells whether the proof lets its user begin to change what there is.
func (v *Verifier) permits(ctx context.Context, user string, p Proof) error {
	e, _, err := v.read(ctx, user)
	if err != nil {
		return err
	}
	return e.permits(p, user, time.Now())
}

// after is a context for what must still be written when what was asked has
// taken its time.
func after(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), state.Deadline)
}
