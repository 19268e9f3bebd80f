package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	// maxSessions is how many connections of the service's own there are at
	// most, and maxBinds how many sign-ins are under way.
	maxSessions, maxBinds = 8, 32
	// maxUnused is how long a connection is kept that nobody uses. Active
	// Directory ends one after 15 minutes, and what stands between earlier.
	maxUnused = 4 * time.Minute
)

var (
	errSlow = errors.New("no answer in time")
	errBusy = errors.New("too many are asking")
)

// An unreachable is a failure of the controller, or of a connection to it.
type unreachable struct{ error }

// Unwrap returns what failed.
func (u *unreachable) Unwrap() error { return u.error }

// A resultError is what the controller answered in place of a result. Its own
// words are left out: they may repeat what was asked.
type resultError struct {
	code uint16
	data string // Active Directory's own code, in hexadecimal
}

// Error names the code.
func (e *resultError) Error() string {
	s := fmt.Sprintf("LDAP result %d (%s)", e.code, ldap.LDAPResultCodeMap[e.code])
	if e.data != "" {
		s += ", data " + e.data
	}
	return s
}

// answered returns what the controller answered, nil if err is of another kind.
func answered(err error) *resultError {
	e, _ := errors.AsType[*resultError](err)
	return e
}

// A session is a connection, for one user at a time.
type session struct {
	raw    net.Conn
	conn   *ldap.Conn
	used   time.Time
	broken bool // not to be used again
}

// dial connects and shakes hands.
func (l *LDAP) dial(ctx context.Context, by *secrets) (*session, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", l.address)
	if err != nil {
		return nil, late(ctx, err)
	}
	conn := tls.Client(raw, by.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, late(ctx, fmt.Errorf("TLS with %s: %w", l.address, err))
	}
	s := &session{raw: raw, conn: ldap.NewConn(conn, true)}
	s.conn.Start()
	return s, nil
}

// late is an unreachable or, where that is why something failed, the end of ctx.
func late(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &unreachable{err}
}

// do lets the end of ctx end an operation, and the connection with it: the
// library knows no other way.
func (s *session) do(ctx context.Context, operation func() error) error {
	stop := context.AfterFunc(ctx, func() { s.raw.Close() })
	err := operation()
	if !stop() {
		s.broken = true
		return context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.ResultCode < ldap.ErrorNetwork {
		s.broken = e.ResultCode != ldap.LDAPResultNoSuchObject
		return &resultError{e.ResultCode, dataOf(e.Err)}
	}
	s.broken = true
	return &unreachable{fmt.Errorf("connection lost: %w", err)}
}

// bind signs in on the connection. The password must not be empty: LDAP would
// take that for nobody and be content (RFC 4513, section 5.1.2).
func (s *session) bind(ctx context.Context, name, password string) error {
	if name == "" || password == "" {
		return errors.New("bind without a name or a password")
	}
	return s.do(ctx, func() error { return s.conn.Bind(name, password) })
}

// search returns the entries below a base, without following any referral.
func (s *session) search(ctx context.Context, base string, scope int, filter string, attributes ...string) (entries []*ldap.Entry, err error) {
	err = s.do(ctx, func() error {
		r, err := s.conn.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil))
		if err == nil {
			entries = r.Entries
		}
		return err
	})
	return entries, err
}

// close ends the connection without waiting for the controller.
func (s *session) close() {
	_ = s.raw.SetDeadline(time.Now().Add(100 * time.Millisecond))
	s.conn.Close()
}

// A pool holds connections that are bound as the service.
type pool struct {
	connect func(context.Context) (*session, error)
	slots   chan struct{}

	mu   sync.Mutex
	idle []*session // the most recently used last
	era  int        // counts the calls of discard
}

func newPool(connect func(context.Context) (*session, error)) *pool {
	return &pool{connect: connect, slots: make(chan struct{}, maxSessions)}
}

// with does something that may be done twice with a connection: once more on a
// new one when one that lay idle turns out to be dead.
func (p *pool) with(ctx context.Context, do func(*session) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errBusy, context.Cause(ctx))
	}
	defer func() { <-p.slots }()
	s, era := p.take(time.Now())
	if s != nil {
		err := do(s)
		broken := s.broken // before another has the connection
		p.give(s, era)
		if !broken || ctx.Err() != nil {
			return err
		}
		era = p.discard() // whatever ended this one has most likely ended all
	}
	s, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer p.give(s, era)
	return do(s)
}

// take returns an idle connection, nil when there is none.
func (p *pool) take(now time.Time) (s *session, era int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last >= 0 && now.Sub(p.idle[last].used) < maxUnused {
		s = p.idle[last]
		p.idle = p.idle[:last]
	}
	return s, p.era
}

// give keeps a connection of this era for the next who asks, and closes what
// lay idle for too long.
func (p *pool) give(s *session, era int) {
	now := time.Now()
	s.used = now
	p.mu.Lock()
	closing := []*session{s}
	if !s.broken && era == p.era {
		old := 0
		for old < len(p.idle) && now.Sub(p.idle[old].used) >= maxUnused {
			old++
		}
		closing = slices.Clone(p.idle[:old])
		p.idle = append(slices.Delete(p.idle, 0, old), s)
	}
	p.mu.Unlock()
	closeAll(closing)
}

// discard closes all idle connections, and begins an era: those in use are
// closed when they are given back.
func (p *pool) discard() (era int) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.era++
	era = p.era
	p.mu.Unlock()
	closeAll(idle)
	return era
}

func closeAll(sessions []*session) {
	for _, s := range sessions {
		s.close()
	}
}
