// Package guard defends passwords that are being guessed: it locks users whose
// passwords fail, refuses passwords that are known to be wrong, and blocks
// sources from which most users fail (security.md, section 9).
//
// A [Try] is taken before a password leaves the gateway and settled with what
// became of it. What must hold on all gateways, failures, locks and blocks, is
// in the Store: it is written when a password fails, before the client hears of
// it, and read from a watched copy, which must be fresh. A sign-in that succeeds
// writes nothing. What only helps is in memory, and bounded: who was seen from
// where, the password that was right last, and where a user is at home.
//
// No failures are forgiven for a success: whoever guesses between a user's own
// sign-ins would have guesses without end.
package guard

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/state"
)

// Config configures a Guard. Store, Metrics and Log are needed.
type Config struct {
	Limits Limits
	// ReportOnly lets pass what would be refused, and says so.
	ReportOnly bool
	// Store is what the gateways of a service remember together.
	Store state.Store
	// Secret is what the hashes of wrong passwords and of unknown names are
	// keyed by, the same on all gateways, at least 32 bytes. None is a random
	// one, for a Store that forgets with the process.
	Secret []byte
	// Exempt are the addresses behind which are many: proxies and Exchange
	// Online. They are never a source.
	Exempt  []netip.Prefix
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// A Guard decides which passwords may leave the gateway. It is safe for
// concurrent use.
type Guard struct {
	limits     Limits
	reportOnly bool
	store      state.Store
	macs       *macs // under the secret
	exempt     bart.Lite
	metrics    *metrics
	log        *slog.Logger
	began      time.Time
	seed       maphash.Seed
	today      atomic.Pointer[dayKey] // the one used last

	counters, locks, bans, grants *state.Mirror

	mu      sync.Mutex
	people  *lru[string, person]
	lines   map[lineKey]*line
	owed    map[string][]owed // by user
	paying  map[string]bool
	sources sources
	tries   *lru[netip.Prefix, meter] // by source
	surge   surge
}

// mostPeople bounds the users of whom something is kept in memory.
const mostPeople = 1 << 16

// New returns a guard, which refuses everything until Run has read the store.
func New(c Config) (*Guard, error) {
	if c.Store == nil || c.Metrics == nil || c.Log == nil {
		return nil, errors.New("guard: Store, Metrics and Log are needed")
	}
	if err := c.Limits.Check(); err != nil {
		return nil, err
	}
	if len(c.Secret) == 0 {
		c.Secret = make([]byte, 32)
		rand.Read(c.Secret)
	}
	if len(c.Secret) < 32 {
		return nil, errors.New("guard: a secret of less than 32 bytes")
	}
	g := &Guard{
		limits: c.Limits, reportOnly: c.ReportOnly, store: c.Store, macs: newMACs(c.Secret), log: c.Log,
		began: time.Now(), seed: maphash.MakeSeed(),
		counters: state.NewMirror(c.Store, state.Counters, ofUser, ofSource), locks: state.NewMirror(c.Store, state.Locks, ofSource),
		bans: state.NewMirror(c.Store, state.Bans), grants: state.NewMirror(c.Store, state.Grants, ofHome),
		people: newLRU[string, person](mostPeople), lines: map[lineKey]*line{}, owed: map[string][]owed{}, paying: map[string]bool{}, sources: newSources(),
		tries: newLRU[netip.Prefix, meter](mostSources),
	}
	for _, p := range c.Exempt {
		g.exempt.Insert(p)
	}
	var err error
	g.metrics, err = newMetrics(c.Metrics, g)
	return g, err
}

func (g *Guard) mirrors() []*state.Mirror {
	return []*state.Mirror{g.counters, g.locks, g.bans, g.grants}
}

// Run follows the store until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, m := range g.mirrors() {
		all.Go(func() { m.Run(ctx) })
	}
	all.Go(func() { g.payAll(ctx) })
	all.Wait()
}

// Wait returns when the store has been read, or when ctx ends.
func (g *Guard) Wait(ctx context.Context) error {
	for _, m := range g.mirrors() {
		if err := m.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Ready reports why the guard refuses everything, nil when it does not.
func (g *Guard) Ready() error {
	for _, m := range g.mirrors() {
		switch age, ok, err := m.Age(); {
		case !ok:
			return errors.Join(state.ErrStale, err)
		case age > state.MaxAge:
			return errors.Join(state.ErrStale, err)
		}
	}
	return nil
}

// UserKey is what a user is counted by: the directory's GUID or, for a name
// that it does not have, a keyed hash of that. Without a directory, two names
// of one account are two users.
func (g *Guard) UserKey(id string, name account.Name) string {
	if id != "" {
		return id
	}
	return "name-" + g.hash("guard: name", name.Key())
}
