package jetstream

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

func (c *Circle) answerAll(ctx context.Context, questions <-chan *nats.Msg) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-questions:
			c.answerOne(ctx, m)
		}
	}
}

func (c *Circle) answerOne(ctx context.Context, m *nats.Msg) {
	q, err := c.open(question, m.Data)
	if err != nil || !strings.HasPrefix(q.Inbox, nats.InboxPrefix) || len(q.Text) > MaxQuestion {
		return
	}
	c.mu.Lock()
	first := c.seen.first(q.ID, c.now())
	c.mu.Unlock()
	if !first {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.last)
	defer cancel()
	text, err := c.answer(ctx, q.Text)
	if err == nil && len(text) > MaxAnswer {
		err = fmt.Errorf("%d bytes, more than %d", len(text), MaxAnswer)
	}
	a := letter{ID: q.ID, Text: text}
	if err != nil {
		c.log.Warnf("a question of %s about %s has no answer: %v", q.Name, c.what, err)
		a = letter{ID: q.ID, Failed: true}
	}
	if err := c.send(q.Inbox, reply, a); err != nil {
		c.log.Warnf("an answer to %s about %s was not sent: %v", q.Name, c.what, err)
	}
}

// Ask returns what the others answer within two seconds, and whether those are
// all that were there within a day. It waits for none who is not there now.
func (c *Circle) Ask(asked context.Context, text []byte) (answers [][]byte, whole bool, err error) {
	if len(text) > MaxQuestion {
		return nil, false, fmt.Errorf("ask other gateways: %d bytes, more than %d", len(text), MaxQuestion)
	}
	ctx, cancel := context.WithTimeout(asked, c.last)
	defer cancel()
	inbox, err := c.nc.SubscribeSync(c.nc.NewRespInbox())
	if err != nil {
		return nil, false, fmt.Errorf("ask other gateways: %w", err)
	}
	defer inbox.Unsubscribe()
	p := c.newPoll()
	if err := c.send(c.subject(question), question, letter{ID: p.id, Inbox: inbox.Subject, Text: text}); err != nil {
		return nil, false, fmt.Errorf("ask other gateways: %w", err)
	}
	for len(p.awaited) > 0 {
		m, err := inbox.NextMsgWithContext(ctx)
		if err != nil {
			break
		}
		if a, err := c.open(reply, m.Data); err == nil {
			p.take(&a)
		}
	}
	if asked.Err() == nil { // nobody gave up before
		c.missed(p)
	}
	return p.answers, len(p.open) == 0, nil
}

// A poll is one question and its answers.
type poll struct {
	id      string
	answers [][]byte
	from    map[string]bool // processes
	awaited map[string]bool // by name, those that are there
	open    map[string]bool // by name, those without an answer
}

func (c *Circle) newPoll() *poll {
	p := &poll{id: rand.Text(), from: map[string]bool{}, awaited: map[string]bool{}, open: map[string]bool{}}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roster.forget(now)
	for name, m := range c.roster {
		p.open[name] = true
		if m.here(now) {
			p.awaited[name] = true
		}
	}
	return p
}

// take takes the first answer of each process to this question.
func (p *poll) take(a *letter) {
	if a.ID != p.id || p.from[a.From] {
		return
	}
	p.from[a.From] = true
	delete(p.awaited, a.Name)
	if !a.Failed {
		delete(p.open, a.Name)
		p.answers = append(p.answers, a.Text)
	}
}

// missed has nobody wait again for who did not answer, until there is a sign.
func (c *Circle) missed(p *poll) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range p.awaited {
		if m, ok := c.roster[name]; ok {
			m.silent = c.now()
			c.roster[name] = m
		}
	}
}
