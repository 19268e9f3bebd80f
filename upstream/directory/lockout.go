package directory

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// A Lockout is when Active Directory locks an account.
type Lockout struct {
	// Policy is empty for the domain's own, or the name of a fine-grained one.
	Policy string
	// Threshold is how many wrong passwords lock an account; 0 never does.
	Threshold int
	// Window is how long a wrong password counts.
	Window time.Duration
}

// Thresholds returns when accounts are locked: by the domain's policy, which
// comes first, and by the fine-grained ones that the bind account may read,
// which by default are none.
func (l *LDAP) Thresholds(ctx context.Context) ([]Lockout, error) {
	var all []Lockout
	err := l.ask(ctx, operationLookup, func(ctx context.Context, s *session, d *domain) error {
		head, err := s.one(ctx, d.head, "lockoutThreshold", "lockOutObservationWindow")
		if err != nil {
			return fmt.Errorf("read the domain's lockout: %w", err)
		}
		fine, err := s.search(ctx, "CN=Password Settings Container,CN=System,"+d.head, ldap.ScopeSingleLevel,
			"(objectClass=msDS-PasswordSettings)", "cn", "msDS-LockoutThreshold", "msDS-LockoutObservationWindow")
		if err != nil && answered(err) == nil {
			return fmt.Errorf("read fine-grained lockouts: %w", err)
		}
		first, err := lockout(head, "", "lockoutThreshold", "lockOutObservationWindow")
		all = []Lockout{first}
		for _, e := range fine {
			if err != nil {
				return err
			}
			var next Lockout
			next, err = lockout(e, e.GetAttributeValue("cn"), "msDS-LockoutThreshold", "msDS-LockoutObservationWindow")
			all = append(all, next)
		}
		return err
	})
	return all, err
}

// lockout reads a policy. Active Directory writes a length of time as a
// negative number of 100 ns.
func lockout(e *ldap.Entry, policy, threshold, window string) (Lockout, error) {
	n, err := strconv.Atoi(e.GetAttributeValue(threshold))
	if err != nil {
		return Lockout{}, fmt.Errorf("%s is not told", threshold)
	}
	w, err := strconv.ParseInt(e.GetAttributeValue(window), 10, 64)
	if err != nil || w > 0 || w < -1<<56 {
		return Lockout{}, fmt.Errorf("%s is not told", window)
	}
	return Lockout{Policy: policy, Threshold: n, Window: time.Duration(-w) * 100}, nil
}
