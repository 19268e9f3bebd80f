// Package factor is the authenticators of users: apps with time-based codes
// (TOTP), passkeys, recovery codes, and the MFA server that a company already
// runs (RADIUS); how they are bound, proven once, limited and taken away
// (security.md, section 8).
//
// All that stands of a user is one record in the store, so that a use is one
// compare-and-swap: a code that was accepted is spent on every gateway, and
// what was counted is counted, before the caller hears of it. What is begun and
// not yet ended (a half enrolment, a challenge, a binding code) is a record of
// its own that expires.
//
// It knows nothing of requests, approvals or pages. It never tells a secret,
// except to enrol it, and its errors are for operators: what a client may learn
// is decided elsewhere.
package factor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/state"
)

// Config configures a Verifier. Store, Metrics and Log are needed.
type Config struct {
	// Store is what the gateways of a service remember together. It is sealed:
	// secrets stand in it.
	Store state.Store
	// Secret is what hashes of codes are keyed by, the same on all gateways, at
	// least 32 bytes. None is a random one, for a Store that forgets with the
	// process.
	Secret []byte
	// Issuer is the name of the service in the user's app. Default stsgate.
	Issuer string
	// RPID and Origin are the host name and the origin (https://host, with the
	// port if it is not 443) of the page on which passkeys are used. Without
	// them there are none.
	RPID, Origin string
	// RADIUS is the company's MFA server, nil for none.
	RADIUS *RADIUSServers
	// Notify queues what a user must hear of, durably, and may be called again
	// with an event that it has (Event.ID). Nil tells nobody.
	Notify func(context.Context, Event) error
	// Clock reports why nothing may rest on the time, nil when it may: then no
	// code of an app is taken (security.md, section 12). Nil trusts it always.
	Clock   func() error
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// A Verifier keeps the authenticators of users and checks their proofs. It is
// safe for concurrent use.
//
// Calls end by the context's deadline. When it has none, the store has
// state.Deadline, and the MFA server the time that it is configured to have.
type Verifier struct {
	store      state.Store
	secret     []byte
	issuer     string
	notify     func(context.Context, Event) error
	clock      func() error
	passkeys   *webauthn.WebAuthn // nil without an origin
	radius     *radiusClient      // nil without a server
	enrolments *state.Mirror
	metrics    *metrics
	log        *slog.Logger
}

// New returns a verifier, which accepts nothing for a password until Run has
// read the store.
func New(c Config) (*Verifier, error) {
	if c.Store == nil || c.Metrics == nil || c.Log == nil {
		return nil, errors.New("factor: Store, Metrics and Log are needed")
	}
	if len(c.Secret) == 0 {
		c.Secret = make([]byte, 32)
		rand.Read(c.Secret)
	}
	if len(c.Secret) < 32 {
		return nil, errors.New("factor: a secret of less than 32 bytes")
	}
	if c.Issuer == "" {
		c.Issuer = "stsgate"
	}
	if c.Clock == nil {
		c.Clock = func() error { return nil }
	}
	v := &Verifier{
		store: c.Store, secret: c.Secret, issuer: c.Issuer, notify: c.Notify, clock: c.Clock, log: c.Log,
		enrolments: state.NewMirror(c.Store, state.Enrolments),
	}
	var err error
	if v.passkeys, err = newRelyingParty(c.RPID, c.Origin, c.Issuer); err != nil {
		return nil, err
	}
	if v.metrics, err = newMetrics(c.Metrics); err != nil {
		return nil, err
	}
	v.radius, err = newRADIUS(c.RADIUS, v.metrics.discarded)
	return v, err
}

// Run follows the store, and sends what users must still hear of, until ctx ends.
func (v *Verifier) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { v.enrolments.Run(ctx) })
	all.Go(func() { v.survey(ctx) })
	all.Wait()
}

// Wait returns when the store has been read, or when ctx ends.
func (v *Verifier) Wait(ctx context.Context) error { return v.enrolments.Wait(ctx) }

// Ready reports why codes behind passwords are refused, nil when they are not.
func (v *Verifier) Ready() error {
	age, ok, err := v.enrolments.Age()
	if !ok || age > state.MaxAge {
		return errors.Join(state.ErrStale, err)
	}
	return nil
}

// mac is a keyed hash of a text of a user, for one use of it.
func (v *Verifier) mac(use, user string, text []byte) []byte {
	mac := hmac.New(sha256.New, v.secret)
	io.WriteString(mac, "factor: "+use+"\x00"+user+"\x00")
	mac.Write(text)
	return mac.Sum(nil)
}

// pause returns after a while, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	<-ctx.Done()
}
