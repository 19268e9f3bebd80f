package guard_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sort"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
)

// An event is one sign-in of a simulation.
type event struct {
	at       time.Duration
	user     int
	password string
	address  netip.Addr
	honest   bool
}

// A spray is what came of a simulation.
type spray struct {
	blocked  map[netip.Addr]time.Duration // the attacker's addresses, and when
	refused  map[int]bool                 // honest users who were refused with the right password
	guesses  int                          // that reached the directory
	detected time.Duration                // when half of the addresses were blocked
	later    int                          // guesses that reached the directory after that
}

// simulate runs events, in the order of time, through the site's gateways in turn.
func (s *site) simulate(events []event, addresses int) *spray {
	sort.Slice(events, func(i, j int) bool { return events[i].at < events[j].at })
	out := &spray{blocked: map[netip.Addr]time.Duration{}, refused: map[int]bool{}}
	start := time.Now()
	for i, e := range events {
		time.Sleep(e.at - time.Since(start))
		user := fmt.Sprintf("user%d", e.user)
		g := s.guards[i%len(s.guards)]
		before := s.ad.asked
		got := s.attempt(g, guard.Attempt{User: user, Password: account.NewPassword([]byte(e.password)), Addresses: []netip.Addr{e.address}})
		switch {
		case e.honest && got != ok && e.password == s.ad.right[user]:
			out.refused[e.user] = true
		case e.honest:
		case got == refusal.Banned:
			if _, known := out.blocked[e.address]; !known {
				out.blocked[e.address] = e.at
				if out.detected == 0 && 2*len(out.blocked) >= addresses {
					out.detected = e.at
				}
			}
		default:
			out.guesses += s.ad.asked - before
			if out.detected > 0 {
				out.later += s.ad.asked - before
			}
		}
	}
	return out
}

// attack is one password for each of 5,000 users every half hour, from so many
// addresses, each in a network of its own.
func attack(r *rand.Rand, addresses int, lasts time.Duration) []event {
	var events []event
	for round := 0; time.Duration(round)*30*time.Minute < lasts; round++ {
		for user := range 5000 {
			at := time.Duration(round)*30*time.Minute + time.Duration(r.Int64N(int64(30*time.Minute)))
			n := r.IntN(addresses)
			events = append(events, event{at: at, user: user, password: fmt.Sprint("Season", round), address: netip.AddrFrom4([4]byte{20, byte(n >> 8), byte(n), 1})})
		}
	}
	return events
}

// honest are sign-ins of users about every 20 minutes; 3 % are mistyped, and
// then repeated. Half of the users are in one office, others at home.
func honest(s *site, r *rand.Rand, users int, lasts time.Duration) []event {
	var events []event
	for user := range users {
		right := fmt.Sprint("right", user)
		s.ad.right[fmt.Sprintf("user%d", user)] = right
		address := netip.AddrFrom4([4]byte{198, 51, 100, 7})
		if user%2 == 0 {
			address = netip.AddrFrom4([4]byte{81, byte(user >> 8), byte(user), 9})
		}
		for at := time.Duration(r.Int64N(int64(20 * time.Minute))); at < lasts; at += 10*time.Minute + time.Duration(r.Int64N(int64(20*time.Minute))) {
			when := at
			for try := 0; r.IntN(100) < 3; try++ {
				events = append(events, event{at: when, user: user, password: fmt.Sprint("typo", at, try), address: address, honest: true})
				when += 15 * time.Second
			}
			events = append(events, event{at: when, user: user, password: right, address: address, honest: true})
		}
	}
	return events
}

