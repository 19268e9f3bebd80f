package portal_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/portal"
)

// PORT-11: the page says when a gateway did not answer, and finds what is older
// than what it shows.
func TestHistoryOfAllGateways(t *testing.T) {
	whole, found := true, 0
	change := func(c *portal.Config) {
		history, explain := c.History, c.Explain
		c.History = func(ctx context.Context, user string, most int) ([]portal.SignIn, bool, error) {
			all, _, err := history(ctx, user, most)
			return all, whole, err
		}
		c.Explain = func(ctx context.Context, user, transaction string) (*portal.SignIn, bool, error) {
			found++
			one, _, err := explain(ctx, user, transaction)
			return one, whole, err
		}
	}
	id := func(i int) string { return fmt.Sprintf("%032x", i) }
	bubble(t, change, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		for i := range 60 {
			s.history[alice] = append(s.history[alice], portal.SignIn{Transaction: id(i), Time: time.Now(), Application: fmt.Sprint("number-", i, "."), Address: home, Reason: "wrong-password"})
		}
		for _, whole = range []bool{true, false} {
			page := b.get("/history")
			if strings.Contains(page.text(), "Some may be missing") == whole || !strings.Contains(page.text(), "number-49.") || strings.Contains(page.text(), "number-50.") {
				t.Errorf("whole %v: %s", whole, page.text())
			}
			for _, c := range []struct {
				i    int
				says string
				asks int
			}{{3, "It was wrong or has expired", 0}, {55, "It was wrong or has expired", 1}, {70, "Nothing is known under this number", 1}} {
				found = 0
				text := b.post("/history/explain", "transaction", id(c.i)).text()
				if !strings.Contains(text, c.says) || found != c.asks {
					t.Errorf("whole %v, %d: asked %d times: %s", whole, c.i, found, text)
				}
				if again := strings.Contains(text, "not everything could be looked through. Try again"); c.i == 70 && again == whole {
					t.Errorf("whole %v: %s", whole, text)
				}
			}
		}
	})
}

// One user who asks for the past many times leaves it to others as well.
func TestLooksOfOneUser(t *testing.T) {
	var looking chan string
	var goOn chan struct{}
	change := func(c *portal.Config) {
		history := c.History
		c.History = func(ctx context.Context, user string, most int) ([]portal.SignIn, bool, error) {
			if looking != nil {
				looking <- user
				<-goOn
			}
			return history(ctx, user, most)
		}
	}
	bubble(t, change, func(t *testing.T, s *site) {
		a, b := s.signedIn("alice", alice), s.signedIn("bob", bob)
		looking, goOn = make(chan string, 8), make(chan struct{})
		answers := make(chan answer, 8)
		ask := func(b *browser) {
			tab := &browser{s: s, cookies: maps.Clone(b.cookies), from: b.from}
			go func() { answers <- tab.get("/history") }()
			synctest.Wait()
		}
		ask(a)
		ask(a)
		ask(a)
		select {
		case got := <-answers:
			if got.status != http.StatusTooManyRequests || !strings.Contains(got.text(), "One moment") {
				t.Errorf("a third time: %d %s", got.status, got.text())
			}
		default:
			t.Error("a third one waits")
		}
		ask(b)
		if n := len(looking); n != 3 {
			t.Errorf("%d look", n)
		}
		close(goOn)
		synctest.Wait()
		for range len(answers) {
			if got := <-answers; got.status != http.StatusOK {
				t.Errorf("%d %s", got.status, got.text())
			}
		}
		if got := a.get("/history"); got.status != http.StatusOK {
			t.Errorf("afterwards: %d", got.status)
		}
	})
}
