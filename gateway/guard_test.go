package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/clientip"
	"stsgate/gateway/guard"
	"stsgate/gateway/soap"
	"stsgate/gateway/state"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// newGuard returns a guard that follows its store until the test ends.
func newGuard(t testing.TB, store state.Store, reportOnly bool) *guard.Guard {
	t.Helper()
	return runGuard(t, guard.Config{Store: store, ReportOnly: reportOnly})
}

// newSharedGuard returns one that shares what it keeps with others.
func newSharedGuard(t testing.TB, store state.Store) *guard.Guard {
	t.Helper()
	return runGuard(t, guard.Config{Store: store, Secret: []byte("thirty-two bytes for these tests")})
}

// newExemptGuard returns one that knows addresses behind which are many.
func newExemptGuard(t testing.TB, many ...netip.Prefix) *guard.Guard {
	t.Helper()
	return runGuard(t, guard.Config{Store: state.NewMemory(nil), Exempt: many})
}

// newLooseGuard returns one that lets a user sign in as fast as a benchmark does.
func newLooseGuard(t testing.TB) *guard.Guard {
	t.Helper()
	l := guard.Defaults()
	l.UserTries, l.SourceTries = 1e9, 1e9
	return runGuard(t, guard.Config{Limits: l, Store: state.NewMemory(nil)})
}

func runGuard(t testing.TB, c guard.Config) *guard.Guard {
	t.Helper()
	if c.Limits == (guard.Limits{}) {
		c.Limits = guard.Defaults()
	}
	c.Metrics, c.Log = prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	g, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	if err := g.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return g
}

// A readonly is a store that takes nothing while it is down.
type readonly struct {
	state.Store
	down atomic.Bool
}

func (s *readonly) Create(ctx context.Context, k state.Key, v []byte, ttl time.Duration) (uint64, error) {
	if s.down.Load() {
		return 0, fmt.Errorf("%w: %s", state.ErrUnavailable, cause)
	}
	return s.Store.Create(ctx, k, v, ttl)
}

// guess asks with a wrong password, one for each number.
func guess(i int, application string) func(*wstrust.Query) {
	return func(q *wstrust.Query) {
		q.AppliesTo, q.Password = application, account.NewPassword(fmt.Appendf(nil, "guess%d", i))
	}
}

// LOCK-01: of ten guesses at most six leave the gateway, and the others look
// like a wrong password, even a right one.
func TestLocked(t *testing.T) {
	for _, application := range []string{cloud, "urn:payroll"} {
		atFresh(t, application, func(t *testing.T) {
			g := newGate(t, nil)
			forward := g.farm.forward
			g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
			first := g.ask(modern, guess(0, application))
			var last *recorder
			for i := range 9 {
				last = g.ask(modern, guess(i+1, application))
			}
			if got := len(g.farm.asked) + len(g.sts.proved); got != 6 {
				t.Errorf("%d guesses left the gateway, want 6", got)
			}
			alike(t, last, first)
			g.farm.forward = forward
			alike(t, g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = application }), first)
			all := g.records()
			if got := all[len(all)-1]["event.reason"]; got != "locked" {
				t.Errorf("the right password: reason %v, want locked", got)
			}
			if application == "urn:payroll" && g.directory.verified < 11 {
				t.Errorf("%d passwords were verified: a locked user is refused faster than one with a wrong password", g.directory.verified)
			}
		})
	}
}

// transaction is what differs between two answers of one kind, beside the time.
var transaction = regexp.MustCompile(`transaction [0-9a-f]{32}|2026-03-02T[0-9:.]{12}Z`)

// alike checks that a client cannot tell two answers apart.
func alike(t *testing.T, got, want *recorder) {
	t.Helper()
	plain := func(w *recorder) string {
		body := transaction.ReplaceAllString(w.Body.String(), "transaction")
		return fmt.Sprint(w.Code, w.Header(), body)
	}
	if plain(got) != plain(want) {
		t.Errorf("the answer is\n%s\nand that for a wrong password\n%s", plain(got), plain(want))
	}
}

// LOCK-05: what is known to be wrong is not sent on again.
func TestKnownWrong(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
		first := g.ask(modern, guess(0, cloud))
		time.Sleep(later)
		second := g.ask(modern, guess(0, cloud))
		if len(g.farm.asked) != 1 {
			t.Errorf("the farm was asked %d times, want 1", len(g.farm.asked))
		}
		alike(t, second, first)
	})
}

// LOCK-09: a password that the farm accepted and whose request it refused is no
// failure, and neither is an answer that proves nothing.
func TestNoFailure(t *testing.T) {
	for _, fault := range []string{"adfs-msis7068-13", "adfs-id3082-13", "adfs-msis3127-13"} {
		atFresh(t, fault, func(t *testing.T) {
			g := newGate(t, nil)
			g.farm.answers(testdata.Message(t, "fault/"+fault+".xml"))
			for i := range 10 {
				g.ask(modern, guess(i, cloud))
			}
			if len(g.farm.asked) != 10 {
				t.Errorf("the farm was asked %d times, want 10", len(g.farm.asked))
			}
		})
	}
}

