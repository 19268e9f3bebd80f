package knock

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"stsgate/gateway/state"
)

const (
	// keepNotice is for how long a notice is tried.
	keepNotice = 7 * 24 * time.Hour
	// claimFor is how long a gateway has for one try on all channels.
	claimFor = time.Minute
	// lookEvery is how often notices are looked for that another gateway left.
	lookEvery = 15 * time.Second
	// longestWait is the longest between two tries.
	longestWait = time.Hour
)

// A queuedNotice is a notice with what became of it.
type queuedNotice struct {
	Notice Notice `json:"notice"`
	// Done are the channels that have it.
	Done  []string `json:"done,omitempty"`
	Tries int      `json:"tries,omitzero"`
	// Next is when it is tried next; until then it is a gateway's.
	Next time.Time `json:"next,omitzero"`
}

func noticesKey() state.Key            { return state.Notices.Key("notice") }
func noticeKey(id string) state.Key    { return state.Notices.Key("notice", id) }
func recipientKey(id string) state.Key { return state.Notices.Key("who", id) }

// Notify queues a notice, once for an ID, and returns when it is durable. It is
// delivered at least once to every channel, by this gateway or another, as soon
// as that is possible and for 7 days.
func (s *Service) Notify(ctx context.Context, n Notice) error {
	if !n.What.Known() {
		return fmt.Errorf("notice of %q", n.What)
	}
	if len(s.channels) == 0 {
		s.log.Warn("a user is not told, since neither a webhook nor SMTP is configured", "user", n.To.ID, "what", string(n.What))
		return nil
	}
	if n.ID == "" {
		n.ID = rand.Text()
	}
	value, err := json.Marshal(queuedNotice{Notice: n})
	if err != nil {
		return err
	}
	ctx, done := context.WithTimeout(ctx, state.Deadline)
	defer done()
	if _, err := s.store.Create(ctx, noticeKey(n.ID), value, keepNotice); err != nil && !errors.Is(err, state.ErrExists) {
		return fmt.Errorf("queue a notice: %w", err)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// Know remembers where a user is told: notices may name no more than the user.
// Call it with what the directory says whenever that is known.
func (s *Service) Know(ctx context.Context, to Recipient) {
	if to.ID == "" || to.Mail == "" && to.Name == "" || s.knows(to) {
		return
	}
	if err := s.remember(ctx, to); err != nil {
		s.log.Warn("where a user is told is not remembered", "user", to.ID, "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.book) >= mostKnown {
		clear(s.book)
	}
	s.book[to.ID] = to
}

const (
	// mostKnown bounds what is in memory of the book.
	mostKnown = 1 << 14
	// keepRecipient is for how long a user is known without a sign-in.
	keepRecipient = 400 * 24 * time.Hour
)

func (s *Service) knows(to Recipient) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book[to.ID] == to
}

func (s *Service) remember(ctx context.Context, to Recipient) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), state.Deadline)
	defer done()
	value, err := json.Marshal(to)
	if err != nil {
		return err
	}
	key := recipientKey(to.ID)
	r, err := s.store.Get(ctx, key)
	switch {
	case errors.Is(err, state.ErrNotFound):
		_, err = s.store.Create(ctx, key, value, keepRecipient)
	case err == nil && string(r.Value) == string(value) && time.Until(r.Expires) > keepRecipient/2:
	case err == nil:
		_, err = s.store.CompareAndSwap(ctx, key, r.Revision, value, keepRecipient)
	}
	if errors.Is(err, state.ErrExists) || errors.Is(err, state.ErrConflict) {
		return nil // another gateway was first
	}
	return err
}

// deliverAll delivers what is queued until ctx ends.
func (s *Service) deliverAll(ctx context.Context) {
	for ctx.Err() == nil {
		next := s.deliverQueued(ctx)
		wait, stop := context.WithTimeout(ctx, min(lookEvery, max(time.Until(next), time.Second)))
		select {
		case <-s.wake:
		case <-wait.Done():
		}
		stop()
	}
}

// deliverQueued tries what is due, and returns when something is next.
func (s *Service) deliverQueued(ctx context.Context) (next time.Time) {
	next = time.Now().Add(lookEvery)
	if len(s.channels) == 0 {
		return next
	}
	records, err := s.store.List(ctx, noticesKey())
	if err != nil && ctx.Err() == nil {
		s.log.Warn("notices that wait cannot be read", "err", err)
	}
	s.metrics.waiting.Set(float64(len(records)))
	for _, r := range records {
		var q queuedNotice
		if err := json.Unmarshal(r.Value, &q); err != nil {
			s.log.Error("a notice cannot be read", "key", r.Key.String(), "err", err)
			continue
		}
		if time.Now().Before(q.Next) {
			if q.Next.Before(next) {
				next = q.Next
			}
			continue
		}
		s.deliver(ctx, r, &q)
	}
	return next
}

// deliver claims a notice, so that one gateway tries it at a time, and gives it
// to the channels that do not have it.
func (s *Service) deliver(ctx context.Context, r state.Record, q *queuedNotice) {
	q.Tries++
	q.Next = time.Now().Add(claimFor)
	revision, err := s.put(ctx, r, r.Revision, q)
	if err != nil {
		return // another gateway's, or nobody knows: then it is due again in a minute
	}
	s.resolve(ctx, &q.Notice.To)
	m := s.notice(&q.Notice)
	bound, done := context.WithTimeout(ctx, claimFor-tryTime)
	for _, ch := range s.channels {
		if slices.Contains(q.Done, ch.name) {
			continue
		}
		err := try(bound, ch, m)
		s.note(ch, m, err)
		if err == nil || errors.Is(err, errUnreachable) && (q.Notice.To.Mail != "" || q.Tries > 3) {
			q.Done = append(q.Done, ch.name)
		}
	}
	done()
	ctx, done = context.WithTimeout(context.WithoutCancel(ctx), state.Deadline)
	defer done()
	if len(q.Done) >= len(s.channels) {
		err = s.store.Delete(ctx, r.Key, revision)
	} else {
		q.Next = time.Now().Add(min(time.Second<<min(q.Tries, 20), longestWait))
		_, err = s.put(ctx, r, revision, q)
	}
	if err != nil {
		s.log.Warn("a notice may be sent twice", "err", err)
	}
}

func (s *Service) put(ctx context.Context, r state.Record, revision uint64, q *queuedNotice) (uint64, error) {
	value, err := json.Marshal(q)
	if err != nil {
		return 0, err
	}
	ctx, done := context.WithTimeout(ctx, state.Deadline)
	defer done()
	return s.store.CompareAndSwap(ctx, r.Key, revision, value, max(time.Until(r.Expires), time.Second))
}

// resolve adds what is known of a user whom a notice only names.
func (s *Service) resolve(ctx context.Context, to *Recipient) {
	if to.Mail != "" {
		return
	}
	r, err := s.store.Get(ctx, recipientKey(to.ID))
	if err != nil {
		return
	}
	var known Recipient
	if json.Unmarshal(r.Value, &known) == nil {
		*to = known
	}
}
