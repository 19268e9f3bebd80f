// Package mfa settles the second factor that a request owes (design.md,
// section 6; security.md, section 8). WS-Trust cannot pause for one, so it comes
// in four shapes: a code behind the password, a grant made beforehand in the
// portal, a hold while the user approves there, or a challenge, whose fault
// tells a number to type there and whose retry redeems it.
//
// What waits is one record, the approval, under user, application, address and
// password proof. All gateways share it; it changes by compare-and-set alone
// and is spent once. A write of which nobody knows whether it was made counts
// as made when something is spent and as not made when something is given, so
// both are refused.
//
// Nothing here is asked before the password is proven and the answer checked.
package mfa

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
)

// Config configures a Service. Store, Families, Metrics and Log are needed.
type Config struct {
	// Store is what the gateways of a service remember together.
	Store state.Store
	// Secret is what keys and numbers are made with, the same on all gateways,
	// at least 32 bytes. None is a random one, for a Store that forgets with the
	// process.
	Secret []byte
	// Portal is the address of the portal, as clients read it in a fault.
	// Without one, only codes are taken.
	Portal string
	// Separator stands between a password and the code behind it.
	Separator string
	// Hold is how long a client waits for its answer, by family; DefaultHold is
	// for families that it does not name. One that is 0 does not wait.
	Hold        map[string]time.Duration
	DefaultHold time.Duration
	// Factors are the authenticators of users; nil where nobody has codes.
	Factors *factor.Verifier
	// Knock tells a user that something waits. It must not block. Nil tells nobody.
	Knock func(knock.Prompt)
	// Know remembers where a user is told. Nil remembers nobody.
	Know func(context.Context, knock.Recipient)
	// Notify tells a user what happened, durably. Nil tells nobody.
	Notify func(context.Context, knock.Notice) error
	// Forget makes an address unfamiliar to a user who says that somebody else was
	// there, on all gateways. Nil forgets nothing.
	Forget func(ctx context.Context, user string, address netip.Addr) error
	// Families are the names of clients' software, for metrics.
	Families []string
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

// A Service settles second factors. It is safe for concurrent use.
type Service struct {
	c       Config
	metrics *metrics
	grants  *state.Mirror
	locks   *state.Mirror
	rooms   *rooms
	turns   turns
	stopped chan struct{} // closed when Run ends: nobody waits any more
	stop    sync.Once
}

// New returns a service, which refuses everything until Run has read the store.
func New(c Config) (*Service, error) {
	switch {
	case c.Store == nil || c.Metrics == nil || c.Log == nil || len(c.Families) == 0:
		return nil, errors.New("mfa: Store, Families, Metrics and Log are needed")
	case len(c.Secret) == 0:
		c.Secret = make([]byte, 32)
		rand.Read(c.Secret)
	case len(c.Secret) < 32:
		return nil, errors.New("mfa: a secret of less than 32 bytes")
	}
	for family, d := range c.Hold {
		if d < 0 || d > MaxHold {
			return nil, fmt.Errorf("mfa: %s waits for %s, want 0 to %s", family, d, MaxHold)
		}
	}
	if c.DefaultHold < 0 || c.DefaultHold > MaxHold {
		return nil, fmt.Errorf("mfa: a hold of %s, want 0 to %s", c.DefaultHold, MaxHold)
	}
	s := &Service{
		c: c, stopped: make(chan struct{}), rooms: newRooms(), turns: make(turns, atStore),
		grants: state.NewMirror(c.Store, state.Grants, ofFactors), locks: state.NewMirror(c.Store, state.Locks, ofFactors),
	}
	var err error
	s.metrics, err = newMetrics(c.Metrics, s)
	return s, err
}

func (s *Service) mirrors() []*state.Mirror { return []*state.Mirror{s.grants, s.locks} }

// Run follows the store until ctx ends. Then whoever waits is refused, and may
// redeem an approval on another gateway.
func (s *Service) Run(ctx context.Context) {
	defer s.stop.Do(func() { close(s.stopped); s.rooms.wakeAll() })
	var all sync.WaitGroup
	for _, m := range s.mirrors() {
		all.Go(func() { m.Run(ctx) })
	}
	all.Go(func() { s.follow(ctx) })
	all.Wait()
}

// Wait returns when the store has been read, or when ctx ends.
func (s *Service) Wait(ctx context.Context) error {
	for _, m := range s.mirrors() {
		if err := m.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Ready reports why the service refuses everything, nil when it does not.
func (s *Service) Ready() error {
	for _, m := range s.mirrors() {
		if age, ok, err := m.Age(); !ok || age > state.MaxAge {
			return errors.Join(state.ErrStale, err)
		}
	}
	return nil
}
