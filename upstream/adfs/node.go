package adfs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxNodes is the most nodes that a farm can have: one bit each in a set.
const maxNodes = 64

// A node is one AD FS server: its health and its unused connections.
type node struct {
	c    *Config
	name string // host:port
	tls  *tls.Config
	// probe is the address of /adfs/probe, empty where it is not asked.
	probe string
	count counts

	up atomic.Bool
	// good is when the last answer came, in nanoseconds since 1970.
	good atomic.Int64
	busy atomic.Int64 // exchanges under way

	mu      sync.Mutex
	strikes int // failed checks since the last good one
	err     error
	idle    []*conn // the most recently used last
	closed  bool
}

func newNode(c *Config, raw string) (*node, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("node %q is not a URL", raw)
	}
	if raw != "https://"+u.Host || u.Hostname() == "" || strings.HasSuffix(raw, ":") {
		return nil, fmt.Errorf("node %q is not https://ADDRESS or https://ADDRESS:PORT", raw)
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 {
		return nil, fmt.Errorf("node %q has no valid port", raw)
	}
	n := &node{
		c:    c,
		name: net.JoinHostPort(u.Hostname(), port),
		tls: &tls.Config{
			ServerName: c.Host,
			RootCAs:    c.CA,
			MinVersion: tls.VersionTLS12,
			NextProtos: []string{"http/1.1"},
			// One cache a node: tickets of one are worth nothing to another.
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
			// A request is one record; small records are for browsers that
			// render while they read.
			DynamicRecordSizingDisabled: true,
		},
	}
	if c.Probe == ProbeHTTP || c.Probe == ProbeAuto && port == "443" {
		n.probe = net.JoinHostPort(u.Hostname(), strconv.Itoa(int(c.ProbePort)))
	}
	n.up.Store(true)
	return n, nil
}

// passed notes a good check.
func (n *node) passed() {
	n.mu.Lock()
	n.strikes, n.err = 0, nil
	n.mu.Unlock()
	if !n.up.Swap(true) {
		n.c.Log.Info("farm node is up", slog.String("node", n.name))
	}
}

// failed notes a check that failed, and began at that time. The second in a
// row takes the node down. One that found no time tells less than an answer
// that came meanwhile: a crowded node is not one that is down.
func (n *node) failed(err error, began time.Time) {
	if errors.Is(err, context.DeadlineExceeded) && n.good.Load() > began.UnixNano() {
		return
	}
	n.mu.Lock()
	n.strikes++
	n.err = err
	down := n.strikes >= 2
	n.mu.Unlock()
	if down {
		n.markDown(err)
	}
}

// unreachable notes that a request found no connection to the node, which
// takes it down until a check is good.
func (n *node) unreachable(err error) {
	n.mu.Lock()
	n.err = err
	n.mu.Unlock()
	n.markDown(err)
}

// markDown closes the unused connections too: nobody may have told this side
// that they are dead.
func (n *node) markDown(err error) {
	if n.up.Swap(false) {
		n.c.Log.Warn("farm node is down", slog.String("node", n.name), slog.Any("err", err))
	}
	n.discard()
}

func (n *node) status() NodeStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	return NodeStatus{Node: n.name, Up: n.up.Load(), Err: n.err}
}

// take returns the most recently used unused connection, nil when there is
// none that is young enough.
func (n *node) take(now time.Time) *conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	last := len(n.idle) - 1
	if last < 0 || now.Sub(n.idle[last].since) > n.c.IdleTimeout {
		return nil
	}
	c := n.idle[last]
	n.idle[last] = nil
	n.idle = n.idle[:last]
	return c
}

// give keeps a connection for the next exchange.
func (n *node) give(c *conn, now time.Time) {
	c.since = now
	n.mu.Lock()
	keep := !n.closed && len(n.idle) < n.c.MaxIdle
	if keep {
		n.idle = append(n.idle, c)
	}
	n.mu.Unlock()
	if !keep {
		c.close()
	}
}

// reap closes the connections that were unused for too long: those at the
// front, since the ones used last stand at the end.
func (n *node) reap(now time.Time) {
	n.mu.Lock()
	old := 0
	for old < len(n.idle) && now.Sub(n.idle[old].since) > n.c.IdleTimeout {
		old++
	}
	stale := slices.Clone(n.idle[:old])
	n.idle = slices.Delete(n.idle, 0, old)
	n.mu.Unlock()
	for _, c := range stale {
		c.close()
	}
}

// unused counts the connections that wait for an exchange.
func (n *node) unused() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.idle)
}

func (n *node) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.discard()
}

// discard closes the unused connections.
func (n *node) discard() {
	n.mu.Lock()
	idle := n.idle
	n.idle = nil
	n.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
