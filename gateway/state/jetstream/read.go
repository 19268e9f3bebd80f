package jetstream

import (
	"context"
	"errors"
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
	m, err := s.last(ctx, key)
	if err != nil {
		return state.Record{}, err
	}
	if m.Header.Get(headerOperation) != "" {
		return state.Record{}, state.ErrNotFound
	}
	return record(key, m.Data, m.Header, m.Sequence, m.Time), nil
}

// last returns the last message of the key within the time that ctx leaves.
func (s *Store) last(ctx context.Context, key state.Key) (*jetstream.RawStreamMsg, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		try, cancel := context.WithTimeout(ctx, s.c.attempt)
		m, err := s.streams[key.Bucket()].GetLastMsgForSubject(try, subject(key.Bucket(), key.Path()))
		cancel()
		if err == nil {
			return m, nil
		}
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, state.ErrNotFound
		}
		if lasting(err) || !wait(ctx, pause) {
			return nil, unavailable(err)
		}
	}
}

func record(key state.Key, value []byte, h nats.Header, revision uint64, written time.Time) state.Record {
	r := state.Record{Key: key, Value: value, Revision: revision, Written: written}
	if ttl, err := time.ParseDuration(h.Get(jetstream.MsgTTLHeader)); err == nil {
		r.Expires = written.Add(ttl)
	}
	return r
}

// List implements state.Store.
func (s *Store) List(ctx context.Context, below state.Key) (all []state.Record, err error) {
	defer s.observe("list", time.Now(), &err)
	ctx, cancel := state.Bound(ctx)
	defer cancel()
	filter := subject(below.Bucket(), ">")
	if below.Path() != "" {
		filter = subject(below.Bucket(), below.Path()+".>")
	}
	c, err := s.consume(ctx, below.Bucket(), filter)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for range c.pending {
		m, err := c.next(ctx)
		if err != nil {
			return nil, err
		}
		if m.record.Key.Path() != "" && !m.gone {
			all = append(all, m.record)
		}
		if m.pending == 0 {
			break
		}
	}
	slices.SortFunc(all, func(a, b state.Record) int {
		return strings.Compare(a.Key.Path(), b.Key.Path())
	})
	return all, nil
}
