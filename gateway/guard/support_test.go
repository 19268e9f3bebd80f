package guard_test

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
)

// A site is gateways that share a store, and the directory behind them.
type site struct {
	t      testing.TB
	store  state.Store
	guards []*guard.Guard
	ad     *directory
}

// newSite returns n guards that have read the store. It must be called in a
// bubble; change, which may be nil, has the last word on their configuration.
func newSite(t testing.TB, n int, store state.Store, change func(*guard.Config)) *site {
	t.Helper()
	if store == nil {
		store = state.NewMemory(nil)
	}
	s := &site{t: t, store: store, ad: newDirectory()}
	for range n {
		s.add(change)
	}
	return s
}

var secret = []byte("thirty-two bytes for these tests")

// add starts one more gateway.
func (s *site) add(change func(*guard.Config)) *guard.Guard {
	s.t.Helper()
	c := guard.Config{Limits: guard.Defaults(), Store: s.store, Secret: secret, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&c)
	}
	g, err := guard.New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	s.t.Cleanup(func() { stop(); running.Wait() })
	if err := g.Wait(ctx); err != nil {
		s.t.Fatal(err)
	}
	s.guards = append(s.guards, g)
	return g
}

// bubble runs a test in simulated time.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// A directory counts wrong passwords as Active Directory does: all are
// forgotten at a right one, and when none came for 30 minutes.
type directory struct {
	takes time.Duration // how long an answer takes

	mu     sync.Mutex
	asked  int
	right  map[string]string
	counts map[string]*badPasswords
}

type badPasswords struct {
	count, most int
	last        time.Time
}

func newDirectory() *directory {
	return &directory{right: map[string]string{}, counts: map[string]*badPasswords{}}
}

func (d *directory) verify(user, password string) bool {
	if d.takes > 0 {
		time.Sleep(d.takes)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	b := d.counts[user]
	if b == nil {
		b = new(badPasswords)
		d.counts[user] = b
	}
	if time.Since(b.last) > 30*time.Minute {
		b.count = 0
	}
	if right, ok := d.right[user]; ok && right == password {
		b.count = 0
		return true
	}
	b.count++
	b.most, b.last = max(b.most, b.count), time.Now()
	return false
}

// most is the directory's highest count for a user.
func (d *directory) most(user string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.counts[user]; b != nil {
		return b.most
	}
	return 0
}

// signIn has a password proven through a guard. It returns the reason of the
// refusal, or Internal for a token.
func (s *site) signIn(g *guard.Guard, user, password string, addresses ...string) refusal.Reason {
	a := guard.Attempt{User: user, Password: account.NewPassword([]byte(password))}
	for _, address := range addresses {
		a.Addresses = append(a.Addresses, netip.MustParseAddr(address))
	}
	return s.attempt(g, a)
}

const ok = refusal.Internal

func (s *site) attempt(g *guard.Guard, a guard.Attempt) refusal.Reason {
	ctx := context.Background()
	try, err := g.Take(ctx, a)
	if err != nil {
		return refusal.Of(err)
	}
	if !s.ad.verify(a.User, string(a.Password.Bytes())) {
		if err := try.Settle(ctx, guard.Wrong); err != nil {
			return refusal.Of(err)
		}
		return refusal.WrongPassword
	}
	if err := try.Settle(ctx, guard.Proven); err != nil {
		s.t.Error(err)
	}
	try.Completed()
	return ok
}

func addresses(all ...string) []netip.Addr {
	var parsed []netip.Addr
	for _, a := range all {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return parsed
}
