package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/config"
	"stsgate/gateway/guard"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
	"stsgate/gateway/state/jetstream"
	"stsgate/upstream/directory"
)

// A keeper is the store, and what follows it: the guard, the authenticators of
// users, what waits for them, and how they hear of it.
type keeper struct {
	guard   *guard.Guard
	spare   *guard.Guard // counts in memory while the store is down
	factors *factor.Verifier
	mfa     *mfa.Service
	knock   *knock.Service
	country func(netip.Addr) string // of an address
	store   *jetstream.Store        // nil where state is kept in this process
	sealed  *state.Sealed           // that, or nil
	records state.Store             // whichever it is
	tender  *tender
	stop    context.CancelFunc
	running sync.WaitGroup
}

// readTime is how long a start waits for what is stored to be read.
const readTime = 30 * time.Second

// openKeeper opens the store and has the guard read it.
func openKeeper(c *config.Config, p *parts, clock func() error, registry prometheus.Registerer, log *slog.Logger) (_ *keeper, err error) {
	m := &keeper{stop: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if m.tender, err = newTender(registry, log); err != nil {
		return nil, err
	}
	store, err := m.open(c.State, p, registry, log)
	if err != nil {
		return nil, err
	}
	m.records = store
	secret, err := p.secret("guard")
	if err != nil {
		return nil, err
	}
	m.guard, err = guard.New(guard.Config{
		Limits: limits(&c.Guard), ReportOnly: c.Guard.Mode == config.ReportOnly,
		Store: store, Secret: secret, Exempt: p.many, Metrics: registry, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if err := m.openSpare(c, p, secret, log); err != nil {
		return nil, err
	}
	if err := m.openMFA(c, p, store, clock, registry, log); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.running.Go(func() { m.guard.Run(ctx) })
	m.running.Go(func() { m.spare.Run(ctx) })
	m.running.Go(func() { m.factors.Run(ctx) })
	m.running.Go(func() { m.mfa.Run(ctx) })
	m.running.Go(func() { m.knock.Run(ctx) })
	if m.store != nil {
		m.running.Go(func() { m.tender.run(ctx, m.store, m.sealed.Check) })
	}
	read, done := context.WithTimeout(ctx, readTime)
	defer done()
	if err := errors.Join(m.guard.Wait(read), m.spare.Wait(read), m.factors.Wait(read), m.mfa.Wait(read)); err != nil {
		return nil, fmt.Errorf("read what is stored: %w", err)
	}
	return m, nil
}

// openSpare makes the guard of applications that go on while the store is down. It
// knows nothing of what the other one knows; its metrics would be the same again.
func (m *keeper) openSpare(c *config.Config, p *parts, secret []byte, log *slog.Logger) (err error) {
	m.spare, err = guard.New(guard.Config{
		Limits: limits(&c.Guard), ReportOnly: c.Guard.Mode == config.ReportOnly,
		Store: state.NewMemory(nil), Secret: secret, Exempt: p.many, Metrics: prometheus.NewRegistry(), Log: log,
	})
	return err
}

// follow runs what follows the store, until close.
func (m *keeper) follow(run func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	before := m.stop
	m.stop = func() { stop(); before() }
	m.running.Go(func() { run(ctx) })
}

// secret is what one use of the store keys its hashes by, nil where state is
// kept in this process.
func (p *parts) secret(use string) ([]byte, error) {
	if p.stateKeys == nil {
		return nil, nil
	}
	return p.stateKeys.Derive(use)
}

// open returns the store.
func (m *keeper) open(c *config.State, p *parts, registry prometheus.Registerer, log *slog.Logger) (state.Store, error) {
	inMemory := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "stsgate_state_in_memory",
		Help: "Whether failures, locks and bans are kept in memory, and forgotten when the program ends: 1 or 0.",
	})
	operations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_state_operations_total",
		Help: "Calls of the store, by operation (create, swap, delete, get, list) and outcome.",
	}, []string{"operation", "outcome"})
	if err := errors.Join(registry.Register(inMemory), registry.Register(operations)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	for _, op := range []string{"create", "swap", "delete", "get", "list"} {
		for _, outcome := range state.Outcomes() {
			operations.WithLabelValues(op, outcome)
		}
	}
	if c == nil {
		inMemory.Set(1)
		log.Warn("state is not configured: failures, locks and bans are forgotten when this program ends, and not shared with other gateways")
		return state.NewMemory(nil), nil
	}
	count := func(op, outcome string, _ time.Duration) { operations.WithLabelValues(op, outcome).Inc() }
	var err error
	m.store, err = jetstream.Open(context.Background(), jetstream.Config{
		Dir: c.Dir, Cluster: cluster(c.NATS, p), Keys: p.stateKeys, Log: log,
		Metrics: jetstream.Metrics{Op: count, Retry: func(error) { m.tender.retries.Inc() }, Skew: m.tender.noteSkew},
	})
	if err != nil {
		return nil, err
	}
	m.sealed = state.Seal(m.store, p.stateKeys)
	return m.sealed, nil
}

func cluster(c *config.NATS, p *parts) *jetstream.Cluster {
	if c == nil {
		return nil
	}
	return &jetstream.Cluster{
		URLs: c.URLs, Credentials: c.Credentials, Replicas: c.Replicas,
		TLS: &tls.Config{RootCAs: p.natsCA, MinVersion: tls.VersionTLS12},
	}
}

func limits(g *config.Guard) guard.Limits {
	return guard.Limits{
		Failures: g.Failures, Window: g.Window, LongestLock: g.LongestLock, Probe: g.Probe,
		UserTries: g.UserTries, SourceTries: g.SourceTries,
		SprayUsers: g.SprayUsers, SprayWindow: g.SprayWindow, Block: g.Block, LongestBlock: g.LongestBlock, SurgeUsers: g.SurgeUsers,
	}
}

// warnOfLockouts says where Active Directory would lock accounts that the guard
// is there to keep open (security.md, LOCK-01). AD FS tells nobody its own
// threshold.
func warnOfLockouts(ctx context.Context, l *directory.LDAP, g *config.Guard, log *slog.Logger) {
	if l == nil {
		return
	}
	thresholds, err := l.Thresholds(ctx)
	if err != nil {
		log.Warn("whether guard.failures is below what Active Directory locks at is not known", "err", err)
	}
	for _, t := range thresholds {
		if err := limits(g).CheckChain(t.Threshold, t.Window); err != nil {
			log.Warn("accounts can be locked by guesses", "policy", t.Policy, "err", err)
		}
	}
}

// close ends the guard, then the store.
func (m *keeper) close() error {
	m.stop()
	m.running.Wait()
	if m.store == nil {
		return nil
	}
	return m.store.Close()
}
