package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// A seat is a gateway of a circle.
type seat struct {
	*Circle
	t      *testing.T
	leave  context.CancelFunc
	asked  atomic.Int32
	answer atomic.Pointer[func(question []byte) ([]byte, error)]
}

// sit has a gateway take part, through one of the servers. It answers with its
// name and the question, unless told otherwise.
func sit(t *testing.T, c *cluster, server int, name string) *seat {
	t.Helper()
	g := &seat{t: t}
	g.Circle = open(t, c.config(server)).Circle(name, "test", func(_ context.Context, question []byte) ([]byte, error) {
		g.asked.Add(1)
		if f := g.answer.Load(); f != nil {
			return (*f)(question)
		}
		return []byte(name + " " + string(question)), nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); g.Run(ctx) }()
	g.leave = func() { cancel(); <-over }
	t.Cleanup(g.leave)
	return g
}

// knows waits until the gateway has heard of so many others.
func (g *seat) knows(n int) {
	g.t.Helper()
	for start := time.Now(); len(g.newPoll().awaited) != n; <-time.After(5 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			g.t.Fatalf("%s knows %v, not %d", g.name, g.newPoll().awaited, n)
		}
	}
}

// ask holds what is answered, whether that is all, and how long it takes.
func (g *seat) ask(question string, whole bool, quick bool, want ...string) {
	g.t.Helper()
	start := time.Now()
	answers, all, err := g.Ask(g.t.Context(), []byte(question))
	took := time.Since(start)
	var got []string
	for _, a := range answers {
		got = append(got, string(a))
	}
	slices.Sort(got)
	if err != nil || all != whole || !slices.Equal(got, want) {
		g.t.Errorf("got %.60q, whole %v, %v; want %.60q, %v", got, all, err, want, whole)
	}
	if (took < g.last) != quick {
		g.t.Errorf("it took %s", took)
	}
}

// PORT-11: gateways of a cluster ask one another, and know who is missing.
func TestCircle(t *testing.T) {
	c := newCluster(t)
	a, b, d := sit(t, c, 0, "a"), sit(t, c, 1, "b"), sit(t, c, 2, "d")
	for _, g := range []*seat{a, b, d} {
		g.last = 10 * time.Second
		g.knows(2)
	}
	a.ask("who?", true, true, "b who?", "d who?")
	d.ask("who?", true, true, "a who?", "b who?")
	t.Run("bounds", func(t *testing.T) {
		if _, _, err := a.Ask(t.Context(), make([]byte, MaxQuestion+1)); err == nil {
			t.Error("a question that is too long is asked")
		}
		longest := strings.Repeat("?", MaxQuestion)
		a.ask(longest, true, true, "b "+longest, "d "+longest)
		large := bytes.Repeat([]byte("!"), MaxAnswer)
		b.says(func([]byte) ([]byte, error) { return large, nil })
		d.says(func([]byte) ([]byte, error) { return append(large, '!'), nil })
		a.ask("how much?", false, true, string(large))
		d.says(func([]byte) ([]byte, error) { return nil, errors.New("no") })
		a.ask("how much?", false, true, string(large))
		b.answer.Store(nil)
		d.answer.Store(nil)
	})
	t.Run("two at a time", func(t *testing.T) { twoAtATime(t, a, b, d) })
	t.Run("strangers", func(t *testing.T) { strangers(t, c, a, b) })
	t.Run("missing", func(t *testing.T) {
		d.leave()
		a.last = 300 * time.Millisecond
		a.ask("who?", false, false, "b who?")
		a.last = 10 * time.Second
		a.ask("who?", false, true, "b who?") // it is not waited for again
		late := sit(t, c, 2, "e")            // who comes later hears of whoever was there
		late.last = 10 * time.Second
		late.knows(3)
		late.missed(&poll{awaited: map[string]bool{"d": true}})
		late.ask("who?", false, true, "a who?", "b who?")
		again := sit(t, c, 0, "d") // the same after a restart
		again.knows(3)
		a.knows(3)
		a.ask("who?", true, true, "b who?", "d who?", "e who?")
	})
	t.Run("one name for two", func(t *testing.T) {
		conf := c.config(0)
		told := make(chan struct{}, 8)
		conf.Log = slog.New(slog.NewTextHandler(notice{told, "another gateway is called b too"}, nil))
		twin := open(t, conf).Circle("b", "test", nil)
		go twin.Run(t.Context())
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Error("nobody is told")
		}
	})
	if alone := inDir(t).Circle("x", "test", nil); alone != nil {
		t.Error("there is a circle without a cluster")
	}
}

func (g *seat) says(f func([]byte) ([]byte, error)) { g.answer.Store(&f) }

// A notice tells of a text that is written.
type notice struct {
	told chan<- struct{}
	text string
}

// Write implements io.Writer.
func (n notice) Write(b []byte) (int, error) {
	if strings.Contains(string(b), n.text) {
		n.told <- struct{}{}
	}
	return len(b), nil
}

// twoAtATime has a ask b more than b computes at a time.
func twoAtATime(t *testing.T, a, b, d *seat) {
	before := d.asked.Load()
	started, goOn := make(chan struct{}, 8), make(chan struct{})
	var now, most atomic.Int32
	b.says(func([]byte) ([]byte, error) {
		most.Store(max(most.Load(), now.Add(1)))
		started <- struct{}{}
		<-goOn
		now.Add(-1)
		return nil, nil
	})
	defer b.answer.Store(nil)
	over := make(chan error, 5)
	for range 5 {
		go func() { _, _, err := a.Ask(t.Context(), nil); over <- err }()
	}
	<-started
	<-started
	for start := time.Now(); d.asked.Load() < before+5; <-time.After(time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatal("not all are asked")
		}
	}
	if err := b.nc.FlushTimeout(5 * time.Second); err != nil { // b has the questions as well
		t.Fatal(err)
	}
	close(goOn)
	for range 5 {
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
	if n := most.Load(); n != answerers {
		t.Errorf("%d at a time", n)
	}
}

