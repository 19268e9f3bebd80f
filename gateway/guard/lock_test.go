package guard_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/guard"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
)

const alice = "12efcdab-5634-9078-abcd-ef1234567890"

// LOCK-01, LOCK-06: 1,000 guesses leave the directory's own count at 6, and one
// more for each of several gateways.
func TestTargetedAttack(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		for _, atOnce := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d nodes, at once %v", nodes, atOnce), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newSite(t, nodes, nil, nil)
					s.ad.takes = 30 * time.Millisecond
					var guesses sync.WaitGroup
					for i := range 1000 {
						guess := func() {
							s.signIn(s.guards[i%nodes], alice, fmt.Sprint("guess", i), fmt.Sprintf("10.%d.%d.1", i/250, i%250))
						}
						if guesses.Go(guess); !atOnce {
							guesses.Wait()
						}
					}
					guesses.Wait()
					most := 6 + nodes
					if nodes == 1 {
						most = 6
					}
					if got := s.ad.most(alice); got > most || got < 6 {
						t.Errorf("the directory counts %d wrong passwords, want 6 to %d", got, most)
					}
				})
			})
		}
	}
}

// What is over the limit with what is out is refused at once.
func TestRefusedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		s.ad.takes = time.Second
		start, atOnce := time.Now(), make(chan bool, 20)
		for i := range 20 {
			go func() {
				got := s.signIn(s.guards[0], alice, fmt.Sprint("guess", i), "203.0.113.9")
				atOnce <- got == refusal.Locked && time.Since(start) == 0
			}()
		}
		refused := 0
		for range 20 {
			if <-atOnce {
				refused++
			}
		}
		if refused != 14 {
			t.Errorf("%d of 20 were refused at once, want 14", refused)
		}
	})
}

// What was written here counts before the mirror has it.
func TestMirrorLags(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := &broken{Store: state.NewMemory(nil), lag: 50 * time.Millisecond}
		s := newSite(t, 1, slow, nil)
		for i := range 100 {
			s.signIn(s.guards[0], alice, fmt.Sprint("guess", i), "203.0.113.9")
		}
		if got := s.ad.most(alice); got != 6 {
			t.Errorf("the directory counts %d wrong passwords, want 6", got)
		}
	})
}

// LOCK-01: eight hours of guesses at any pace leaves the directory's count at 6.
func TestPacedAttack(t *testing.T) {
	for _, pace := range []time.Duration{time.Second, time.Minute, 5 * time.Minute, 29 * time.Minute, 31 * time.Minute} {
		t.Run(pace.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSite(t, 1, nil, nil)
				for i, end := 0, time.Now().Add(8*time.Hour); time.Now().Before(end); i++ {
					s.signIn(s.guards[0], alice, fmt.Sprint("guess", i), fmt.Sprintf("10.0.%d.1", i%250))
					time.Sleep(pace)
				}
				if got := s.ad.most(alice); got > 6 {
					t.Errorf("the directory counts %d wrong passwords", got)
				}
				t.Logf("%d guesses reached the directory", s.ad.asked)
				if s.ad.asked > 30 {
					t.Errorf("%d guesses reached the directory", s.ad.asked)
				}
			})
		})
	}
}

// LOCK-06: failures outlast a restart of all gateways.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		for i := range 20 {
			g := s.guards[len(s.guards)-1]
			if i%2 == 0 {
				g = s.add(nil)
			}
			s.signIn(g, alice, fmt.Sprint("guess", i), "203.0.113.9")
		}
		if got := s.ad.most(alice); got != 6 {
			t.Errorf("the directory counts %d wrong passwords, want 6", got)
		}
	})
}

// Each lock that follows another is twice as long, up to the longest.
func TestLocksGrow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		for _, want := range []time.Duration{31 * time.Minute, 62 * time.Minute, 124 * time.Minute, 4 * time.Hour, 4 * time.Hour} {
			for i := range 6 {
				if got := s.signIn(s.guards[0], alice, fmt.Sprint("guess", time.Now(), i), "203.0.113.9"); got != refusal.WrongPassword {
					t.Fatalf("try %d before a lock of %s: %v", i, want, got)
				}
			}
			time.Sleep(want - time.Second)
			if got := s.signIn(s.guards[0], alice, "other", "203.0.113.9"); got != refusal.Locked {
				t.Errorf("a second before the end of a lock of %s: %v", want, got)
			}
			time.Sleep(time.Second)
		}
	})
}

