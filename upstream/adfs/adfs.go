// Package adfs is the AD FS farm behind the gateway: which node is asked, the
// pooled connections to it, and the HTTP that is spoken on them.
//
// It sends the bytes that it is given under headers made of typed values, and
// reads the answer strictly. It must never send one request twice, since each
// carries a password; never pass on a header that a client sent but the user
// agent; and never use a connection again on which anything was unexpected.
package adfs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says where the farm is and how it is spoken to. Zero values mean the
// defaults.
type Config struct {
	// Host is the federation service name. It is the Host header and the TLS
	// server name towards every node, whatever the node's address.
	Host string
	// Nodes are the farm's servers, https://ADDRESS or https://ADDRESS:PORT,
	// from one to 64.
	Nodes []string
	// CA has the authorities that may vouch for the nodes; nil means those of
	// the system (TLS-05).
	CA *x509.CertPool
	// Signers are the certificates of the keys that the farm signs tokens with,
	// one to eight. Without any, those of the farm's metadata count.
	Signers []*x509.Certificate
	// Name is this gateway's name, which AD FS reads in X-MS-Proxy.
	Name string
	// Probe is how the health of a node is checked.
	Probe Probe
	// ProbePort is where AD FS answers /adfs/probe, its HttpPort; 80 by default.
	ProbePort uint16

	// DialTimeout bounds connect and handshake together; 3 s by default.
	DialTimeout time.Duration
	// AnswerTimeout bounds the time from the start of a request to the last
	// byte of its answer; 20 s by default (FAIL-02).
	AnswerTimeout time.Duration
	// IdleTimeout is the longest that a connection stays unused; 45 s by
	// default, less than any common idle timeout of http.sys.
	IdleTimeout time.Duration
	// MaxIdle is the most unused connections that are kept to one node; 128 by
	// default.
	MaxIdle int
	// CheckInterval is the time between two checks of a node; 1 s by default.
	CheckInterval time.Duration
	// CheckTimeout bounds one check; 1 s by default.
	CheckTimeout time.Duration
	// RenewInterval is the time after which the farm's metadata is read again;
	// 1 h by default. AD FS names its next signing key there five days before it
	// signs with it.
	RenewInterval time.Duration
	// RenewPause is the least time between two readings, however many answers
	// are signed by a key that is not known; 10 s by default.
	RenewPause time.Duration

	// Metrics is where the farm's metrics are registered; nil means nowhere.
	Metrics prometheus.Registerer
	// Log gets one line each time a node goes down or comes up, and when the
	// metadata names other keys or begins to be unreadable; nil means none.
	Log *slog.Logger
}

// A Probe is a way to check a node's health. Every check makes a TLS
// handshake for Host, so that a node with an unusable certificate is down.
type Probe uint8

// The probes.
const (
	// ProbeAuto is ProbeHTTP for a node at port 443 and ProbeTLS for others.
	ProbeAuto Probe = iota
	// ProbeHTTP also asks http://NODE/adfs/probe, which answers 200 while AD FS
	// runs (protocol.md, section 6.6).
	ProbeHTTP
	// ProbeTLS makes the handshake only. It does not see that AD FS is stopped
	// while http.sys still answers.
	ProbeTLS
)

// A Farm forwards requests to the nodes. It is safe for concurrent use.
type Farm struct {
	c       Config
	nodes   []*node
	metrics *metrics
	signers signers
	// What is known of where the farm takes requests to come from, and of who
	// else reaches it.
	extranet extranet
	direct   direct

	scratch sync.Pool     // of *scratch
	next    atomic.Uint32 // where the search for the least busy node starts
	closed  atomic.Bool
	stop    context.CancelFunc
	checks  sync.WaitGroup
}

// New checks the configuration and starts to check the nodes. Until its first
// two checks have failed, a node counts as healthy.
func New(c Config) (*Farm, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	f := &Farm{c: c, signers: signers{asked: make(chan struct{}), renew: make(chan struct{}, 1)}}
	if len(c.Signers) > 0 {
		given, err := newPinned(c.Signers, entityOf(c.Host))
		if err != nil {
			return nil, err
		}
		f.signers.now.Store(given)
	}
	for _, raw := range c.Nodes {
		n, err := newNode(&f.c, raw)
		if err != nil {
			return nil, err
		}
		for _, other := range f.nodes {
			if other.name == n.name {
				return nil, fmt.Errorf("node %s is named twice", n.name)
			}
		}
		f.nodes = append(f.nodes, n)
	}
	var err error
	if f.metrics, err = newMetrics(c.Metrics, f.nodes, f.signers.count, f.proofGauges()); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	for _, n := range f.nodes {
		f.checks.Go(func() { n.watch(ctx) })
	}
	if len(c.Signers) == 0 {
		f.checks.Go(func() { f.follow(ctx) })
	}
	return f, nil
}

// complete checks what New is given and fills in the defaults.
func (c *Config) complete() error {
	switch {
	case !hostname(c.Host):
		return fmt.Errorf("host %q is not a host name", c.Host)
	case !hostname(c.Name):
		return fmt.Errorf("name %q is not a host name", c.Name)
	case len(c.Nodes) == 0:
		return errors.New("no nodes")
	case len(c.Nodes) > maxNodes:
		return fmt.Errorf("%d nodes are more than %d", len(c.Nodes), maxNodes)
	case c.Probe > ProbeTLS:
		return fmt.Errorf("probe %d is unknown", c.Probe)
	case c.MaxIdle < 0:
		return fmt.Errorf("negative limit of idle connections %d", c.MaxIdle)
	}
	if c.ProbePort == 0 {
		c.ProbePort = 80
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = 128
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{
		{&c.DialTimeout, 3 * time.Second},
		{&c.AnswerTimeout, 20 * time.Second},
		{&c.IdleTimeout, 45 * time.Second},
		{&c.CheckInterval, time.Second},
		{&c.CheckTimeout, time.Second},
		{&c.RenewInterval, time.Hour},
		{&c.RenewPause, 10 * time.Second},
	} {
		if *d.value < 0 {
			return fmt.Errorf("negative time %v", *d.value)
		}
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// hostname reports whether s can stand in a Host header: letters, digits,
// dots and hyphens, at most 253 of them.
func hostname(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 253
}

// A NodeStatus is what is known of a node's health.
type NodeStatus struct {
	// Node is host:port as configured.
	Node string
	// Up tells that requests are sent to it.
	Up bool
	// Err is the latest check's or connect's error, nil after a good one.
	Err error
}

// Nodes returns the state of every node, in the configuration's order.
func (f *Farm) Nodes() []NodeStatus {
	all := make([]NodeStatus, len(f.nodes))
	for i, n := range f.nodes {
		all[i] = n.status()
	}
	return all
}

// Healthy reports whether at least one node is up.
func (f *Farm) Healthy() bool {
	for _, n := range f.nodes {
		if n.up.Load() {
			return true
		}
	}
	return false
}

// Close stops the checks and closes the unused connections. Exchanges that
// are under way go on, and close theirs when they end; no new one is taken.
func (f *Farm) Close() {
	f.closed.Store(true)
	f.stop()
	f.checks.Wait()
	for _, n := range f.nodes {
		n.close()
	}
}
