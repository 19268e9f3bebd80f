package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"stsgate/gateway/state"
)

const (
	// MaxQuestion and MaxAnswer are how long what is asked and answered in a
	// circle may be, in bytes.
	MaxQuestion = 1 << 10
	MaxAnswer   = 256 << 10

	// askLast is how long others have for an answer.
	askLast = 2 * time.Second
	// helloEvery is how often a gateway says that it is there.
	helloEvery = 30 * time.Second
	// letterLast is how old a letter may be, between clocks that differ by as
	// much as gateways may be ready with.
	letterLast = 2 * time.Minute
	// answerers are how many answers are computed at a time, waitingQuestions how
	// many more questions may wait for that.
	answerers        = 2
	waitingQuestions = 16
	// longestLetter is more than any in its sealed form.
	longestLetter = MaxAnswer/3*4 + 16<<10
)

// A Circle are the gateways that share a cluster, who ask one another what each
// knows alone. They speak over the client's connection, and leave nothing on the
// servers. Whoever reads there learns who speaks, when and how much; whoever
// writes there can keep an answer away, and forge none.
type Circle struct {
	nc     *nats.Conn
	keys   *state.Keys
	log    logger
	now    func() time.Time
	last   time.Duration // askLast
	what   string
	name   string
	id     string // of this process
	answer func(ctx context.Context, question []byte) ([]byte, error)

	mu     sync.Mutex
	seen   seen
	roster roster
}

// Circle returns the circle for one kind of questions, nil without a cluster,
// where there is nobody to ask. Name is this gateway's, the same after a restart
// and no other's. Answer gets the questions of others, at most two at a time.
// It is to be called once for each kind, a word of letters.
func (s *Store) Circle(name, what string, answer func(ctx context.Context, question []byte) ([]byte, error)) *Circle {
	if s.c.Cluster == nil {
		return nil
	}
	return &Circle{
		nc: s.nc, keys: s.c.Keys, log: logger{s.c.Log}, now: s.c.now, last: askLast, what: what, name: name, id: rand.Text(), answer: answer,
		seen: seen{}, roster: roster{},
	}
}

// A letter is what gateways send, sealed for what it is.
type letter struct {
	ID     string    `json:"id"`   // of the question
	From   string    `json:"from"` // a process
	Name   string    `json:"name"`
	At     time.Time `json:"at"`
	Inbox  string    `json:"inbox,omitempty"` // where a question is answered
	Text   []byte    `json:"text,omitempty"`
	Failed bool      `json:"failed,omitempty"` // in place of an answer
	// Known are those that a hello's sender heard of, and seconds since when.
	Known map[string]int64 `json:"known,omitempty"`
}

// What a letter is.
const (
	question = "question"
	reply    = "answer"
	hello    = "hello"
)

func (c *Circle) subject(kind string) string { return "stsgate.circle." + c.what + "." + kind }

func (c *Circle) send(subject, kind string, l letter) error {
	l.From, l.Name, l.At = c.id, c.name, c.now()
	text, err := json.Marshal(&l)
	if err != nil {
		return err
	}
	if text, err = c.keys.Seal(c.subject(kind), text); err != nil {
		return err
	}
	return c.nc.Publish(subject, text)
}

var (
	errOwn = errors.New("one's own letter")
	errOld = errors.New("an old letter")
)

// open reads a letter of another gateway, if it is one.
func (c *Circle) open(kind string, sealed []byte) (l letter, err error) {
	if len(sealed) > longestLetter {
		return l, nats.ErrMaxPayload
	}
	text, _, err := c.keys.Open(c.subject(kind), sealed)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, err
	}
	switch {
	case l.From == c.id:
		return l, errOwn
	case c.now().Sub(l.At).Abs() > letterLast:
		return l, errOld
	}
	return l, nil
}

// Run answers others until ctx ends, and has them know of this gateway.
func (c *Circle) Run(ctx context.Context) {
	questions := make(chan *nats.Msg, waitingQuestions)
	hellos := make(chan *nats.Msg, waitingQuestions)
	for kind, to := range map[string]chan *nats.Msg{question: questions, hello: hellos} {
		sub, err := c.nc.ChanSubscribe(c.subject(kind), to)
		if err != nil { // the store is closed
			return
		}
		defer sub.Unsubscribe()
	}
	var running sync.WaitGroup
	defer running.Wait()
	for range answerers {
		running.Go(func() { c.answerAll(ctx, questions) })
	}
	tick := time.NewTicker(helloEvery)
	defer tick.Stop()
	c.sayHello()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.sayHello()
		case m := <-hellos:
			c.hear(m)
		}
	}
}

// sayHello is tried again with the next tick if nobody is connected to.
func (c *Circle) sayHello() {
	c.mu.Lock()
	c.roster.forget(c.now())
	known := c.roster.known(c.now())
	c.mu.Unlock()
	_ = c.send(c.subject(hello), hello, letter{Known: known})
}

// hear notes who is there, and whom those heard of. Whoever is new hears at once
// who else is.
func (c *Circle) hear(m *nats.Msg) {
	l, err := c.open(hello, m.Data)
	if err != nil {
		return
	}
	now := c.now()
	c.mu.Lock()
	fresh := c.roster.note(l.Name, now, now)
	for name, ago := range l.Known {
		if name != c.name {
			c.roster.note(name, now.Add(-time.Duration(ago)*time.Second), now)
		}
	}
	c.mu.Unlock()
	if !fresh {
		return
	}
	if l.Name == c.name {
		c.log.Warnf("another gateway is called %s too: what one of them does not answer is not missed", c.name)
	}
	c.sayHello()
}