// LOCK-03: sprays are found in time, and honest users are let in. The simulated
// hours are cut to what is needed to see both. Five courses of events are tried
// of each, twenty by make campaign.
func TestSpray(t *testing.T) {
	seeds := 5
	if os.Getenv("GUARD_DAYS") != "" {
		seeds = 20
	}
	for _, c := range []struct {
		addresses int
		within    time.Duration
	}{{1, 10 * time.Minute}, {50, 10 * time.Minute}, {500, 30 * time.Minute}} {
		t.Run(fmt.Sprintf("%d addresses", c.addresses), func(t *testing.T) {
			var slowest time.Duration
			refused := 0
			for seed := range seeds {
				bubble(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(seed), 1))
					s := newSite(t, 1, nil, nil)
					lasts := 31 * time.Minute
					out := s.simulate(append(attack(r, c.addresses, lasts), honest(s, r, 200, lasts)...), c.addresses)
					if out.detected == 0 || out.detected > c.within {
						t.Errorf("seed %d: half of the addresses were blocked after %s, want %s", seed, out.detected, c.within)
					}
					slowest = max(slowest, out.detected)
					refused += len(out.refused)
				})
			}
			if refused*1000 > 5*200*seeds {
				t.Errorf("%d of %d honest users were refused", refused, 200*seeds)
			}
			t.Logf("found after %s at most; %d of %d honest users refused", slowest, refused, 200*seeds)
		})
	}
}

// LOCK-03: of an attack that goes on for a day at most 3 guesses an account
// pass once it was found.
func TestSprayForADay(t *testing.T) {
	if os.Getenv("GUARD_DAYS") == "" {
		t.Skip("three days of sign-ins are of make campaign")
	}
	for _, addresses := range []int{1, 50, 500} {
		t.Run(fmt.Sprintf("%d addresses", addresses), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(7, 1))
				s := newSite(t, 1, nil, nil)
				lasts := 24 * time.Hour
				out := s.simulate(append(attack(r, addresses, lasts), honest(s, r, 200, lasts)...), addresses)
				if out.later > 3*5000 {
					t.Errorf("%d guesses passed after the attack was found, for 5,000 accounts", out.later)
				}
				if len(out.refused) > 1 {
					t.Errorf("%d of 200 honest users were refused", len(out.refused))
				}
				t.Logf("found after %s, %d guesses passed before and %d after; %d honest users refused", out.detected, out.guesses-out.later, out.later, len(out.refused))
			})
		})
	}
}

// Offices share an address: 5,000 people who sign in within an hour, some
// mistyping, from one address or from those that Exchange Online names.
func TestMondayMorning(t *testing.T) {
	for _, c := range []struct {
		name    string
		address func(user int) []netip.Addr
	}{
		{"one office", func(int) []netip.Addr { return addresses("198.51.100.7") }},
		{"one office in a surge", func(int) []netip.Addr { return addresses("198.51.100.7") }},
		{"exchange online, which names nobody", func(int) []netip.Addr { return addresses("40.92.0.9") }},
		{"exchange online, which names the office", func(int) []netip.Addr { return addresses("40.92.0.9", "198.51.100.7") }},
		{"exchange online, which names homes", func(user int) []netip.Addr {
			return []netip.Addr{netip.AddrFrom4([4]byte{81, byte(user >> 8), byte(user), 9})}
		}},
	} {
		for _, nodes := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d nodes", c.name, nodes), func(t *testing.T) {
				bubble(t, func(t *testing.T) { monday(t, nodes, c.address, c.name == "one office in a surge") })
			})
		}
	}
}

func monday(t *testing.T, nodes int, address func(int) []netip.Addr, inSurge bool) {
	r := rand.New(rand.NewPCG(3, 1))
	s := newSite(t, nodes, nil, func(c *guard.Config) { c.Exempt = []netip.Prefix{netip.MustParsePrefix("40.92.0.0/15")} })
	if inSurge {
		for i := range 200 {
			for _, g := range s.guards {
				s.signIn(g, fmt.Sprint("victim", i), "guess", fmt.Sprintf("20.%d.1.1", i))
			}
		}
	}
	for i, e := range mornings(s, r) {
		time.Sleep(e.at)
		user := fmt.Sprintf("user%d", e.user)
		got := s.attempt(s.guards[i%nodes], guard.Attempt{User: user, Password: account.NewPassword([]byte(e.password)), Addresses: address(e.user)})
		if e.password == s.ad.right[user] && got != ok {
			t.Fatalf("user %d, the right password: %v", e.user, got)
		}
	}
}

