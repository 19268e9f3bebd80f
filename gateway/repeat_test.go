package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/state"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// later is when the same bytes are a new attempt.
const later = 6 * time.Second

// from is a request from an address.
func from(address string, message []byte) *http.Request {
	r := modern.post(message)
	r.RemoteAddr = address + ":50000"
	return r
}

// counted returns how many failures of alice's are known to all.
func counted(t *testing.T, store state.Store) (users int) {
	t.Helper()
	all, err := store.List(context.Background(), state.Counters.Key())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if strings.HasPrefix(r.Key.Parts()[0], "user-") {
			users += strings.Count(string(r.Value), `"mac"`)
		}
	}
	return users
}

// SOAP-16: what a client sends again within 5 seconds of a fault gets that fault
// byte for byte, is neither asked nor counted, and has its own record.
func TestFaultAgain(t *testing.T) {
	for _, application := range []string{cloud, "urn:payroll"} {
		atFresh(t, application, func(t *testing.T) {
			g := newGate(t, nil)
			g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
			message := modern.query(guess(0, application))
			first := g.serve(modern.post(message))
			time.Sleep(time.Second)
			again := g.serve(modern.post(message))
			if again.Code != first.Code || again.Body.String() != first.Body.String() || !sameHeader(again.Header(), first.Header()) {
				t.Errorf("the repeat is answered %d %v %s\nand the first %d %v %s", again.Code, again.Header(), again.Body, first.Code, first.Header(), first.Body)
			}
			if asked := len(g.farm.asked) + len(g.sts.proved); asked != 1 {
				t.Errorf("%d passwords left the gateway, want 1", asked)
			}
			all := g.records()
			if len(all) != 2 || all[1]["labels.repeat_of"] != all[0]["transaction.id"] || all[1]["transaction.id"] == all[0]["transaction.id"] {
				t.Fatalf("got records %v, want two, the second as a repeat of the first", all)
			}
			if all[1]["event.reason"] != "wrong-password" || all[1]["user.id"] != alice.ID || all[0]["labels.repeat_of"] != nil {
				t.Errorf("the repeat's record is %v", all[1])
			}
			time.Sleep(later - time.Second)
			if late := g.serve(modern.post(message)); late.Body.String() == first.Body.String() {
				t.Error("5 seconds after a fault the same bytes get it again")
			}
		})
	}
}

// What differs in anything is another message.
func TestNoRepeat(t *testing.T) {
	message := func() []byte { return modern.query(guess(0, cloud)) }
	for name, other := range map[string]func() *http.Request{
		"another address": func() *http.Request { return from("198.51.100.9", message()) },
		"another path": func() *http.Request {
			r := modern.post(message())
			r.URL.Path = path2005
			return r
		},
		"another byte": func() *http.Request { return modern.post(append(message(), '\n')) },
	} {
		atFresh(t, name, func(t *testing.T) {
			g := newGate(t, nil)
			g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
			first := g.serve(modern.post(message()))
			second := g.serve(other())
			if second.Body.String() == first.Body.String() || g.records()[1]["labels.repeat_of"] != nil {
				t.Errorf("it is taken for a repeat: %v", g.records()[1])
			}
		})
	}
}

// A slow farm answers what it is asked when it is let go.
func (g *gate) slow() (asked chan struct{}, letGo func()) {
	asked, going := make(chan struct{}, 8), make(chan struct{})
	g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
		message := answerTo(g.t, r)
		asked <- struct{}{}
		<-going
		a, err := r.ReadAnswer(append(r.Room(), message...))
		if err != nil {
			return nil, err
		}
		a.Node, a.Farm = node, farmName
		return a, nil
	}
	return asked, sync.OnceFunc(func() { close(going) })
}

