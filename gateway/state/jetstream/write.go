package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

const (
	headerWriter    = "Stsgate-Write" // tells a writer its own write again
	headerOperation = "KV-Operation"
	deleted         = "DEL"

	firstPause = 10 * time.Millisecond
	lastPause  = 200 * time.Millisecond
)

// A write is one change of a record.
type write struct {
	key      state.Key
	expected uint64 // the revision that is written over, 0 for none
	value    []byte
	ttl      time.Duration
	delete   bool
	id       string
}

// Create implements state.Store.
func (s *Store) Create(ctx context.Context, key state.Key, value []byte, ttl time.Duration) (revision uint64, err error) {
	defer s.observe("create", time.Now(), &err)
	if ttl, err = state.Admit(key, value, ttl); err != nil {
		return 0, err
	}
	return s.commit(ctx, write{key: key, value: value, ttl: ttl})
}

// CompareAndSwap implements state.Store.
func (s *Store) CompareAndSwap(ctx context.Context, key state.Key, revision uint64, value []byte, ttl time.Duration) (_ uint64, err error) {
	defer s.observe("swap", time.Now(), &err)
	if ttl, err = state.Admit(key, value, ttl); err != nil {
		return 0, err
	}
	if err := state.CheckRevision(revision); err != nil {
		return 0, err
	}
	return s.commit(ctx, write{key: key, expected: revision, value: value, ttl: ttl})
}

// Delete implements state.Store.
func (s *Store) Delete(ctx context.Context, key state.Key, revision uint64) (err error) {
	defer s.observe("delete", time.Now(), &err)
	if err := errors.Join(key.Check(), state.CheckRevision(revision)); err != nil {
		return err
	}
	w := write{key: key, expected: revision, delete: true}
	if !key.Bucket().Standing() {
		w.ttl = time.Second // or what the record has left
	}
	_, err = s.commit(ctx, w)
	return err
}

// commit writes w within the time that ctx leaves. A try whose outcome is
// unknown may be repeated: the expected revision lets only one of them in, and
// the id tells whether that was ours.
func (s *Store) commit(ctx context.Context, w write) (uint64, error) {
	ctx, cancel := state.Bound(ctx)
	defer cancel()
	if w.expected > 0 {
		if err := s.outlive(ctx, &w); err != nil {
			return 0, err
		}
	}
	w.id = s.writer + "." + strconv.FormatUint(s.writes.Add(1), 36)
	created, maybe := w.expected == 0, false
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		start := time.Now()
		revision, err := s.publish(ctx, w)
		if conflict(err) {
			revision, err = s.settle(ctx, &w, created, maybe)
			if err != nil && !errors.Is(err, errAgain) {
				return 0, err
			}
		}
		if err == nil {
			s.highest.acked(w.key.Bucket(), revision)
			s.lives.note(w.key.Bucket(), revision, start.Add(w.ttl))
			return revision, nil
		}
		maybe = maybe || !untouched(err)
		if !lasting(err) && wait(ctx, pause) {
			s.retried(err)
			continue
		}
		if maybe {
			return 0, fmt.Errorf("%w: %w", state.ErrUnknown, err)
		}
		return 0, unavailable(err)
	}
}

func (s *Store) publish(ctx context.Context, w write) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, errors.Join(errNotSent, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.attempt)
	defer cancel()
	m := &nats.Msg{Subject: subject(w.key.Bucket(), w.key.Path()), Data: w.value, Header: nats.Header{headerWriter: {w.id}}}
	if w.delete {
		m.Header[headerOperation] = []string{deleted}
	}
	options := []jetstream.PublishOpt{
		jetstream.WithExpectLastSequencePerSubject(w.expected),
		jetstream.WithRetryAttempts(0),
	}
	if w.ttl > 0 {
		options = append(options, jetstream.WithMsgTTL(w.ttl))
	}
	ack, err := s.js.PublishMsg(ctx, m, options...)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// errAgain says that the write is to be tried again as settle left it.
var errAgain = errors.New("the record changed while it was written")

// settle finds out what a conflict means.
func (s *Store) settle(ctx context.Context, w *write, created, maybe bool) (uint64, error) {
	if !created && !maybe {
		return 0, state.ErrConflict
	}
	m, err := s.last(ctx, w.key)
	absent := errors.Is(err, state.ErrNotFound)
	switch {
	case err != nil && !absent && maybe:
		return 0, fmt.Errorf("%w: %w", state.ErrUnknown, err)
	case err != nil && !absent:
		return 0, err
	case !absent && m.Header.Get(headerWriter) == w.id:
		return m.Sequence, nil
	case created && absent:
		w.expected = 0
		return 0, errAgain
	case created && m.Header.Get(headerOperation) != "":
		w.expected = m.Sequence
		if !w.key.Bucket().Standing() {
			w.lastUntil(expiry(m.Header, m.Time))
		}
		return 0, errAgain
	case maybe && (absent || m.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != strconv.FormatUint(w.expected, 10)):
		// Perhaps ours was made and this one followed it; with the same revision
		// expected, it came instead of ours.
		return 0, fmt.Errorf("%w: it was tried more than once and another write followed", state.ErrUnknown)
	case created:
		return 0, state.ErrExists
	}
	return 0, state.ErrConflict
}

func (s *Store) retried(err error) {
	if s.c.Metrics.Retry != nil {
		s.c.Metrics.Retry(err)
	}
}

// wait tells whether time is left after the pause.
func wait(ctx context.Context, pause time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < pause {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
