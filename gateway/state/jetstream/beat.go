package jetstream

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

// beats begins the path of messages that are no records: a key never has a
// slash in its path.
const beats = "/beat."

// A fence is a sequence of the stream that is above everything that was
// acknowledged before asOf.
type fence struct {
	sequence uint64
	asOf     time.Time
}

// A beat sets fences in a bucket.
type beat struct {
	s      *Store
	bucket state.Bucket
	path   string
}

func (s *Store) beat(b state.Bucket) beat { return beat{s, b, beats + rand.Text()} }

// write sets a fence with a message. In a cluster nothing less will do: a
// leader that lost the others answers questions for some seconds.
func (b beat) write(ctx context.Context) (fence, error) {
	ctx, cancel := context.WithTimeout(ctx, state.Deadline)
	defer cancel()
	asOf := b.s.c.now()
	ack, err := b.s.js.PublishMsg(ctx, nats.NewMsg(subject(b.bucket, b.path)), jetstream.WithMsgTTL(10*time.Second), jetstream.WithRetryAttempts(0))
	if err != nil {
		return fence{}, unavailable(err)
	}
	return fence{ack.Sequence, asOf}, nil
}

// ask sets a fence by asking the only server.
func (b beat) ask(ctx context.Context) (fence, error) {
	ctx, cancel := context.WithTimeout(ctx, state.Deadline)
	defer cancel()
	asOf := b.s.c.now()
	info, err := b.s.streams[b.bucket].Info(ctx)
	if err != nil {
		return fence{}, unavailable(err)
	}
	return fence{info.State.LastSeq, asOf}, nil
}

// run sets fences until ctx ends. One that cannot be set is left out; without
// them a watch grows old, and whoever reads it sees that.
func (b beat) run(ctx context.Context, fences chan<- fence) {
	set := b.ask
	if b.s.c.Cluster != nil {
		set = b.write
	}
	tick := time.NewTicker(state.BeatInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		f, err := set(ctx)
		if err != nil {
			continue
		}
		select {
		case fences <- f:
		case <-ctx.Done():
		}
	}
}
