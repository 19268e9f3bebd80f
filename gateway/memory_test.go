package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

const openRules = `
applications:
  microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}
  closed: {realms: ["urn:closed"], answer: forward}
rules:
  - {name: open, match: {applications: [microsoft-365]}, allow: {}}
`

var canaries = regexp.MustCompile(`canary-[0-9]{6}`)

// lone checks that text holds no canary but that one, and holds that.
func lone(t *testing.T, where, text, canary string) {
	t.Helper()
	found := canaries.FindAllString(text, -1)
	if len(found) == 0 {
		t.Errorf("%s: no %s", where, canary)
	}
	for _, f := range found {
		if f != canary {
			t.Errorf("%s: %s in the exchange of %s", where, f, canary)
		}
	}
}

// A keenFarm answers in the memory that it is given. It looks whether that is
// clean, and notes which requests lay where a panic left them.
type keenFarm struct {
	t      *testing.T
	answer string // with CANARY in it

	mu     sync.Mutex
	seen   map[*wstrust.Request]int
	burned map[*wstrust.Request]bool
}

func (f *keenFarm) Forward(_ context.Context, r *wstrust.Request, o wstrust.Origin) (*wstrust.Answer, error) {
	canary := canaries.FindString(r.MessageID)
	lone(f.t, "request", fmt.Sprint(string(r.Body), r.Username, string(r.Password.Bytes()), r.To, o.UserAgent), canary)
	room := r.Room()
	if left := bytes.Trim(room[:cap(room)], "\x00"); len(left) > 0 {
		f.t.Errorf("%s is answered in room that holds %q", canary, left)
	}
	burn := strings.Contains(o.UserAgent, "panic")
	f.mu.Lock()
	if f.burned[r] {
		f.t.Errorf("%s lies in the memory of an exchange that panicked", canary)
	}
	f.seen[r]++
	f.burned[r] = f.burned[r] || burn
	f.mu.Unlock()
	switch {
	case strings.HasSuffix(o.UserAgent, "panic in run"):
		panic(canary)
	case strings.HasSuffix(o.UserAgent, "wrong password"):
		return nil, &wstrust.NodeError{Node: node, Err: wrongPassword}
	}
	a, err := r.ReadAnswer(append(room, strings.ReplaceAll(f.answer, "CANARY", canary)...))
	if err != nil {
		return nil, &wstrust.NodeError{Node: node, Err: err}
	}
	lone(f.t, "answer", fmt.Sprint(string(a.Token), a.RelatesTo, a.Assertion), canary)
	a.Node, a.Farm = node, farmName
	return a, nil
}

// A fragile client panics when it is answered.
type fragile struct{ *recorder }

func (fragile) Write([]byte) (int, error) { panic("client") }

// AUD-05, FAIL-05: exchanges use the memory of earlier ones, and none sees a
// byte of another, however each ended. What panicked is not used again.
func TestExchangesShareNothing(t *testing.T) {
	const exchanges, clients = 10_000, 16
	atFresh(t, "", func(t *testing.T) {
		answer := relatesTo.ReplaceAllString(string(current(testdata.Message(t, "rstr/adfs-13-saml11.xml"))), "<a:RelatesTo>urn:CANARY</a:RelatesTo>")
		answer = strings.ReplaceAll(answer, alice.UPN, "CANARY@contoso.example")
		farm := &keenFarm{t: t, answer: answer, seen: map[*wstrust.Request]int{}, burned: map[*wstrust.Request]bool{}}
		g := newGate(t, func(c *gateway.Config) {
			c.Policy, c.Forwarder, c.Directory = live(t, openRules), farm, nil
		})
		var all sync.WaitGroup
		for client := range clients {
			all.Go(func() {
				for n := client; n < exchanges; n += clients {
					askCanary(t, g, n)
				}
			})
		}
		all.Wait()
		again := 0
		for _, times := range farm.seen {
			again += times - 1
		}
		if again < exchanges/10 {
			t.Errorf("memory was used again for %d of %d exchanges only", again, exchanges)
		}
		audited, err := os.ReadFile(g.audited)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(audited)) {
			lone(t, "record", line, canaries.FindString(line))
		}
	})
}

// fates are ways in which an exchange ends. The user agent tells the farm.
var fates = []struct {
	agent, realm string
	cut          int // bytes of the message that are missing
	status       int
}{
	{"forwarded", cloud, 0, 200},
	{"forwarded again", cloud, 0, 200},
	{"denied", "urn:closed", 0, 500},
	{"cut short", cloud, 300, 500},
	{"wrong password", cloud, 0, 500},
	{"panic in run", cloud, 0, 500},
	{"panic in respond", cloud, 0, 200},
}

// askCanary makes the exchange of one number, whose canary stands in all that
// its client sends.
func askCanary(t *testing.T, g *gate, n int) {
	canary, fate := fmt.Sprintf("canary-%06d", n), fates[n/16%len(fates)]
	message := modern.query(func(q *wstrust.Query) {
		q.MessageID, q.Username, q.AppliesTo = "urn:"+canary, canary+"@contoso.example", fate.realm
		q.Password = account.NewPassword([]byte(canary + strings.Repeat("p", n%300)))
	})
	r := modern.post(message[:len(message)-fate.cut])
	r.Header.Set("User-Agent", canary+" "+fate.agent)
	w := &recorder{ResponseRecorder: httptest.NewRecorder()}
	if fate.agent == "panic in respond" {
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", canary)
			}
		}()
		g.serveTo(fragile{w}, r)
	}
	g.serveTo(w, r)
	if w.Code != fate.status {
		t.Errorf("%s: got status %d %s, want %d", canary, w.Code, w.Body, fate.status)
	}
	if fate.cut == 0 { // otherwise no MessageID is known
		lone(t, "response", w.Body.String(), canary)
	}
}
