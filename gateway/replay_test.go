package gateway_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/state"
	"stsgate/gateway/wstrust"
)

// nonced is a message with a nonce in its user name token.
func nonced(nonce string, change func(*wstrust.Query)) []byte {
	return []byte(strings.Replace(string(modern.query(change)), "</o:Username>", "</o:Username><o:Nonce>"+nonce+"</o:Nonce>", 1))
}

// SOAP-09: a message with a nonce is answered once, by whichever gateway it
// reaches, forwarded or issued; one without comes as often as it likes.
func TestReplay(t *testing.T) {
	for _, application := range []string{cloud, "urn:payroll"} {
		atFresh(t, application, func(t *testing.T) {
			store := state.NewMemory(nil)
			var gates []*gate
			for range 2 {
				gates = append(gates, newGate(t, func(c *gateway.Config) { c.Guard = newSharedGuard(t, store) }))
			}
			to := func(q *wstrust.Query) { q.AppliesTo = application }
			tokens := func(message []byte) (n int) {
				answers := make(chan int, len(gates))
				var all sync.WaitGroup
				for _, g := range gates {
					all.Go(func() { answers <- g.serve(modern.post(message)).Code })
				}
				all.Wait()
				for range gates {
					if <-answers == http.StatusOK {
						n++
					}
				}
				return n
			}
			if got := tokens(nonced("AAAA", to)); got != 1 {
				t.Errorf("at two gateways at once: %d tokens, want 1", got)
			}
			time.Sleep(time.Minute)
			if got := tokens(nonced("AAAA", to)); got != 0 {
				t.Errorf("with the same nonce a minute later: %d tokens", got)
			}
			all := gates[1].records()
			if r := all[len(all)-1]; r["event.reason"] != "replayed" {
				t.Errorf("got %v, want replayed", r["event.reason"])
			}
			if got := tokens(nonced("BBBB", to)) + tokens(modern.query(to)); got != 3 {
				t.Errorf("with another nonce and without: %d tokens, want 3", got)
			}
		})
	}
}

// A nonce whose message got no token is not spent.
func TestNonceOfARefusal(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.farm.fails(wstrust.ErrDown)
		g.serve(modern.post(nonced("AAAA", nil)))
		g.farm.forward = nil
		time.Sleep(later)
		if w := g.serve(modern.post(nonced("AAAA", nil))); w.Code != http.StatusOK {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
}
