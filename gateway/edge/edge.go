// Package edge is where clients connect: listeners, the PROXY protocol, TLS and
// its certificates, the discipline of HTTP/1.1 lines, paths, methods and hosts,
// and the drain before a stop. It speaks HTTP/1.1 itself, as much of it as
// WS-Trust needs, and gives each request to an http.Handler.
//
// It must never repair a request: what is not plain is refused, never cleaned,
// decoded or redirected. It knows nothing of SOAP and looks into no body.
package edge

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"stsgate/gateway/refusal"
)

// Config configures a Server. Fields without a default are required.
type Config struct {
	// Host is the host that is served, in lower case.
	Host string
	// Routes are its published paths.
	Routes []Route
	// Sites are further hosts on the same listeners. What is published for one
	// host is not found on another.
	Sites []Site
	// Refuse records and answers a request that has no route. The edge has set
	// Connection and Allow.
	Refuse func(http.ResponseWriter, *http.Request, *refusal.Refusal)
	// RefusedFraming is told of a request that was refused for its lines, before
	// there was a path: the peer's address and port, and the status. It may be nil.
	RefusedFraming func(peer string, status int, why error)
	// Certificates is shown to clients, but to those of a site that has its own.
	Certificates *Certificates
	// Gate says who is let in. Servers may share it.
	Gate *Gate
	// Proxies are the only addresses that may connect, if there are any. They
	// must send a header of the PROXY protocol, version 1 or 2, ahead of TLS;
	// RemoteAddr is then the source that it names, or the proxy's own address
	// when it names none. Default: none, everybody may connect and no such
	// header is read (security.md, HDR-04).
	Proxies []netip.Prefix
	// Speaking are the headers, in canonical form, by which a proxy speaks for a
	// client. They are not passed on from a connection whose source it did not
	// name: whose word they are is not known.
	Speaking []string
	// HeaderTimeout is for a TLS handshake with the PROXY header before it, and
	// for the request line with all header lines. Default: 5s (security.md,
	// DOS-01).
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept between two requests.
	// Default: 60s.
	IdleTimeout time.Duration
	// HeaderBytes bounds the request line with all header lines. Default:
	// 16384 (security.md, DOS-02).
	HeaderBytes int
	Log         *slog.Logger
}

// A Server serves HTTP/1.1 over TLS. A handler may bound the time for the body
// of its request with the SetReadDeadline of an http.ResponseController. Its
// answer is sent when it returns, as a whole and with its length, or piece by
// piece if it calls Flush of an http.ResponseController, and must then end by
// itself when the server drains. It must not use request or answer after it
// returned. The context of a request ends when its
// client goes away, which is noticed only once the body was read.
type Server struct {
	sites          []Site // Host's first
	refuse         func(http.ResponseWriter, *http.Request, *refusal.Refusal)
	refusedFraming func(peer string, status int, why error)
	proxies        []netip.Prefix
	speaking       []string
	headerTimeout  time.Duration
	idleTimeout    time.Duration
	headerBytes    int
	log            *slog.Logger
	gate           *Gate
	tls            *tls.Config
	buffers        sync.Pool // of *buffer
	draining       atomic.Bool
	blank          http.Request // which requests begin as a copy of

	mu        sync.Mutex
	closed    bool
	conns     map[*conn]struct{}
	listeners map[*listener]struct{}
}

// New returns a Server that listens nowhere yet.
func New(c Config) (*Server, error) {
	sites := append([]Site{{c.Host, c.Routes, c.Certificates}}, c.Sites...)
	if err := checkSites(sites); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if c.Host == "" || c.Refuse == nil || c.Certificates == nil || c.Gate == nil || c.Log == nil {
		return nil, errors.New("edge: host, refuse, certificates, gate and log are required")
	}
	return &Server{
		sites: sites, refuse: c.Refuse, refusedFraming: c.RefusedFraming, proxies: c.Proxies,
		headerTimeout: cmp.Or(c.HeaderTimeout, 5*time.Second),
		idleTimeout:   cmp.Or(c.IdleTimeout, time.Minute),
		headerBytes:   cmp.Or(c.HeaderBytes, 16<<10),
		log:           c.Log,
		gate:          c.Gate,
		speaking:      c.Speaking,
		tls:           tlsConfig(sites),
		conns:         make(map[*conn]struct{}),
		listeners:     make(map[*listener]struct{}),
	}, nil
}

// Serve takes connections from l until Drain or Close; then it returns nil. It
// may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	own := &listener{Listener: l, done: make(chan struct{})}
	defer close(own.done)
	s.mu.Lock()
	s.listeners[own] = struct{}{}
	closed := s.closed
	s.mu.Unlock()
	if closed || s.draining.Load() {
		return l.Close()
	}
	err := own.serve(s.begin)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() || s.closed {
		return nil
	}
	return err
}

// begin serves a connection, which Drain waits for, if there is room for it.
func (s *Server) begin(tcp net.Conn) {
	if s.gate.connect() != unlimited {
		_ = tcp.Close()
		return
	}
	c := s.newConn(tcp)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = tcp.Close()
		s.gate.disconnect(nil)
		return
	}
	s.conns[c] = struct{}{}
	go c.serve()
}

// Close closes listeners and connections at once, whatever is in flight.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		_ = c.wire.Close()
	}
	return nil
}

// Drain stops the server without losing a request. Listeners close once they
// have handed out what waits at them. Every request of which a byte was read
// is answered, and the answer says that the connection ends. A connection
// without a request is given a second to bring one, because its client may be
// about to send; then it closes. Drain returns nil when all connections are
// gone. When ctx ends before that, the rest is cut off and counted in the
// error.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	s.mu.Lock()
	listeners := maps.Clone(s.listeners)
	s.mu.Unlock()
	for l := range listeners {
		l.stop()
		<-l.done
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left := s.kick(time.Now())
		if left == 0 {
			return s.Close()
		}
		select {
		case <-ctx.Done():
			_ = s.Close()
			return fmt.Errorf("drain: %d connections cut off: %w", left, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// kick lets go of idle connections and returns how many there still are.
func (s *Server) kick(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.kick(now)
	}
	return len(s.conns)
}
