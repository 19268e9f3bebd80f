package gateway

import (
	"bytes"
	"container/list"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"hash/maphash"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/audit"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// Three Microsoft libraries send the same bytes again by themselves, after a
// time-out and a second after any fault. Such a repeat is not a new attempt: it
// is not sent on, not counted, and gets the answer of the first byte for byte
// (security.md, SOAP-16).
//
// Each gateway knows its own. A repeat that reaches another one is a new
// exchange there, and what is counted only once is so by what the gateways share:
// a wrong password is known to be one (LOCK-05), a second factor has one
// approval. To share the faults themselves would cost every request a read of the
// store.

const (
	// repeatable is for how long after a fault the same bytes get it again.
	repeatable = 5 * time.Second
	// mostFaults bounds the faults that are kept for that, some 1.5 KiB each; the
	// oldest is forgotten first, and its repeat is a new attempt.
	mostFaults = 4096
)

// repeats are the messages that are unanswered, and those that got a fault.
type repeats struct {
	seed maphash.Seed
	key  [32]byte // of digests: a plain one of a message would be one of its password

	mu     sync.Mutex
	open   map[messageKey]*exchange
	faults map[messageKey]*fault
	order  list.List // of *fault, the oldest first
}

func newRepeats() *repeats {
	r := &repeats{seed: maphash.MakeSeed(), open: map[messageKey]*exchange{}, faults: map[messageKey]*fault{}}
	rand.Read(r.key[:])
	return r
}

// A messageKey finds a message that may be the same. Whether it is, its bytes
// tell or a digest of them.
type messageKey struct {
	sum    uint64
	client netip.Addr
}

// A fault is an outcome for those that ask again.
type fault struct {
	*outcome
	key    messageKey
	digest []byte
	timer  *time.Timer // forgets it
	place  *list.Element
}

// An outcome is what an exchange and its repeats share when the exchange is
// over. Its reply is wiped when nobody holds it any more.
type outcome struct {
	done   chan struct{} // closed when the rest is there
	held   atomic.Int32
	shared bool // otherwise whoever repeats it must ask anew
	reply  reply
	err    error
	// stale tells that the user has answered since and the fault is no longer
	// right; nil where nobody was asked.
	stale func(context.Context) bool

	transaction string
	account     account.Account
	application *policy.Application
	answer      policy.Answer
	token       audit.Record // what auditToken fills in
}

func (o *outcome) release() {
	if o.held.Add(-1) == 0 {
		clear(o.reply.body)
	}
}

// repeat tells whether the message came before and is answered as it was then.
// If not, what comes again from now on is its own repeat.
func (x *exchange) repeat(ctx context.Context) (again bool, err error) {
	if x.client.Doubtful {
		return false, nil // nobody knows whose it is
	}
	for {
		o, kind := x.g.repeats.find(x)
		if o == nil {
			return false, nil
		}
		if kind == ofFault && o.stale != nil && o.stale(ctx) {
			x.g.repeats.dismiss(x.message, o)
			continue
		}
		select {
		case <-o.done:
		case <-ctx.Done():
			o.release()
			return true, refusal.New(refusal.ClientGone, "while the same message was unanswered: %w", ctx.Err())
		}
		if o.shared {
			x.g.metrics.repeats[kind].Inc()
			x.repeated, x.account = o, o.account
			x.decision.Application, x.decision.Answer = o.application, o.answer
			return true, o.err
		}
		o.release()
	}
}

// disown has a repeat answered for itself: its own record failed.
func (x *exchange) disown() {
	if x.repeated != nil {
		x.repeated.release()
		x.repeated = nil
	}
}

// What a repeat follows, as metrics name it.
const (
	ofUnanswered = "unanswered"
	ofFault      = "fault"
)

// find returns the outcome to come of an exchange with the same message, which
// must have something fresh in it, or the fault that the message got. When there
// is none the exchange is the first.
func (r *repeats) find(x *exchange) (*outcome, string) {
	x.message = messageKey{maphash.Bytes(r.seed, x.body), x.client.Addr}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.faults[x.message]; f != nil && hmac.Equal(f.digest, r.digest(x)) {
		f.held.Add(1)
		return f.outcome, ofFault
	}
	if !x.request.Fresh() {
		return nil, ""
	}
	first := r.open[x.message]
	if first == nil {
		r.open[x.message], x.open = x, true
		return nil, ""
	}
	if !x.repeats(first) {
		return nil, ""
	}
	if first.joined == nil {
		first.joined = &outcome{done: make(chan struct{})}
	}
	first.joined.held.Add(1)
	return first.joined, ofUnanswered
}

// repeats tells that both are the same message from the same address.
func (x *exchange) repeats(first *exchange) bool {
	if first.digest != nil {
		return hmac.Equal(first.digest, x.g.repeats.digest(x))
	}
	return bytes.Equal(x.body, first.body) && x.endpoint.Path == first.endpoint.Path &&
		slices.Equal(x.client.Forwarded, first.client.Forwarded)
}

// digest tells messages apart as repeats does.
func (r *repeats) digest(x *exchange) []byte {
	if x.digest != nil {
		return x.digest
	}
	mac := hmac.New(sha256.New, r.key[:])
	part(mac, x.endpoint.Path)
	part(mac, x.client.Addr.String())
	for _, a := range x.client.Forwarded {
		part(mac, a.String())
	}
	part(mac, "")
	mac.Write(x.body)
	return mac.Sum(nil)
}

func part(h hash.Hash, s string) { io.WriteString(h, s+"\x00") }

// answered tells repeats of the exchange how it ended, and keeps a fault for
// those to come. What the client gets must not be wiped before the outcome that
// is returned is released, unless that is nil.
func (r *repeats) answered(x *exchange, a reply, err error) *outcome {
	if x.repeated != nil {
		x.repeated.held.Add(1)
		return x.repeated
	}
	if x.request == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.leave(x)
	keep := a.fault && !x.client.Doubtful
	if o == nil && !keep {
		return nil
	}
	if o == nil {
		o = &outcome{done: make(chan struct{})}
	}
	defer close(o.done)
	o.held.Add(1)
	if o.shared = a.soap != 0; !o.shared {
		return o
	}
	o.reply, o.err, o.transaction = a, err, x.id
	o.account, o.application, o.answer = x.account, x.decision.Application, x.decision.Answer
	x.auditToken(&o.token, err)
	if !a.fault { // a token, which lies in the memory of x
		o.reply.body = bytes.Clone(a.body)
		return o
	}
	if keep {
		r.keep(x, o)
	}
	return o
}

// shed leaves the digest of the message in the place of its bytes, which are the
// caller's then.
func (r *repeats) shed(x *exchange) (body []byte) {
	digest := r.digest(x)
	r.mu.Lock()
	defer r.mu.Unlock()
	body, x.body, x.digest = x.body, nil, digest
	return body
}

// leave ends the time in which the exchange can be joined, and returns what
// those that joined wait for. r.mu is held.
func (r *repeats) leave(x *exchange) *outcome {
	if x.open {
		delete(r.open, x.message)
	}
	o := x.joined
	x.open, x.joined = false, nil
	return o
}

// abandon lets repeats of an exchange that ended without an answer ask for
// themselves.
func (r *repeats) abandon(x *exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.leave(x); o != nil {
		close(o.done)
	}
}

// keep keeps the fault of x. r.mu is held.
func (r *repeats) keep(x *exchange, o *outcome) {
	if old := r.faults[x.message]; old != nil {
		r.forget(old)
	}
	if r.order.Len() >= mostFaults {
		r.forget(r.order.Front().Value.(*fault))
	}
	o.held.Add(1)
	f := &fault{outcome: o, key: x.message, digest: r.digest(x)}
	if waits(o.err) {
		o.stale = x.stale
	}
	f.place = r.order.PushBack(f)
	r.faults[x.message] = f
	after := repeatable
	if o.reply.uniform {
		after += x.g.slots.left(x.start) // when the client has it
	}
	f.timer = time.AfterFunc(after, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.forget(f)
	})
}

// forget forgets a fault, if it is there. r.mu is held.
func (r *repeats) forget(f *fault) {
	if r.faults[f.key] != f {
		return
	}
	f.timer.Stop()
	delete(r.faults, f.key)
	r.order.Remove(f.place)
	f.release()
}

// waits tells that a refusal stands until the user answers.
func waits(err error) bool {
	reason := refusal.Of(err)
	return reason == refusal.SecondFactorApprove || reason == refusal.SecondFactorNumber
}

// dismiss forgets the fault of an outcome that is held.
func (r *repeats) dismiss(key messageKey, o *outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.faults[key]; f != nil && f.outcome == o {
		r.forget(f)
	}
	o.release()
}

// joinedBy tells that a repeat waits for the exchange.
func (r *repeats) joinedBy(x *exchange) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return x.joined != nil
}

// staying is ctx or, where the client has gone and asked again by a repeat, one
// that goes on for that.
func (x *exchange) staying(ctx context.Context) context.Context {
	if ctx.Err() != nil && x.g.repeats.joinedBy(x) {
		return context.WithoutCancel(ctx)
	}
	return ctx
}
