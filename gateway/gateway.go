// Package gateway is the path of one exchange, readable from top to bottom:
// an RST comes in, policy decides on it, its password is proven by the farm or
// by the issuer, and a token or a fault goes out, with one record of it.
//
// The order of the steps is the code of [exchange.run] and, after the second
// factor, of [exchange.conclude]. No step is optional,
// none can be reordered from outside, and whatever none of them foresaw is
// refused.
//
// When an exchange ends, the buffers of ours that held a secret are
// overwritten: the body, the password, the kept answer, the issued token, and
// what the edge and the farm's connections read and wrote. Not ours, and left to
// the garbage collector, are the records inside crypto/tls, the request's header
// lines, the copy that the LDAP library signs in with, and what building a
// signature leaves behind.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/audit"
	"stsgate/gateway/clientip"
	"stsgate/gateway/guard"
	"stsgate/gateway/mfa"
	"stsgate/gateway/place"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// A Forwarder is the farm behind the gateway.
type Forwarder interface {
	// Forward sends the request's bytes as they came to one node, at most
	// once, and returns the answer. Its token is signed by a key of the farm, or
	// encrypted; what it says is not checked. The gateway overwrites the
	// answer's bytes when the exchange is over. A refusal of the farm is a
	// *wstrust.Fault; an answer that cannot be read is a *wstrust.Error or a
	// *soap.Error; otherwise the error wraps wstrust.ErrUntrusted,
	// wstrust.ErrDown, wstrust.ErrSlow or the context's error.
	Forward(ctx context.Context, r *wstrust.Request, o wstrust.Origin) (*wstrust.Answer, error)
}

// An Issuer is the security token service inside the gateway.
type Issuer interface {
	// Authenticate proves a password and returns the account it belongs to. A
	// wrong password and an unknown user are the same *wstrust.Fault; another
	// error means that the directory did not answer.
	Authenticate(ctx context.Context, name account.Name, password account.Password) (account.Account, error)
	// Issue builds and signs the token that the grant describes. The gateway
	// overwrites its bytes when the exchange is over.
	Issue(ctx context.Context, r *wstrust.Request, g *wstrust.Grant) (*wstrust.Issued, error)
}

// A Directory knows the accounts.
type Directory interface {
	// Lookup returns account.ErrUnknown for a name it does not have; another
	// error means that it did not answer.
	Lookup(ctx context.Context, name account.Name) (account.Account, error)
	// Verify returns account.ErrDenied when the password is not the account's.
	// The zero Account has none, and takes as long to say so.
	Verify(ctx context.Context, a account.Account, password account.Password) error
}

// An Endpoint is a published path that takes RSTs of one WS-Trust version
// with a user name and a password.
type Endpoint struct {
	Path    string
	Version wstrust.Version
	// Takes says more of which requests it answers.
	Takes wstrust.Takes
}

// Config configures a Gateway. Policy, Guard, Audit, Log and Metrics are needed, and
// at least one of Forwarder and Issuer.
type Config struct {
	// Host is the federation service name, in lower case.
	Host string
	// URL is where clients reach the gateway, https://host or https://host:port.
	// wsa:To may name its port although the Host header has none.
	URL string
	// Policy holds the policy set in force.
	Policy *policy.Live
	// Forwarder answers what policy forwards; nil where nothing is.
	Forwarder Forwarder
	// Issuer answers what policy issues; nil where nothing is.
	Issuer Issuer
	// Directory resolves names to accounts. Without one no rule can name a
	// user, and a forwarded answer is not compared with an account.
	Directory Directory
	// Clients tells whose address a request came from.
	Clients *clientip.Resolver
	// Places tells where addresses are; nil where nothing does.
	Places *place.DB
	// Guard says which passwords may leave the gateway.
	Guard *guard.Guard
	// Spare counts in memory for applications that go on while the Guard's store is
	// down; nil where none may.
	Spare *guard.Guard
	// MFA settles second factors. Without it, or without a Directory that says
	// whose they are, what owes one is refused.
	MFA *mfa.Service
	// ProveInDirectory has the directory prove the password of a request that
	// owes a second factor, so that the farm makes no token before that is
	// proven (security.md, MFA-16). Otherwise the farm does, and its answer waits.
	ProveInDirectory bool
	// Record are the facts that cost a look-up and stand in the record whether
	// or not a rule asks for them.
	Record policy.FactSet
	// Issuing reports why nothing may be issued now: a clock that was stepped, a
	// signing certificate that has expired. Nil is that nothing ever stands against
	// it.
	Issuing func() error
	// Audit is written before a client hears anything.
	Audit *audit.Log
	// MaxBody is the largest body that is read, in bytes; BodyTimeout bounds
	// how long that may take.
	MaxBody     int64
	BodyTimeout time.Duration
	// Slot is what failures are kept back to whole ones of, since their receipt.
	// It must be longer than the farm and the directory take for one.
	Slot    time.Duration
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// A Gateway answers RSTs. It is safe for concurrent use.
type Gateway struct {
	c       Config
	metrics *metrics
	pool    sync.Pool // of *exchange, wiped
	port    string    // of the public URL, empty for 443
	rates   rates
	repeats *repeats
	slots   *slots
	panics  panics
}

// New returns a gateway that answers for endpoints.
func New(c Config, endpoints []Endpoint) (*Gateway, error) {
	switch {
	case c.Policy == nil || c.Guard == nil || c.Audit == nil || c.Clients == nil || c.Log == nil || c.Metrics == nil:
		return nil, errors.New("gateway: Policy, Guard, Audit, Clients, Log and Metrics are needed")
	case c.Forwarder == nil && c.Issuer == nil:
		return nil, errors.New("gateway: neither a farm nor an issuer")
	case c.MaxBody <= 0 || c.BodyTimeout <= 0 || c.Slot <= 0:
		return nil, errors.New("gateway: MaxBody, BodyTimeout and Slot must be positive")
	}
	if c.Places == nil {
		c.Places = new(place.DB)
	}
	public, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("gateway: public URL: %w", err)
	}
	g := &Gateway{c: c, port: public.Port(), repeats: newRepeats()}
	g.rates.passed = make(map[rateKey][]time.Time)
	if g.metrics, err = newMetrics(c.Metrics, endpoints, c.Policy); err != nil {
		return nil, err
	}
	if g.slots, err = newSlots(c.Slot, c.Metrics); err != nil {
		return nil, err
	}
	return g, nil
}

// Endpoint returns the HTTP side of one trust endpoint. The caller (package
// edge) has checked host, path and method.
func (g *Gateway) Endpoint(e Endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.exchange(w, r, e) })
}
