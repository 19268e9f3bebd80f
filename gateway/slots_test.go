package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// took is how long it was until a client heard.
func (g *gate) took(r *http.Request) time.Duration {
	start := time.Now()
	g.serve(r)
	return time.Since(start)
}

// SOAP-14, MFA-17: whatever a failure is and whoever finds it out, after however
// long, its answer leaves at the end of the same slot. A right password is not
// kept back.
func TestSlots(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*wstrust.Query)
		latency time.Duration // of the farm
		want    time.Duration
	}{
		"unknown user":            {func(q *wstrust.Query) { q.Username = "nobody@contoso.example" }, 0, time.Second},
		"denied user":             {func(q *wstrust.Query) { q.Username = mallory.UPN }, 0, time.Second},
		"wrong at a quick farm":   {guess(0, cloud), 20 * time.Millisecond, time.Second},
		"disabled at a slow farm": {guess(0, cloud), 120 * time.Millisecond, time.Second},
		"locked at a slower farm": {guess(0, cloud), 400 * time.Millisecond, time.Second},
		"wrong at the issuer":     {guess(0, "urn:payroll"), 0, time.Second},
		"two slots":               {guess(0, cloud), 1100 * time.Millisecond, 2 * time.Second},
		"right":                   {nil, 400 * time.Millisecond, 400 * time.Millisecond},
		"denied to all":           {func(q *wstrust.Query) { q.AppliesTo = "urn:closed" }, 0, 0},
	} {
		atFresh(t, name, func(t *testing.T) {
			g := newGate(t, nil)
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				time.Sleep(c.latency)
				if string(r.Password.Bytes()) == password {
					return readAnswer(answerTo(t, r), r)
				}
				return readAnswer(testdata.Message(t, "fault/adfs-id3242-13.xml"), r)
			}
			if got := g.took(modern.post(modern.query(c.change))); got != c.want {
				t.Errorf("answered after %v, want %v", got, c.want)
			}
			if got, want := g.value("stsgate_slot_overruns_total") == 1, c.want > time.Second; got != want {
				t.Errorf("an overrun: %v, want %v", got, want)
			}
		})
	}
}

// A repeat leaves at the end of a slot of its own, with the bytes of the first,
// and for 5 seconds after that was answered.
func TestRepeatsInSlots(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
		message := modern.query(guess(0, cloud))
		first := g.serve(modern.post(message))
		time.Sleep(4900 * time.Millisecond)
		start := time.Now()
		again := g.serve(modern.post(message))
		if time.Since(start) != time.Second || again.Body.String() != first.Body.String() {
			t.Errorf("after %v the repeat reads %s", time.Since(start), again.Body)
		}
	})
}

// A client that goes ends its wait.
func TestSlotOfAClientThatWent(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if got := g.took(modern.post(modern.query(guess(0, cloud))).WithContext(ctx)); got != 300*time.Millisecond {
			t.Errorf("it waited for %v", got)
		}
	})
}

// At most 5,000 wait; then the oldest leave early, and are counted.
func TestSlotsAreBounded(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) { c.Audit = openAudit(t, "/dev/null") })
		var all sync.WaitGroup
		var mu sync.Mutex
		early := 0
		for i := range gateway.MostInSlots + 10 {
			all.Go(func() {
				r := modern.post(modern.query(func(q *wstrust.Query) { q.Username = fmt.Sprintf("nobody%d@contoso.example", i) }))
				if g.took(r) < time.Second {
					mu.Lock()
					defer mu.Unlock()
					early++
				}
			})
		}
		synctest.Wait()
		all.Wait()
		if counted := g.value("stsgate_slot_early_total"); early != 10 || counted != 10 {
			t.Errorf("%d left early and %v were counted, want 10", early, counted)
		}
	})
}

// PORT-11: the portal's failures wait as well, and what is right does not.
func TestCheckPasswordInSlots(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		for _, c := range []struct {
			typed, secret string
			want          time.Duration
		}{{alice.UPN, password, 0}, {alice.UPN, "wrong", time.Second}, {"nobody", password, time.Second}} {
			start := time.Now()
			_, _ = g.CheckPassword(t.Context(), c.typed, account.NewPassword([]byte(c.secret)), here)
			if got := time.Since(start); got != c.want {
				t.Errorf("%s with %s: %v, want %v", c.typed, c.secret, got, c.want)
			}
		}
	})
}
