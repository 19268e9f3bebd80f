package jetstream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

const (
	// deliverLast is how long a fence may be ahead of what was heard.
	deliverLast = 2 * state.BeatInterval
	// toldAhead is how many messages wait to be read. More are asked for.
	toldAhead = 1024
)

// A watch follows a bucket by what its leader tells everybody of each message
// that was stored. That may get lost: the sequences show it, and what is missing
// is asked for. So a watch outlives the servers that it hears from; a consumer
// does not, and to make another a cluster needs more than the bucket's majority.
type watch struct {
	s      *Store
	bucket state.Bucket
	beat   beat
	prefix state.Key
	tell   func(state.Event) bool

	seen   uint64               // everything up to it was read
	filled time.Time            // when something was last asked for
	ahead  []fence              // that are not reached
	last   uint64               // of the last fence
	beaten map[uint64]time.Time // when beats that were read were written, by the store's clock
}

// errStopped says that whom a watch tells heard enough.
var errStopped = errors.New("stopped")

// Watch implements state.Store. It costs a consumer in the server until it is
// current for the first time, then a subscription and, with a cluster, four
// small writes a second: a gateway has one for each bucket that it mirrors, not
// one for each request.
func (s *Store) Watch(ctx context.Context, prefix state.Key) iter.Seq2[state.Event, error] {
	return func(yield func(state.Event, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		w := &watch{s: s, bucket: prefix.Bucket(), prefix: prefix, beaten: map[uint64]time.Time{},
			tell: func(e state.Event) bool { return yield(e, nil) }}
		if err := w.run(ctx); !errors.Is(err, errStopped) {
			yield(state.Event{}, err)
		}
	}
}

func (w *watch) run(ctx context.Context) error {
	heard := make(chan *nats.Msg, toldAhead)
	hearing, err := w.s.nc.ChanSubscribe(told(w.bucket, ">"), heard)
	if err != nil {
		return unavailable(err)
	}
	defer hearing.Unsubscribe()
	c, err := w.s.copier(ctx, w.bucket)
	if err != nil {
		return err
	}
	w.beat = c.beat
	first, err := c.run(ctx, w.prefix, w.tell)
	if err != nil {
		return err
	}
	w.seen, w.last, w.ahead = first.sequence, first.sequence, []fence{first}
	if err := w.reached(); err != nil {
		return err
	}
	fences := make(chan fence)
	go w.beat.run(ctx, fences)
	return w.follow(ctx, heard, fences)
}

func (w *watch) follow(ctx context.Context, heard <-chan *nats.Msg, fences <-chan fence) error {
	for {
		var err error
		select {
		case m := <-heard:
			if w.s.c.deaf == nil || !w.s.c.deaf(m) {
				err = w.hear(ctx, m)
			}
		case f := <-fences:
			err = w.expect(ctx, f)
		case <-ctx.Done():
			return unavailable(ctx.Err())
		}
		if err == nil {
			err = w.reached()
		}
		if err != nil {
			return err
		}
	}
}

// hear takes in what the leader told, after what was missed before it.
func (w *watch) hear(ctx context.Context, heard *nats.Msg) error {
	sequence, err := strconv.ParseUint(heard.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return unavailable(errors.Join(errForeign, err))
	}
	if sequence <= w.seen {
		return nil
	}
	if sequence > w.seen+1 {
		if err := w.fill(ctx, sequence-1); err != nil || w.seen+1 != sequence {
			return err
		}
	}
	written, err := time.Parse(time.RFC3339Nano, heard.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return unavailable(errors.Join(errForeign, err))
	}
	m, err := stored(w.bucket, heard.Header.Get(jetstream.SubjectHeader), heard.Data, heard.Header, sequence, written)
	if err != nil {
		return err
	}
	return w.take(m)
}

// expect adds a fence, and asks for what it is above when the one before it was
// not reached for long.
func (w *watch) expect(ctx context.Context, f fence) error {
	if f.sequence < w.last {
		return unavailable(fmt.Errorf("the bucket %s was made anew: message %d after %d", w.bucket, f.sequence, w.last))
	}
	w.last = f.sequence
	if f.asOf.Before(w.filled) {
		return nil
	}
	w.ahead = append(w.ahead, f)
	if f.asOf.Sub(w.ahead[0].asOf) > deliverLast {
		return w.fill(ctx, f.sequence)
	}
	return nil
}

// fill asks for what was stored up to a sequence at least. When there is no
// answer, the next message or fence begins it anew.
//
// Of what was replaced meanwhile it finds nothing, and what replaced it may come
// later. So fences that were begun before its end say nothing any more.
func (w *watch) fill(ctx context.Context, to uint64) error {
	defer func() { w.filled, w.ahead = w.s.c.now(), nil }()
	for w.seen < to {
		raw, err := w.after(ctx, w.seen)
		if err != nil {
			return nil
		}
		m, err := stored(w.bucket, raw.Subject, raw.Data, raw.Header, raw.Sequence, raw.Time)
		if err != nil {
			return err
		}
		if err := w.take(m); err != nil {
			return err
		}
	}
	return nil
}

// after asks the leader for the first message after a sequence.
func (w *watch) after(ctx context.Context, sequence uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, w.s.c.attempt)
	defer cancel()
	return w.s.streams[w.bucket].GetMsg(ctx, sequence+1, jetstream.WithGetMsgSubject(subject(w.bucket, ">")))
}

// take tells of the next message.
func (w *watch) take(m message) error {
	w.seen = m.record.Revision
	if m.path == w.beat.path {
		w.beaten[w.seen] = m.record.Written
	}
	if e, ok := event(m, w.prefix); ok && !w.tell(e) {
		return errStopped
	}
	return nil
}

// reached tells of the fences up to which everything was read.
func (w *watch) reached() error {
	for len(w.ahead) > 0 && w.ahead[0].sequence <= w.seen {
		f := w.ahead[0]
		w.ahead = w.ahead[1:]
		w.skew(f)
		if !w.tell(state.Event{Kind: state.Current, AsOf: f.asOf}) {
			return errStopped
		}
	}
	return nil
}

// skew tells how far the clock of the leader that wrote a beat is ahead.
func (w *watch) skew(f fence) {
	written, ok := w.beaten[f.sequence]
	clear(w.beaten)
	if ok && w.s.c.Metrics.Skew != nil {
		w.s.c.Metrics.Skew(w.bucket, written.Sub(f.asOf))
	}
}

// event is what a message tells of a record below prefix.
func event(m message, prefix state.Key) (state.Event, bool) {
	switch {
	case m.record.Key == state.Key{}, !prefix.Covers(m.record.Key):
		return state.Event{}, false
	case m.gone:
		return state.Event{Kind: state.Gone, Record: state.Record{Key: m.record.Key}}, true
	}
	return state.Event{Kind: state.Put, Record: m.record}, true
}
