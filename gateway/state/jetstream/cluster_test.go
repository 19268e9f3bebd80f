package jetstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

func TestClusterSettings(t *testing.T) {
	for _, c := range []struct {
		name    string
		cluster Cluster
		want    string
	}{
		{"no URL", Cluster{Replicas: 3}, "no URL"},
		{"one replica", Cluster{URLs: []string{"nats://127.0.0.1:1"}, Replicas: 1}, "1 replicas: a cluster has 3 or 5"},
		{"no TLS", Cluster{URLs: []string{"nats://127.0.0.1:1", "nats://192.0.2.1:4222"}, Replicas: 3}, "192.0.2.1:4222 is reached without TLS"},
		{"a name without TLS", Cluster{URLs: []string{"nats://localhost.example:4222"}, Replicas: 3}, "without TLS"},
		{"password in the URL", Cluster{URLs: []string{"nats://u:hunter2@127.0.0.1:4222"}, Replicas: 3, TLS: &tls.Config{}}, "holds a credential"},
		{"bad URL", Cluster{URLs: []string{"nats://127.0.0.1:hunter2"}, Replicas: 3}, "cannot be read"},
		{"no credentials file", Cluster{URLs: []string{"nats://127.0.0.1:1"}, Replicas: 3, Credentials: "/nowhere/creds"}, "credentials: open /nowhere/creds"},
		{"no credentials in the file", Cluster{URLs: []string{"nats://127.0.0.1:1"}, Replicas: 3, Credentials: "cluster_test.go"}, "neither a user's JWT"},
		{"nobody there", Cluster{URLs: []string{"nats://127.0.0.1:1"}, Replicas: 5}, "connect to NATS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(within(t, time.Second), Config{Keys: newKeys(t), Cluster: &c.cluster})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
			// STATE-15, and no secret in an error.
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
	refused(t, Config{Keys: newKeys(t), Encrypt: true, Cluster: &Cluster{}}, "encrypted by its own configuration")
}

// Every setting of a stream that is weaker is refused by its name.
func TestWeakStreams(t *testing.T) {
	s := &Store{}
	for want, weaken := range map[string]func(*jetstream.StreamConfig){
		"storage is Memory, needed is File":      func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"num_replicas is 1, needed is 3":         func(c *jetstream.StreamConfig) { c.Replicas = 1 },
		"persist_mode is Async":                  func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
		"retention is WorkQueue":                 func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"discard is DiscardOld":                  func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"max_age is 1h0m0s, needed is 0":         func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"max_msgs is 5":                          func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 },
		"max_msgs_per_subject is 2, needed is 1": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 2 },
		"max_msg_size is 100":                    func(c *jetstream.StreamConfig) { c.MaxMsgSize = 100 },
		"max_bytes is 100":                       func(c *jetstream.StreamConfig) { c.MaxBytes = 100 },
		"allow_msg_ttl is false":                 func(c *jetstream.StreamConfig) { c.AllowMsgTTL = false },
		"subject_delete_marker_ttl is 1m0s":      func(c *jetstream.StreamConfig) { c.SubjectDeleteMarkerTTL = time.Minute },
		"allow_direct is true":                   func(c *jetstream.StreamConfig) { c.AllowDirect = true },
		"no_ack is true":                         func(c *jetstream.StreamConfig) { c.NoAck = true },
		"sealed is true":                         func(c *jetstream.StreamConfig) { c.Sealed = true },
		"mirror or sources":                      func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "x"}} },
		"subjects is [x]":                        func(c *jetstream.StreamConfig) { c.Subjects = []string{"x"} },
		"subject_transform is set":               func(c *jetstream.StreamConfig) { c.SubjectTransform = &jetstream.SubjectTransformConfig{} },
		"republish is <nil>, needed is":          func(c *jetstream.StreamConfig) { c.RePublish = nil },
		"republish is &{":                        func(c *jetstream.StreamConfig) { c.RePublish = &jetstream.RePublish{} },
	} {
		need := s.config(state.Bans, 3)
		have := need
		if err := strong(have, need); err != nil {
			t.Fatalf("what is needed is refused: %v", err)
		}
		weaken(&have)
		if err := strong(have, need); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// A cluster of another key, with a weaker bucket, or that lost one is refused.
func TestRefusedClusters(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	c := newCluster(t)
	ctx := within(t, time.Minute)

	// Two gateways that are the first at the same moment.
	var together sync.WaitGroup
	for i := range 2 {
		together.Go(func() {
			s, err := Open(ctx, c.config(i))
			if err != nil {
				t.Errorf("gateway %d: %v", i, err)
				return
			}
			s.Close()
		})
	}
	together.Wait()
	s := open(t, c.config(2))
	put(t, state.Seal(s, c.keys), state.Bans.Key("a"), "", 0)

	wrong := c.config(0)
	wrong.Keys = newKeys(t)
	refused(t, wrong, "another state key")
	more := c.config(0)
	more.Cluster.Replicas = 5
	refused(t, more, "num_replicas is 3, needed is 5")

	name := s.config(state.Bans, 3).Name
	if err := s.js.DeleteStream(ctx, name); err != nil {
		t.Fatal(err)
	}
	refused(t, c.config(1), "bucket bans: it is lost")
	weak := s.config(state.Bans, 1)
	if _, err := s.js.CreateStream(ctx, weak); err != nil {
		t.Fatal(err)
	}
	refused(t, c.config(1), "num_replicas is 1, needed is 3")
}

// A gateway that is started before the servers waits for them.
func TestServersThatComeLater(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	c := newCluster(t)
	config := c.config(0)
	c.options[0].Port = c.servers[0].Addr().(*net.TCPAddr).Port
	for i := range c.servers {
		c.stop(i)
	}
	told := make(lines, 1)
	config.Log = slog.New(slog.NewTextHandler(told, nil))
	opened := make(chan error)
	go func() {
		s, err := Open(within(t, 30*time.Second), config)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	if text := <-told; !strings.Contains(text, "no server of the cluster answers") {
		t.Errorf("the log says %q", text)
	}
	for i := range c.servers {
		c.start(i)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// lines are what is logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default: // nobody reads on
	}
	return len(p), nil
}

// STATE-01: a cluster of which a server may lose what it acknowledged is refused.
func TestServersThatDoNotSync(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	c := newCluster(t)
	c.stop(2)
	c.options[2].SyncAlways = false
	c.start(2)
	// It answers when it has joined the others.
	until(t, func() bool {
		s, err := Open(within(t, 20*time.Second), c.config(0))
		if err == nil {
			s.Close()
			return false
		}
		return strings.Contains(err.Error(), "the server n2 does not sync every write")
	})
}

// STATE-14: how far clocks are apart is told, and a mark is created once however
// they are.
func TestClocksApart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	c := newCluster(t)
	ahead := make(chan time.Duration, 1)
	fast := c.config(0)
	fast.now = func() time.Time { return time.Now().Add(90 * time.Second) }
	fast.Metrics.Skew = func(b state.Bucket, d time.Duration) {
		if b != state.Marks {
			t.Errorf("told of %s", b)
		}
		select {
		case ahead <- d:
		default:
		}
	}
	a, b := open(t, fast), open(t, c.config(1))
	for _, err := range a.Watch(within(t, 20*time.Second), state.Marks.Key()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(ahead) > 0 {
			break
		}
	}
	if got := <-ahead; got < -91*time.Second || got > -89*time.Second {
		t.Errorf("the leader's clock is told to be %s ahead, want -90s", got)
	}
	put(t, a, state.Marks.Key("code"), "", time.Minute)
	if _, err := b.Create(within(t, 20*time.Second), state.Marks.Key("code"), nil, time.Minute); !errors.Is(err, state.ErrExists) {
		t.Errorf("a code that was used on the other gateway: %v", err)
	}
}

// STATE-02: what runs in this process, and what is refused elsewhere.
func TestVersions(t *testing.T) {
	if err := recent("in this process", server.VERSION); err != nil {
		t.Error(err)
	}
	for version, want := range map[string]bool{"2.15.2": true, "2.15.10": true, "2.16.0-RC.1": true, "3.0.0": true,
		"2.15.1": false, "2.12.6": false, "2.9.25": false, "": false, "x": false, "2": false} {
		if got := recent("n1", version) == nil; got != want {
			t.Errorf("version %q is taken: %v", version, got)
		}
	}
}

func leader(t *testing.T, s *Store, b state.Bucket) string {
	t.Helper()
	info, err := s.streams[b].Info(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return info.Cluster.Leader
}

// A write waits for a new leader within the time that it is given; none that
// was acknowledged is lost; the loss of two nodes closes the mirror and every
// write.
func TestLossOfNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	c := newCluster(t)
	s := open(t, c.config(0, 1, 2))
	m := state.NewMirror(s, state.Locks)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if err := m.Wait(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}

	var lost int
	fmt.Sscanf(leader(t, s, state.Locks), "n%d", &lost)
	put(t, s, state.Locks.Key("before"), "", time.Hour)
	c.stop(lost)
	start := time.Now()
	if _, err := s.Create(within(t, 20*time.Second), state.Locks.Key("after"), nil, time.Hour); err != nil {
		t.Fatalf("a write with 20 s: %v", err)
	}
	t.Logf("a write waited %s for a new leader", time.Since(start))
	for _, k := range []string{"before", "after"} {
		until(t, func() bool { _, err := m.Get(state.Locks.Key(k)); return err == nil })
	}

	c.stop((lost + 1) % 3)
	start = time.Now()
	until(t, func() bool { _, err := m.Get(state.Locks.Key("before")); return errors.Is(err, state.ErrStale) })
	if took := time.Since(start); took > state.MaxAge+10*time.Second {
		t.Errorf("the mirror closed after %s", took)
	}
	if _, err := s.Create(t.Context(), state.Marks.Key("a"), nil, time.Hour); !errors.Is(err, state.ErrUnknown) && !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("a write without a majority: %v", err)
	}

	c.start(lost)
	c.start((lost + 1) % 3)
	until(t, func() bool { _, err := m.Get(state.Locks.Key("after")); return err == nil })
}
