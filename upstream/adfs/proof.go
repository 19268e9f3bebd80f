package adfs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// A State is whether something holds that the gateway rests on and cannot see
// by itself.
type State uint8

// The states. The zero State is Unproven.
const (
	Unproven State = iota // nothing tells
	Proven
	Violated
	numStates
)

var stateNames = [numStates]string{Unproven: "unproven", Proven: "proven", Violated: "violated"}

// String returns the state's name, in lower case.
func (s State) String() string { return stateNames[s] }

// A Standing is a state, and why it is that one, for operators.
type Standing struct {
	State State
	Why   string
}

// insideCorporateNetwork is the claim by which AD FS says whether it takes a
// request for one from the intranet (protocol.md, section 6.4).
const insideCorporateNetwork = "http://schemas.microsoft.com/ws/2012/01/insidecorporatenetwork"

const (
	// evidenceLife is how long a proof is good: a day, and what the next may take.
	evidenceLife = 25 * time.Hour
	// calm is how long no token may say that its request came from the intranet
	// before those that say otherwise count again, and the time between two
	// warnings.
	calm = time.Hour
	// noteAgain is the age of a note that the next token renews, so that the
	// exchanges at once do not fight for it.
	noteAgain = time.Minute
)

// An extranet is what the farm's tokens say of where it takes the requests of
// this gateway to come from (HDR-06). Times are nanoseconds since 1970.
type extranet struct {
	inside, outside atomic.Int64 // when a token last said so
	warned          atomic.Int64
	failure         atomic.Pointer[string] // why the latest sign-in of the gateway's own told nothing, nil when it did
}

// originOf is what an assertion says of where its request came from.
func originOf(a *wstrust.Assertion) (inside, said bool) {
	for i := range a.Claims {
		c := &a.Claims[i]
		if c.URI != insideCorporateNetwork {
			continue
		}
		for _, v := range c.Values {
			switch {
			case strings.EqualFold(v, "true"):
				return true, true
			case strings.EqualFold(v, "false"):
				said = true
			}
		}
		return false, said
	}
	return false, false
}

// note remembers what a token says that a key of the farm has signed. It
// reports whether an operator is to be warned.
func (e *extranet) note(a *wstrust.Assertion, now time.Time) (warn bool) {
	inside, said := originOf(a)
	at := now.UnixNano()
	switch {
	case !said:
		return false
	case !inside:
		if at-e.outside.Load() > int64(noteAgain) {
			e.outside.Store(at)
		}
		return false
	}
	e.inside.Store(at)
	last := e.warned.Load()
	return at-last >= int64(calm) && e.warned.CompareAndSwap(last, at)
}

// standing says what follows from the tokens until now.
func (e *extranet) standing(now time.Time) Standing {
	inside, outside := time.Unix(0, e.inside.Load()), time.Unix(0, e.outside.Load())
	switch {
	case now.Sub(inside) < evidenceLife && outside.Sub(inside) < calm:
		return Standing{Violated, "the farm takes clients of this gateway for ones of the intranet: a token of " + stamp(inside) +
			" says insidecorporatenetwork true, although its request had X-MS-Proxy"}
	case now.Sub(outside) < evidenceLife:
		return Standing{Proven, "a token of " + stamp(outside) + " says insidecorporatenetwork false"}
	}
	if why := e.failure.Load(); why != nil {
		return Standing{Unproven, *why}
	}
	return Standing{Unproven, "no token says insidecorporatenetwork"}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// notice has an answer's token tell where the farm takes requests to come from.
func (f *Farm) notice(a *wstrust.Answer, n *node, now time.Time) {
	if f.extranet.note(&a.Assertion, now) {
		f.c.Log.Warn("the farm takes clients of this gateway for ones of the intranet: its token says insidecorporatenetwork true, although the request had X-MS-Proxy",
			slog.String("node", n.name))
	}
}

// Extranet is what is known of whether the farm takes the requests of this
// gateway for ones from outside (HDR-06). Tokens tell it, those that were
// forwarded and those of SignIn, for 25 hours each.
func (f *Farm) Extranet() Standing { return f.extranet.standing(time.Now()) }

// A SignIn is with whom, and for what, the gateway itself asks for a token.
type SignIn struct {
	// Path and Version are those of the endpoint.
	Path     string
	Version  wstrust.Version
	Username string
	// Password reads the password, which is wiped once it was sent.
	Password func() (account.Password, error)
	// Application is the realm; its rules must pass the claim
	// insidecorporatenetwork.
	Application string
}

// ProveExtranet signs in at a node, marked as a client's request that is
// forwarded from the gateway's own address, for a token that says where the
// farm takes it to come from: Extranet has the result. An error is why no token
// tells; it wraps wstrust.ErrDown or wstrust.ErrSlow when no node answered.
func (f *Farm) ProveExtranet(ctx context.Context, s SignIn) error {
	err := f.signIn(ctx, s)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		f.extranet.failure.Store(nil)
		return nil
	}
	why := err.Error()
	f.extranet.failure.Store(&why)
	return err
}

