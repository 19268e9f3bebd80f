package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

// A consumer reads the last message of every key, then what follows.
type consumer struct {
	s        *Store
	bucket   state.Bucket
	pending  uint64 // when it was made
	name     string
	server   string // where it reads, in a cluster
	messages jetstream.MessagesContext
	read     uint64
}

// A message is what a consumer read.
type message struct {
	record  state.Record // with the zero Key for what is none
	gone    bool
	path    string
	pending uint64 // that follow
}

// consume makes a consumer that the server forgets soon after nobody reads it.
func (s *Store) consume(ctx context.Context, b state.Bucket, filter string) (*consumer, error) {
	stream, ok := s.streams[b]
	if !ok {
		return nil, fmt.Errorf("%w: %s is no bucket", state.ErrInvalid, b)
	}
	c, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		FilterSubject:     filter,
		Replicas:          1,
		MemoryStorage:     true,
		InactiveThreshold: 10 * time.Second,
	})
	if err != nil {
		return nil, unavailable(err)
	}
	m, err := c.Messages(jetstream.PullMaxMessages(512), jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return nil, unavailable(err)
	}
	info := c.CachedInfo()
	read := &consumer{s: s, bucket: b, pending: info.NumPending, name: info.Name, messages: m}
	if info.Cluster != nil {
		read.server = info.Cluster.Leader
	}
	return read, nil
}

func (c *consumer) close() {
	c.messages.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), state.Deadline)
	defer cancel()
	// If that fails the server does it by itself.
	_ = c.s.streams[c.bucket].DeleteConsumer(ctx, c.name)
}

var errIdle = errors.New("no message for a while")

// next returns the next message, or errIdle after within, 0 for never.
// Messages that were lost on the way are an error.
func (c *consumer) next(ctx context.Context, within time.Duration) (message, error) {
	wait := ctx
	if within > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	m, err := c.messages.Next(jetstream.NextContext(wait))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return message{}, errIdle
	}
	if err != nil {
		return message{}, unavailable(err)
	}
	about, err := m.Metadata()
	if err != nil {
		return message{}, unavailable(err)
	}
	c.read++
	if about.Sequence.Consumer != c.read {
		return message{}, unavailable(fmt.Errorf("message %d of %s after %d", about.Sequence.Consumer, c.bucket, c.read-1))
	}
	read, err := stored(c.bucket, m.Subject(), m.Data(), m.Headers(), about.Sequence.Stream, about.Timestamp)
	read.pending = about.NumPending
	return read, err
}

// stored reads what stands in a stream.
func stored(b state.Bucket, name string, value []byte, h nats.Header, sequence uint64, written time.Time) (m message, err error) {
	m = message{gone: h.Get(headerOperation) != "", path: strings.TrimPrefix(name, subject(b, ""))}
	m.record = record(state.Key{}, value, h, sequence, written)
	if strings.HasPrefix(m.path, "/") {
		return m, nil
	}
	if m.record.Key, err = b.ParseKey(m.path); err != nil {
		return message{}, unavailable(errors.Join(errForeign, err))
	}
	return m, nil
}

var errForeign = errors.New("the bucket holds what stsgate did not write")