// SOAP-16: what is sent again while the first is unanswered joins it, and all
// get the same token, each with its own record in the ledger. Nobody reads what
// was wiped for another.
func TestJoined(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		asked, letGo := g.slow()
		message := modern.query(nil)
		answers := make([]*recorder, 6)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = g.serve(modern.post(message)) })
		}
		<-asked
		synctest.Wait()
		letGo()
		all.Wait()
		for _, w := range answers {
			if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), answers[0].Body.Bytes()) || !strings.Contains(w.Body.String(), "<saml:Assertion") {
				t.Fatalf("got %d %s, and the first %s", w.Code, w.Body, answers[0].Body)
			}
		}
		if len(g.farm.asked) != 1 {
			t.Errorf("the farm was asked %d times, want 1", len(g.farm.asked))
		}
		records, repeats := g.records(), 0
		for _, r := range records {
			if r["hash.sha256"] != records[0]["hash.sha256"] || r["labels.assertion_id"] != records[0]["labels.assertion_id"] || r["event.outcome"] != "success" {
				t.Errorf("the ledger differs: %v", r)
			}
			if r["labels.repeat_of"] == records[0]["transaction.id"] {
				repeats++
			}
		}
		if len(records) != 6 || repeats != 5 {
			t.Errorf("got %d records, %d of repeats", len(records), repeats)
		}
	})
}

// SOAP-16: bytes with nothing fresh in them may be somebody else's behind the
// same address: they do not join.
func TestConstantMessagesDoNotJoin(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		message := modern.query(func(q *wstrust.Query) { q.MessageID = "" })
		at := bytes.Index(message, []byte("<u:Timestamp"))
		end := bytes.Index(message, []byte("</u:Timestamp>")) + len("</u:Timestamp>")
		message = append(message[:at:at], message[end:]...)
		asked, letGo := g.slow()
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() { g.serve(modern.post(message)) })
		}
		synctest.Wait()
		letGo()
		all.Wait()
		if len(asked) != 2 {
			t.Errorf("the farm was asked %d times, want 2: %v", len(asked), g.records())
		}
	})
}

// A client whose time ran out closes and asks again: the exchange that it left
// goes on for the repeat.
func TestRepeatAfterHangingUp(t *testing.T) {
	for _, application := range []string{cloud, "urn:payroll"} {
		atFresh(t, application, func(t *testing.T) {
			g := newGate(t, nil)
			asked, letGo := g.slow()
			proven := make(chan struct{})
			g.sts.authenticate = func(context.Context, account.Name, account.Password) (account.Account, error) {
				asked <- struct{}{}
				<-proven
				return alice, nil
			}
			again := g.hangUp(t, modern.query(func(q *wstrust.Query) { q.AppliesTo = application }), asked)
			letGo()
			close(proven)
			if w := <-again; w.Code != http.StatusOK || len(asked) > 0 {
				t.Errorf("the repeat got %d %s, and was asked about %d times", w.Code, w.Body, len(asked))
			}
		})
	}
}

// hangUp sends a message, closes when it is asked about, and sends it again.
func (g *gate) hangUp(t *testing.T, message []byte, asked <-chan struct{}) (again chan *recorder) {
	ctx, hangUp := context.WithCancel(t.Context())
	go g.serve(modern.post(message).WithContext(ctx))
	<-asked
	again = make(chan *recorder, 1)
	go func() { again <- g.serve(modern.post(message)) }()
	synctest.Wait()
	hangUp()
	synctest.Wait()
	return again
}

// What the exchange that was left could not finish, its repeat begins anew.
func TestRepeatTakesOver(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		asked := make(chan struct{}, 1)
		g.sts.authenticate = func(ctx context.Context, _ account.Name, _ account.Password) (account.Account, error) {
			select {
			case asked <- struct{}{}:
				<-ctx.Done() // a directory that notices
				return account.Account{}, ctx.Err()
			default:
				return alice, nil
			}
		}
		sent := make(chan struct{})
		go func() { sent <- <-asked; asked <- struct{}{} }()
		if w := <-g.hangUp(t, modern.query(issued), sent); w.Code != http.StatusOK {
			t.Errorf("the repeat got %d %s", w.Code, w.Body)
		}
	})
}

