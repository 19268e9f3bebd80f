package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/clientip"
	"stsgate/gateway/guard"
	"stsgate/gateway/mfa"
	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// An exchange is one HTTP request and what became of it. It lives for one
// request, and each step adds to it. Its memory then serves another, wiped.
type exchange struct {
	g        *Gateway
	w        http.ResponseWriter
	in       *http.Request
	endpoint Endpoint
	id       string // transaction id
	start    time.Time
	set      *policy.Set     // the set in force when the request arrived
	memory   *wstrust.Memory // nil after shed
	panicked bool
	over     bool         // it ran to its end without a panic
	open     bool         // repeat: what comes again joins this exchange
	decided  bool         // decide
	soap     soap.Version // admit: by media type, so that any fault fits

	client   clientip.Client            // locate
	agent    string                     // locate: the User-Agent
	head     wstrust.Inbound            // admit; lacks Body and Now
	body     []byte                     // admit; nil after shed
	request  *wstrust.Request           // parse
	message  messageKey                 // repeat
	digest   []byte                     // of the message, from shed on
	joined   *outcome                   // what those that joined wait for; g.repeats guards it
	repeated *outcome                   // repeat: the outcome of the first, which is this one's too
	name     account.Name               // gather: as typed, in parts
	account  account.Account            // gather; zero unless facts.User is known
	facts    policy.Facts               // gather
	read     policy.FactSet             // gather: the facts that somebody was asked for
	absence  error                      // gather: why the account is not known
	code     account.Password           // cut: what stood behind the password
	whole    *wstrust.Request           // cut: the request as it came; nil when nothing was cut
	try      *guard.Try                 // prove; nil before
	degraded string                     // prove: without what the exchange went on
	decision policy.Decision            // decide
	kept     *wstrust.Answer            // prove, when forwarding: not to be released before check
	node     string                     // prove, when forwarding: the node that was asked
	proven   *account.Account           // prove, when issuing
	stale    func(context.Context) bool // secondFactor: the user may have answered what was asked
	hold     *mfa.Hold                  // secondFactor: the user is waited for
	farewell *time.Timer                // resume: wakes it when its client has gone for good
	gone     time.Time                  // resume: when the client was found to be
	proofs   []mfa.Proof                // secondFactor
	grant    *wstrust.Grant             // satisfy, when issuing
	issued   *wstrust.Issued            // release, when issuing
	answer   []byte                     // release
}

// exchange runs one exchange from its first byte to its answer.
func (g *Gateway) exchange(w http.ResponseWriter, r *http.Request, e Endpoint) {
	g.metrics.inFlight.Inc()
	g.begin(w, r, e).advance(r.Context(), (*exchange).run)
}

// advance has the exchange go on by some of its steps: to its answer, or until it
// sleeps.
func (x *exchange) advance(ctx context.Context, steps func(*exchange, context.Context) error) {
	g, w, received := x.g, x.w, x.start // since x may be another's before the end
	a, shared, sleeps := x.perform(ctx, steps)
	if sleeps {
		x.sleep(ctx)
		return
	}
	defer g.metrics.inFlight.Dec()
	if shared != nil {
		defer shared.release()
	}
	if a.uniform {
		rest(w)
		g.slots.wait(ctx, received)
		a.write(w)
	}
}

// perform takes steps of the exchange and answers it, unless it is to sleep. What
// is kept back to the end of a slot it returns unanswered: nothing of the exchange
// is left while that waits.
func (x *exchange) perform(ctx context.Context, steps func(*exchange, context.Context) error) (a reply, shared *outcome, sleeps bool) {
	defer func() {
		if !sleeps {
			x.end()
		}
	}()
	err := x.safely(ctx, steps)
	if errors.Is(err, errAsked) {
		return a, nil, true
	}
	err = x.record(err)
	a = x.reply(err)
	shared = x.g.repeats.answered(x, a, err)
	if !a.uniform {
		a.write(x.w)
	}
	x.over = !x.panicked
	return a, shared, false
}