// A failure has been counted before the client hears of it.
func TestCountedBeforeAnswer(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		store := state.NewMemory(nil)
		g := newGate(t, func(c *gateway.Config) { c.Guard = newGuard(t, store, false) })
		g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
		w := &recorder{ResponseRecorder: httptest.NewRecorder()}
		w.heard = func() {
			if all, err := store.List(context.Background(), state.Counters.Key()); len(all) != 2 || err != nil {
				t.Errorf("when the client hears, the store has %v, %v", all, err)
			}
		}
		g.serveTo(w, modern.post(modern.query(guess(0, cloud))))
		if w.heard != nil {
			t.Error("the client heard nothing")
		}
	})
}

// A password that succeeds writes nothing (design.md, section 7).
func TestSuccessWritesNothing(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.state.down.Store(true)
		if w := g.ask(modern, nil); w.Code != http.StatusOK {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
}

// What cannot be counted is refused for that, as is all when the store is not
// heard of: of a user and of a name that nobody has alike.
func TestStateDown(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.state.down.Store(true)
		g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
		wrong := g.ask(modern, guess(0, cloud))
		unknown := g.ask(modern, func(q *wstrust.Query) { q.Username = "nobody@contoso.example" })
		alike(t, unknown, wrong)
		for _, r := range g.records() {
			if r["event.reason"] != "state-down" {
				t.Errorf("got reason %v, want state-down", r["event.reason"])
			}
		}
		if strings.Contains(wrong.Body.String(), cause) {
			t.Error("the client reads the cause")
		}
	})
}

// The farm is asked to the end for a client that goes away, and what it says
// counts: who hangs up has no more guesses than others.
func TestHangingUpCounts(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		for i := range 10 {
			ctx, gone := context.WithCancel(t.Context())
			g.farm.forward = func(ctx context.Context, _ *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				gone()
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				return nil, &wstrust.Fault{Subcode: soap.Name{Space: wstrust.NS13, Local: "FailedAuthentication"}, Text: "ID3242: no"}
			}
			g.serve(modern.post(modern.query(guess(i, cloud))).WithContext(ctx))
		}
		if len(g.farm.asked) != 6 {
			t.Errorf("the farm was asked %d times, want 6", len(g.farm.asked))
		}
	})
}

// In report-only all is counted and nothing is refused.
func TestGuardReportOnly(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) { c.Guard = newGuard(t, state.NewMemory(nil), true) })
		g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
		for i := range 10 {
			g.ask(modern, guess(i, cloud))
		}
		if len(g.farm.asked) != 10 {
			t.Errorf("the farm was asked %d times, want 10", len(g.farm.asked))
		}
		reported := 0
		for _, r := range g.records() {
			if r["labels.guard_report_only"] == "locked" {
				reported++
			}
		}
		if reported != 4 {
			t.Errorf("%d records say locked, want 4", reported)
		}
	})
}

// The guard's facts: how many fail from where the client is, and whether the
// user has signed in from there with two factors.
func TestGuardFacts(t *testing.T) {
	const asks = rules + `
  - {name: no spraying sources, when: "source.failed_users >= 3 && source.failures >= 4", deny: {}}
  - {name: only at home, match: {applications: [portal], not: {familiar: true}}, deny: {}}
`
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) { c.Policy = live(t, asks) })
		reason := func(change func(*wstrust.Query)) any {
			g.ask(modern, change)
			all := g.records()
			time.Sleep(time.Millisecond) // for the mirrors
			return all[len(all)-1]["event.reason"]
		}
		portal := func(q *wstrust.Query) { q.AppliesTo = "urn:sharepoint:portal" }
		if got := reason(portal); got != "denied-user" {
			t.Errorf("from an address that is not familiar: %v", got)
		}
		if got := reason(nil); got != "ok" {
			t.Errorf("before anybody failed: %v", got)
		}
		for i := range 3 {
			reason(func(q *wstrust.Query) { q.Username = fmt.Sprintf("nobody%d@contoso.example", i) })
		}
		if got := reason(nil); got != "ok" {
			t.Errorf("after three failures of three users: %v", got)
		}
		reason(func(q *wstrust.Query) { q.Username = "nobody0@contoso.example" })
		if got := reason(nil); got != "denied" {
			t.Errorf("after four failures of three users: %v", got)
		}
	})
}

// A server of Exchange Online's is to blame for nobody, and the address that it
// names is.
func TestExchangeOnlineIsNoSource(t *testing.T) {
	for _, c := range []struct {
		name, forwarded, want string
	}{{"names nobody", "", "ok"}, {"names a client", "203.0.113.9", "banned"}} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, func(config *gateway.Config) {
				config.Clients = clientip.New(clientip.Config{ExchangeOnline: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
			})
			ask := func(change func(*wstrust.Query)) {
				r := modern.post(modern.query(change))
				if c.forwarded != "" {
					r.Header.Set("X-MS-Forwarded-Client-IP", c.forwarded)
				}
				g.serve(r)
				time.Sleep(time.Millisecond)
			}
			for i := range 20 {
				ask(func(q *wstrust.Query) { q.Username = fmt.Sprintf("nobody%d@contoso.example", i) })
			}
			ask(nil)
			all := g.records()
			if got := all[len(all)-1]["event.reason"]; got != c.want {
				t.Errorf("after 20 names that nobody has: %v, want %s", got, c.want)
			}
		})
	}
}
