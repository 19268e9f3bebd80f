package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

const (
	prefix = "stsgate-"
	// firstBucket is made before the others.
	firstBucket = state.Enrolments
	// openTry bounds one try to open or create a stream.
	openTry = 3 * time.Second
)

func subject(b state.Bucket, path string) string { return "$KV." + prefix + b.String() + "." + path }

// told is where the leader of a bucket tells of what it stored at a subject.
func told(b state.Bucket, path string) string { return "stsgate.told." + b.String() + "." + path }

func (s *Store) limit(b state.Bucket) int64 {
	if s.c.limit > 0 {
		return s.c.limit
	}
	return b.Limit()
}

// config is the stream of a bucket.
func (s *Store) config(b state.Bucket, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              "KV_" + prefix + b.String(),
		Description:       "stsgate: " + b.String(),
		Subjects:          []string{subject(b, ">")},
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		MaxMsgsPerSubject: 1,
		MaxBytes:          s.limit(b),
		MaxMsgs:           -1,
		MaxConsumers:      -1,
		MaxMsgSize:        state.MaxValue + state.Overhead + 4<<10,
		Discard:           jetstream.DiscardNew, // a full bucket refuses, it never forgets
		AllowMsgTTL:       true,
		AllowRollup:       true, // what the tools of NATS expect of a key-value bucket
		DenyDelete:        true,
		AllowDirect:       false, // reads come from the leader
		Duplicates:        time.Second,
		RePublish:         &jetstream.RePublish{Source: subject(b, ">"), Destination: told(b, ">")},
	}
}

// openStreams opens the buckets' streams, and creates those that known, of what
// must be there, does not name.
func (s *Store) openStreams(ctx context.Context, replicas int, known []string) error {
	for _, b := range append([]state.Bucket{firstBucket}, state.Buckets()...) {
		c := s.config(b, replicas)
		stream, err := s.openStream(ctx, c, slices.Contains(known, b.String()))
		if err != nil {
			return fmt.Errorf("bucket %s: %w", b, err)
		}
		if err := strong(stream.CachedInfo().Config, c); err != nil {
			return fmt.Errorf("bucket %s: stream %s: %w", b, c.Name, err)
		}
		s.streams[b] = stream
	}
	return nil
}

// openStream opens or creates a stream. A cluster does not answer the second
// of two gateways that create one at the same moment.
func (s *Store) openStream(ctx context.Context, c jetstream.StreamConfig, must bool) (stream jetstream.Stream, err error) {
	err = patiently(ctx, func(ctx context.Context) error {
		stream, err = s.js.Stream(ctx, c.Name)
		if err == nil && stream.CachedInfo().Config.RePublish == nil { // a stream of the first version
			have := stream.CachedInfo().Config
			have.RePublish = c.RePublish
			stream, err = s.js.UpdateStream(ctx, have)
			return err
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
		if must {
			return fmt.Errorf("it is lost: the stream %s was there and is not: restore the backup", c.Name)
		}
		stream, err = s.js.CreateStream(ctx, c)
		return err
	})
	return stream, err
}

// strong reports every setting of a stream that is weaker than what is needed.
func strong(have, need jetstream.StreamConfig) error {
	var weak []string
	check := func(ok bool, what string, have, need any) {
		if !ok {
			weak = append(weak, fmt.Sprintf("%s is %v, needed is %v", what, have, need))
		}
	}
	check(have.Storage == need.Storage, "storage", have.Storage, need.Storage)
	check(have.Replicas >= need.Replicas, "num_replicas", have.Replicas, need.Replicas)
	check(have.PersistMode == need.PersistMode, "persist_mode", have.PersistMode, need.PersistMode)
	check(have.Retention == need.Retention, "retention", have.Retention, need.Retention)
	check(have.Discard == need.Discard, "discard", have.Discard, need.Discard)
	check(have.MaxAge == 0, "max_age", have.MaxAge, 0)
	check(have.MaxMsgs <= 0, "max_msgs", have.MaxMsgs, -1)
	check(have.MaxMsgsPerSubject == 1, "max_msgs_per_subject", have.MaxMsgsPerSubject, 1)
	check(have.MaxMsgSize <= 0 || have.MaxMsgSize >= need.MaxMsgSize, "max_msg_size", have.MaxMsgSize, need.MaxMsgSize)
	check(have.MaxBytes <= 0 || have.MaxBytes >= need.MaxBytes, "max_bytes", have.MaxBytes, need.MaxBytes)
	check(have.AllowMsgTTL, "allow_msg_ttl", have.AllowMsgTTL, true)
	check(have.SubjectDeleteMarkerTTL == 0, "subject_delete_marker_ttl", have.SubjectDeleteMarkerTTL, 0)
	check(!have.AllowDirect, "allow_direct", have.AllowDirect, false)
	check(!have.NoAck, "no_ack", have.NoAck, false)
	check(!have.Sealed, "sealed", have.Sealed, false)
	check(have.Mirror == nil && len(have.Sources) == 0, "mirror or sources", "set", "none")
	check(slices.Equal(have.Subjects, need.Subjects), "subjects", have.Subjects, need.Subjects)
	check(have.SubjectTransform == nil, "subject_transform", "set", "none")
	check(have.RePublish != nil && *have.RePublish == *need.RePublish, "republish", have.RePublish, *need.RePublish)
	if weak != nil {
		return errors.New(strings.Join(weak, "; "))
	}
	return nil
}
