package adfs_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs"
	"stsgate/upstream/adfs/adfstest"
)

const workers = 16

// load forwards requests from 16 goroutines until stop is closed, and tells
// each about its outcome. A failed request must not be at two nodes.
type load struct {
	behind *adfstest.Farm
	farm   *adfs.Farm
	stop   chan struct{}
	wg     sync.WaitGroup
	ok     atomic.Int64

	mu     sync.Mutex
	failed []failure
}

type failure struct {
	started time.Time
	err     error
}

func startLoad(t *testing.T, behind *adfstest.Farm, farm *adfs.Farm) *load {
	for _, n := range behind.Nodes {
		n.SetDelay(20 * time.Millisecond) // so that the load is not the machine's limit
	}
	l := &load{behind: behind, farm: farm, stop: make(chan struct{})}
	for w := range workers {
		l.wg.Go(func() { l.work(t, w) })
	}
	t.Cleanup(l.wait)
	return l
}

func (l *load) wait() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wg.Wait()
}

func (l *load) work(t *testing.T, worker int) {
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		default:
		}
		a := alice(fmt.Sprintf("%d-%d", worker, i))
		started := time.Now()
		answer, err := a.forward(l.farm)
		switch {
		case err != nil:
			l.mu.Lock()
			l.failed = append(l.failed, failure{started, err})
			l.mu.Unlock()
		case answer.RelatesTo != "urn:uuid:"+a.id:
			t.Errorf("request %s got the answer to %s", a.id, answer.RelatesTo)
		default:
			l.ok.Add(1)
		}
		if got := l.behind.Deliveries(a.request().Body); got > 1 || got == 0 && err == nil {
			t.Errorf("request %s: got %d deliveries of a password (error %v)", a.id, got, err)
		}
	}
}

// more waits for so many further answers.
func (l *load) more(t *testing.T, count int64) {
	t.Helper()
	until := l.ok.Load() + count
	eventually(t, fmt.Sprintf("%d more answers", count), func() bool { return l.ok.Load() >= until })
}

func (l *load) failures() []failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]failure(nil), l.failed...)
}

func up(farm *adfs.Farm, node int) func() bool {
	return func() bool { return farm.Nodes()[node].Up }
}

// TestKilledNodeUnderLoad: what was written to the node when it died fails,
// nothing else does, and nothing after the node is known to be down (FAIL-01).
func TestKilledNodeUnderLoad(t *testing.T) {
	behind, farm := start(t, adfstest.Config{Nodes: 2}, func(c *adfs.Config) { c.CheckInterval = 20 * time.Millisecond })
	l := startLoad(t, behind, farm)
	l.more(t, 100)
	killed := time.Now()
	behind.Nodes[0].Kill()
	eventually(t, "the node is down", func() bool { return !farm.Nodes()[0].Up })
	if took := time.Since(killed); took > 10*time.Second {
		t.Errorf("node went down after %v, want 10 s at most", took)
	}
	l.more(t, workers) // whatever was under way at the dead node has ended
	failed := l.failures()
	l.more(t, 200)
	if got := l.failures(); len(got) > len(failed) {
		t.Errorf("got %d failures after the node was down, want none: %v", len(got)-len(failed), got[len(got)-1].err)
	}
	// One written request a worker, and one more that took a connection whose
	// reset had not arrived.
	if len(failed) > 2*workers {
		t.Errorf("got %d failures, want those that were written", len(failed))
	}
	for _, f := range failed {
		at, ok := errors.AsType[*wstrust.NodeError](f.err)
		if !ok || at.Node != behind.Nodes[0].Addr || !isDown(f.err) {
			t.Errorf("got %v, want ErrDown at %s", f.err, behind.Nodes[0].Addr)
		}
	}

	if err := behind.Nodes[0].Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node is up again", up(farm, 0))
	before := len(behind.Nodes[0].Seen())
	l.more(t, 100)
	if len(behind.Nodes[0].Seen()) == before {
		t.Error("the node got nothing after it was up again")
	}
}

// TestHangingNode: a node that stops without closing anything costs the
// requests that were sent to it before the second failed check (FAIL-02).
func TestHangingNode(t *testing.T) {
	behind, farm := start(t, adfstest.Config{Nodes: 2}, func(c *adfs.Config) {
		c.CheckInterval, c.CheckTimeout = 20*time.Millisecond, 500*time.Millisecond
		c.DialTimeout, c.AnswerTimeout = 3*time.Second, 2*time.Second
	})
	l := startLoad(t, behind, farm)
	l.more(t, 100)
	behind.Nodes[0].Set(adfstest.Hang)
	eventually(t, "the node is down", func() bool { return !farm.Nodes()[0].Up })
	down := time.Now()
	l.more(t, 200)
	l.wait()
	failed := l.failures()
	if len(failed) == 0 || len(failed) > workers {
		t.Errorf("got %d failures, want from 1 to %d", len(failed), workers)
	}
	for _, f := range failed {
		if !isSlow(f.err) || !f.started.Before(down) {
			t.Errorf("got %v for a request sent %v after the second failed check", f.err, f.started.Sub(down))
		}
	}
	behind.Nodes[0].Set(adfstest.Regular)
	eventually(t, "the node is up again", up(farm, 0))
}

