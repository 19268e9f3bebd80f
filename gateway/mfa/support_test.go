package mfa_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
	"stsgate/policy"
)

const (
	alice  = "0f8fad5b-d9cb-469f-a165-70867728950e"
	bob    = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	portal = "https://approve.contoso.example"
)

var (
	home   = netip.MustParseAddr("203.0.113.7")
	away   = netip.MustParseAddr("198.51.100.9")
	secret = []byte("thirty-two bytes for these tests")

	payroll = &policy.Application{Name: "payroll"}
	mailbox = &policy.Application{Name: "mailbox"}
)

// Rules of one shape each, and of all.
var (
	hold      = rule(policy.Hold)
	challenge = rule(policy.Challenge)
	granted   = rule(policy.Grant)
	code      = rule(policy.Code)
	anything  = rule(policy.Hold | policy.Code | policy.Grant | policy.Challenge)
)

func rule(s policy.Shapes) *policy.MFA {
	return &policy.MFA{Shapes: s, Factors: policy.TOTP | policy.Passkey | policy.RADIUS}
}

func remembering(m *policy.MFA, d time.Duration) *policy.MFA {
	r := *m
	r.Remember = d
	return &r
}

// A site is gateways that share a store, and what users were told.
type site struct {
	t       testing.TB
	store   state.Store
	nodes   []*mfa.Service
	factors *factor.Verifier
	stops   []context.CancelFunc

	mu      sync.Mutex
	knocks  []knock.Prompt
	notices []knock.Notice
	number  int // of the last transaction
}

// newSite returns n gateways that have read the store; change, which may be
// nil, has the last word on their configuration.
func newSite(t testing.TB, n int, store state.Store, change func(*mfa.Config)) *site {
	t.Helper()
	if store == nil {
		store = state.NewMemory(nil)
	}
	s := &site{t: t, store: store}
	for range n {
		s.add(store, change)
	}
	return s
}

// add starts one more gateway, which has a store of its own to ask.
func (s *site) add(store state.Store, change func(*mfa.Config)) *mfa.Service {
	s.t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	s.factors, err = factor.New(factor.Config{Store: store, Secret: secret, Metrics: prometheus.NewRegistry(), Log: log})
	if err != nil {
		s.t.Fatal(err)
	}
	c := mfa.Config{
		Store: store, Secret: secret, Portal: portal, Separator: ",", DefaultHold: mfa.DefaultHold,
		Hold: map[string]time.Duration{"impatient": 0, "msal-net": 60 * time.Second}, Factors: s.factors,
		Knock: s.knock, Notify: s.notify, Families: []string{"unknown", "impatient", "msal-net"},
		Metrics: prometheus.NewRegistry(), Log: log,
	}
	if change != nil {
		change(&c)
	}
	m, err := mfa.New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	running.Go(func() { s.factors.Run(ctx) })
	s.t.Cleanup(func() { stop(); running.Wait() })
	for _, wait := range []func(context.Context) error{m.Wait, s.factors.Wait} {
		if err := wait(ctx); err != nil {
			s.t.Fatal(err)
		}
	}
	s.nodes, s.stops = append(s.nodes, m), append(s.stops, stop)
	return m
}

func (s *site) knock(p knock.Prompt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knocks = append(s.knocks, p)
}

func (s *site) notify(_ context.Context, n knock.Notice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices = append(s.notices, n)
	return nil
}

func (s *site) told() (knocks, notices int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.knocks), len(s.notices)
}

// bubble runs a test in simulated time.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// request is one of alice's for payroll, from home with the right password.
func (s *site) request(requires ...*policy.MFA) *mfa.Request {
	s.mu.Lock()
	s.number++
	transaction := fmt.Sprintf("transaction-%d", s.number)
	s.mu.Unlock()
	return &mfa.Request{
		User: factor.User{ID: alice, UPN: "alice@contoso.example", SAM: "alice"}, Mail: "alice@contoso.example",
		Transaction: transaction, Start: time.Now(), Application: payroll, Requires: requires, Address: home,
		Family: "unknown", Place: "AT", Password: account.NewPassword([]byte("hunter2")), Answer: []byte("the answer of " + transaction),
	}
}

// A result is what became of a request.
type result struct {
	proofs []mfa.Proof
	err    error
	after  time.Duration
}

// reason is refusal.Internal for a request that passed.
func (r result) reason() refusal.Reason {
	if r.err == nil {
		return passed
	}
	return refusal.Of(r.err)
}

func (r result) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	var all []string
	for _, p := range r.proofs {
		all = append(all, p.Assurance()+" "+p.Method())
	}
	return strings.Join(all, ", ")
}

