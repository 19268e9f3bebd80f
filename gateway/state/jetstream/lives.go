package jetstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

// lives remembers when the records expire that were last read or written, so
// that replacing one seldom costs a question.
type lives struct {
	mu         sync.Mutex
	young, old map[life]time.Time // a generation each; an old one is forgotten as a whole
}

type life struct {
	bucket   state.Bucket
	revision uint64
}

const generation = 8192

func (l *lives) note(b state.Bucket, revision uint64, expires time.Time) {
	if b.Standing() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.young == nil || len(l.young) >= generation {
		l.young, l.old = make(map[life]time.Time, generation), l.young
	}
	l.young[life{b, revision}] = expires
}

func (l *lives) of(b state.Bucket, revision uint64) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range []map[life]time.Time{l.young, l.old} {
		if e, ok := g[life{b, revision}]; ok {
			return e, true
		}
	}
	return time.Time{}, false
}

// outlive makes w last as long as the record that it replaces. The error is
// ErrConflict when that is not there any more.
func (s *Store) outlive(ctx context.Context, w *write) error {
	b := w.key.Bucket()
	if b.Standing() {
		return nil
	}
	expires, ok := s.lives.of(b, w.expected)
	if !ok {
		m, err := s.last(ctx, w.key)
		if errors.Is(err, state.ErrNotFound) || err == nil && m.Sequence != w.expected {
			return state.ErrConflict
		}
		if err != nil {
			return err
		}
		expires = expiry(m.Header, m.Time)
	}
	if over(expires) {
		return state.ErrConflict
	}
	w.lastUntil(expires)
	return nil
}

// lastUntil lengthens the ttl, in whole seconds.
func (w *write) lastUntil(expires time.Time) {
	w.ttl = max(w.ttl, (time.Until(expires) + time.Second - 1).Truncate(time.Second))
}

// expiry is when a message expires; zero for never.
func expiry(h nats.Header, written time.Time) time.Time {
	ttl, err := time.ParseDuration(h.Get(jetstream.MsgTTLHeader))
	if err != nil {
		return time.Time{}
	}
	return written.Add(ttl)
}