// LOCK-02: an attack from elsewhere does not stop the user at home, and one
// from there does not stop the user elsewhere.
func TestFamiliarApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		s.ad.right[alice] = "right"
		if got := s.signIn(s.guards[0], alice, "right", "198.51.100.7"); got != ok {
			t.Fatal(got)
		}
		for i := range 100 {
			s.signIn(s.guards[0], alice, fmt.Sprint("guess", i), "203.0.113.9")
		}
		for _, c := range []struct {
			from string
			want refusal.Reason
		}{{"198.51.100.7", ok}, {"203.0.113.10", refusal.Locked}} {
			if got := s.signIn(s.guards[0], alice, "right", c.from); got != c.want {
				t.Errorf("from %s: %v, want %v", c.from, got, c.want)
			}
		}
		synctest.Wait() // for the other's mirrors
		// What was learned from two factors is known on every gateway; what one
		// remembers is not.
		if got := s.signIn(s.guards[1], alice, "right", "198.51.100.7"); got != refusal.Locked {
			t.Errorf("on another gateway before Learn: %v", got)
		}
		a := guard.Attempt{Addresses: addresses("198.51.100.7")}
		if familiar, err := s.guards[1].Familiar(alice, a.Addresses); familiar || err != nil {
			t.Errorf("familiar before Learn: %v, %v", familiar, err)
		}
		if err := s.guards[0].Learn(context.Background(), alice, a.Addresses); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		if familiar, err := s.guards[1].Familiar(alice, a.Addresses); !familiar || err != nil {
			t.Errorf("familiar after Learn: %v, %v", familiar, err)
		}
		if got := s.signIn(s.guards[1], alice, "right", "198.51.100.7"); got != ok {
			t.Errorf("on another gateway after Learn: %v", got)
		}
	})
}

// LOCK-05: phones with stale passwords count once each, and their owner signs in.
func TestStalePhone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		s.ad.right[alice] = "new"
		for i := range 1000 {
			s.signIn(s.guards[i%2], alice, "old", "203.0.113.9")
			time.Sleep(5 * time.Second)
			s.signIn(s.guards[i%2], alice, "older", "203.0.113.10")
			time.Sleep(5 * time.Second)
			if i%100 == 50 {
				if got := s.signIn(s.guards[0], alice, "new", fmt.Sprint("198.51.100.", i/10)); got != ok {
					t.Fatalf("the owner, after %d tries of the phone: %v", i, got)
				}
			}
		}
		if got := s.ad.most(alice); got > 6 {
			t.Errorf("the directory counts %d wrong passwords", got)
		}
		t.Logf("the directory was asked %d times, its highest count is %d", s.ad.asked, s.ad.most(alice))
	})
}

// LOCK-05: a wrong password is asked about again after five minutes, since it
// may have become right.
func TestWrongPasswordBecomesRight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		s.ad.right[alice] = "old"
		s.signIn(s.guards[0], alice, "new", "203.0.113.9")
		s.ad.right[alice] = "new"
		time.Sleep(5*time.Minute - time.Second)
		if got := s.signIn(s.guards[0], alice, "new", "203.0.113.9"); got != refusal.WrongPassword {
			t.Errorf("before five minutes: %v", got)
		}
		time.Sleep(time.Second)
		if got := s.signIn(s.guards[0], alice, "new", "203.0.113.9"); got != ok {
			t.Errorf("after five minutes: %v", got)
		}
	})
}

// LOCK-05: so is one that was wrong before the password was set.
func TestWrongPasswordThenSet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		s.signIn(s.guards[0], alice, "new", "203.0.113.9")
		time.Sleep(time.Second)
		a := guard.Attempt{User: alice, Password: account.NewPassword([]byte("new")), PasswordSet: time.Now(), Addresses: addresses("203.0.113.9")}
		time.Sleep(time.Second)
		if got := s.attempt(s.guards[0], a); got != refusal.WrongPassword || s.ad.asked != 2 {
			t.Errorf("after it was set: %v, and the directory was asked %d times", got, s.ad.asked)
		}
		if s.attempt(s.guards[0], a); s.ad.asked != 2 {
			t.Errorf("asked about once more: %d times", s.ad.asked)
		}
	})
}