const passed = refusal.Internal

// satisfy has a node satisfy a request, and waits where that waits.
func satisfy(ctx context.Context, node *mfa.Service, r *mfa.Request) ([]mfa.Proof, error) {
	answer := r.Answer
	proofs, h, err := node.Satisfy(ctx, r)
	if h == nil {
		return proofs, err
	}
	woken := make(chan struct{}, 1)
	wake := func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
	defer context.AfterFunc(ctx, wake)()
	h.Wake(wake)
	for over := false; !over; {
		<-woken
		if r.Answer != nil { // a test changed it
			answer = r.Answer
		}
		proofs, over, err = h.Settle(ctx, answer)
	}
	return proofs, err
}

// start has a node satisfy a request meanwhile.
func start(node *mfa.Service, r *mfa.Request) <-chan result {
	return startUntil(context.Background(), node, r)
}

func startUntil(ctx context.Context, node *mfa.Service, r *mfa.Request) <-chan result {
	done := make(chan result, 1)
	go func() {
		begin := time.Now()
		proofs, err := satisfy(ctx, node, r)
		done <- result{proofs, err, time.Since(begin)}
	}()
	return done
}

// now satisfies a request that is answered at once.
func now(node *mfa.Service, r *mfa.Request) result {
	proofs, err := satisfy(context.Background(), node, r)
	return result{proofs: proofs, err: err}
}

// only returns what waits for the user, which must be one.
func (s *site) only(node *mfa.Service, user string) mfa.Pending {
	s.t.Helper()
	all, err := node.Pending(context.Background(), user)
	if err != nil || len(all) != 1 {
		s.t.Fatalf("%d requests wait for an answer, want 1: %v", len(all), err)
	}
	return all[0]
}

// passkey is a proof that the user signed in to the portal now.
func passkey(user string) factor.Proof {
	return factor.Proof{User: user, Kind: factor.Passkey, Authenticator: "key", UV: true, At: time.Now()}
}

func approve(user string) mfa.Decision {
	return mfa.Decision{Verdict: mfa.Approve, Factor: passkey(user)}
}

// answer gives a user's answer to the only thing that waits.
func (s *site) answer(node *mfa.Service, user string, d mfa.Decision) {
	s.t.Helper()
	if err := node.Decide(context.Background(), user, s.only(node, user).ID, d); err != nil {
		s.t.Fatal(err)
	}
}

func want(t testing.TB, what string, got result, reason refusal.Reason) {
	t.Helper()
	if got.reason() != reason {
		t.Errorf("%s: %v (%v), want %v", what, got.reason(), got, reason)
	}
}

// An app has a user's secret.
type app struct{ secret string }

func (s *site) enrol(user string) app {
	s.t.Helper()
	ctx := context.Background()
	half, err := s.factors.BeginTOTP(ctx, factor.User{ID: user, UPN: user}, passkey(user))
	if err != nil {
		s.t.Fatal(err)
	}
	a := app{strings.ReplaceAll(half.Secret(), " ", "")}
	if _, err := s.factors.ConfirmTOTP(ctx, user, half.ID, a.code(s.t), "phone", factor.Source{Address: home}); err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (a app) code(t testing.TB) account.Password {
	t.Helper()
	c, err := totp.GenerateCodeCustom(a.secret, time.Now(), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix})
	if err != nil {
		t.Fatal(err)
	}
	return account.NewPassword([]byte(c))
}

// shows tells whether a code is the app's own by chance.
func (a app) shows(code account.Password) bool {
	ok, err := totp.ValidateCustom(string(code.Bytes()), a.secret, time.Now(), totp.ValidateOpts{Period: 30, Skew: 1, Digits: otp.DigitsSix})
	return ok || err != nil
}

// A mortal store answers nothing once its gateway has died.
type mortal struct {
	state.Store
	dead atomic.Bool
}

func (m *mortal) die() { m.dead.Store(true) }

func (m *mortal) CompareAndSwap(ctx context.Context, key state.Key, revision uint64, value []byte, ttl time.Duration) (uint64, error) {
	if m.dead.Load() {
		return 0, state.ErrUnavailable
	}
	return m.Store.CompareAndSwap(ctx, key, revision, value, ttl)
}

// A deaf store tells of no approval.
type deaf struct{ state.Store }

func (d *deaf) Watch(ctx context.Context, prefix state.Key) iter.Seq2[state.Event, error] {
	if prefix.Bucket() != state.Approvals {
		return d.Store.Watch(ctx, prefix)
	}
	return func(yield func(state.Event, error) bool) {
		<-ctx.Done()
		yield(state.Event{}, state.ErrUnavailable)
	}
}
