// Package portal is the users' own pages: they sign in, enrol authenticators,
// approve or deny what waits for them, allow beforehand, and see what was asked
// in their name. Pages are rendered here and work without scripts, except for
// passkeys and news of what waits.
//
// Every request goes through one table of routes that says what it needs; a
// user's things are found by the user of the session, never by an id alone. The
// package never sees a secret that it need not show, logs none, and puts
// nothing of a stranger's choosing on a page but as plain, clipped text. Its
// copies of passwords and codes are overwritten after use; what net/http read of
// a form is not, and is left to the garbage collector.
package portal

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/clientip"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
)

// Config configures a Portal. Fields without a default are required.
type Config struct {
	// URL is where users reach the portal, https://host or https://host:port.
	URL string
	// Store keeps sessions.
	Store state.Store
	// Secret is what ids are hashed with, the same on all gateways, at least 32
	// bytes. Default: a random one, for a Store that forgets with the process.
	Secret []byte
	// CheckPassword proves a password as the exchange does, behind the same
	// guard. Its errors tell apart a password that is not accepted, for whatever
	// reason, and what is down: see Down.
	CheckPassword func(ctx context.Context, name string, p account.Password, from []netip.Addr) (account.Account, error)
	// Banned refuses a user, or where the user is, whoever is signed in. Its errors
	// are as those of CheckPassword. Default: nobody is refused.
	Banned func(user string, from []netip.Addr) error
	// Down tells of an error of these that it says nothing of the user.
	Down func(error) bool
	// Factors are the users' authenticators, MFA what waits for them.
	Factors *factor.Verifier
	MFA     *mfa.Service
	// Know remembers where a user is told what happens to authenticators.
	// Default: nobody is remembered.
	Know func(context.Context, knock.Recipient)
	// Clients says where a request comes from, Place where an address is, in a
	// few words or none.
	Clients *clientip.Resolver
	Place   func(netip.Addr) string
	// Applications are the names of those that a user may allow beforehand.
	Applications func() []string
	// History returns what was asked in a user's name, the latest first, at most
	// so many; Explain one transaction of the user, nil for one that is not, or
	// not the user's. Both tell whether all gateways were asked that may know.
	History func(ctx context.Context, user string, most int) (all []SignIn, whole bool, err error)
	Explain func(ctx context.Context, user, transaction string) (s *SignIn, whole bool, err error)
	// Record writes down what a user did, before it is done (AUD-01).
	Record func(Act) error
	// PasskeyAlone lets a passkey that verified its user do without a password.
	// Account is then the directory's by that name, or account.ErrUnknown, also
	// for one that is not to sign in from there.
	PasskeyAlone bool
	Account      func(ctx context.Context, name string, from []netip.Addr) (account.Account, error)
	// Enrol says where and until when a password is enough to enrol the first
	// authenticator. Default: nowhere.
	Enrol      []netip.Prefix
	EnrolUntil time.Time
	Metrics    prometheus.Registerer
	Log        *slog.Logger
}

// A SignIn is what is known of an exchange in a user's name.
type SignIn struct {
	Transaction string
	Time        time.Time
	Application string
	Address     netip.Addr
	Place       string
	// Released tells that a token was; otherwise Reason is the label of why not,
	// and Rule the rule that decided.
	Released     bool
	Reason, Rule string
}

// An Act is what a user did here.
type Act struct {
	// Name is the act, one of audit.Acts without its portal-, or Mismatch.
	Name string
	// User is the directory's GUID, and UserName the name as the directory says it.
	User, UserName string
	// Typed is a name that did not sign in, which may be a password in the wrong
	// box, and Err why not.
	Typed string
	Err   error
	// Address is where from.
	Address netip.Addr
	// Object is the id of what it was done to; empty where that is all the user's.
	Object string
	// Factor is what the user had proven, the zero Proof for none.
	Factor factor.Proof
	// Outcome is success, failure, or unknown before the act.
	Outcome string
}

// Mismatch is the act of a user who answered for what was not asked of that
// user (MFA-01).
const Mismatch = "mismatch"

// A Portal answers the users' requests. It is safe for concurrent use.
type Portal struct {
	c         Config
	origin    string
	sessions  *state.Mirror
	pages     *pages
	routes    []route
	streams   *streams
	metrics   *metrics
	strangers meter
	lookers   *lookers
}

// New returns a portal that answers nobody who is signed in before Run.
func New(c Config) (*Portal, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || c.URL != "https://"+u.Host {
		return nil, errors.New("portal: the URL is not https://host or https://host:port")
	}
	if c.Store == nil || c.CheckPassword == nil || c.Down == nil || c.Factors == nil || c.MFA == nil || c.Clients == nil || c.Place == nil ||
		c.Applications == nil || c.History == nil || c.Explain == nil || c.Record == nil || c.Metrics == nil || c.Log == nil {
		return nil, errors.New("portal: a field of the configuration is missing")
	}
	switch {
	case c.PasskeyAlone && c.Account == nil:
		return nil, errors.New("portal: passkeys alone need a directory")
	case len(c.Secret) == 0:
		c.Secret = make([]byte, 32)
		rand.Read(c.Secret)
	case len(c.Secret) < 32:
		return nil, errors.New("portal: a secret of less than 32 bytes")
	}
	p := &Portal{c: c, origin: c.URL, sessions: state.NewMirror(c.Store, state.Sessions), streams: newStreams(), lookers: newLookers()}
	if p.pages, err = loadPages(); err != nil {
		return nil, err
	}
	p.routes = p.table()
	p.metrics, err = newMetrics(c.Metrics, p)
	return p, err
}

// Run follows the store until ctx ends. Then the pages that are told of news
// are let go.
func (p *Portal) Run(ctx context.Context) {
	defer p.streams.stop()
	p.sessions.Run(ctx)
}

// Drain lets go of the pages that are told of news: they would keep their
// connections for as long as somebody looks at them.
func (p *Portal) Drain() { p.streams.stop() }

// Wait returns when the store has been read, or when ctx ends.
func (p *Portal) Wait(ctx context.Context) error { return p.sessions.Wait(ctx) }

// Host is the host name in a URL.
func Host(u string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(u, "https://"), ":")
	return host
}

// Secure sets the headers that every answer of the portal has, also one that
// somebody else gives (security.md, PORT-04, TLS-02).
func Secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
	h.Set("Strict-Transport-Security", "max-age=63072000")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
