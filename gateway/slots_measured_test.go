package gateway_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/guard"
	"stsgate/gateway/state"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

const callers = 50

// SOAP-14, on the real clock (make slots): of each kind of failure, at a farm
// that takes 20, 120 or 400 ms, 99.9 % leave in the same slot, and no two kinds
// can be told apart by their times (Welch's |t| < 4.5).
func TestSlotsMeasured(t *testing.T) {
	of, err := strconv.Atoi(os.Getenv("SLOTS"))
	if err != nil {
		t.Skip("skipped: make slots measures for minutes, on a quiet machine")
	}
	kinds := map[string]func(i int) *http.Request{
		"unknown user": failing("", "nobody%d@contoso.example"),
		"denied user":  failing("", mallory.UPN),
		"20 ms":        failing("20", "quick%d@contoso.example"),
		"120 ms":       failing("120", "slow%d@contoso.example"),
		"400 ms":       failing("400", "slower%d@contoso.example"),
	}
	users := []account.Account{mallory}
	for i := range callers { // one password of a user is asked about at a time
		for _, name := range []string{"quick", "slow", "slower"} {
			users = append(users, person(fmt.Sprint(name, i), fmt.Sprintf("%s-%d", name, i), "staff"))
		}
	}
	g := newGate(t, func(c *gateway.Config) { c.Guard, c.Directory = tirelessGuard(t), newDirectory(users...) })
	g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
		ms, _, _ := strings.Cut(string(r.Password.Bytes()), "-")
		d, err := time.ParseDuration(ms + "ms")
		if err != nil {
			return nil, err
		}
		time.Sleep(d)
		return readAnswer(testdata.Message(t, "fault/adfs-id3242-13.xml"), r)
	}
	took := map[string][]float64{} // in ms
	var mu sync.Mutex
	var running sync.WaitGroup
	for name, request := range kinds {
		for c := range callers {
			running.Go(func() {
				for i := c; i < of; i += callers {
					time.Sleep(rand.N(time.Second)) // or those of a kind would wake together, and wait for each other
					d := g.took(request(i))
					mu.Lock()
					took[name] = append(took[name], d.Seconds()*1000)
					mu.Unlock()
				}
			})
		}
	}
	running.Wait()
	for name, all := range took {
		in := 0
		for _, ms := range all {
			if ms >= 1000 && ms < 2000 {
				in++
			}
		}
		t.Logf("%-13s %d of %d in the first slot, mean %.2f ms", name, in, len(all), mean(all))
		if float64(in) < 0.999*float64(len(all)) {
			t.Errorf("%s: too few", name)
		}
		for other, theirs := range took {
			if welch := welch(all, theirs); name < other && math.Abs(welch) >= 4.5 {
				t.Errorf("%s and %s: t = %.1f", name, other, welch)
			}
		}
	}
}

// failing are requests of one kind of failure, each with a password of its own,
// which tells the farm how long to take.
func failing(latency, user string) func(i int) *http.Request {
	return func(i int) *http.Request {
		name := user
		if strings.Contains(user, "%d") {
			name = fmt.Sprintf(user, i%callers)
		}
		return from(fmt.Sprintf("198.51.%d.%d", i/250, 1+i%250), modern.query(func(q *wstrust.Query) {
			typed(cloud, fmt.Sprintf("%s-%d", latency, i))(q)
			q.Username, q.MessageID = name, fmt.Sprintf("urn:uuid:%s-%s-%d", latency, name, i)
		}))
	}
}

// tirelessGuard never locks.
func tirelessGuard(t *testing.T) *guard.Guard {
	l := guard.Defaults()
	l.Failures, l.SprayUsers, l.SurgeUsers, l.UserTries, l.SourceTries = 1e6, 1e6, 1e6, 1e9, 1e9
	return runGuard(t, guard.Config{Limits: l, Store: state.NewMemory(nil)})
}

func mean(all []float64) float64 {
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	return sum / float64(len(all))
}

// welch is Welch's t of two samples.
func welch(a, b []float64) float64 {
	spread := func(all []float64) float64 {
		m, sum := mean(all), 0.0
		for _, v := range all {
			sum += (v - m) * (v - m)
		}
		return sum / float64(len(all)-1) / float64(len(all))
	}
	return (mean(a) - mean(b)) / math.Sqrt(spread(a)+spread(b))
}
