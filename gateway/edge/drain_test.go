package edge_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// FAIL-08: under load, from clients that keep their connections and clients
// that do not, every request that was sent is answered. A client may only be
// refused when it connects.
func TestDrainUnderLoad(t *testing.T) {
	for round := range 3 {
		t.Run(fmt.Sprint(round), drainUnderLoad)
	}
}

func drainUnderLoad(t *testing.T) {
	s := start(t, echo, nil)
	var answered atomic.Int64
	var clients sync.WaitGroup
	for i := range 24 {
		clients.Go(func() {
			for {
				more, err := load(s, i%3 == 0, &answered)
				if err != nil {
					t.Error(err)
				}
				if !more || err != nil {
					return
				}
			}
		})
	}
	for answered.Load() < 2000 {
		time.Sleep(time.Millisecond) // real sockets: the load must be running
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Error(err)
	}
	clients.Wait()
	if err := <-s.served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

// load opens a connection and sends requests on it until an answer says that
// it ends, or one request if once is set. It reports whether to go on.
func load(s *site, once bool, answered *atomic.Int64) (more bool, err error) {
	c, err := tls.Dial("tcp", s.address, &tls.Config{ServerName: host, InsecureSkipVerify: true}) // a self-signed test certificate
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false, nil // refused, or reset before it was a connection
	}
	if err != nil {
		return false, fmt.Errorf("dial: %w", err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(15 * time.Second))
	r := bufio.NewReader(c)
	request := head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 1000") + strings.Repeat("x", 1000)
	for n := 0; ; n++ {
		if _, err := io.WriteString(c, request); err != nil {
			return false, fmt.Errorf("request %d of a connection: %w", n, err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return false, fmt.Errorf("answer %d of a connection: %w", n, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return false, fmt.Errorf("body of answer %d: %w", n, err)
		}
		answered.Add(1)
		if resp.Close || once {
			return true, nil
		}
	}
}

// A request of which one byte was read when the drain began is answered, and
// so is one that is being answered; what is idle is let go.
func TestDrainWaits(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			close(inside)
			<-leave
		}
		echo(w, r)
	}, nil)
	idle := s.dial(t, host)
	idleReader := bufio.NewReader(idle)
	get := head("GET "+metadata+" HTTP/1.1", "Host: "+host)
	if _, err := io.WriteString(idle, get); err != nil {
		t.Fatal(err)
	}
	read(t, idleReader)
	begun := s.dial(t, host)
	if _, err := io.WriteString(begun, get[:1]); err != nil {
		t.Fatal(err)
	}
	held := s.dial(t, host)
	if _, err := io.WriteString(held, head("POST "+trust+" HTTP/1.1", "Host: "+host, "Content-Length: 1")+"x"); err != nil {
		t.Fatal(err)
	}
	<-inside
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	ended(t, idle, idleReader)
	if _, err := net.Dial("tcp", s.address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v for a new connection, want it refused", err)
	}
	if _, err := io.WriteString(begun, get[1:]); err != nil {
		t.Fatal(err)
	}
	last := func(c net.Conn) {
		t.Helper()
		r := bufio.NewReader(c)
		if status, h, _ := read(t, r); status != 200 || h.Get("Connection") != "close" {
			t.Errorf("got status %d and Connection %q, want 200 and close", status, h.Get("Connection"))
		}
		ended(t, c, r)
	}
	last(begun)
	select {
	case err := <-drained:
		t.Fatalf("Drain returned %v while a request was held", err)
	default:
	}
	close(leave)
	last(held)
	if err := <-drained; err != nil {
		t.Errorf("Drain returned %v", err)
	}
}

// A drain that takes too long cuts the rest off and says so.
func TestDrainEnds(t *testing.T) {
	inside := make(chan struct{})
	s := start(t, func(_ http.ResponseWriter, r *http.Request) {
		close(inside)
		<-r.Context().Done()
	}, nil)
	held := s.dial(t, host)
	if _, err := io.WriteString(held, head("GET "+metadata+" HTTP/1.1", "Host: "+host)); err != nil {
		t.Fatal(err)
	}
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 connections") {
		t.Errorf("got %v, want one connection cut off", err)
	}
	ended(t, held, bufio.NewReader(held))
}

// A connection on which a TLS record has arrived in part is not idle.
func TestDrainWaitsForHalfARecord(t *testing.T) {
	s := start(t, echo, nil)
	get := head("GET "+metadata+" HTTP/1.1", "Host: "+host)
	idle := s.dial(t, host)
	wire := &halting{Conn: s.dialTCP(t)}
	half := tls.Client(wire, &tls.Config{ServerName: host, InsecureSkipVerify: true}) // a self-signed test certificate
	readers := map[net.Conn]*bufio.Reader{idle: bufio.NewReader(idle), half: bufio.NewReader(half)}
	for c, r := range readers {
		if _, err := io.WriteString(c, get); err != nil {
			t.Fatal(err)
		}
		read(t, r)
	}
	wire.halt = true
	if _, err := io.WriteString(half, get); err != nil {
		t.Fatal(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	ended(t, idle, readers[idle]) // it was idle for as long as the other
	if _, err := wire.Conn.Write(wire.rest); err != nil {
		t.Fatal(err)
	}
	if status, h, _ := read(t, readers[half]); status != 200 || h.Get("Connection") != "close" {
		t.Errorf("got status %d and Connection %q, want 200 and close", status, h.Get("Connection"))
	}
	if err := <-drained; err != nil {
		t.Errorf("Drain returned %v", err)
	}
}

// A halting connection keeps back all but the first ten bytes of a write.
type halting struct {
	net.Conn
	halt bool
	rest []byte
}

func (h *halting) Write(p []byte) (int, error) {
	if !h.halt {
		return h.Conn.Write(p)
	}
	h.rest = append([]byte(nil), p[10:]...)
	_, err := h.Conn.Write(p[:10])
	return len(p), err
}
