package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/refusal"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// An exchange sees one policy set from its start to its end, however long
// directory and farm take.
func TestOnePolicySet(t *testing.T) {
	const open = `
applications: {renamed: {realms: ["*"], answer: forward, answer_encrypted: true}}
rules: [{name: all, match: everyone, allow: {}}]
`
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		first, second := g.live.Load(), load(t, open)
		sealed := []byte(strings.ReplaceAll(string(testdata.Message(t, "rstr/adfs-13-encrypted.xml")), "https://cloud.contoso.example/saml/metadata", cloud))
		// The second would let the encrypted answer pass.
		g.directory.before = func() { g.live.Store(second) }
		g.farm.answers(sealed)
		g.ask(modern, nil)
		time.Sleep(later)
		g.ask(modern, nil)
		for i, want := range []map[string]any{
			{"rule.ruleset": first.Revision(), "event.reason": "answer-mismatch", "service.target.name": "microsoft-365", "rule.name": "staff"},
			{"rule.ruleset": second.Revision(), "event.reason": "ok", "service.target.name": "renamed", "rule.name": "all"},
		} {
			for field, v := range want {
				if got := g.records()[i][field]; got != v {
					t.Errorf("exchange %d: %s is %v, want %v", i, field, got, v)
				}
			}
		}
	})
}

// canary is text that must show nowhere.
const canary = "c4n4ry-3f9a1b7e5d2c8064-in-a-panic"

// A panicker panics with a value that holds a piece of the message.
type panicker struct{ secret string }

func (p panicker) Error() string { return p.secret }

// FAIL-05: a panic ends one exchange with a fault and a record, and its value
// shows nowhere.
func TestPanic(t *testing.T) {
	values := map[string]func(){
		"string":    func() { panic(canary) },
		"error":     func() { panic(fmt.Errorf("read %s", canary)) },
		"own error": func() { panic(panicker{canary}) },
		"pointer":   func() { panic(&panicker{canary}) },
		"bytes":     func() { panic([]byte(canary)) },
		"runtime error": func() {
			i := len(canary)
			_ = []string{canary}[i]
		},
		"nil map": func() { new(struct{ m map[string]bool }).m[canary] = true },
		"type":    func() { _ = any(canary).(error) },
		"nil":     func() { panic(nil) },
	}
	places := map[string]func(g *gate, fail func()){
		"lookup": func(g *gate, fail func()) { g.directory.before = fail },
		"forward": func(g *gate, fail func()) {
			g.farm.forward = func(context.Context, *wstrust.Request, wstrust.Origin) (*wstrust.Answer, error) {
				fail()
				return nil, nil
			}
		},
		"authenticate": func(g *gate, fail func()) {
			g.sts.authenticate = func(context.Context, account.Name, account.Password) (account.Account, error) {
				fail()
				return alice, nil
			}
		},
		"issue": func(g *gate, fail func()) {
			g.sts.issue = func(*wstrust.Grant) (*wstrust.Issued, error) { fail(); return nil, nil }
		},
	}
	for value, fail := range values {
		for place, arrange := range places {
			atFresh(t, value+" in "+place, func(t *testing.T) {
				g := newGate(t, nil)
				arrange(g, fail)
				w := g.ask(modern, func(q *wstrust.Query) {
					if place == "authenticate" || place == "issue" {
						q.AppliesTo = "urn:payroll"
					}
				})
				g.checkOutside(w, modern, &provocation{reason: refusal.Internal})
				g.checkInside(refusal.Internal)
				g.hides(w, canary)
				if !strings.Contains(g.log.String(), "panic in an exchange") || !strings.Contains(g.log.String(), "exchange_test.go") {
					t.Errorf("the log does not say where the panic was: %s", g.log)
				}
			})
		}
	}
}

// A panicking is a body whose reading panics once some of it was read.
type panicking struct{ message *bytes.Reader }

func (p panicking) Read(b []byte) (int, error) {
	if p.message.Len() == 0 {
		panic(canary)
	}
	return p.message.Read(b)
}

// XML-19: what cannot be read to its end, for whatever reason, goes nowhere and
// is recorded once, and the next request is served.
func TestUnreadableIsNotForwarded(t *testing.T) {
	half := func(b []byte) []byte { return b[:len(b)/2] }
	for name, c := range map[string]struct {
		body   func(message []byte) io.Reader
		want   string
		panics float64
	}{
		"panic":        {func(b []byte) io.Reader { return panicking{bytes.NewReader(half(b))} }, "internal", 1},
		"late panic":   {func(b []byte) io.Reader { return panicking{bytes.NewReader(b)} }, "internal", 1},
		"read error":   {func(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(half(b)), broken{}) }, "body-unread", 0},
		"cut short":    {func(b []byte) io.Reader { return bytes.NewReader(half(b)) }, "malformed", 0},
		"one too many": {func(b []byte) io.Reader { return bytes.NewReader(append(b, b...)) }, "malformed", 0},
		"a limit": {func(b []byte) io.Reader {
			return bytes.NewReader(bytes.Replace(b, []byte("</o:UsernameToken>"), []byte(strings.Repeat("<o:x/>", 512)+"</o:UsernameToken>"), 1))
		}, "malformed", 0},
	} {
		atFresh(t, name, func(t *testing.T) {
			g := newGate(t, nil)
			r := modern.post(nil)
			r.ContentLength = -1
			r.Body = io.NopCloser(c.body(modern.query(nil)))
			w := g.serve(r)
			if got := g.record()["event.reason"]; got != c.want || w.Code == http.StatusOK || !g.quiet() {
				t.Errorf("got status %d and reason %v, want %s, and nothing to leave", w.Code, got, c.want)
			}
			if got := g.value("stsgate_panics_total"); got != c.panics {
				t.Errorf("%v panics are counted, want %v", got, c.panics)
			}
			g.hides(w, canary)
			if w := g.ask(modern, nil); w.Code != http.StatusOK {
				t.Errorf("the next request got status %d", w.Code)
			}
		})
	}
}