// LOCK-01: ours is below half of the directory's threshold, and lasts as long.
func TestChain(t *testing.T) {
	for _, c := range []struct {
		threshold int
		window    time.Duration
		warns     bool
	}{{0, 0, false}, {20, 30 * time.Minute, false}, {13, 30 * time.Minute, false}, {12, 30 * time.Minute, true}, {5, time.Minute, true}, {20, time.Hour, true}} {
		if err := guard.Defaults().CheckChain(c.threshold, c.window); (err != nil) != c.warns {
			t.Errorf("threshold %d, window %s: %v", c.threshold, c.window, err)
		}
	}
}

// The hashes of a day are those of its key: a password that was wrong before
// midnight is known after it.
func TestKnownWrongAcrossMidnight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 2, 23, 59, 0, 0, time.UTC)))
		s := newSite(t, 1, nil, nil)
		s.signIn(s.guards[0], alice, "old", "203.0.113.9")
		time.Sleep(2 * time.Minute)
		s.signIn(s.guards[0], alice, "old", "203.0.113.9")
		if s.ad.asked != 1 {
			t.Errorf("the directory was asked %d times, want 1", s.ad.asked)
		}
	})
}

// Many requests of one user with the right password all pass, and wait for
// nobody once it was right.
func TestBurst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		s.ad.right[alice], s.ad.takes = "right", time.Second
		burst := func() time.Duration {
			start := time.Now()
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					if got := s.signIn(s.guards[0], alice, "right", "203.0.113.9"); got != ok {
						t.Errorf("one of a burst: %v", got)
					}
				})
			}
			all.Wait()
			return time.Since(start)
		}
		if took := burst(); took != 2*time.Second {
			t.Errorf("the first burst took %s, want 2s", took)
		}
		if took := burst(); took != time.Second {
			t.Errorf("the second burst took %s, want 1s", took)
		}
		// It is changed under them: all of a burst count once.
		s.ad.right[alice] = "new"
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { s.signIn(s.guards[0], alice, "right", "203.0.113.9") })
		}
		all.Wait()
		if got := s.signIn(s.guards[0], alice, "new", "203.0.113.9"); got != ok {
			t.Errorf("the new password after a burst of the old: %v", got)
		}
	})
}

// A try of which nothing is known counts for nothing, and lets the next go.
func TestUnsettled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		ctx := context.Background()
		for i := range 20 {
			try, err := s.guards[0].Take(ctx, guard.Attempt{User: alice, Password: account.NewPassword(fmt.Append(nil, i)), Addresses: addresses("203.0.113.9")})
			if err != nil {
				t.Fatal(err)
			}
			if err := try.Settle(ctx, guard.Unsettled); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Who waits in line and goes away leaves it.
func TestGoneWhileWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		ctx, cancel := context.WithCancel(context.Background())
		attempt := func(p string) guard.Attempt {
			return guard.Attempt{User: alice, Password: account.NewPassword([]byte(p)), Addresses: addresses("203.0.113.9")}
		}
		first, err := s.guards[0].Take(ctx, attempt("first"))
		if err != nil {
			t.Fatal(err)
		}
		gone := make(chan error)
		go func() {
			_, err := s.guards[0].Take(ctx, attempt("second"))
			gone <- err
		}()
		time.Sleep(time.Second)
		cancel()
		if err := <-gone; refusal.Of(err) != refusal.ClientGone {
			t.Errorf("got %v, want client-gone", err)
		}
		if err := first.Settle(ctx, guard.Unsettled); err != nil {
			t.Fatal(err)
		}
		third, err := s.guards[0].Take(context.Background(), attempt("third"))
		if err != nil {
			t.Fatal(err)
		}
		third.Settle(ctx, guard.Unsettled)
	})
}

// In report-only nothing is refused, and everything is said.
func TestReportOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, func(c *guard.Config) { c.ReportOnly = true })
		for i := range 10 {
			a := guard.Attempt{User: alice, Password: account.NewPassword(fmt.Append(nil, i)), Addresses: addresses("203.0.113.9")}
			try, err := s.guards[0].Take(context.Background(), a)
			if err != nil {
				t.Fatal(err)
			}
			if reported := try.Reported != nil; reported != (i >= 6) {
				t.Errorf("try %d: reported %v", i, try.Reported)
			}
			if err := try.Settle(context.Background(), guard.Wrong); err != nil {
				t.Fatal(err)
			}
		}
	})
}
