package guard_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
)

// Passwords of one user, and from one address, leave at a rate, whoever else does
// what; what is exempt is no source, and report-only refuses nothing.
func TestRates(t *testing.T) {
	limited := func(c *guard.Config) { c.Limits.UserTries, c.Limits.SourceTries = 5, 20 }
	for name, c := range map[string]struct {
		change  func(*guard.Config)
		user    func(i int) string
		address func(i int) string
		passed  int // of 30 at once
	}{
		"one user":         {limited, func(int) string { return alice }, func(i int) string { return fmt.Sprintf("10.0.%d.1", i) }, 5},
		"one address":      {limited, func(i int) string { return fmt.Sprint("user", i) }, func(int) string { return "10.0.0.1" }, 20},
		"one network":      {limited, func(i int) string { return fmt.Sprint("user", i) }, func(i int) string { return fmt.Sprintf("2001:db8::%d", i) }, 20},
		"several of both":  {limited, func(i int) string { return fmt.Sprint("user", i) }, func(i int) string { return fmt.Sprintf("10.0.0.%d", i) }, 30},
		"an exempt source": {func(c *guard.Config) { limited(c); c.Exempt = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, func(i int) string { return fmt.Sprint("user", i) }, func(int) string { return "10.0.0.1" }, 30},
		"report-only":      {func(c *guard.Config) { limited(c); c.ReportOnly = true }, func(int) string { return alice }, func(int) string { return "10.0.0.1" }, 30},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := newSite(t, 1, nil, c.change).guards[0]
				take := func(i int) (passed bool) {
					try, err := g.Take(t.Context(), guard.Attempt{
						User: c.user(i), Password: account.NewPassword([]byte("right")), Addresses: []netip.Addr{netip.MustParseAddr(c.address(i))},
					})
					if err != nil && refusal.Of(err) != refusal.Throttled {
						t.Error(err)
					}
					if err == nil {
						_ = try.Settle(t.Context(), guard.Proven)
					}
					return err == nil
				}
				passed := 0
				for i := range 30 {
					if take(i) {
						passed++
					}
				}
				if passed != c.passed {
					t.Errorf("%d of 30 passed at once, want %d", passed, c.passed)
				}
				time.Sleep(12 * time.Second) // a fifth of a minute: one more of the user's
				if !take(0) {
					t.Error("none passes a fifth of a minute later")
				}
			})
		})
	}
}
