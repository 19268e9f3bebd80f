package edge_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/edge"
)

// later is what a handler asks of a ResponseWriter to answer later.
type later interface {
	Later(next func()) (wake func())
}

// A sleeper answers with the body of its request when it is woken for the second
// time; of the first it makes nothing.
type sleeper struct {
	woken chan func()          // each time it sleeps: what wakes it
	gone  chan context.Context // of a client that has gone
}

func newSleeper() *sleeper {
	return &sleeper{make(chan func(), 4), make(chan context.Context, 4)}
}

func (s *sleeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if string(body) != "z" {
		fmt.Fprintf(w, "awake %s", body)
		return
	}
	context.AfterFunc(r.Context(), func() { s.gone <- r.Context() })
	s.woken <- w.(later).Later(func() {
		s.woken <- w.(later).Later(func() { fmt.Fprintf(w, "slept %s%s", body, errOf(r)) })
	})
}

// errOf is why the context of a request has ended, or nothing.
func errOf(r *http.Request) string {
	if err := r.Context().Err(); err != nil {
		return ", " + err.Error()
	}
	return ""
}

func post(body string) string {
	return head("POST "+trust+" HTTP/1.1", "Host: "+host, fmt.Sprintf("Content-Length: %d", len(body))) + body
}

func says(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	if status, _, body := read(t, r); status != 200 || body != want {
		t.Errorf("got %d and %q, want 200 and %q", status, body, want)
	}
}

// A request that is answered later is, on its connection and in its turn; it
// holds no place meanwhile among those that are being answered.
func TestLater(t *testing.T) {
	h := newSleeper()
	s := start(t, h.ServeHTTP, func(c *edge.Config) {
		share := edge.Share{Connections: 10, Handshakes: 100, Requests: 1}
		c.Gate = gate(t, edge.GateConfig{Total: share, PerSource: share})
	})
	c := s.dial(t, host)
	r := bufio.NewReader(c)
	for _, early := range []bool{false, true} { // whether the next request comes before the answer
		fmt.Fprint(c, post("z"))
		first := <-h.woken
		if status, _, body := s.send(t, post("a")); status != 200 || body != "awake a" {
			t.Errorf("another request meanwhile: %d %q", status, body)
		}
		if early {
			fmt.Fprint(c, post("b"))
		}
		first()
		second := <-h.woken
		first() // wakes nobody any more
		second()
		second()
		says(t, r, "slept z")
		if !early {
			fmt.Fprint(c, post("b"))
		}
		says(t, r, "awake b")
	}
}

// Whoever wakes a request before its handler has returned wakes it.
func TestWokenAtOnce(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.(later).Later(func() { fmt.Fprintf(w, "slept %s", body) })()
	}, nil)
	c := s.dial(t, host)
	r := bufio.NewReader(c)
	for range 100 {
		fmt.Fprint(c, post("z"))
		says(t, r, "slept z")
	}
}

// The context of a request that sleeps ends when its client goes away; the
// handler hears of it and is still to wake it.
func TestSleeperGoesAway(t *testing.T) {
	h := newSleeper()
	s := start(t, h.ServeHTTP, nil)
	c := s.dial(t, host)
	fmt.Fprint(c, post("z"))
	wake := <-h.woken
	_ = c.Close()
	<-h.gone
	wake()
	(<-h.woken)()
	drained(t, s)
}

// A server that drains waits for those that sleep, whose answer is then the
// last of their connection.
func TestDrainOfSleepers(t *testing.T) {
	h := newSleeper()
	s := start(t, h.ServeHTTP, nil)
	c := s.dial(t, host)
	fmt.Fprint(c, post("z"))
	wake := <-h.woken
	over := make(chan struct{})
	go func() { defer close(over); drained(t, s) }()
	<-s.served // it drains
	wake()
	(<-h.woken)()
	status, header, body := read(t, bufio.NewReader(c))
	if status != 200 || body != "slept z" || header.Get("Connection") != "close" {
		t.Errorf("got %d, %q and %v", status, body, header)
	}
	<-over
}

// drained drains a server.
func drained(t *testing.T, s *site) {
	ctx, done := context.WithTimeout(context.Background(), 20*time.Second)
	defer done()
	if err := s.Drain(ctx); err != nil {
		t.Error(err)
	}
}

// FAIL-05: a panic after a sleep is one request's end, too.
func TestPanicAfterSleep(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.(later).Later(func() { panic("x" + string(body)) })()
	}, nil)
	for range 2 {
		status, header, body := s.send(t, post("z"))
		if status != 500 || header.Get("Connection") != "close" || strings.Contains(body, "x") {
			t.Errorf("got %d, %q and %v", status, body, header)
		}
	}
}
