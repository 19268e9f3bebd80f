package guard_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
)

// hold is what the tests close something with.
func hold(d time.Duration) guard.Hold {
	return guard.Hold{Until: time.Now().Add(d), Name: "alice@contoso.example", By: "ops", Why: "test"}
}

// listed is what a guard says of who is locked.
func listed(t *testing.T, g *guard.Guard) []string {
	t.Helper()
	all, err := g.Locks(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, c := range all {
		what := c.User
		if c.Source.IsValid() {
			what = c.Source.String()
		}
		texts = append(texts, fmt.Sprint(what, " ", c.Addresses, " ", c.Why))
	}
	slices.Sort(texts)
	return texts
}

// LOCK-07: an operator's lock holds on all gateways within a second, from
// everywhere, and for one user only; so does its end.
func TestOperatorLocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		s.ad.right[alice], s.ad.right["bob"] = "right", "right"
		s.signIn(s.guards[1], alice, "right", "203.0.113.9") // familiar from here on
		if err := s.guards[0].LockUser(t.Context(), alice, hold(time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := s.signIn(s.guards[1], alice, "right", "203.0.113.9"); got != refusal.Locked {
			t.Errorf("a user whom an operator locked: %v", got)
		}
		if got := s.signIn(s.guards[1], "bob", "right", "203.0.113.9"); got != ok {
			t.Errorf("another user: %v", got)
		}
		if got := listed(t, s.guards[1]); !slices.Equal(got, []string{alice + " all test"}) {
			t.Errorf("got locks %q", got)
		}
		if err := s.guards[1].UnlockUser(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for i, g := range s.guards {
			if got := s.signIn(g, alice, "right", "203.0.113.9"); got != ok {
				t.Errorf("after the lock was cleared, on gateway %d: %v", i, got)
			}
		}
		if err := s.guards[0].UnlockUser(t.Context(), alice); !errors.Is(err, guard.ErrNothing) {
			t.Errorf("cleared again: %v, want ErrNothing", err)
		}
	})
}

// An operator's lock ends by itself, and failures meanwhile do not end it.
func TestOperatorLockEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		s.ad.right[alice] = "right"
		for _, d := range []time.Duration{0, -time.Hour, guard.LongestHold + time.Hour} {
			if err := s.guards[0].LockUser(t.Context(), alice, hold(d)); err == nil {
				t.Errorf("a lock of %s was taken", d)
			}
		}
		s.signIn(s.guards[0], alice, "guess", "203.0.113.9")
		if err := s.guards[0].LockUser(t.Context(), alice, hold(5*time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Hour)
		if got := s.signIn(s.guards[0], alice, "right", "203.0.113.9"); got != refusal.Locked {
			t.Errorf("before the end: %v", got)
		}
		time.Sleep(time.Hour + time.Second)
		if got := s.signIn(s.guards[0], alice, "right", "203.0.113.9"); got != ok {
			t.Errorf("after the end: %v", got)
		}
	})
}

// LOCK-07: a lock that failures brought is cleared on all gateways within a
// second, those included that wrote it, and the next failures count from none.
func TestUnlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		s.ad.right[alice] = "right"
		for i := range 6 {
			s.signIn(s.guards[1], alice, fmt.Sprint("guess", i), "203.0.113.9")
		}
		if got := listed(t, s.guards[0]); !slices.Equal(got, []string{alice + " unfamiliar "}) {
			t.Errorf("got locks %q", got)
		}
		if err := s.guards[0].UnlockUser(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		if got := s.signIn(s.guards[1], alice, "guess", "203.0.113.9"); got != refusal.WrongPassword {
			t.Errorf("the first failure afterwards: %v", got)
		}
		if got := s.signIn(s.guards[1], alice, "right", "203.0.113.9"); got != ok {
			t.Errorf("the right password afterwards: %v", got)
		}
	})
}

// LOCK-07: a source whose block was cleared is blocked again only for failures
// that came later; another one stays blocked.
func TestUnblock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		fail := func(from string, first, n int) {
			for i := range n {
				s.signIn(s.guards[1], fmt.Sprint("user", first+i), "guess", from)
			}
		}
		fail("203.0.113.9", 0, 10)
		fail("198.51.100.7", 50, 10)
		if got := listed(t, s.guards[0]); !slices.Equal(got, []string{"198.51.100.7/32  ", "203.0.113.9/32  "}) {
			t.Fatalf("got blocks %q", got)
		}
		p := netip.MustParsePrefix("203.0.113.9/32")
		if err := s.guards[0].UnblockSource(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s.ad.right["user40"] = "right"
		fail("203.0.113.9", 20, 8)
		if got := s.signIn(s.guards[1], "user40", "right", "203.0.113.9"); got != ok {
			t.Errorf("after the block was cleared and 8 users failed: %v", got)
		}
		if got := s.signIn(s.guards[1], "user40", "right", "198.51.100.7"); got != refusal.Banned {
			t.Errorf("from the other source: %v", got)
		}
		fail("203.0.113.9", 30, 4)
		time.Sleep(time.Second)
		if got := s.signIn(s.guards[1], "user40", "right", "203.0.113.9"); got != refusal.Banned {
			t.Errorf("after 12 more users failed: %v", got)
		}
		if err := s.guards[0].UnblockSource(t.Context(), netip.MustParsePrefix("192.0.2.1/32")); !errors.Is(err, guard.ErrNothing) {
			t.Errorf("a source that is not blocked: %v, want ErrNothing", err)
		}
	})
}

// Bans are listed with who made them and why, and removed on all gateways within
// a second. LOCK-08: what many share is never banned.
func TestUnban(t *testing.T) {
	bubble(t, func(t *testing.T) {
		shared := []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32")}
		s := newSite(t, 2, nil, func(c *guard.Config) { c.Exempt = shared })
		s.ad.right[alice] = "right"
		ctx := t.Context()
		for _, p := range []string{"198.51.100.7/32", "198.51.100.0/24", "198.51.0.0/16"} {
			if err := s.guards[0].BanSource(ctx, netip.MustParsePrefix(p), hold(time.Hour)); err == nil {
				t.Errorf("%s was banned", p)
			}
		}
		p := netip.MustParsePrefix("2001:db8:1::/48")
		forever := guard.Hold{Name: "alice@contoso.example", By: "ops", Why: "left"}
		if err := errors.Join(s.guards[0].BanSource(ctx, p, hold(time.Hour)), s.guards[0].BanUser(ctx, alice, forever)); err != nil {
			t.Fatal(err)
		}
		all, err := s.guards[1].Bans(ctx)
		if err != nil || len(all) != 2 || all[0].Source != p || all[0].Why != "test" || all[1].User != alice || all[1].Hold != forever {
			t.Errorf("got bans %+v, %v", all, err)
		}
		time.Sleep(time.Second)
		if got := s.signIn(s.guards[1], alice, "right", "203.0.113.9"); got != refusal.Banned {
			t.Errorf("a user who is banned: %v", got)
		}
		if err := errors.Join(s.guards[1].UnbanSource(ctx, p), s.guards[1].UnbanUser(ctx, alice)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := s.signIn(s.guards[0], alice, "right", "2001:db8:1:2::3"); got != ok {
			t.Errorf("after the bans were removed: %v", got)
		}
		if err := s.guards[0].UnbanUser(ctx, alice); !errors.Is(err, guard.ErrNothing) {
			t.Errorf("removed again: %v, want ErrNothing", err)
		}
	})
}
