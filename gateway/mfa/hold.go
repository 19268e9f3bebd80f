package mfa

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// hold waits while the user approves, as long as the client does.
func (c *claim) hold(ctx context.Context) error {
	w := c.s.rooms.enter(c.key)
	defer c.s.rooms.leave(c.key, w)
	if err := c.join(ctx, policy.Hold); err != nil || len(c.owed) == 0 {
		return err
	}
	c.s.metrics.held.Inc()
	defer c.s.metrics.held.Dec()
	wait, stop := context.WithDeadline(ctx, c.until)
	defer stop()
	for {
		select {
		case a := <-w:
			if p, proof := a.verdict(c.r.Transaction, c.answer()); p != 0 {
				return c.answered(p, proof)
			}
		case <-wait.Done():
			return c.leave(ctx)
		case <-c.s.stopped:
			return c.leave(ctx)
		}
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
		if p, proof = a.verdict(c.r.Transaction, c.answer()); p != 0 {
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
	waiting map[state.Key][]chan *approval // each holds the last state of the record
	users   map[string][]chan struct{}     // by the first part of keys
}

func newRooms() *rooms {
	return &rooms{waiting: map[state.Key][]chan *approval{}, users: map[string][]chan struct{}{}}
}

func (r *rooms) enter(key state.Key) chan *approval {
	w := make(chan *approval, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[key] = append(r.waiting[key], w)
	return w
}

func (r *rooms) leave(key state.Key, w chan *approval) {
	r.mu.Lock()
	defer r.mu.Unlock()
	remove(r.waiting, key, w)
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
	for _, w := range r.waiting[key] {
		select {
		case <-w: // what it has not read is old
		default:
		}
		w <- a
	}
}
