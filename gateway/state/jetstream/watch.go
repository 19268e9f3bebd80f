package jetstream

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

// beats begins the path of messages that are no records: a key never has a
// slash in its path.
const beats = "/beat."

// deliverLast is how long a beat that was acknowledged may be on its way. The
// server that has the consumer may be gone, which the client would notice after
// two seconds; then a mirror is closed.
const deliverLast = 2 * state.BeatInterval

// A fence is a sequence of the stream that is above everything that was
// acknowledged before asOf.
type fence struct {
	sequence uint64
	asOf     time.Time
}

// A watch reads the whole bucket, whatever its prefix is, so that it passes
// every fence.
type watch struct {
	s      *Store
	bucket state.Bucket
	beat   string               // the path of its beats
	server string               // where it reads, in a cluster
	beaten map[uint64]time.Time // when beats that were read were written, by the store's clock

	// Until it is current for the first time:
	pending uint64          // records that there were
	seen    map[string]bool // the paths of those that were read

	messages chan message
	fences   chan fence
	failed   chan error
}

// Watch implements state.Store. It costs a consumer in the server and, with a
// cluster, four small writes a second: a gateway has one for each bucket that
// it mirrors, not one for each request.
func (s *Store) Watch(ctx context.Context, prefix state.Key) iter.Seq2[state.Event, error] {
	return func(yield func(state.Event, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		w := s.watch(prefix.Bucket())
		if err := w.start(ctx); err != nil {
			yield(state.Event{}, err)
			return
		}
		w.run(ctx, prefix, yield)
	}
}

func (s *Store) watch(b state.Bucket) *watch {
	return &watch{s: s, bucket: b, seen: map[string]bool{}, beat: beats + rand.Text(), beaten: map[uint64]time.Time{},
		messages: make(chan message, 64), fences: make(chan fence), failed: make(chan error, 2)}
}

// start makes the consumer and the first fence. That is always written, so
// that everything that was there at the start comes before it.
func (w *watch) start(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, state.Deadline)
	defer cancel()
	c, err := w.s.consume(within, w.bucket, subject(w.bucket, ">"))
	if err != nil {
		return err
	}
	w.pending, w.server = c.pending, c.server
	first, err := w.write(within)
	if err != nil {
		c.close()
		return err
	}
	go w.read(ctx, c)
	go w.measure(ctx, first)
	return nil
}

func (w *watch) read(ctx context.Context, c *consumer) {
	defer c.close()
	for {
		m, err := c.next(ctx, 0)
		if err != nil {
			w.failed <- err
			return
		}
		select {
		case w.messages <- m:
		case <-ctx.Done():
			return
		}
	}
}

// measure sets fences. One that cannot be set is left out; without them the
// watch grows old, and whoever reads it sees that.
func (w *watch) measure(ctx context.Context, f fence) {
	set := w.write
	if w.s.c.Cluster == nil {
		set = w.ask
	}
	beat := time.NewTicker(state.BeatInterval)
	defer beat.Stop()
	var err error
	for {
		if err == nil {
			select {
			case w.fences <- f:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
		f, err = w.set(ctx, set)
	}
}

func (w *watch) set(ctx context.Context, set func(context.Context) (fence, error)) (fence, error) {
	ctx, cancel := context.WithTimeout(ctx, state.Deadline)
	defer cancel()
	return set(ctx)
}

// write sets a fence with a message. In a cluster nothing less will do: a
// leader that lost the others answers questions for some seconds.
func (w *watch) write(ctx context.Context) (fence, error) {
	asOf := w.s.c.now()
	ack, err := w.s.js.PublishMsg(ctx, nats.NewMsg(subject(w.bucket, w.beat)), jetstream.WithMsgTTL(10*time.Second), jetstream.WithRetryAttempts(0))
	if err != nil {
		return fence{}, unavailable(err)
	}
	return fence{ack.Sequence, asOf}, nil
}

// ask sets a fence by asking the only server.
func (w *watch) ask(ctx context.Context) (fence, error) {
	asOf := time.Now()
	info, err := w.s.streams[w.bucket].Info(ctx)
	if err != nil {
		return fence{}, unavailable(err)
	}
	return fence{info.State.LastSeq, asOf}, nil
}

// run puts messages and fences together.
func (w *watch) run(ctx context.Context, prefix state.Key, yield func(state.Event, error) bool) {
	var seen uint64
	var ahead []fence
	for {
		select {
		case m := <-w.messages:
			seen = m.record.Revision
			if m.path == w.beat {
				w.beaten[seen] = m.record.Written
			}
			if w.seen != nil {
				w.seen[m.record.Key.Path()] = true
			}
			if e, ok := event(m); ok && prefix.Covers(m.record.Key) && !yield(e, nil) {
				return
			}
		case f := <-w.fences:
			ahead = append(ahead, f)
			if late := f.asOf.Sub(ahead[0].asOf); late > deliverLast && w.seen == nil {
				yield(state.Event{}, unavailable(fmt.Errorf("beats of %s are acknowledged and not delivered for %s: its consumer is gone", w.bucket, late)))
				return
			}
		case err := <-w.failed:
			yield(state.Event{}, err)
			return
		case <-ctx.Done():
			yield(state.Event{}, unavailable(ctx.Err()))
			return
		}
		for len(ahead) > 0 && ahead[0].sequence <= seen {
			w.skew(ahead[0])
			if !w.loaded(ctx, prefix, yield) || !yield(state.Event{Kind: state.Current, AsOf: ahead[0].asOf}, nil) {
				return
			}
			ahead = ahead[1:]
		}
	}
}

// skew tells how far the clock of the leader that wrote a beat is ahead.
func (w *watch) skew(f fence) {
	written, ok := w.beaten[f.sequence]
	clear(w.beaten)
	if ok && w.s.c.Metrics.Skew != nil {
		w.s.c.Metrics.Skew(w.bucket, written.Sub(f.asOf))
	}
}

// loaded tells, before the watch is current for the first time, of records that
// the server has and cannot read. It returns false when the watch is over.
func (w *watch) loaded(ctx context.Context, prefix state.Key, yield func(state.Event, error) bool) bool {
	if w.seen == nil {
		return true
	}
	complete := uint64(len(w.seen)) > w.pending // with the beat
	var unread []state.Key
	if !complete {
		var err error
		ctx, cancel := context.WithTimeout(ctx, state.Deadline)
		defer cancel()
		if _, unread, err = w.s.rest(ctx, prefix, w.seen); err != nil {
			yield(state.Event{}, err)
			return false
		}
	}
	w.seen = nil
	for _, k := range unread {
		if !yield(state.Event{Kind: state.Corrupt, Record: state.Record{Key: k}}, nil) {
			return false
		}
	}
	return true
}

func event(m message) (state.Event, bool) {
	switch {
	case m.record.Key == state.Key{}:
		return state.Event{}, false
	case m.gone:
		return state.Event{Kind: state.Gone, Record: state.Record{Key: m.record.Key}}, true
	}
	return state.Event{Kind: state.Put, Record: m.record}, true
}
