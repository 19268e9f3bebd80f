package mfa

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// A Hold is a request that waits for its user to answer. While it waits nothing
// runs for it. It must be settled.
type Hold struct {
	c     *claim
	seat  *seat
	timer *time.Timer // wakes it when its client stops waiting
}

// hold has the request wait while the user approves, as long as the client does.
// There is no Hold where it waits for nothing.
func (c *claim) hold(ctx context.Context) (h *Hold, err error) {
	seat := c.s.rooms.enter(c.key)
	defer func() {
		if h == nil {
			c.s.rooms.leave(c.key, seat)
		}
	}()
	if err := c.join(ctx, policy.Hold); err != nil || len(c.owed) == 0 {
		return nil, err
	}
	c.s.metrics.held.Inc()
	c.r.Password, c.r.Code, c.r.Answer = account.Password{}, account.Password{}, nil
	return &Hold{c: c, seat: seat}, nil
}

// Wake has wake called whenever there may be something to settle, at once where
// there is already, in the place of what an earlier Wake named. It may be called
// when there is nothing, and must not block.
func (h *Hold) Wake(wake func()) {
	h.c.s.rooms.wake(h.seat, wake)
	if h.timer != nil {
		h.timer.Stop()
	}
	h.timer = time.AfterFunc(time.Until(h.c.until), wake)
	if h.c.s.over() {
		wake()
	}
}

// Settle tells what became of the request, as Satisfy does. It is not over while
// the user may still answer and neither its client nor ctx has ended. The answer
// is the one that would be released: no other than the request waited with.
func (h *Hold) Settle(ctx context.Context, answer []byte) (proofs []Proof, over bool, err error) {
	c := h.c
	c.answer = c.s.answerHash(answer)
	p, proof := h.heard()
	if p == 0 && ctx.Err() == nil && time.Now().Before(c.until) && !c.s.over() {
		return nil, false, nil
	}
	defer h.end()
	if p != 0 {
		err = c.answered(p, proof)
	} else {
		err = c.leave(ctx)
	}
	if err != nil {
		return nil, true, err
	}
	return c.finish(ctx), true, nil
}

// heard is the answer for the request, if one was heard of.
func (h *Hold) heard() (phase, Proof) {
	a := h.c.s.rooms.take(h.seat)
	if a == nil {
		return 0, Proof{}
	}
	return a.verdict(h.c.r.Transaction, h.c.answer)
}

func (h *Hold) end() {
	h.c.s.rooms.leave(h.c.key, h.seat)
	h.c.s.metrics.held.Dec()
	if h.timer != nil {
		h.timer.Stop()
	}
}

// over tells that nobody waits any more.
func (s *Service) over() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

// answered goes on from what the user said.
func (c *claim) answered(p phase, proof Proof) error {
	switch {
	case p != approved:
		return c.refusal(refusal.SecondFactorDenied, errors.New("the user denied the request"))
	case !c.meetsAll(&proof):
		return c.refusal(refusal.SecondFactor, errors.New("the user approved with a factor that the rules do not take"))
	}
	c.met(proof)
	return nil
}

// leave stops waiting, unless the answer came first. What is approved later is
// there for the client's retry.
func (c *claim) leave(ctx context.Context) error {
	done, err := c.s.turn(context.WithoutCancel(ctx), time.Now().Add(patience))
	if err != nil {
		return c.lost(ctx, err)
	}
	defer done()
	var p phase
	var proof Proof
	err = update(context.WithoutCancel(ctx), c.s.c.Store, c.key, func(a *approval, _ bool) (time.Duration, error) {
		if p, proof = a.verdict(c.r.Transaction, c.answer); p != 0 {
			return 0, errAnswered
		}
		a.leave(c.r.Transaction)
		return a.keep(time.Now()), nil
	})
	switch {
	case ctx.Err() != nil:
		return &refusal.Refusal{Reason: refusal.ClientGone, Err: ctx.Err()}
	case errors.Is(err, errAnswered):
		return c.answered(p, proof)
	case err != nil:
		return down(err)
	}
	c.s.metrics.expired(c.r.Family)
	return c.refusal(refusal.SecondFactorApprove, errors.New("nobody approved while the client waited"))
}

var errAnswered = errors.New("the user has answered")

// rooms are where requests of this gateway wait to hear of their approval, and
// portal pages of their user's.
type rooms struct {
	mu      sync.Mutex
	waiting map[state.Key][]*seat
	users   map[string][]chan struct{} // by the first part of keys
}

// A seat is where one request waits.
type seat struct {
	heard *approval // the last state of the record, not yet taken
	wake  func()    // nil before somebody wants to be woken
}

func newRooms() *rooms {
	return &rooms{waiting: map[state.Key][]*seat{}, users: map[string][]chan struct{}{}}
}

func (r *rooms) enter(key state.Key) *seat {
	s := &seat{}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[key] = append(r.waiting[key], s)
	return s
}

func (r *rooms) leave(key state.Key, s *seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	remove(r.waiting, key, s)
}

// take returns what was heard at a seat, nil when that was nothing new.
func (r *rooms) take(s *seat) *approval {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := s.heard
	s.heard = nil
	return a
}

// wake has whoever sits at a seat woken from now on.
func (r *rooms) wake(s *seat, wake func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.wake = wake; s.heard != nil {
		wake()
	}
}

// wakeAll wakes everybody.
func (r *rooms) wakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, seats := range r.waiting {
		for _, s := range seats {
			if s.wake != nil {
				s.wake()
			}
		}
	}
}

// listen returns a channel that holds a token when something of the user has
// changed.
func (r *rooms) listen(user string) chan struct{} {
	w := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users[user] = append(r.users[user], w)
	return w
}

func (r *rooms) unlisten(user string, w chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	remove(r.users, user, w)
}

func remove[K, C comparable](all map[K][]C, key K, w C) {
	left := slices.DeleteFunc(all[key], func(o C) bool { return o == w })
	if len(left) == 0 {
		delete(all, key)
		return
	}
	all[key] = left
}

// tell hands a record to who waits at it.
func (r *rooms) tell(key state.Key, read func() (*approval, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.users[key.Parts()[0]] {
		select {
		case w <- struct{}{}:
		default:
		}
	}
	if len(r.waiting[key]) == 0 {
		return
	}
	a, err := read()
	if err != nil {
		return // whoever waits finds out when its time is over
	}
	for _, s := range r.waiting[key] {
		if s.heard = a; s.wake != nil {
			s.wake()
		}
	}
}
