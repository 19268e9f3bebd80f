package edge_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/edge"
)

// There is a turn for each core, and it is free again a moment after it was
// passed on.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		take, pass := edge.NewTurns()
		for range runtime.GOMAXPROCS(0) {
			if !take(0) {
				t.Fatal("no turn although one is free")
			}
		}
		begun := time.Now()
		if take(time.Second) || time.Since(begun) != time.Second {
			t.Errorf("got a turn, or waited %v, although none is free", time.Since(begun))
		}
		pass()
		if took := time.Since(begun); !take(time.Second) || time.Since(begun) == took {
			t.Error("no turn, or at once, after one was passed on")
		}
	})
}

// DOS-01, DOS-06: clients that stop within the handshake, before and after the
// server's work, are in nobody's way.
func TestStoppedHandshakesHoldNoTurn(t *testing.T) {
	s := start(t, echo, func(c *edge.Config) { c.HeaderTimeout = time.Minute })
	for range 2 * runtime.GOMAXPROCS(0) {
		say(t, s.dialTCP(t), "\x16\x03\x01\x02\x00\x01\x00")
		deaf := &deafConn{Conn: s.dialTCP(t), heard: make(chan struct{}), over: t.Context().Done()}
		go func() { _ = tls.Client(deaf, &tls.Config{ServerName: host, InsecureSkipVerify: true}).Handshake() }()
		<-deaf.heard
	}
	s.dial(t, host)
}

// A deafConn stops at the first answer.
type deafConn struct {
	net.Conn
	heard chan struct{}
	over  <-chan struct{}
}

func (c *deafConn) Read(p []byte) (int, error) {
	_, _ = c.Conn.Read(p)
	close(c.heard)
	<-c.over
	return 0, net.ErrClosed
}

// DOS-01: requests that do not wait for the answer before them are answered a
// few at a time, whoever sends them, and those of others are not behind them.
func TestPipelinedRequestsTakeTurns(t *testing.T) {
	cores := runtime.GOMAXPROCS(0)
	var working, most atomic.Int64
	begun, release := make(chan struct{}, 4*cores), make(chan struct{})
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Second") != "" {
			n := working.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			begun <- struct{}{}
			<-release
			working.Add(-1)
		}
		w.WriteHeader(http.StatusOK)
	}, nil)
	get := "GET " + metadata + " HTTP/1.1\r\nHost: " + host + "\r\n"
	var all sync.WaitGroup
	for range 4 * cores {
		c := s.dial(t, host)
		say(t, c, get+"\r\n"+get+"X-Second: 1\r\n\r\n")
		in := bufio.NewReader(c)
		if status, _, _ := read(t, in); status != 200 {
			t.Fatalf("first request: got status %d", status)
		}
		all.Go(func() {
			if status, _, _ := read(t, in); status != 200 {
				t.Errorf("second request: got status %d", status)
			}
		})
	}
	for range cores {
		<-begun
	}
	c := s.dial(t, host)
	in := bufio.NewReader(c)
	for range 2 {
		say(t, c, get+"\r\n")
		if status, _, _ := read(t, in); status != 200 {
			t.Errorf("beside them: got status %d", status)
		}
	}
	close(release)
	all.Wait()
	if got := most.Load(); got != int64(cores) {
		t.Errorf("%d requests at a time, want %d", got, cores)
	}
}