func (f *Farm) signIn(ctx context.Context, s SignIn) error {
	own, err := f.ownAddress()
	if err != nil {
		return fmt.Errorf("%w: %w", wstrust.ErrDown, err)
	}
	password, err := s.Password()
	if err != nil {
		return fmt.Errorf("the password of the gateway's own sign-in: %w", err)
	}
	defer password.Wipe()
	r := &wstrust.Request{
		SOAP: soap.V12, Version: s.Version, MessageID: "urn:stsgate:" + rand.Text(), AppliesTo: s.Application,
		Username: s.Username, Password: password,
	}
	r.Body = wstrust.AppendRequest(nil, wstrust.Query{
		SOAP: r.SOAP, Version: r.Version, To: "https://" + f.c.Host + s.Path, MessageID: r.MessageID,
		Username: r.Username, Password: password, AppliesTo: r.AppliesTo, Now: time.Now(),
	})
	defer clear(r.Body)
	answer, err := f.Forward(ctx, r, wstrust.Origin{Path: s.Path, Client: own, UserAgent: "stsgate"})
	if err != nil {
		withhold(err, password)
		return fmt.Errorf("the gateway's own sign-in failed: %w", err)
	}
	defer clear(answer.Body)
	return tells(answer, r)
}

// tells says why an answer does not tell where its request came from, nil where
// it does.
func tells(a *wstrust.Answer, r *wstrust.Request) error {
	switch _, said := originOf(&a.Assertion); {
	case !fits(a, r):
		a.Distrust()
		return errors.New("the answer to the gateway's own sign-in is not to what was asked")
	case a.Encrypted:
		return fmt.Errorf("the token for %s is encrypted, so nobody here can read it", r.AppliesTo)
	case !said:
		return fmt.Errorf("the token for %s does not say insidecorporatenetwork: its relying party lacks the rule "+
			`c:[Type == "%s"] => issue(claim = c);`, r.AppliesTo, insideCorporateNetwork)
	}
	return nil
}

// withhold drops the text of a fault that repeats the password: it would go into
// log and health (AUD-05).
func withhold(err error, p account.Password) {
	if f, ok := errors.AsType[*wstrust.Fault](err); ok && strings.Contains(f.Text, string(p.Bytes())) {
		f.Text = "text withheld, it repeats the password"
	}
}

// ownAddress is the address from which this machine reaches the first node.
// Nothing is sent for it.
func (f *Farm) ownAddress() (netip.Addr, error) {
	c, err := net.Dial("udp", f.nodes[0].name)
	if err != nil {
		return netip.Addr{}, err
	}
	defer func() { _ = c.Close() }()
	local, err := netip.ParseAddrPort(c.LocalAddr().String())
	return local.Addr(), err
}

// proofGauges have one of each proof's states at 1, as they are when they are
// asked for.
func (f *Farm) proofGauges() []prometheus.Collector {
	var all []prometheus.Collector
	for proof, standing := range map[string]func() Standing{"extranet": f.Extranet, "direct": f.Direct} {
		for s := range numStates {
			all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "stsgate_farm_proof",
				Help: "1 for the state of what the gateway rests on and cannot see, 0 for the others: proven, unproven, violated. Proof extranet: " +
					"AD FS takes its requests for ones from outside; direct: no node answers an address that is not the gateway's.",
				ConstLabels: prometheus.Labels{"proof": proof, "state": s.String()},
			}, func() float64 {
				if standing().State == s {
					return 1
				}
				return 0
			}))
		}
	}
	return all
}
