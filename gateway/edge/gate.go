package edge

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"github.com/prometheus/client_golang/prometheus"
)

// GateConfig configures a Gate. All numbers are at least 1.
type GateConfig struct {
	// Total bounds what all clients have together, and PerSource what one
	// source has: an IPv4 address, or an IPv6 network of 64 bits.
	Total, PerSource Share
	// Exempt are addresses for which only Total counts: behind each are many
	// clients, who are not to blame for one another.
	Exempt []netip.Prefix
	// Metrics takes the gate's.
	Metrics prometheus.Registerer
}

// A Share is how much somebody may have.
type Share struct {
	// Connections are those open at a time.
	Connections int
	// Handshakes are TLS handshakes begun in a second. After a pause twice as
	// many may come at once.
	Handshakes int
	// Requests are those that were received as a whole and are not yet
	// answered. One whose body is still under way holds no place: it costs its
	// sender nothing.
	Requests int
}

// A Gate decides what is let in, before a handshake or a request costs more
// than the refusal (security.md, DOS-06, DOS-07). All servers of a process
// share one. It remembers a source while that has a connection or has had a
// handshake in the last two seconds, so that the totals bound its memory.
type Gate struct {
	total, perSource Share
	exempt           bart.Lite
	refused          [limits]prometheus.Counter
	framing          map[int]prometheus.Counter
	requests         atomic.Int64

	mu          sync.Mutex
	connections int
	handshakes  meter
	sources     map[netip.Addr]*source
	swept       time.Time
}

// A source is what the gate knows of one, or of all that are exempt.
type source struct {
	connections int
	handshakes  meter
	requests    atomic.Int64
	exempt      bool
}

// A limit is one of those that a Gate holds.
type limit uint8

const (
	unlimited limit = iota
	connectionsLimit
	sourceConnectionsLimit
	handshakesLimit
	sourceHandshakesLimit
	requestsLimit
	sourceRequestsLimit

	limits
)

// String returns the limit's key in the configuration.
func (l limit) String() string {
	return [limits]string{"", "connections", "connections_per_source", "handshakes", "handshakes_per_source", "requests", "requests_per_source"}[l]
}

// NewGate returns a Gate that nobody has passed yet.
func NewGate(c GateConfig) (*Gate, error) {
	for _, s := range []Share{c.Total, c.PerSource} {
		if min(s.Connections, s.Handshakes, s.Requests) < 1 {
			return nil, errors.New("edge: a limit of the gate is less than 1")
		}
	}
	g := &Gate{total: c.Total, perSource: c.PerSource, sources: make(map[netip.Addr]*source)}
	for _, p := range c.Exempt {
		g.exempt.Insert(p)
	}
	return g, g.register(c.Metrics)
}

func (g *Gate) register(reg prometheus.Registerer) (err error) {
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "stsgate_connections",
		Help: "Connections of clients that are open.",
	}, func() float64 {
		g.mu.Lock()
		defer g.mu.Unlock()
		return float64(g.connections)
	})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stsgate_limited_total",
		Help: "Connections that were closed before their TLS handshake, and requests that were answered 503 before their body was read, by the key under limits that they were over.",
	}, []string{"limit"})
	for l := unlimited + 1; l < limits; l++ {
		g.refused[l] = refused.WithLabelValues(l.String())
	}
	if g.framing, err = countFraming(reg); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	for _, c := range []prometheus.Collector{open, refused} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// connect counts a connection, unless there are too many. Each that it counts
// is given to disconnect once.
func (g *Gate) connect() (over limit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.connections >= g.total.Connections {
		return g.refuse(connectionsLimit)
	}
	g.connections++
	return unlimited
}

// disconnect forgets a connection. Its source is nil if it was not admitted.
func (g *Gate) disconnect(s *source) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.connections--
	if s != nil {
		s.connections--
	}
}

// admit lets the connection of an address begin its handshake, or says what is
// against it. A source that is over its own limits takes nothing of the total.
func (g *Gate) admit(addr netip.Addr, now time.Time) (*source, limit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweep(now)
	key, s := g.find(addr)
	switch {
	case !s.exempt && s.connections >= g.perSource.Connections:
		return nil, g.refuse(sourceConnectionsLimit)
	case !s.exempt && !s.handshakes.room(now, g.perSource.Handshakes):
		return nil, g.refuse(sourceHandshakesLimit)
	case !g.handshakes.room(now, g.total.Handshakes):
		return nil, g.refuse(handshakesLimit)
	}
	g.handshakes.count(now, g.total.Handshakes)
	s.handshakes.count(now, g.perSource.Handshakes)
	s.connections++
	g.sources[key] = s
	return s, unlimited
}

// find returns a source and its key. One that is new is not kept yet.
func (g *Gate) find(addr netip.Addr) (netip.Addr, *source) {
	addr = addr.Unmap().WithZone("")
	exempt := g.exempt.Contains(addr)
	switch {
	case exempt:
		addr = netip.Addr{} // one for all of them
	case addr.Is6():
		network, _ := addr.Prefix(64)
		addr = network.Addr()
	}
	if s, known := g.sources[addr]; known {
		return addr, s
	}
	return addr, &source{exempt: exempt}
}

// sweep forgets the sources that are as good as new.
func (g *Gate) sweep(now time.Time) {
	if now.Sub(g.swept) < pause {
		return
	}
	g.swept = now
	for key, s := range g.sources {
		if s.connections == 0 && !s.handshakes.due.After(now) {
			delete(g.sources, key)
		}
	}
}

// full says what is against another request of a source, which is nil for
// none. What was begun before stays: requests whose bodies were under way come
// on top of the limit.
func (g *Gate) full(s *source) limit {
	switch {
	case g.requests.Load() >= int64(g.total.Requests):
		return g.refuse(requestsLimit)
	case s != nil && !s.exempt && s.requests.Load() >= int64(g.perSource.Requests):
		return g.refuse(sourceRequestsLimit)
	}
	return unlimited
}

// begin counts a request that was received as a whole, until end.
func (g *Gate) begin(s *source) { g.add(s, 1) }

func (g *Gate) end(s *source) { g.add(s, -1) }

func (g *Gate) add(s *source, n int64) {
	g.requests.Add(n)
	if s != nil {
		s.requests.Add(n)
	}
}

func (g *Gate) refuse(l limit) limit {
	g.refused[l].Inc()
	return l
}

// pause is how long a source is quiet before it may have its whole burst.
const pause = 2 * time.Second

// A meter lets events pass at a rate, and those of a pause at once (GCRA, ITU-T
// I.371). Its zero value has had none.
type meter struct {
	due time.Time // when what passed would be over at the rate
}

// room tells that an event may pass.
func (m *meter) room(now time.Time, perSecond int) bool {
	return !m.due.Add(interval(perSecond)).After(now.Add(pause))
}

func (m *meter) count(now time.Time, perSecond int) {
	if m.due.Before(now) {
		m.due = now
	}
	m.due = m.due.Add(interval(perSecond))
}

func interval(perSecond int) time.Duration { return time.Second / time.Duration(perSecond) }
