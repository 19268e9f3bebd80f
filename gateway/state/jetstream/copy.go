package jetstream

import (
	"context"

	"stsgate/gateway/state"
)

// A copier reads a whole bucket from the server that the cluster chose.
type copier struct {
	*consumer
	beat beat
}

func (s *Store) copier(ctx context.Context, b state.Bucket) (*copier, error) {
	ctx, cancel := context.WithTimeout(ctx, state.Deadline)
	defer cancel()
	c, err := s.consume(ctx, b, subject(b, ">"))
	if err != nil {
		return nil, err
	}
	return &copier{c, s.beat(b)}, nil
}

// run tells of every record below prefix, and returns a fence up to which
// nothing is missing. It tells of what the server has and cannot read, too.
// The error is errStopped when tell returned false.
func (c *copier) run(ctx context.Context, prefix state.Key, tell func(state.Event) bool) (fence, error) {
	defer c.close()
	end, err := c.beat.write(ctx)
	if err != nil {
		return fence{}, err
	}
	seen := map[string]bool{}
	for {
		m, err := c.next(ctx, 0)
		if err != nil {
			return fence{}, err
		}
		seen[m.record.Key.Path()] = true
		if e, ok := event(m, prefix); ok && !tell(e) {
			return fence{}, errStopped
		}
		if m.record.Revision >= end.sequence {
			break
		}
	}
	if uint64(len(seen)) > c.pending { // with the beat
		return end, nil
	}
	return end, c.unread(ctx, prefix, seen, tell)
}

// unread tells of the records that the server's index has and that were not
// seen because it cannot read them.
func (c *copier) unread(ctx context.Context, prefix state.Key, seen map[string]bool, tell func(state.Event) bool) error {
	ctx, cancel := context.WithTimeout(ctx, state.Deadline)
	defer cancel()
	_, unread, err := c.s.rest(ctx, prefix, seen)
	for _, k := range unread {
		if !tell(state.Event{Kind: state.Corrupt, Record: state.Record{Key: k}}) {
			return errStopped
		}
	}
	return err
}
