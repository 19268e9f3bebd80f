package guard

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/refusal"
)

// An Attempt is a password that somebody wants proven.
type Attempt struct {
	// User is a UserKey.
	User     string
	Password account.Password
	// PasswordSet is when the password was last set, zero when that is not known:
	// what was wrong before may be right since.
	PasswordSet time.Time
	// Addresses are where the client may be; none when that is not known.
	Addresses []netip.Addr
}

// An Outcome is what became of a try.
type Outcome uint8

// The outcomes.
const (
	// Unsettled is a try of which nothing is known. It counts for nothing.
	Unsettled Outcome = iota
	// Proven is a password that is right, whatever else was refused.
	Proven
	// Wrong is a password that was not accepted.
	Wrong
)

// String returns the outcome as metrics name it.
func (o Outcome) String() string { return [...]string{"unsettled", "proven", "wrong"}[o] }

// A Try is the leave to have a password proven. It is settled once.
type Try struct {
	g       *Guard
	user    string
	class   class
	sources []source
	mac     macer
	set     time.Time // when the password was last set
	today   string    // the password's hash at the start
	place   place
	settled bool
	// Reported is what the try would have been refused for, if not in
	// report-only; nil otherwise.
	Reported *refusal.Refusal
}

// A place is where a try stands in its line.
type place uint8

const (
	outside place = iota // not in the line
	waiting
	out // the one whose password is asked about
)

// Take asks for a try, and waits while another password of the user is asked
// about. The error is a *refusal.Refusal for Banned, Throttled, Locked, WrongPassword,
// StateDown or ClientGone. The caller must settle the try, and must not wipe the
// password before.
func (g *Guard) Take(ctx context.Context, a Attempt) (*Try, error) {
	t := &Try{g: g, user: a.User, set: a.PasswordSet, sources: g.sourcesOf(a.Addresses), mac: macer{g: g, user: a.User, password: a.Password}}
	now := time.Now()
	t.today = string(t.mac.at(now))
	why := t.take(ctx, now)
	switch {
	case why == nil:
		return t, nil
	case g.reportOnly && why.Reason != refusal.ClientGone:
		g.metrics.reported[why.Reason].Inc()
		t.Reported = why
		return t, nil
	default:
		g.metrics.refused[why.Reason].Inc()
		return nil, why
	}
}

func (t *Try) take(ctx context.Context, now time.Time) *refusal.Refusal {
	if err := ctx.Err(); err != nil {
		return refusal.New(refusal.ClientGone, "before its password was sent on: %w", err)
	}
	if why := t.g.banned(t.user, t.sources, now); why != nil {
		return why
	}
	if why := t.throttled(now); why != nil {
		return why
	}
	home, err := t.g.atHome(t.user, t.sources)
	if err != nil {
		return stateDown(err)
	}
	if home {
		t.class = familiar
	}
	for {
		if err := t.g.pay(ctx, t.user); err != nil {
			t.stop()
			return stateDown(err)
		}
		changed, why := t.step(time.Now())
		if changed == nil {
			return why
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.stop()
			return refusal.New(refusal.ClientGone, "while another password of the user was asked about: %w", ctx.Err())
		}
	}
}

// step takes the try if it may be taken now, refuses it, or returns what to
// wait for.
func (t *Try) step(now time.Time) (<-chan struct{}, *refusal.Refusal) {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	_, f, err := g.failuresOf(t.user, now)
	if err != nil {
		t.quit()
		return nil, stateDown(err)
	}
	if len(g.owed[t.user]) > 0 {
		t.quit()
		return nil, stateDown(errOwed)
	}
	if f.Held.stands(now) {
		t.quit()
		return nil, refusal.New(refusal.Locked, "by an operator until %s: %s", f.Held.Until.UTC().Format(time.RFC3339), f.Held.Why)
	}
	chain := f.Chains[t.class].at(now, &g.limits)
	if chain.locked(now) {
		t.quit()
		return nil, refusal.New(refusal.Locked, "from %s addresses until %s, after %d wrong passwords", t.class, chain.Until.UTC().Format(time.RFC3339), chain.Sent)
	}
	if w := f.known(now, &g.limits, &t.mac); w != nil && !t.set.After(w.Sent) && !f.probe(w, t.class, now, &g.limits) {
		t.quit()
		return nil, refusal.New(refusal.WrongPassword, "known to be wrong since %s, and not asked about again", w.Sent.UTC().Format(time.RFC3339))
	}
	if p := g.people.get(t.user); p != nil && p.isRight([]byte(t.today)) {
		t.quit()
		return nil, nil
	}
	return t.queue(chain)
}

// queue joins the line, if there are failures left for one more password. g.mu
// is held.
func (t *Try) queue(c chain) (<-chan struct{}, *refusal.Refusal) {
	l := t.g.line(t.lineKey())
	if t.place == outside {
		if l.passwords[t.today] == 0 && c.Sent+len(l.passwords) >= t.g.limits.Failures {
			return nil, refusal.New(refusal.Locked, "after %d wrong passwords from %s addresses, with %d more asked about", c.Sent, t.class, len(l.passwords))
		}
		l.join(t.today)
		t.place = waiting
	}
	if l.busy {
		return l.changed, nil
	}
	l.busy, t.place = true, out
	return nil, nil
}

func (t *Try) lineKey() lineKey { return lineKey{t.user, t.class} }

func (t *Try) stop() {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	t.quit()
}

// quit leaves the line. g.mu is held.
func (t *Try) quit() {
	if t.place != outside {
		t.g.leave(t.lineKey(), t.today, t.place == out)
		t.place = outside
	}
}

// Settle says what became of the try. A wrong password has been counted on all
// gateways when it returns; the error, a *refusal.Refusal for StateDown, is that
// it could not be, and until it is no other password of the user leaves this
// gateway. Only the first call counts.
func (t *Try) Settle(ctx context.Context, o Outcome) error {
	if t.settled {
		return nil
	}
	t.settled = true
	defer t.stop()
	t.g.metrics.tries[o].Inc()
	switch o {
	case Proven:
		t.proven(time.Now())
	case Wrong:
		// The client may have gone, and is counted all the same.
		if err := t.wrong(context.WithoutCancel(ctx), time.Now()); err != nil {
			return stateDown(err)
		}
	}
	return nil
}

func (t *Try) proven(now time.Time) {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	g.people.make(t.user).right = []byte(t.today)
	for _, s := range t.sources {
		g.saw(s, t.user, now, false)
	}
}

// Completed notes that the sign-in of a proven try was not refused for anything
// else: its addresses become familiar here.
func (t *Try) Completed() {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	p := t.g.people.make(t.user)
	for _, s := range slices.Backward(t.sources) {
		p.cameFrom(s.address)
	}
}

func stateDown(err error) *refusal.Refusal {
	return &refusal.Refusal{Reason: refusal.StateDown, Err: err}
}
