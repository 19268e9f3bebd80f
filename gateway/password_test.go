package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
	"stsgate/testdata"
)

var here = []netip.Addr{netip.MustParseAddr("192.0.2.1")}

// check asks as the portal does.
func (g *gate) check(name, secret string) (account.Account, error) {
	return g.CheckPassword(context.Background(), name, account.NewPassword([]byte(secret)), here)
}

// PORT-11, SOAP-14: the portal's passwords go past the same guard, and whatever
// speaks against a user looks like a wrong password, for the same work.
func TestCheckPassword(t *testing.T) {
	for _, c := range []struct {
		name, typed, secret string
		arrange             func(*gate)
		want                refusal.Reason
	}{
		{"wrong", alice.UPN, "wrong", nil, refusal.WrongPassword},
		{"nobody", "nobody@contoso.example", password, nil, refusal.UnknownUser},
		{"no name", "alice@", password, nil, refusal.UnknownUser},
		{"locked", alice.UPN, password, func(g *gate) {
			for i := range 6 {
				g.ask(modern, guess(i, "urn:payroll"))
			}
			g.directory.verified = 0
		}, refusal.Locked},
		{"known to be wrong", alice.UPN, "guess0", func(g *gate) {
			g.ask(modern, guess(0, "urn:payroll"))
			g.directory.verified = 0
		}, refusal.WrongPassword},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			if c.arrange != nil {
				c.arrange(g)
			}
			a, err := g.check(c.typed, c.secret)
			if refusal.Of(err) != c.want || a.ID != "" || gateway.Down(err) || g.directory.verified != 1 {
				t.Errorf("got %v, %v after %d passwords tried, want %s after 1", a, err, g.directory.verified, c.want)
			}
		})
	}
}

// A password that fails in the portal is a failure everywhere, and one that is
// right returns its account.
func TestCheckPasswordCounts(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		if a, err := g.check(`contoso\ALICE`, password); err != nil || a.ID != alice.ID {
			t.Errorf("got %v, %v", a, err)
		}
		for i := range 6 {
			g.check(alice.UPN, "wrong"+string(rune('0'+i)))
			time.Sleep(time.Millisecond) // for the mirrors
		}
		w := g.ask(modern, nil)
		if r := g.record(); r["event.reason"] != "locked" {
			t.Errorf("after six failures in the portal an exchange gets %d, %v", w.Code, r["event.reason"])
		}
	})
}

// PORT-08: who guesses at the portal and at the service in turns has as many
// guesses as at one of them, from wherever they are.
func TestOneThreshold(t *testing.T) {
	for _, application := range []string{cloud, "urn:payroll"} {
		atFresh(t, application, func(t *testing.T) {
			g := newGate(t, nil)
			g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
			for i := range 40 {
				if i%2 == 0 {
					g.check(alice.UPN, fmt.Sprint("at the portal ", i))
				} else {
					g.ask(modern, guess(i, application))
				}
				time.Sleep(time.Millisecond) // for the mirrors
			}
			if got := len(g.farm.asked) + g.directory.tried; got != 6 {
				t.Errorf("%d guesses were tried, want 6", got)
			}
			if _, err := g.check(alice.UPN, password); refusal.Of(err) != refusal.Locked {
				t.Errorf("the right password at the portal: %v, want locked", err)
			}
		})
	}
}

// What did not answer is no wrong password, and is not counted.
func TestCheckPasswordDown(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.directory.fail(errors.New("no answer"))
		if _, err := g.check(alice.UPN, password); !gateway.Down(err) || refusal.Of(err) != refusal.DirectoryDown {
			t.Errorf("directory: got %v", err)
		}
		g.directory.fail(nil)
		g.state.down.Store(true)
		if _, err := g.check(alice.UPN, "wrong"); !gateway.Down(err) || refusal.Of(err) != refusal.StateDown {
			t.Errorf("state: got %v", err)
		}
		g = newGate(t, func(c *gateway.Config) { c.Directory = nil })
		if _, err := g.check(alice.UPN, password); !gateway.Down(err) {
			t.Errorf("no directory: got %v", err)
		}
	})
}

// Whom an operator banned, or where, does not sign in by a passkey either.
func TestFindAccount(t *testing.T) {
	there := netip.MustParseAddr("198.51.100.7")
	hold := guard.Hold{By: "tests", Why: "stolen laptop"}
	for _, c := range []struct {
		name, typed string
		ban         func(*gate) error
		want        error
	}{
		{"nobody banned", alice.UPN, func(*gate) error { return nil }, nil},
		{"nobody", "nobody@contoso.example", func(*gate) error { return nil }, account.ErrUnknown},
		{"the user", alice.UPN, func(g *gate) error { return g.guard.BanUser(context.Background(), alice.ID, hold) }, account.ErrUnknown},
		{"the address", alice.UPN, func(g *gate) error {
			return g.guard.BanSource(context.Background(), netip.PrefixFrom(here[0], 32), hold)
		}, account.ErrUnknown},
		{"another address", alice.UPN, func(g *gate) error { return g.guard.BanSource(context.Background(), netip.PrefixFrom(there, 32), hold) }, nil},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			if err := c.ban(g); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // for the mirrors
			if a, err := g.FindAccount(context.Background(), c.typed, here); !errors.Is(err, c.want) || (err == nil) != (a.ID == alice.ID) {
				t.Errorf("got %v, %v, want %v", a, err, c.want)
			}
		})
	}
}
