package gateway

import (
	"context"
	"errors"
	"time"

	"stsgate/gateway/account"
	"stsgate/policy"
)

// While the user is asked, nothing runs for an exchange, and it keeps what its
// answer and its record need (design.md, section 10).

// farewell is how long a request waits on whose client has gone: some close the
// connection and ask again by themselves (security.md, MFA-16, SOAP-16).
const farewell = 10 * time.Second

// errAsked is no refusal: the user is waited for.
var errAsked = errors.New("the user is asked")

// shed gives the memory back that the message and the farm's answer were read
// into, wiped, and forgets the request's header. What the farm is asked for later
// needs the message as it came.
func (x *exchange) shed() {
	if x.kept == nil && x.decision.Answer == policy.Forward {
		return
	}
	request := x.request.Outline()
	if x.whole != nil {
		x.request.Wipe()
		x.code.Wipe()
		x.whole, x.code = nil, account.Password{}
	}
	x.request = request
	if x.kept != nil {
		x.kept = x.kept.Outline()
	}
	x.in.Header = nil
	spare := &exchange{g: x.g, memory: x.memory, body: x.g.repeats.shed(x), over: true}
	x.memory = nil
	spare.end()
}

// A sleeper is a ResponseWriter that lets a handler answer later, as that of
// package edge: when wake was called, or once when the client has gone.
type sleeper interface {
	Later(next func()) (wake func())
}

// sleep has the exchange resumed when its user may have answered, or its client
// is gone.
func (x *exchange) sleep(ctx context.Context) {
	next := func() { x.advance(ctx, (*exchange).resume) }
	if w, ok := x.w.(sleeper); ok {
		x.wakeBy(ctx, w.Later(next))
		return
	}
	woken := make(chan struct{}, 1)
	wake := func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
	if x.gone.IsZero() {
		defer context.AfterFunc(ctx, wake)()
	}
	x.wakeBy(ctx, wake)
	<-woken
	next()
}

// wakeBy has wake called when there is something to resume for.
func (x *exchange) wakeBy(ctx context.Context, wake func()) {
	x.hold.Wake(wake)
	if ctx.Err() == nil {
		return
	}
	if x.gone.IsZero() {
		wake()
	} else if left := time.Until(x.gone.Add(farewell)); left > 0 {
		x.farewell = time.AfterFunc(left, wake)
	} // otherwise a repeat waits in its client's place
}

// resume goes on with an exchange that slept: to its end or, as long as nothing
// has happened, to sleep.
func (x *exchange) resume(ctx context.Context) error {
	if x.farewell != nil {
		x.farewell.Stop()
	}
	waiting := context.WithoutCancel(ctx)
	if x.left(ctx) {
		waiting = ctx
	}
	var answer []byte
	if x.kept != nil {
		answer = x.kept.Body
	}
	proofs, over, err := x.hold.Settle(waiting, answer)
	if !over {
		return errAsked
	}
	if err := x.satisfied(ctx, proofs, err); err != nil {
		return err
	}
	return x.conclude(ctx)
}

// left tells that the client has gone for good.
func (x *exchange) left(ctx context.Context) bool {
	if ctx.Err() == nil {
		return false
	}
	if x.gone.IsZero() {
		x.gone = time.Now()
	}
	return time.Since(x.gone) >= farewell && !x.g.repeats.joinedBy(x)
}