// mornings are the sign-ins, each with the time since the last.
func mornings(s *site, r *rand.Rand) []event {
	events := honest(s, r, 5000, 40*time.Minute)
	sort.Slice(events, func(i, j int) bool { return events[i].at < events[j].at })
	for i := len(events) - 1; i > 0; i-- {
		events[i].at -= events[i-1].at
	}
	return events
}

// LOCK-04: from a blocked source no password reaches the directory, whoever it
// is of and whichever gateway is asked; and a block ends.
func TestBlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		s.ad.right[alice] = "right"
		for i := range 10 {
			s.signIn(s.guards[0], fmt.Sprint("user", i), "guess", "203.0.113.9")
		}
		time.Sleep(time.Millisecond)
		before := s.ad.asked
		for _, g := range s.guards {
			if got := s.signIn(g, alice, "right", "203.0.113.9"); got != refusal.Banned {
				t.Errorf("from a blocked address: %v", got)
			}
		}
		if s.ad.asked != before {
			t.Error("the directory was asked")
		}
		if got := s.signIn(s.guards[1], alice, "right", "203.0.113.10"); got != ok {
			t.Errorf("from the address beside it: %v", got)
		}
		time.Sleep(time.Hour)
		if got := s.signIn(s.guards[1], alice, "right", "203.0.113.9"); got != ok {
			t.Errorf("after an hour: %v", got)
		}
	})
}

// A proxy or a server of Exchange Online's is never blocked as a source.
func TestExempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, func(c *guard.Config) { c.Exempt = []netip.Prefix{netip.MustParsePrefix("40.92.0.0/15")} })
		for i := range 50 {
			s.signIn(s.guards[0], fmt.Sprint("user", i), "guess", "40.92.0.9")
			synctest.Wait()
		}
		if got := s.signIn(s.guards[0], alice, "guess", "40.92.0.9"); got != refusal.WrongPassword {
			t.Errorf("after 50 failing users: %v", got)
		}
	})
}

// A network is blocked when it fails as a whole, from several addresses.
func TestNetworkBlocked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		for i := range 10 {
			s.signIn(s.guards[0], fmt.Sprint("user", i), "guess", fmt.Sprintf("203.0.113.%d", i))
			synctest.Wait() // for the mirrors
		}
		time.Sleep(time.Millisecond)
		if got := s.signIn(s.guards[0], alice, "guess", "203.0.113.200"); got != refusal.Banned {
			t.Errorf("from elsewhere in the network: %v", got)
		}
		for i := range 10 {
			s.signIn(s.guards[0], fmt.Sprint("user", 50+i), "guess", fmt.Sprintf("2001:db8:1:%x::1", i))
			synctest.Wait()
		}
		time.Sleep(time.Millisecond)
		if got := s.signIn(s.guards[0], alice, "guess", "2001:db8:1:ffff::1"); got != refusal.Banned {
			t.Errorf("from elsewhere in 48 bits of IPv6: %v", got)
		}
	})
}

// Names that the directory does not have count for where they came from.
func TestUnknownNamesSpray(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		for i := range 10 {
			a := guard.Attempt{User: s.guards[0].UserKey("", account.Name{User: fmt.Sprint("nobody", i)}), Addresses: addresses("203.0.113.9")}
			if err := s.guards[0].FailedUnknown(context.Background(), a); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		users, failures, err := s.guards[0].Failures(addresses("203.0.113.9"))
		if users != 10 || failures != 10 || err != nil {
			t.Errorf("%d users and %d failures are known, %v; want 10", users, failures, err)
		}
		time.Sleep(time.Millisecond)
		if got := s.signIn(s.guards[0], alice, "guess", "203.0.113.9"); got != refusal.Banned {
			t.Errorf("after ten names that nobody has: %v", got)
		}
	})
}

