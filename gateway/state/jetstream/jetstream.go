// Package jetstream keeps state in NATS JetStream: by default in a server
// inside this process that listens nowhere and has its files in one directory,
// or in a cluster that the operator names.
//
// A record never expires before one that it replaced would have, and what was
// deleted is remembered as long: the server writes down that a record expired
// but not that one was replaced, so that after a crash it finds, under a record
// that expired, the one before it (seen with 2.15.2).
//
// Every bucket is a stream of its own in the form of a NATS key-value bucket, so
// that the tools of NATS can read it, but is written by publishing: the
// key-value calls drop a record's ttl when they update it. Expiry leaves no
// markers, because a marker removes whatever stands under the key when it
// arrives, and costs a synced write for each record.
package jetstream

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

// Config configures a Store. Either Dir or Cluster is set.
type Config struct {
	// Dir is where the server in this process has its files. It is created with
	// mode 0700. One process at a time may use it.
	Dir string
	// Encrypt makes that server encrypt its files as well. It is settled when
	// the directory is first used.
	Encrypt bool
	// Cluster is a NATS cluster.
	Cluster *Cluster
	// Keys tell whether the store is the one that they belong to. Records are
	// sealed by state.Seal, not here.
	Keys *state.Keys
	// Metrics are told what happens. Its functions may be nil.
	Metrics Metrics
	// Log gets the server's warnings and errors. Nil drops them.
	Log *slog.Logger

	// These are for tests; zero is the default.
	now      func() time.Time // what this process takes for the time of a beat
	limit    int64            // bytes of every bucket
	attempt  time.Duration    // how long one try of a call may take
	idle     time.Duration    // how long the server may take to find the next record of a list
	provider func(nats.InProcessConnProvider) nats.InProcessConnProvider
	deaf     func(*nats.Msg) bool // what a watch does not hear
}

// A Cluster is a NATS cluster with JetStream. Its servers must run with
// sync_interval: always. Open refuses those that say that they do not, and warns
// when its account may not ask.
type Cluster struct {
	// URLs are of some of its servers, nats:// or tls://.
	URLs []string
	// Credentials is a file of a user's JWT and seed, or of the seed of an nkey.
	Credentials string
	// Replicas is how many servers have each record: 3 or 5.
	Replicas int
	// TLS is needed unless all URLs are on loopback.
	TLS *tls.Config
}

// Metrics are told what happens in a Store.
type Metrics struct {
	// Op is told of each call: create, swap, delete, get or list, the outcome
	// as state.Outcome names it, and how long it took.
	Op func(op, outcome string, took time.Duration)
	// Retry is told of each further try of a write, and why the one before failed.
	Retry func(err error)
	// Skew is told how far the clock of a bucket's leader is ahead of this
	// process's, from a watch of a cluster, at most the delay of one message too
	// large.
	Skew func(b state.Bucket, ahead time.Duration)
}

const (
	attemptLast = 500 * time.Millisecond
	idleLast    = 200 * time.Millisecond
	// openWithin bounds what Open does, besides reading the server's files.
	openWithin = 30 * time.Second
)

// A Store is a state.Store in JetStream.
type Store struct {
	c       Config
	nc      *nats.Conn
	js      jetstream.JetStream
	streams map[state.Bucket]jetstream.Stream

	// Without a cluster.
	server  *server.Server
	lock    *os.File // of Dir
	highest *highest
	closing chan struct{} // nil until keep runs
	kept    chan struct{}

	writer string // stands in every write, with a number
	writes atomic.Uint64
	lives  lives
}

// Open opens the store, and creates what is not there yet. It refuses keys
// other than those that the store was created with, a store that lost a
// bucket, and settings of buckets that are weaker than needed. It takes at most a minute.
func Open(ctx context.Context, c Config) (*Store, error) {
	if (c.Dir == "") == (c.Cluster == nil) || c.Keys == nil {
		return nil, errors.New("state: a directory or a cluster, and a key, are needed")
	}
	if c.Encrypt && c.Cluster != nil {
		return nil, errors.New("state: the files of a cluster are encrypted by its own configuration")
	}
	if c.attempt == 0 {
		c.attempt = attemptLast
	}
	if c.idle == 0 {
		c.idle = idleLast
	}
	if c.now == nil {
		c.now = time.Now
	}
	s := &Store{c: c, streams: map[state.Bucket]jetstream.Stream{}, writer: rand.Text()}
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	open := s.openCluster
	if c.Cluster == nil {
		open = s.openDir
	}
	if err := open(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// connect makes the client.
func (s *Store) connect(url string, options ...nats.Option) error {
	options = append(options,
		nats.Name("stsgate"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond),
		// What was not sent is not sent later, when nobody waits for it.
		nats.ReconnectBufSize(-1),
		// A server that fell silent is left for another after three seconds.
		nats.PingInterval(time.Second),
		nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			logger{s.c.Log}.Warnf("client: %v", err)
		}),
	)
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	s.nc = nc
	s.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(state.Deadline))
	return err
}

// Close ends the store. Calls that are under way fail.
func (s *Store) Close() error {
	if s.nc != nil {
		s.nc.Close()
	}
	if s.closing != nil {
		close(s.closing)
		<-s.kept
	}
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
	if s.lock != nil {
		return s.lock.Close()
	}
	return nil
}

// Usage is how much of a bucket's room is taken.
type Usage struct {
	Records, Bytes, Limit uint64
}

// Usage returns how full the buckets are (STATE-12), or ErrUnavailable.
func (s *Store) Usage(ctx context.Context) (map[state.Bucket]Usage, error) {
	ctx, cancel := state.Bound(ctx)
	defer cancel()
	all := map[state.Bucket]Usage{}
	for b, stream := range s.streams {
		info, err := stream.Info(ctx)
		if err != nil {
			return nil, unavailable(err)
		}
		all[b] = Usage{info.State.Msgs, info.State.Bytes, uint64(info.Config.MaxBytes)}
	}
	return all, nil
}

// observe tells the metrics of one call. It is deferred.
func (s *Store) observe(op string, start time.Time, err *error) {
	if s.c.Metrics.Op != nil {
		s.c.Metrics.Op(op, state.Outcome(*err), time.Since(start))
	}
}
