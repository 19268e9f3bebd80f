package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

// Get implements state.Store. It asks the leader.
func (s *Store) Get(ctx context.Context, key state.Key) (_ state.Record, err error) {
	defer s.observe("get", time.Now(), &err)
	if err := key.Check(); err != nil {
		return state.Record{}, err
	}
	ctx, cancel := state.Bound(ctx)
	defer cancel()
	return s.get(ctx, key)
}

func (s *Store) get(ctx context.Context, key state.Key) (state.Record, error) {
	m, err := s.last(ctx, key)
	if err != nil {
		return state.Record{}, err
	}
	r := record(key, m.Data, m.Header, m.Sequence, m.Time)
	if m.Header.Get(headerOperation) != "" || over(r.Expires) {
		return state.Record{}, state.ErrNotFound
	}
	s.lives.note(key.Bucket(), r.Revision, r.Expires)
	return r, nil
}

// over tells that a record expired, while the server has perhaps yet to notice.
func over(expires time.Time) bool { return !expires.IsZero() && !time.Now().Before(expires) }

// last returns the last message of the key within the time that ctx leaves.
func (s *Store) last(ctx context.Context, key state.Key) (*jetstream.RawStreamMsg, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		m, err := s.try(ctx, key)
		if err == nil || errors.Is(err, state.ErrNotFound) || errors.Is(err, state.ErrCorrupt) {
			return m, err
		}
		if lasting(err) || !wait(ctx, pause) {
			return nil, unavailable(err)
		}
	}
}

// try asks once. A record that the server cannot read looks to it like one
// that is not there, but its index has it.
func (s *Store) try(ctx context.Context, key state.Key) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.attempt)
	defer cancel()
	stream, subject := s.streams[key.Bucket()], subject(key.Bucket(), key.Path())
	for range 3 { // the record may come or go between the questions
		m, err := stream.GetLastMsgForSubject(ctx, subject)
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return m, err
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
		if err != nil {
			return nil, err
		}
		if info.State.Subjects[subject] == 0 {
			return nil, state.ErrNotFound
		}
	}
	return nil, unreadable(key)
}

func record(key state.Key, value []byte, h nats.Header, revision uint64, written time.Time) state.Record {
	return state.Record{Key: key, Value: value, Revision: revision, Written: written, Expires: expiry(h, written)}
}

// List implements state.Store.
func (s *Store) List(ctx context.Context, below state.Key) (all []state.Record, err error) {
	defer s.observe("list", time.Now(), &err)
	ctx, cancel := state.Bound(ctx)
	defer cancel()
	return s.list(ctx, below)
}

// few is how many records are sooner asked for one by one than read by a
// consumer.
const few = 8

func (s *Store) list(ctx context.Context, below state.Key) (all []state.Record, err error) {
	if below.Path() != "" {
		keys, err := s.index(ctx, below)
		if err != nil {
			return nil, err
		}
		if len(keys) <= few {
			all, unread, err := s.fetch(ctx, keys)
			return sorted(all), errors.Join(err, unreadable(unread...))
		}
	}
	c, err := s.consume(ctx, below.Bucket(), filter(below))
	if err != nil {
		return nil, err
	}
	defer c.close()
	seen := map[string]bool{}
	for range c.pending {
		m, err := c.next(ctx, s.c.idle)
		if errors.Is(err, errIdle) {
			break
		}
		if err != nil {
			return nil, err
		}
		seen[m.record.Key.Path()] = true
		if !m.gone && below.Covers(m.record.Key) && !over(m.record.Expires) {
			s.lives.note(below.Bucket(), m.record.Revision, m.record.Expires)
			all = append(all, m.record)
		}
		if m.pending == 0 {
			break
		}
	}
	if c.read < c.pending {
		late, unread, e := s.rest(ctx, below, seen)
		all, err = append(all, late...), errors.Join(e, unreadable(unread...))
	}
	return sorted(all), err
}

func sorted(all []state.Record) []state.Record {
	slices.SortFunc(all, func(a, b state.Record) int { return strings.Compare(a.Key.Path(), b.Key.Path()) })
	return all
}

func filter(below state.Key) string {
	if below.Path() == "" {
		return subject(below.Bucket(), ">")
	}
	return subject(below.Bucket(), below.Path()+".>")
}

// unreadable is an error for each key, nil for none.
func unreadable(keys ...state.Key) (err error) {
	for _, k := range keys {
		err = errors.Join(err, fmt.Errorf("%w: %s: the server cannot read it", state.ErrCorrupt, k))
	}
	return err
}

// rest asks for each record below that the server's index has and that was not
// seen. It returns those that the server was merely slow with, and the keys of
// those that it cannot read.
func (s *Store) rest(ctx context.Context, below state.Key, seen map[string]bool) (late []state.Record, unread []state.Key, err error) {
	keys, err := s.index(ctx, below)
	if err != nil {
		return nil, nil, err
	}
	return s.fetch(ctx, slices.DeleteFunc(keys, func(k state.Key) bool { return seen[k.Path()] }))
}

// index returns the keys below that the server's index has, in no order.
func (s *Store) index(ctx context.Context, below state.Key) (keys []state.Key, err error) {
	stream, ok := s.streams[below.Bucket()]
	if !ok {
		return nil, fmt.Errorf("%w: %s is no bucket", state.ErrInvalid, below.Bucket())
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter(below)))
	if err != nil {
		return nil, unavailable(err)
	}
	for name := range info.State.Subjects {
		if k, err := below.Bucket().ParseKey(strings.TrimPrefix(name, subject(below.Bucket(), ""))); err == nil {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// fetch asks for each record. It leaves out those that are gone, and returns
// the keys of those that the server cannot read.
func (s *Store) fetch(ctx context.Context, keys []state.Key) (all []state.Record, unread []state.Key, err error) {
	for _, k := range keys {
		r, err := s.get(ctx, k)
		switch {
		case err == nil:
			all = append(all, r)
		case errors.Is(err, state.ErrCorrupt):
			unread = append(unread, k)
		case !errors.Is(err, state.ErrNotFound):
			return nil, nil, err
		}
	}
	return all, unread, nil
}