// strangers are on the servers and see and send all, without the key.
func strangers(t *testing.T, c *cluster, a, b *seat) {
	nc, err := nats.Connect(c.servers[1].ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	seen := make(chan *nats.Msg, 1024)
	for _, subject := range []string{"stsgate.>", "_INBOX.>"} {
		if _, err := nc.ChanSubscribe(subject, seen); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	const secret = "a secret that nobody reads"
	a.ask(secret, true, true, "b "+secret, "d "+secret)
	var all []*nats.Msg
	for len(all) < 3 { // the question and two answers
		if m := <-seen; m.Subject != a.subject(hello) {
			all = append(all, m)
		}
	}
	asked := b.asked.Load()
	for _, m := range all {
		if bytes.Contains(m.Data, []byte("secret")) || bytes.Contains(m.Data, []byte(`"id"`)) {
			t.Errorf("%s: %q", m.Subject, m.Data)
		}
		// What was sent comes again: nobody is asked twice.
		if err := nc.Publish(m.Subject, m.Data); err != nil {
			t.Fatal(err)
		}
	}
	forged := newKeys(t)
	for _, kind := range []string{question, hello} {
		text, _ := json.Marshal(letter{ID: "x", From: "stranger", Name: "stranger", At: time.Now(), Inbox: "_INBOX.x"})
		sealed, err := forged.Seal(a.subject(kind), text)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{sealed, text, nil, make([]byte, longestLetter+1)} {
			if err := nc.Publish(a.subject(kind), data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nc.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}

	// Into the next question's inbox go old answers, the question itself, what is
	// sealed with another key, and a right answer twice.
	b.says(func([]byte) ([]byte, error) {
		var q letter
		var asking, answered []byte // in either order, by way of two servers
		for asking == nil || answered == nil {
			m := <-seen
			if l, err := b.open(question, m.Data); err == nil && !bytes.Equal(m.Data, all[0].Data) {
				q, asking = l, m.Data
			}
			if l, err := b.open(reply, m.Data); err == nil && string(l.Text) == "d and now?" {
				answered = m.Data
			}
		}
		text, _ := json.Marshal(letter{ID: q.ID, From: "stranger", Name: "d", At: time.Now(), Text: []byte("forged")})
		sealed, err := forged.Seal(a.subject(reply), text)
		for _, data := range [][]byte{all[0].Data, all[1].Data, all[2].Data, asking, sealed, text, answered} {
			err = errors.Join(err, nc.Publish(q.Inbox, data))
		}
		return []byte("b"), errors.Join(err, nc.FlushTimeout(5*time.Second))
	})
	defer b.answer.Store(nil)
	a.ask("and now?", true, true, "b", "d and now?")
	if n := b.asked.Load() - asked; n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	a.knows(2)
}

// A letter of another kind, of oneself, or too old is none.
func TestLetters(t *testing.T) {
	now := time.Now()
	keys := newKeys(t)
	a := &Circle{keys: keys, now: func() time.Time { return now }, what: "test", id: "a"}
	for _, l := range []struct {
		name, kind, from string
		at               time.Time
		ok               bool
	}{
		{"right", reply, "b", now.Add(-time.Minute), true},
		{"from a clock ahead", reply, "b", now.Add(time.Minute), true},
		{"another kind", question, "b", now, false},
		{"one's own", reply, "a", now, false},
		{"old", reply, "b", now.Add(-letterLast - 1), false},
		{"of the future", reply, "b", now.Add(letterLast + 1), false},
	} {
		text, err := json.Marshal(letter{From: l.from, At: l.at})
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := keys.Seal(a.subject(l.kind), text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.open(reply, sealed); (err == nil) != l.ok {
			t.Errorf("%s: %v", l.name, err)
		}
	}
}

func TestRoster(t *testing.T) {
	now := time.Now()
	r := roster{}
	if !r.note("b", now, now) || r.note("b", now, now) {
		t.Error("b is not new once")
	}
	if later := now.Add(hereLast); r["b"].here(later) || !r.note("b", later, later) {
		t.Error("b is there without a sign")
	}
	r.note("c", now, now)
	if got := r.known(now.Add(10 * time.Second)); got["c"] < 10 || got["c"] > 11 {
		t.Errorf("c was heard of %d s ago", got["c"])
	}
	r.forget(now.Add(memberLast))
	if _, ok := r["c"]; ok || len(r) != 1 {
		t.Errorf("after a day there are %v", r)
	}
	for i := range 2 * mostMembers {
		r.note(strings.Repeat("x", i), now, now)
	}
	if len(r) != mostMembers {
		t.Errorf("%d members", len(r))
	}
	s := seen{}
	if !s.first("q", now) || s.first("q", now) {
		t.Error("a question is not the first once")
	}
	for i := range mostSeen {
		s.first(strings.Repeat("x", i), now)
	}
	if s.first("new", now) || !s.first("new", now.Add(2*letterLast+1)) {
		t.Error("questions are not forgotten in time")
	}
}
