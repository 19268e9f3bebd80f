package factor_test

import (
	"context"
	"encoding/base32"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
)

const (
	alice = "0f8fad5b-d9cb-469f-a165-70867728950e"
	bob   = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
)

var (
	home   = factor.Source{Address: netip.MustParseAddr("203.0.113.7")}
	office = factor.Source{By: "uid 1000"}
	secret = []byte("thirty-two bytes for these tests")
)

// A site is gateways that share a store, and what their users were told.
type site struct {
	t       testing.TB
	store   state.Store
	nodes   []*factor.Verifier
	metrics *prometheus.Registry // of the last node

	// idle gateways follow no store: what is right behind a password they do not
	// know, and their months cost nothing.
	idle bool

	mu     sync.Mutex
	told   []factor.Event
	refuse error // what the queue says, if it is not there
}

// newSite returns n gateways that have read the store; change, which may be
// nil, has the last word on their configuration.
func newSite(t testing.TB, n int, store state.Store, change func(*factor.Config)) *site {
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

// newIdleSite returns n gateways that are idle.
func newIdleSite(t testing.TB, n int) *site {
	s := &site{t: t, store: state.NewMemory(nil), idle: true}
	for range n {
		s.add(s.store, nil)
	}
	return s
}

// add starts one more gateway, which has a store of its own to ask.
func (s *site) add(store state.Store, change func(*factor.Config)) *factor.Verifier {
	s.t.Helper()
	s.metrics = prometheus.NewRegistry()
	c := config(func(c *factor.Config) { c.Store, c.Notify, c.Metrics = store, s.queue, s.metrics })
	if change != nil {
		change(&c)
	}
	v, err := factor.New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.nodes = append(s.nodes, v)
	if s.idle {
		return v
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { v.Run(ctx) })
	s.t.Cleanup(func() { stop(); running.Wait() })
	if err := v.Wait(ctx); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// config is what a verifier needs, changed.
func config(change func(*factor.Config)) factor.Config {
	c := factor.Config{
		Store: state.NewMemory(nil), Secret: secret, Issuer: "Contoso",
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	change(&c)
	return c
}

func (s *site) queue(_ context.Context, e factor.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return s.refuse
	}
	s.told = append(s.told, e)
	return nil
}

// events are what users were told, in order.
func (s *site) events() []factor.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]factor.Event(nil), s.told...)
}

// metric is the value of the last node's series that has these values of labels.
func (s *site) metric(name string, labels ...string) float64 {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			var values []string
			for _, l := range m.Label {
				values = append(values, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(values, labels) {
				return m.Counter.GetValue() + m.Gauge.GetValue()
			}
		}
	}
	s.t.Fatalf("no %s of %q", name, labels)
	return 0
}

// whats are what happened, as one line.
func (s *site) whats() string {
	var all []string
	for _, e := range s.events() {
		all = append(all, string(e.What))
	}
	return strings.Join(all, " ")
}

// bubble runs a test in simulated time.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func user(id string) factor.User {
	return factor.User{ID: id, UPN: "alice@contoso.example", SAM: "alice"}
}

// binding is a proof that lets the user enrol.
func binding(id string) factor.Proof {
	return factor.Proof{User: id, Kind: factor.Binding, At: time.Now()}
}

func typed(code string) account.Password { return account.NewPassword([]byte(code)) }

// An app is what a user has in the pocket.
type app struct {
	secret string
	id     string
}

// at is the app's code at a time.
func (a app) at(t time.Time) string {
	code, err := hotp.GenerateCodeCustom(a.secret, uint64(t.Unix()/30), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		panic(err)
	}
	return code
}

func (a app) now() string { return a.at(time.Now()) }

// wrong is a code that is not the app's around now.
func (a app) wrong(n int) string {
	return a.at(time.Now().Add(time.Duration(1000+n) * time.Hour))
}

// enrol gives the user an app. A step later its next code can be used.
func enrol(t testing.TB, v *factor.Verifier, id string) app {
	t.Helper()
	half := must(v.BeginTOTP(t.Context(), user(id), binding(id)))(t)
	a := app{secret: strings.ReplaceAll(half.Secret(), " ", "")}
	if b, err := base32.StdEncoding.DecodeString(a.secret); err != nil || len(b) != 20 {
		t.Fatalf("a secret of %d bytes, want 20: %v", len(b), err)
	}
	a.id = must(v.ConfirmTOTP(t.Context(), id, half.ID, typed(a.now()), "phone", home))(t).ID
	return a
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
