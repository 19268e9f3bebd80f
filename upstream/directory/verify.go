package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/go-ldap/ldap/v3"

	"stsgate/gateway/account"
)

// Verify returns nil when the account can sign in with the password: it does
// so, on a connection of its own that is used for nothing else. An
// account.Denial says how the controller refuses. An empty password is wrong
// and never sent. The zero Account, and one that the controller does not have,
// cost the same work and are account.NoAccount; no real account is tried then,
// and the password goes nowhere. Another error says that the controller did
// not tell.
func (l *LDAP) Verify(ctx context.Context, a account.Account, password account.Password) error {
	start := time.Now()
	if err := l.health.down(); err != nil {
		l.metrics.count(operationVerify, outcomeDown)
		return err
	}
	err := l.signIn(ctx, a.ID, password, start)
	l.note(ctx, err)
	l.metrics.observe(operationVerify, outcomeOf(ctx, err), time.Since(start))
	return err
}

func (l *LDAP) signIn(ctx context.Context, id string, password account.Password, start time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.c.Timeout, errSlow)
	defer cancel()
	select {
	case l.binds <- struct{}{}:
		defer func() { <-l.binds }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errBusy, context.Cause(ctx))
	}
	dn, err := l.nameOf(ctx, id)
	if err != nil {
		return fmt.Errorf("find account: %w", err)
	}
	if dn == "" || len(password.Bytes()) == 0 {
		return l.pretend(ctx, start)
	}
	err = l.try(ctx, dn, string(password.Bytes()))
	if errors.Is(err, account.WrongPassword) {
		l.wrong.Store(int64(time.Since(start)))
	}
	return err
}

// nameOf returns the distinguished name of an account as it is now, empty for
// none. It is the one name that no attribute of another account can have
// (MS-ADTS, section 5.1.1.1.1).
func (l *LDAP) nameOf(ctx context.Context, id string) (dn string, err error) {
	if id == "" {
		id = newGUID()
	}
	err = l.within(ctx, func(ctx context.Context, s *session, _ *domain) error {
		e, err := s.one(ctx, "<GUID="+id+">", "objectGUID")
		if r := answered(err); r != nil && r.code == ldap.LDAPResultNoSuchObject {
			return nil
		}
		if err == nil {
			dn = e.DN
		}
		return err
	})
	return dn, err
}

// pretend does for no account what is done for a wrong password, and takes as
// long as the last one did.
func (l *LDAP) pretend(ctx context.Context, start time.Time) error {
	err := l.try(ctx, "CN="+rand.Text()+","+l.domain.Load().base, rand.Text())
	if err != nil && !errors.Is(err, account.ErrDenied) {
		return err
	}
	wait := time.NewTimer(time.Duration(l.wrong.Load()) - time.Since(start))
	defer wait.Stop()
	select {
	case <-wait.C:
		return account.NoAccount
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// try signs in on a connection of its own.
func (l *LDAP) try(ctx context.Context, name, password string) error {
	s, err := l.dial(ctx, l.secrets.Load())
	if err != nil {
		return err
	}
	defer s.close()
	err = s.bind(ctx, name, password)
	if r := answered(err); r != nil && r.code == ldap.LDAPResultInvalidCredentials {
		return denial(r.data)
	}
	return err
}

// denial reads Active Directory's own code for a refused sign-in.
func denial(data string) account.Denial {
	switch data {
	case "525":
		return account.NoAccount
	case "530":
		return account.OutOfHours
	case "531":
		return account.OutOfPlaces
	case "532":
		return account.PasswordExpired
	case "533":
		return account.AccountDisabled
	case "701":
		return account.AccountExpired
	case "773":
		return account.PasswordMustChange
	case "775":
		return account.AccountLocked
	default:
		return account.WrongPassword
	}
}

// dataOf finds Active Directory's own code in the text of a result:
// "... AcceptSecurityContext error, data 52e, v4563".
func dataOf(err error) string {
	if err == nil {
		return ""
	}
	m := regexp.MustCompile(`, data ([0-9a-f]{1,8}), v`).FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	return m[1]
}
