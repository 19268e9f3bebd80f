package directory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// pause is how long a password of the service's that was refused is not tried
// again: with one try in it no lockout threshold is met.
const pause = 15 * time.Minute

// A refusedBind is how and when a password of the service's own was refused.
type refusedBind struct {
	mu  sync.Mutex
	by  *secrets
	at  time.Time
	err error
}

// connect makes a connection that is bound as the service.
func (l *LDAP) connect(ctx context.Context) (*session, error) {
	by := l.secrets.Load()
	if err := l.refused.last(by, time.Now()); err != nil {
		return nil, &unreachable{err}
	}
	s, err := l.dial(ctx, by)
	if err != nil {
		return nil, err
	}
	err = s.bind(ctx, l.c.User, by.password)
	if err == nil {
		return s, nil
	}
	s.close()
	r := answered(err)
	if r == nil {
		return nil, err
	}
	err = fmt.Errorf("the bind account %s: %w", l.c.User, err)
	if r.code == ldap.LDAPResultInvalidCredentials {
		why := denial(r.data)
		err = fmt.Errorf("the bind account %s: %s: %w", l.c.User, why.Error(), r)
		if why.Wrong() {
			l.refused.set(by, err, time.Now())
		}
	}
	return nil, &unreachable{err}
}

// last returns why a password is not to be tried now.
func (r *refusedBind) last(by *secrets, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by != by || now.Sub(r.at) >= pause {
		return nil
	}
	return fmt.Errorf("%w; it is not tried again for %v, but on a reload", r.err, pause)
}

func (r *refusedBind) set(by *secrets, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by, r.at, r.err = by, now, err
}