// A repeat whose own client goes is over; and one whose own record cannot be
// written gets no token.
func TestRepeatsOwnEnd(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		asked, letGo := g.slow()
		message := modern.query(nil)
		var all sync.WaitGroup
		all.Go(func() { g.serve(modern.post(message)) })
		<-asked
		ctx, hangUp := context.WithCancel(t.Context())
		hangUp()
		w := g.serve(modern.post(message).WithContext(ctx))
		if r := g.record(); r["event.reason"] != "client-gone" || w.Code != http.StatusBadRequest {
			t.Errorf("got %d and %v", w.Code, r)
		}
		letGo()
		all.Wait()
	})
}

// SOAP-16: a wrong password that is sent to two gateways is asked about and
// counted once, and the answers differ in nothing but the transaction.
func TestRepeatAtAnotherGateway(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		store := state.NewMemory(nil)
		message := modern.query(guess(0, cloud))
		var answers []*recorder
		asked := 0
		for range 2 {
			g := newGate(t, func(c *gateway.Config) { c.Guard = newSharedGuard(t, store) })
			g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
			for range 2 {
				answers = append(answers, g.serve(modern.post(message)))
			}
			asked += len(g.farm.asked)
			time.Sleep(time.Second)
		}
		if asked != 1 || counted(t, store) != 1 {
			t.Errorf("the farm was asked %d times and %d failures are known, want 1 and 1", asked, counted(t, store))
		}
		alike(t, answers[2], answers[0])
		if answers[3].Body.String() != answers[2].Body.String() {
			t.Error("the second gateway's own repeat differs")
		}
	})
}

// Faults that are kept are bounded, and the oldest goes first.
func TestFaultsAreBounded(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) { c.Audit = openAudit(t, "/dev/null") })
		g.farm.fails(wstrust.ErrDown)
		ask := func(i int) string {
			return g.serve(modern.post(modern.query(func(q *wstrust.Query) { q.MessageID = fmt.Sprint("urn:", i) }))).Body.String()
		}
		first, second := ask(0), ask(1)
		for i := range gateway.MostFaults - 1 {
			ask(i + 2)
		}
		if got := g.Faults(); got != gateway.MostFaults {
			t.Errorf("%d faults are kept, want %d", got, gateway.MostFaults)
		}
		if ask(1) != second || ask(0) == first {
			t.Error("another than the oldest was forgotten")
		}
		time.Sleep(later)
		if got := g.Faults(); got != 0 {
			t.Errorf("%d faults are kept after their time", got)
		}
	})
}

// A touchy log panics at its first line.
type touchy struct {
	slog.Handler
	once sync.Once
}

func (h *touchy) Handle(context.Context, slog.Record) error {
	h.once.Do(func() { panic("log") })
	return nil
}

// An exchange that panics before it has an answer leaves nobody waiting.
func TestPanicFreesRepeats(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) { c.Log = slog.New(&touchy{Handler: slog.Default().Handler()}) })
		asked, going := make(chan struct{}, 8), make(chan struct{})
		g.farm.forward = func(context.Context, *wstrust.Request, wstrust.Origin) (*wstrust.Answer, error) {
			asked <- struct{}{}
			<-going
			return nil, wstrust.ErrDown
		}
		message := modern.query(nil)
		var all sync.WaitGroup
		all.Go(func() {
			defer func() { _ = recover() }()
			g.serve(modern.post(message))
		})
		<-asked
		var again *recorder
		all.Go(func() { again = g.serve(modern.post(message)) })
		synctest.Wait()
		close(going)
		all.Wait()
		if again.Code != http.StatusInternalServerError || len(g.farm.asked) != 2 {
			t.Errorf("got %d %s, and the farm was asked %d times, want a fault and 2", again.Code, again.Body, len(g.farm.asked))
		}
	})
}
