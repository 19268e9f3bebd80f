package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"

	"stsgate/gateway/account"
)

const (
	// fresh is how long an account is taken for what it was: its groups, its
	// state and its names.
	fresh = 2 * time.Minute
	// remembered is how long it is known whose a name is while the directory
	// does not answer (security.md, section 15).
	remembered = time.Hour
)

// LDAPConfig says how to ask a domain controller of Active Directory.
type LDAPConfig struct {
	// URL is ldaps://HOST or ldaps://HOST:PORT. The certificate must be for HOST.
	URL string
	// CA is a PEM file of the authorities that may have signed the
	// controller's certificate; nothing else is trusted.
	CA string
	// User may sign in and read accounts and their groups: a user principal
	// name, DOMAIN\user or a distinguished name. Password is a file with that
	// account's password in its only line, which not everybody may read.
	User, Password string
	// Base is the distinguished name below which accounts are; empty for the
	// whole domain.
	Base string
	// UPNSuffixes are further names of the domain: user@SUFFIX is then the
	// account of the SAM name user, as user@DOMAIN is.
	UPNSuffixes []string
	// Timeout bounds each Lookup and each Verify with all that it waits for.
	Timeout time.Duration
	// Log hears when the controller comes and goes.
	Log *slog.Logger
}

// An LDAP is Active Directory, asked over LDAPS. What it says of an account is
// held for 2 minutes. While the controller does not answer, who has a name
// is remembered for an hour. All methods may be called at the same time.
type LDAP struct {
	c       LDAPConfig
	address string // host:port
	host    string // in the controller's certificate
	log     *slog.Logger

	secrets atomic.Pointer[secrets]
	domain  atomic.Pointer[domain] // nil until the controller has answered
	pool    *pool
	binds   chan struct{} // one for each sign-in under way
	health  health
	refused refusedBind
	names   nameCache
	groups  groupCache
	// wrong is how long the last wrong password took to be refused, in
	// nanoseconds.
	wrong   atomic.Int64
	metrics *ldapMetrics
}

// OpenLDAP reads the files that the configuration names. It does not connect:
// Watch does, and whatever is asked first.
func OpenLDAP(c LDAPConfig) (*LDAP, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" || c.URL != "ldaps://"+u.Host || strings.HasSuffix(c.URL, ":") {
		return nil, fmt.Errorf("directory: %q is not ldaps://HOST or ldaps://HOST:PORT", c.URL)
	}
	port := u.Port()
	if port == "" {
		port = "636"
	}
	if _, err := ldap.ParseDN(c.Base); err != nil {
		return nil, fmt.Errorf("directory: base %q is not a distinguished name", c.Base)
	}
	if c.User == "" || c.Timeout <= 0 || c.Log == nil {
		return nil, errors.New("directory: User, Timeout and Log are needed")
	}
	l := &LDAP{c: c, address: net.JoinHostPort(u.Hostname(), port), host: u.Hostname(), log: c.Log, binds: make(chan struct{}, maxBinds)}
	l.pool = newPool(l.connect)
	l.metrics = newLDAPMetrics(l.health.up)
	replace, err := l.Prepare()
	if err != nil {
		return nil, err
	}
	replace()
	return l, nil
}

// Prepare reads the files again and returns what puts their content in force:
// connections from then on are made with it. Until that is called, and after
// an error, all stays as it is.
func (l *LDAP) Prepare() (replace func(), err error) {
	next, err := readSecrets(&l.c, l.host)
	if err != nil {
		return nil, err
	}
	return func() {
		l.secrets.Store(next)
		l.pool.discard()
	}, nil
}

// Close closes the connections that are not in use.
func (l *LDAP) Close() { l.pool.discard() }

// Lookup returns the account of a name: a user principal name, explicit or
// made of a SAM name and a name of the domain, DOMAIN\user, or a bare SAM
// name. The controller compares them as it does for a sign-in, without case
// and accents, so that many spellings are one account. The error is
// account.ErrUnknown for a name that no account has, or several.
//
// When the controller does not answer, the account of a name that was looked
// up within the hour is Remembered; for others the error says what is wrong.
func (l *LDAP) Lookup(ctx context.Context, name account.Name) (account.Account, error) {
	key := name.Key()
	known, age := l.names.get(key, time.Now())
	if known != nil && age < fresh {
		l.metrics.count(operationLookup, outcomeCached)
		return *known, nil
	}
	var found *account.Account
	err := l.ask(ctx, operationLookup, func(ctx context.Context, s *session, d *domain) (err error) {
		found, err = l.find(ctx, s, d, name)
		return err
	})
	switch {
	case err == nil:
		l.names.put(key, found, time.Now())
		return *found, nil
	case errors.Is(err, account.ErrUnknown):
		l.names.drop(key)
	case known != nil && age < remembered && ctx.Err() == nil:
		l.metrics.count(operationLookup, outcomeRemembered)
		a := *known
		a.Remembered, a.Groups = true, nil
		return a, nil
	}
	return account.Account{}, err
}

// find asks for the account of a name, and then for its groups.
func (l *LDAP) find(ctx context.Context, s *session, d *domain, name account.Name) (*account.Account, error) {
	filter, ok := d.filter(name, l.c.UPNSuffixes)
	if !ok {
		return nil, account.ErrUnknown
	}
	entries, err := s.search(ctx, d.base, ldap.ScopeWholeSubtree, filter, accountAttributes...)
	switch {
	case err != nil:
		return nil, fmt.Errorf("search account: %w", err)
	case len(entries) == 0:
		return nil, account.ErrUnknown
	case len(entries) > 1:
		return nil, fmt.Errorf("%w: %d accounts have that name", account.ErrUnknown, len(entries))
	}
	a, err := readAccount(entries[0], d, time.Now())
	if err != nil {
		return nil, err
	}
	if a.Groups, err = l.groupsOf(ctx, s, d, a.ID); err != nil {
		return nil, err
	}
	return a, nil
}

// ask does something with a connection of the service's own, within the
// deadline, unless the controller is known to be down.
func (l *LDAP) ask(ctx context.Context, o operation, do func(context.Context, *session, *domain) error) error {
	start := time.Now()
	if err := l.health.down(); err != nil {
		l.metrics.count(o, outcomeDown)
		return err
	}
	err := l.within(ctx, do)
	l.note(ctx, err)
	l.metrics.observe(o, outcomeOf(ctx, err), time.Since(start))
	return err
}

// within is ask without a word to anybody.
func (l *LDAP) within(ctx context.Context, do func(context.Context, *session, *domain) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.c.Timeout, errSlow)
	defer cancel()
	return l.pool.with(ctx, func(s *session) error {
		d, err := l.learn(ctx, s)
		if err != nil {
			return err
		}
		return do(ctx, s, d)
	})
}