// Whatever becomes of an exchange, it has one record (AUD-01).
func TestOneRecord(t *testing.T) {
	for _, c := range []struct {
		name, want string
		serve      func(g *gate)
	}{
		{"answered", "ok", func(g *gate) { g.ask(modern, nil) }},
		{"panic", "internal", func(g *gate) {
			g.farm.forward = func(context.Context, *wstrust.Request, wstrust.Origin) (*wstrust.Answer, error) { panic("x") }
			g.ask(modern, nil)
		}},
		{"client gone before", "client-gone", func(g *gate) {
			ctx, gone := context.WithCancel(g.t.Context())
			gone()
			g.farm.forward = func(ctx context.Context, _ *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				return nil, ctx.Err()
			}
			g.serve(modern.post(modern.query(nil)).WithContext(ctx))
		}},
		{"client gone while the farm works, which answers all the same", "ok", func(g *gate) {
			ctx, gone := context.WithCancel(g.t.Context())
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				gone()
				return readAnswer(answerTo(g.t, r), r)
			}
			g.serve(modern.post(modern.query(nil)).WithContext(ctx))
		}},
		{"body broken", "body-unread", func(g *gate) {
			r := modern.post(modern.query(nil))
			r.Body = io.NopCloser(broken{})
			g.serve(r)
		}},
		{"body without a byte", "malformed", func(g *gate) { g.serve(modern.post(nil)) }},
		{"answer not taken", "ok", func(g *gate) { g.serveTo(deaf{http.Header{}}, modern.post(modern.query(nil))) }},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			c.serve(g)
			if got := g.record()["event.reason"]; got != c.want {
				t.Errorf("got reason %v (%v), want %s", got, g.record()["error.message"], c.want)
			}
			if got := g.value("stsgate_exchanges_in_flight"); got != 0 {
				t.Errorf("%v exchanges are in flight after the only one", got)
			}
		})
	}
}

// deaf is a client that takes nothing.
type deaf struct{ h http.Header }

func (d deaf) Header() http.Header           { return d.h }
func (deaf) WriteHeader(int)                 {}
func (deaf) Write([]byte) (int, error)       { return 0, errors.New("broken pipe") }
func (deaf) SetReadDeadline(time.Time) error { return nil }

// A client that has gone is not a directory that is down.
func TestGoneWhileProving(t *testing.T) {
	for name, arrange := range map[string]func(g *gate, gone func()){
		"looking up": func(g *gate, gone func()) { gone(); g.directory.fail(context.Canceled) },
		"proving": func(g *gate, gone func()) {
			g.sts.authenticate = func(ctx context.Context, _ account.Name, _ account.Password) (account.Account, error) {
				gone()
				return account.Account{}, fmt.Errorf("wait for a slot: %w", ctx.Err())
			}
		},
		"issuing": func(g *gate, gone func()) {
			g.sts.issue = func(*wstrust.Grant) (*wstrust.Issued, error) { gone(); return nil, context.Canceled }
		},
	} {
		atFresh(t, name, func(t *testing.T) {
			g := newGate(t, nil)
			ctx, gone := context.WithCancel(t.Context())
			arrange(g, gone)
			g.serve(modern.post(modern.query(func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" })).WithContext(ctx))
			if got := g.record()["event.reason"]; got != "client-gone" {
				t.Errorf("got reason %v (%v), want client-gone", got, g.record()["error.message"])
			}
		})
	}
}

// Exchanges at the same time do not see each other's messages.
func TestExchangesAtTheSameTime(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		var wait sync.WaitGroup
		for i := range 200 {
			wait.Go(func() {
				id := fmt.Sprintf("urn:uuid:%d", i)
				w := g.ask(modern, func(q *wstrust.Query) {
					q.MessageID = id
					if i%2 == 0 {
						q.AppliesTo = "urn:payroll"
					}
				})
				if w.Code != 200 || !strings.Contains(w.Body.String(), "<a:RelatesTo>"+id+"</a:RelatesTo>") {
					t.Errorf("%d: got %d %s", i, w.Code, w.Body)
				}
			})
		}
		wait.Wait()
		transactions := map[any]bool{}
		for _, r := range g.records() {
			transactions[r["transaction.id"]] = true
		}
		if len(transactions) != 200 || g.value("stsgate_exchanges_total", "reason", "ok") != 200 {
			t.Errorf("got %d transactions and %v counted, want 200", len(transactions), g.value("stsgate_exchanges_total"))
		}
	})
}