// TestCrowdedNode: a node that has no time for checks, and answers requests,
// stays up; without answers it goes down as any other.
func TestCrowdedNode(t *testing.T) {
	behind, farm := start(t, adfstest.Config{}, func(c *adfs.Config) {
		c.CheckInterval, c.CheckTimeout = time.Millisecond, 100*time.Millisecond
	})
	mustAnswer(t, farm, alice("first"))
	behind.Nodes[0].SetCrowded(true)
	checks := behind.Nodes[0].Accepted()
	for i := 0; behind.Nodes[0].Accepted() < checks+5; i++ {
		mustAnswer(t, farm, alice(fmt.Sprint(i)))
		if !farm.Nodes()[0].Up {
			t.Fatalf("the node is down after %d answers: %v", i, farm.Nodes()[0].Err)
		}
	}
	eventually(t, "the node that answers nobody is down", func() bool { return !farm.Nodes()[0].Up })
	behind.Nodes[0].SetCrowded(false)
	eventually(t, "the node is up again", up(farm, 0))
}

// TestDialFailure: a node that cannot be connected to costs no request, and
// is not asked again until a check is good.
func TestDialFailure(t *testing.T) {
	behind, farm := start(t, adfstest.Config{Nodes: 3}, nil)
	behind.Nodes[0].Kill()
	behind.Nodes[1].Kill()
	for i := range 6 {
		if got, want := mustAnswer(t, farm, alice(fmt.Sprint(i))).Node, behind.Nodes[2].Addr; got != want {
			t.Errorf("got an answer of %s, want %s", got, want)
		}
	}
	for i, want := range []bool{false, false, true} {
		if got := farm.Nodes()[i]; got.Up != want || (got.Err == nil) != want {
			t.Errorf("node %d: got up %v with error %v, want %v", i, got.Up, got.Err, want)
		}
	}
	behind.Nodes[2].Kill()
	for range 2 {
		if _, err := alice("last").forward(farm); !isDown(err) || farm.Healthy() {
			t.Errorf("got %v from a farm without nodes, healthy %v", err, farm.Healthy())
		}
	}
	if got := behind.Requests(); got != 6 {
		t.Errorf("got %d messages delivered, want 6", got)
	}
}

// TestIdleConnectionClosed: a connection that the node closed between two
// requests is no error of the second.
func TestIdleConnectionClosed(t *testing.T) {
	for name, end := range map[string]func(*adfstest.Node) error{
		"closed": func(n *adfstest.Node) error { n.Disconnect(); return nil },
		"reset":  func(n *adfstest.Node) error { n.Kill(); return n.Restart() },
	} {
		t.Run(name, func(t *testing.T) {
			behind, farm := start(t, adfstest.Config{}, nil)
			for i := range 10 {
				a := alice(fmt.Sprint(i))
				mustAnswer(t, farm, a)
				if got := behind.Deliveries(a.request().Body); got != 1 {
					t.Errorf("got %d deliveries, want 1", got)
				}
				if err := end(behind.Nodes[0]); err != nil {
					t.Fatal(err)
				}
			}
			if !farm.Healthy() {
				t.Error("the node is down")
			}
		})
	}
}

// TestIdleTimeout: an unused connection is not used again after IdleTimeout,
// and is closed by the next check.
func TestIdleTimeout(t *testing.T) {
	behind, farm := start(t, adfstest.Config{}, func(c *adfs.Config) { c.IdleTimeout = time.Nanosecond })
	for i := range 3 {
		mustAnswer(t, farm, alice(fmt.Sprint(i)))
	}
	if got := behind.Nodes[0].Accepted(); got < 3 {
		t.Errorf("got %d connections, want one a request", got)
	}
}

// TestDownClosesIdle: a node that is down keeps no unused connection, since
// nobody may have told this side that they are dead.
func TestDownClosesIdle(t *testing.T) {
	registry := prometheus.NewRegistry()
	behind, farm := start(t, adfstest.Config{}, func(c *adfs.Config) {
		c.CheckInterval, c.CheckTimeout, c.Metrics = 10*time.Millisecond, 100*time.Millisecond, registry
	})
	mustAnswer(t, farm, alice("1"))
	idle := func(count int) error {
		return testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`
# HELP stsgate_farm_connections Connections to an AD FS node by state: idle, or busy with a request.
# TYPE stsgate_farm_connections gauge
stsgate_farm_connections{node="%s",state="busy"} 0
stsgate_farm_connections{node="%[1]s",state="idle"} %[2]d
`, behind.Nodes[0].Addr, count)), "stsgate_farm_connections")
	}
	if err := idle(1); err != nil {
		t.Error(err)
	}
	behind.Nodes[0].Set(adfstest.Hang)
	eventually(t, "the node is down without unused connections", func() bool { return !farm.Healthy() && idle(0) == nil })
}

