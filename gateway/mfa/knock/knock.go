// Package knock tells users that something waits for their answer, and what
// happened to their authenticators: by webhook and by mail.
//
// A prompt is told once, by this gateway, and never blocks a sign-in. A notice
// is queued in the store before the caller goes on, and delivered at least once
// by any gateway (security.md, MFA-12). Neither is ever a factor.
//
// Texts hold what configuration, directory and clock say, and nothing that a
// client chose (MFA-22).
package knock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/state"
)

// A Recipient is who is told.
type Recipient struct {
	// ID is the directory's GUID, Name its UPN and Mail its mail address, which
	// may be empty.
	ID   string `json:"id"`
	Name string `json:"name,omitzero"`
	Mail string `json:"mail,omitzero"`
}

// A Prompt is a sign-in that waits.
type Prompt struct {
	To Recipient
	// Application is its name in the policy, and Place where the client is.
	Application, Place string
	At                 time.Time
}

// A Notice is what a user must hear of.
type Notice struct {
	// ID is unique, and the same when a notice is given twice.
	ID   string    `json:"id"`
	What What      `json:"what"`
	To   Recipient `json:"to"`
	// Application is of a sign-in, and empty for what is of none.
	Application string `json:"application,omitzero"`
	// Address and Place are where it was done, zero where that is not known.
	Address netip.Addr `json:"address,omitzero"`
	Place   string     `json:"place,omitzero"`
	// Factor and Added tell which authenticator it was, by its kind and when it
	// was bound: the name that it was given is text of whoever gave it (MFA-22).
	Factor string    `json:"factor,omitzero"`
	Added  time.Time `json:"added,omitzero"`
	// Left is how many recovery codes are left after one was used, and Replaced
	// tells that one of them is new, in its place.
	Left     int       `json:"left,omitzero"`
	Replaced bool      `json:"replaced,omitzero"`
	At       time.Time `json:"at"`
}

// Config configures a Service. Store, Metrics and Log are needed.
type Config struct {
	Store state.Store
	// Portal is the address of the portal. Without one, channels are of notices
	// alone.
	Portal string
	// Webhooks and SMTP are how users are told. Without any, nobody is.
	Webhooks []Webhook
	SMTP     *SMTP
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

// A Service tells users. It is safe for concurrent use.
type Service struct {
	store    state.Store
	portal   string
	channels []*channel
	metrics  *metrics
	log      *slog.Logger
	wake     chan struct{} // holds a token when there may be notices

	mu   sync.Mutex
	book map[string]Recipient // of whom the store knows
}

// A channel is one way to tell users.
type channel struct {
	name    string
	prompts bool          // and not only notices
	queue   chan *message // of prompts
	send    func(context.Context, *message) error
}

const (
	// queued is how many prompts wait for a channel, and workers how many it is
	// given at a time.
	queued  = 256
	workers = 4
	// promptTime bounds the tries of a prompt: its client does not wait longer.
	promptTime = 20 * time.Second
	// tryTime bounds one try.
	tryTime = 8 * time.Second
)

// errUnreachable says that the user has no address on a channel.
var errUnreachable = errors.New("the user has no address there")

// New returns a service. The error says what is wrong with a webhook or with SMTP.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Metrics == nil || c.Log == nil {
		return nil, errors.New("knock: Store, Metrics and Log are needed")
	}
	s := &Service{store: c.Store, portal: c.Portal, log: c.Log, wake: make(chan struct{}, 1), book: map[string]Recipient{}}
	var err error
	if s.channels, err = channels(c.Portal, c.Webhooks, c.SMTP); err != nil {
		return nil, err
	}
	s.metrics, err = newMetrics(c.Metrics, s)
	return s, err
}

// Check says what is wrong with webhooks or with SMTP.
func Check(portal string, webhooks []Webhook, smtp *SMTP) error {
	_, err := channels(portal, webhooks, smtp)
	return err
}

func channels(portal string, webhooks []Webhook, smtp *SMTP) ([]*channel, error) {
	var all []*channel
	var errs []error
	names := map[string]bool{}
	add := func(ch *channel, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		if names[ch.name] {
			errs = append(errs, fmt.Errorf("knock: two channels are named %q", ch.name))
		}
		names[ch.name] = true
		ch.queue = make(chan *message, queued)
		all = append(all, ch)
	}
	for i := range webhooks {
		add(webhooks[i].channel(portal))
	}
	if smtp != nil {
		add(smtp.channel())
	}
	prompts := func(ch *channel) bool { return ch.prompts }
	if portal == "" && slices.ContainsFunc(all, prompts) {
		errs = append(errs, errors.New("knock: webhooks and smtp need a portal, which users are sent to, or notices_only"))
	}
	return all, errors.Join(errs...)
}

// Run delivers until ctx ends.
func (s *Service) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, ch := range s.channels {
		for range workers {
			all.Go(func() { s.work(ctx, ch) })
		}
	}
	all.Go(func() { s.deliverAll(ctx) })
	all.Wait()
}

// Knock tells a user that something waits. It never blocks; what a channel has
// no room for is dropped and counted.
func (s *Service) Knock(p Prompt) {
	m := s.prompt(p)
	for _, ch := range s.channels {
		if !ch.prompts {
			continue
		}
		select {
		case ch.queue <- m:
		default:
			s.metrics.count(ch, "dropped")
		}
	}
}

func (s *Service) work(ctx context.Context, ch *channel) {
	for {
		select {
		case m := <-ch.queue:
			s.tell(ctx, ch, m)
		case <-ctx.Done():
			return
		}
	}
}

// tell gives a prompt to a channel, three times at the most and for as long as
// it is of use.
func (s *Service) tell(ctx context.Context, ch *channel, m *message) {
	ctx, done := context.WithDeadline(ctx, m.at.Add(promptTime))
	defer done()
	var err error
	for wait := time.Duration(0); wait <= 4*time.Second && ctx.Err() == nil; wait = 4*wait + time.Second {
		pause(ctx, wait)
		if err = try(ctx, ch, m); err == nil || errors.Is(err, errUnreachable) {
			break
		}
	}
	s.note(ch, m, err)
}

func try(ctx context.Context, ch *channel, m *message) error {
	ctx, done := context.WithTimeout(ctx, tryTime)
	defer done()
	return ch.send(ctx, m)
}

// note says what became of a message, and counts it last: whoever sees the count
// finds the line.
func (s *Service) note(ch *channel, m *message, err error) {
	switch {
	case err == nil:
		s.metrics.count(ch, "sent")
	case errors.Is(err, errUnreachable):
		s.log.Warn("a user cannot be told", "user", m.to.ID, "channel", ch.name, "what", string(m.what), "err", err)
		s.metrics.count(ch, "unreachable")
	default:
		s.log.Warn("a user is not told", "user", m.to.ID, "channel", ch.name, "what", string(m.what), "err", err)
		s.metrics.count(ch, "failed")
	}
}

// pause returns after a while, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	<-ctx.Done()
}
