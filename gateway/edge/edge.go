// Package edge is where clients connect: listeners, TLS and its certificates,
// the discipline of HTTP/1.1 lines, paths, methods and hosts, and the drain
// before a stop. It stands around net/http's server, which never sees a
// connection, a line or a path that the edge has not passed.
//
// It must never repair a request: what is not plain is refused, never cleaned,
// decoded or redirected. It knows nothing of SOAP and reads no body.
package edge

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"stsgate/gateway/refusal"
)

// Config configures a Server. Fields without a default are required.
type Config struct {
	// Host is the only host that is served, in lower case.
	Host string
	// Routes are the published paths.
	Routes []Route
	// Refuse records and answers a request that has no route. The edge has set
	// Connection and Allow.
	Refuse func(http.ResponseWriter, *http.Request, *refusal.Refusal)
	// Certificates is shown to clients.
	Certificates *Certificates
	// HeaderTimeout is for a TLS handshake, and for the request line with all
	// header lines. Default: 5s (security.md, DOS-01).
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept between two requests.
	// Default: 60s.
	IdleTimeout time.Duration
	// HeaderBytes bounds the request line with all header lines. Default:
	// 16384 (security.md, DOS-02).
	HeaderBytes int
	Log         *slog.Logger
}

// A Server serves HTTP/1.1 over TLS. A handler that sets a read deadline for
// its body, through http.ResponseController, must take it away afterwards:
// net/http goes on reading to notice that the client hangs up.
type Server struct {
	host          string
	routes        []Route
	refuse        func(http.ResponseWriter, *http.Request, *refusal.Refusal)
	headerTimeout time.Duration
	headerBytes   int
	log           *slog.Logger
	tls           *tls.Config
	http          *http.Server
	draining      atomic.Bool
	closed        atomic.Bool

	mu        sync.Mutex
	conns     map[*conn]struct{}
	listeners map[*listener]struct{}
}

// New returns a Server that listens nowhere yet.
func New(c Config) (*Server, error) {
	if err := checkRoutes(c.Routes); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if c.Host == "" || c.Refuse == nil || c.Certificates == nil || c.Log == nil {
		return nil, errors.New("edge: host, refuse, certificates and log are required")
	}
	s := &Server{
		host: c.Host, routes: c.Routes, refuse: c.Refuse,
		headerTimeout: cmp.Or(c.HeaderTimeout, 5*time.Second),
		headerBytes:   cmp.Or(c.HeaderBytes, 16<<10),
		log:           c.Log,
		tls:           c.Certificates.tlsConfig(),
		conns:         make(map[*conn]struct{}),
		listeners:     make(map[*listener]struct{}),
	}
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.serve),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            s.headerTimeout,
		IdleTimeout:                  cmp.Or(c.IdleTimeout, time.Minute),
		MaxHeaderBytes:               s.headerBytes + 4<<10, // the framer stops it before
		ConnState:                    s.connState,
		ErrorLog:                     log.New(errorLog{c.Log}, "", 0),
	}
	return s, nil
}

// track makes a conn of a connection, and one that Drain waits for.
func (s *Server) track(nc net.Conn) *conn {
	c := s.newConn(nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	return c
}

// connState follows net/http's connections.
func (s *Server) connState(nc net.Conn, state http.ConnState) {
	c := nc.(*conn)
	c.state(state)
	if state == http.StateClosed {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}
}

// errorLog is what net/http complains to.
type errorLog struct{ log *slog.Logger }

// Write implements io.Writer; a write is one message.
func (e errorLog) Write(p []byte) (int, error) {
	e.log.Warn("http server", "err", string(bytes.TrimSpace(p)))
	return len(p), nil
}

// Serve takes connections from l until Drain or Close; then it returns nil. It
// may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	own := &listener{Listener: l, server: s, done: make(chan struct{})}
	s.mu.Lock()
	s.listeners[own] = struct{}{}
	s.mu.Unlock()
	defer close(own.done)
	if s.draining.Load() {
		return l.Close()
	}
	err := s.http.Serve(own)
	if s.draining.Load() || s.closed.Load() {
		return nil
	}
	return err
}

// Close closes listeners and connections at once, whatever is in flight.
func (s *Server) Close() error {
	s.closed.Store(true)
	return s.http.Close()
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