// TestCanceled: a client that goes away ends the exchange at once, and its
// connection is not used again.
func TestCanceled(t *testing.T) {
	behind, farm := start(t, adfstest.Config{}, nil)
	node := behind.Nodes[0]
	mustAnswer(t, farm, alice("before"))
	node.Set(adfstest.Stall)
	ctx, cancel := context.WithCancel(context.Background())
	a := alice("canceled")
	done := make(chan error)
	go func() {
		_, err := farm.Forward(ctx, a.request(), a.origin())
		done <- err
	}()
	eventually(t, "the node has the request", func() bool { return behind.Deliveries(a.request().Body) == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	node.Set(adfstest.Regular)
	mustAnswer(t, farm, alice("after"))
	if !farm.Healthy() {
		t.Error("the node is down")
	}

	if _, err := farm.Forward(ctx, alice("late").request(), a.origin()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v for a client that was gone before, want the context's error", err)
	}
}

// TestBalance: the node with fewer requests under way gets the next one, and
// equals take turns.
func TestBalance(t *testing.T) {
	behind, farm := start(t, adfstest.Config{Nodes: 3}, nil)
	for i := range 9 {
		mustAnswer(t, farm, alice(fmt.Sprint(i)))
	}
	for i, n := range behind.Nodes {
		if got := len(n.Seen()); got != 3 {
			t.Errorf("node %d: got %d requests, want 3", i, got)
		}
	}

	behind.Nodes[1].Set(adfstest.Stall)
	ctx, cancel := context.WithCancel(context.Background())
	var stalled sync.WaitGroup
	defer stalled.Wait()
	defer cancel()
	a := alice("stalled")
	stalled.Go(func() {
		for len(behind.Nodes[1].Seen()) < 4 { // until one is with the node that stalls
			_, _ = farm.Forward(ctx, a.request(), a.origin())
		}
	})
	eventually(t, "one request is with the node that stalls", func() bool { return len(behind.Nodes[1].Seen()) == 4 })
	for i := range 9 {
		if got := mustAnswer(t, farm, alice(fmt.Sprint("second ", i))).Node; got == behind.Nodes[1].Addr {
			t.Error("the busy node got a request")
		}
	}
}

// TestProbe: with ProbeHTTP a node is up only while it answers both
// /adfs/probe and handshakes.
func TestProbe(t *testing.T) {
	fast := func(c *adfs.Config) { c.CheckInterval, c.CheckTimeout = 5*time.Millisecond, 500*time.Millisecond }
	behind, _ := start(t, adfstest.Config{}, nil)
	node := behind.Nodes[0]
	probing := func(change func(*adfs.Config)) *adfs.Farm {
		c := adfs.Config{Host: behind.Host, Nodes: behind.URLs(), CA: behind.CA, Name: "gateway1", Probe: adfs.ProbeHTTP, ProbePort: node.ProbePort,
			Signers: []*x509.Certificate{behind.Signer}}
		fast(&c)
		if change != nil {
			change(&c)
		}
		farm, err := adfs.New(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(farm.Close)
		return farm
	}
	farm := probing(nil)
	handshakes := probing(func(c *adfs.Config) { c.Probe = adfs.ProbeTLS })
	untrusted := probing(func(c *adfs.Config) { c.Host = "other.contoso.example" })
	eventually(t, "a node with an unusable certificate is down", func() bool { return !untrusted.Healthy() })
	for range 2 {
		node.Set(adfstest.Unavailable)
		eventually(t, "a node without AD FS is down", func() bool { return !farm.Healthy() })
		if got := farm.Nodes()[0].Err; got == nil || !strings.Contains(got.Error(), "status 503") {
			t.Errorf("got %v, want the status", got)
		}
		if !handshakes.Healthy() {
			t.Error("ProbeTLS asked the probe")
		}
		node.Set(adfstest.Regular)
		eventually(t, "the node is up", farm.Healthy)
		if _, err := alice("1").forward(farm); err != nil {
			t.Error(err)
		}
	}
}

// TestOneFailedCheck: one failed check alone does not take a node down.
func TestOneFailedCheck(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	farm, err := adfs.New(adfs.Config{
		Host: "sts.contoso.example", Name: "gateway1", Nodes: []string{"https://" + addr}, CheckInterval: time.Hour,
		Signers: []*x509.Certificate{certificate(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer farm.Close()
	eventually(t, "the first check has failed", func() bool { return farm.Nodes()[0].Err != nil })
	if !farm.Healthy() {
		t.Error("the node is down after one failed check")
	}
}