// What an operator banned is refused until its end.
func TestBan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		s.ad.right[alice] = "right"
		ctx := context.Background()
		until := guard.Hold{Until: time.Now().Add(time.Hour), By: "ops", Why: "test"}
		if err := s.guards[0].BanSource(ctx, netip.MustParsePrefix("203.0.0.0/16"), until); err != nil {
			t.Fatal(err)
		}
		if err := s.guards[0].BanUser(ctx, "mallory", until); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"203.0.113.9/16", "0.0.0.0/0", "203.0.113.0/25"} {
			if err := s.guards[0].BanSource(ctx, netip.MustParsePrefix(bad), until); err == nil {
				t.Errorf("%s was banned", bad)
			}
		}
		time.Sleep(time.Millisecond)
		for _, c := range []struct {
			user, from string
			want       refusal.Reason
		}{{alice, "203.0.113.9", refusal.Banned}, {alice, "198.51.100.7", ok}, {"mallory", "198.51.100.7", refusal.Banned}} {
			if got := s.signIn(s.guards[0], c.user, "right", c.from); got != c.want {
				t.Errorf("%s from %s: %v, want %v", c.user, c.from, got, c.want)
			}
		}
		time.Sleep(time.Hour + 2*time.Second)
		if got := s.signIn(s.guards[0], alice, "right", "203.0.113.9"); got != ok {
			t.Errorf("after the end of the ban: %v", got)
		}
	})
}

// LOCK-06: a failure that could not be written is counted when it can be, on its
// own or before the next password leaves; each gateway has one at most.
func TestOwedFailures(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration
	}{{"at once", 0}, {"later", 5 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				down := &broken{Store: state.NewMemory(nil)}
				s := newSite(t, 3, down, nil)
				guess := 0
				attack := func() {
					for range 30 {
						s.signIn(s.guards[guess%3], alice, fmt.Sprint("guess", guess), "203.0.113.9")
						guess++
						time.Sleep(time.Millisecond) // for the other mirrors
					}
				}
				down.writes.Store(true)
				if attack(); s.ad.asked != 3 {
					t.Errorf("%d guesses reached the directory through 3 gateways while nothing can be written, want 3", s.ad.asked)
				}
				down.writes.Store(false)
				time.Sleep(c.wait)
				if attack(); s.ad.most(alice) > 6 {
					t.Errorf("the directory counts %d wrong passwords", s.ad.most(alice))
				}
			})
		})
	}
}

// What cannot be known or written is refused.
func TestStoreDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := &broken{Store: state.NewMemory(nil)}
		s := newSite(t, 1, down, nil)
		s.ad.right[alice] = "right"
		down.writes.Store(true)
		if got := s.signIn(s.guards[0], alice, "right", "203.0.113.9"); got != ok {
			t.Errorf("a right password while nothing can be written: %v", got)
		}
		reached := 0
		for i := range 20 {
			before := s.ad.asked
			if got := s.signIn(s.guards[0], alice, fmt.Sprint("guess", i), "203.0.113.10"); got == refusal.WrongPassword {
				t.Errorf("guess %d was not counted, and the client heard so", i)
			}
			reached += s.ad.asked - before
		}
		if reached != 1 {
			t.Errorf("%d guesses reached the directory while nothing can be written, want 1", reached)
		}
		down.watches.Store(true)
		time.Sleep(2 * time.Second)
		if got := s.signIn(s.guards[0], "bob", "right", "203.0.113.9"); got != refusal.StateDown || s.guards[0].Ready() == nil {
			t.Errorf("while nothing is heard of the store: %v", got)
		}
		down.watches.Store(false)
		down.writes.Store(false)
		time.Sleep(5 * time.Second)
		s.ad.right["bob"] = "right"
		if got := s.signIn(s.guards[0], "bob", "right", "203.0.113.9"); got != ok || s.guards[0].Ready() != nil {
			t.Errorf("when the store is back: %v, %v", got, s.guards[0].Ready())
		}
	})
}
