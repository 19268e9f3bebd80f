package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

// openCluster connects to the cluster and proves the key by a record that the
// first gateway left there.
func (s *Store) openCluster(ctx context.Context) error {
	c := s.c.Cluster
	if err := c.check(); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	var options []nats.Option
	if c.Credentials != "" {
		who, err := login(c.Credentials)
		if err != nil {
			return fmt.Errorf("state: %w", err)
		}
		options = append(options, who)
	}
	if c.TLS != nil {
		options = append(options, nats.Secure(c.TLS))
	}
	if err := s.connectCluster(ctx, options); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := s.checkServers(ctx); err != nil {
		return fmt.Errorf("state: cluster: %w", err)
	}
	if err := s.openBuckets(ctx, c.Replicas); err != nil {
		return fmt.Errorf("state: cluster: %w", err)
	}
	return nil
}

// connectCluster waits for a server: after a power cut all start at once.
func (s *Store) connectCluster(ctx context.Context, options []nats.Option) error {
	told := false
	for {
		err := s.connect(strings.Join(s.c.Cluster.URLs, ","), options...)
		if err == nil || !absent(err) {
			return err
		}
		if !told {
			logger{s.c.Log}.Warnf("no server of the cluster answers, waiting: %v", err)
			told = true
		}
		if !wait(ctx, lastPause) {
			return err
		}
	}
}

// openBuckets is as openDir; the sentinel stands in the bucket that is always
// made first.
func (s *Store) openBuckets(ctx context.Context, replicas int) error {
	var known *sentinel
	var revision uint64
	err := patiently(ctx, func(ctx context.Context) (err error) {
		known, revision, err = s.clusterSentinel(ctx)
		return err
	})
	if err != nil {
		return err
	}
	_, changed, err := known.unlock(s.c.Keys, false)
	if err != nil {
		return err
	}
	if err := s.openStreams(ctx, replicas, known.Buckets); err != nil {
		return err
	}
	if !changed && slices.Equal(known.Buckets, bucketNames()) {
		return nil
	}
	known.Buckets = bucketNames()
	text, err := json.Marshal(known)
	if err != nil {
		return err
	}
	err = patiently(ctx, func(ctx context.Context) error {
		_, err := s.js.Publish(ctx, sentinelSubject(), text, jetstream.WithExpectLastSequencePerSubject(revision))
		return err
	})
	if !conflict(err) {
		return err
	}
	// Another gateway was first, or this one whose answer was lost: it must have
	// the same key.
	return patiently(ctx, func(ctx context.Context) error {
		first, _, err := s.clusterSentinel(ctx)
		if err == nil {
			_, _, err = first.unlock(s.c.Keys, false)
		}
		return err
	})
}

// patiently tries again what the cluster did not answer, or had no leader for.
func patiently(ctx context.Context, do func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, openTry)
		err := do(try)
		cancel()
		var api *jetstream.APIError
		silent := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) ||
			errors.Is(err, jetstream.ErrNoStreamResponse) || errors.As(err, &api) && !lasting(err)
		if !silent || !wait(ctx, lastPause) {
			return err
		}
	}
}

// sentinelSubject is of a message that is no record, as beats are.
func sentinelSubject() string { return subject(firstBucket, "/sentinel") }

// clusterSentinel returns the zero sentinel when there is none.
func (s *Store) clusterSentinel(ctx context.Context) (*sentinel, uint64, error) {
	stream, err := s.js.Stream(ctx, s.config(firstBucket, 1).Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return &sentinel{}, 0, s.untaken(ctx)
	}
	if err != nil {
		return nil, 0, err
	}
	m, err := stream.GetLastMsgForSubject(ctx, sentinelSubject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return &sentinel{}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	k, err := parseSentinel(m.Data)
	return k, m.Sequence, err
}

// untaken makes sure that no other bucket is there before the first is made.
func (s *Store) untaken(ctx context.Context) error {
	for _, b := range state.Buckets() {
		c := s.config(b, 1)
		if _, err := s.js.Stream(ctx, c.Name); err == nil {
			return s.justMade(ctx, b)
		} else if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
	}
	return nil
}

// justMade tells whether another gateway made the first bucket, then b, a
// moment ago.
func (s *Store) justMade(ctx context.Context, b state.Bucket) error {
	_, err := s.js.Stream(ctx, s.config(firstBucket, 1).Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("the bucket %s is lost, while %s is there: restore the backup", firstBucket, b)
	}
	return err
}

func (c *Cluster) check() error {
	if len(c.URLs) == 0 {
		return errors.New("no URL of a NATS server")
	}
	if c.Replicas != 3 && c.Replicas != 5 {
		return fmt.Errorf("%d replicas: a cluster has 3 or 5", c.Replicas)
	}
	for _, text := range c.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return errors.New("a NATS URL cannot be read")
		}
		if u.User != nil {
			return fmt.Errorf("the NATS URL of %s holds a credential: put it into the credentials file", u.Host)
		}
		if c.TLS == nil && !loopback(u.Hostname()) {
			return fmt.Errorf("%s is reached without TLS", u.Host)
		}
	}
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