// begin returns an exchange in the memory of one that is over, or in new.
func (g *Gateway) begin(w http.ResponseWriter, r *http.Request, e Endpoint) *exchange {
	x, ok := g.pool.Get().(*exchange)
	if !ok {
		x = &exchange{memory: new(wstrust.Memory)}
	}
	x.g, x.w, x.in, x.endpoint = g, w, r, e
	x.id, x.start, x.set = newTransaction(), time.Now(), g.c.Policy.Load()
	return x
}

// run takes one request from its first byte to its answer. Each step reads
// what the earlier ones found and adds one thing of its own.
func (x *exchange) run(ctx context.Context) error {
	x.locate() // whose address it is
	if err := x.admit(); err != nil {
		return err // media type, size: before there is a message
	}
	if err := x.parse(); err != nil {
		return err // one strict scan of the bytes
	}
	if again, err := x.repeat(ctx); again {
		return err // what came before gets the same answer
	}
	x.gather(ctx) // what policy may ask about
	if err := x.decide(ctx); err != nil {
		return err // the password of a denied request goes nowhere
	}
	if err := x.cut(); err != nil {
		return err // what stands behind the password is no part of it
	}
	if err := x.prove(ctx); err != nil {
		return err // the first factor
	}
	ctx = x.staying(ctx) // while anybody waits
	if err := x.check(ctx); err != nil {
		return err // who was proven is who was decided on
	}
	if err := x.secondFactor(ctx); err != nil {
		return err // what is owed before a token; while the user is asked, resume comes next
	}
	return x.conclude(ctx)
}

// conclude is what follows the second factor.
func (x *exchange) conclude(ctx context.Context) error {
	if err := x.satisfy(ctx); err != nil {
		return err // what else is owed, and the limits of a token
	}
	ctx = x.staying(ctx)
	if err := x.spend(ctx); err != nil {
		return err // what may be used once
	}
	x.atHome(ctx)         // where the user signs in from
	return x.release(ctx) // the kept bytes as they came, or a token signed now
}

// safely takes steps of the exchange and turns a panic into a refusal, so that one
// request dies and not the gateway (security.md, FAIL-05). The panic's value
// may hold a piece of the message: only a runtime error's text is kept.
func (x *exchange) safely(ctx context.Context, steps func(*exchange, context.Context) error) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		cause := fmt.Sprintf("panic of type %T", v)
		if re, ok := v.(interface {
			error
			RuntimeError()
		}); ok {
			cause = re.Error()
		}
		x.panicked = true
		x.g.panics.add(time.Now())
		x.g.metrics.panics.Inc()
		x.g.c.Log.Error("panic in an exchange", "transaction", x.id, "stack", string(debug.Stack()), "err", cause)
		err = refusal.New(refusal.Internal, "%s", cause)
	}()
	return steps(x, ctx)
}

// end wipes the exchange, and gives its memory back: never that of one which
// panicked, since nobody knows what still refers to it.
func (x *exchange) end() {
	if x.open {
		x.g.repeats.abandon(x)
	}
	x.disown()
	x.wipe()
	if !x.over || x.memory == nil {
		return
	}
	g := x.g
	if *x = (exchange{memory: x.memory, body: x.body[:0]}); cap(x.body) > maxKept {
		x.body = nil
	}
	g.pool.Put(x)
}

// maxKept is the largest buffer that is kept for another body, in bytes.
const maxKept = 64 << 10

// wipe overwrites what held the credential or the token, as far as it is ours.
func (x *exchange) wipe() {
	if x.memory != nil {
		x.memory.Wipe()
	}
	clear(x.body[:cap(x.body)])
	if x.whole != nil {
		x.request.Wipe()
		x.code.Wipe()
	}
	if x.kept != nil {
		clear(x.kept.Body)
	}
	if x.issued != nil {
		clear(x.issued.Assertion)
	}
	clear(x.answer)
}

// newTransaction returns a transaction id: 128 random bits in hex.
func newTransaction() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
