package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// maxLoad is how long a load lasts at most.
const maxLoad = 10 * time.Second

// load VERB ARG... drives clients that ask for tokens, each again as soon as
// it has its answer. Half of them keep their connection. A connection that is
// not made (refused, or ended before the TLS handshake is done) is tried again
// and no failure: nothing of a request was sent on it.
//
//	load start N           N clients, at most 8, for at most 10 s
//	load answered OP N     how many tokens came so far
//	load answered+ N       wait with await: N tokens more than at the last mark
//	load mark              for answered+
//	load stop              ends the clients once each has its answer; sets $SENT, $ANSWERED, $FAILED and $REFUSED
//	load failed OP N       how many did not get a token, after stop
//	load refused OP N      how many connections were not made, after stop
//	load cut OP N          how many of them no node has read in whole
//	load lost I EVENT D    what failed was sent before EVENT, was handed to no node but I, and had failed by D after EVENT
func (s *story) loadStep(ts *testscript.TestScript, args []string) error {
	verb := strings.Join(args[:min(1, len(args))], "")
	if s.load == nil && verb != "start" {
		return misuse("there is no load")
	}
	switch {
	case verb == "start" && len(args) == 2:
		return s.loadStart(ts, args[1])
	case verb == "answered" && len(args) == 3:
		return compare(float64(s.load.answered()), args[1], args[2])
	case verb == "failed" && len(args) == 3:
		return compare(float64(len(failures(s.load.shots))), args[1], args[2])
	case verb == "refused" && len(args) == 3:
		return compare(float64(s.load.refused), args[1], args[2])
	case verb == "cut" && len(args) == 3:
		return s.loadCut(args[1], args[2])
	case verb == "answered+" && len(args) == 2:
		return compare(float64(s.load.answered()-s.load.marked), ">=", args[1])
	case verb == "mark" && len(args) == 1:
		s.load.marked = s.load.answered()
		return nil
	case verb == "stop" && len(args) == 1:
		s.load.halt()
		return s.load.report(ts)
	case verb == "lost" && len(args) == 4:
		return s.loadLost(args[1], args[2], args[3])
	default:
		return misuse(fmt.Sprintf("load has no %v", args))
	}
}

// A load is a number of clients at work.
type load struct {
	address, base string
	roots         *x509.CertPool
	cancel        context.CancelFunc
	clients       sync.WaitGroup
	marked        int

	mu      sync.Mutex
	shots   []shot
	refused int
}

// A shot is one request and what became of it.
type shot struct {
	id         string // of the message
	begun, end time.Time
	err        error
}

func (s *story) loadStart(ts *testscript.TestScript, clients string) error {
	n, err := strconv.Atoi(clients)
	if err != nil || n < 1 || n > 8 {
		return misuse("not 1 to 8 clients: " + clients)
	}
	roots, err := readPool(filepath.Join(s.dir, "ca.pem"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxLoad)
	l := &load{address: ts.Getenv("LISTEN"), base: ts.Getenv("BASE"), roots: roots, cancel: cancel}
	for i := range n {
		l.clients.Go(func() {
			c := &loadClient{load: l, number: i, keep: i%2 == 0}
			defer c.hangUp()
			for ctx.Err() == nil {
				c.shoot(ctx)
			}
		})
	}
	s.load = l
	return nil
}

// halt lets every client have its answer and ends.
func (l *load) halt() {
	l.cancel()
	l.clients.Wait()
}

func (l *load) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.shots) - len(failures(l.shots))
}

func failures(shots []shot) []shot {
	var all []shot
	for _, s := range shots {
		if s.err != nil {
			all = append(all, s)
		}
	}
	return all
}

func (l *load) report(ts *testscript.TestScript) error {
	failed := failures(l.shots)
	for _, f := range failed {
		ts.Logf("%s begun %s, failed after %v: %v", f.id, f.begun.Format(time.StampMilli), f.end.Sub(f.begun), f.err)
	}
	for name, n := range map[string]int{
		"SENT": len(l.shots), "ANSWERED": len(l.shots) - len(failed), "FAILED": len(failed), "REFUSED": l.refused,
	} {
		ts.Setenv(name, strconv.Itoa(n))
	}
	ts.Logf("%d sent, %d failed, %d connections refused", len(l.shots), len(failed), l.refused)
	return nil
}

// loadLost holds every failure against what the farm's nodes received. A
// request that was written to the node and cut is in nobody's list.
func (s *story) loadLost(node, event, within string) error {
	limit, err := time.ParseDuration(within)
	at, known := s.events[event]
	if err != nil || !known {
		return misuse(fmt.Sprintf("no duration %q or no event %q", within, event))
	}
	received, err := s.received()
	if err != nil {
		return err
	}
	var wrong []error
	bad := func(f shot, format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("%s (%w) "+format, append([]any{f.id, f.err}, args...)...))
	}
	for _, f := range s.load.shots {
		if len(received[f.id]) > 1 {
			wrong = append(wrong, fmt.Errorf("%s was handed to the nodes %v", f.id, received[f.id]))
		}
		if f.begun.After(at) && slices.Contains(received[f.id], node) {
			wrong = append(wrong, fmt.Errorf("%s was sent to node %s %v after the event", f.id, node, f.begun.Sub(at)))
		}
	}
	for _, f := range failures(s.load.shots) {
		switch nodes := received[f.id]; {
		case f.begun.After(at):
			bad(f, "was sent %v after the event", f.begun.Sub(at))
		case len(nodes) == 1 && nodes[0] != node:
			bad(f, "was handed to node %s", nodes[0])
		case f.end.Sub(at) > limit:
			bad(f, "failed %v after the event", f.end.Sub(at))
		}
	}
	return errors.Join(wrong...)
}

// received tells which nodes read each message.
func (s *story) received() (map[string][]string, error) {
	nodes := map[string][]string{}
	for i := range s.farm.Nodes {
		name := strconv.Itoa(i)
		all, err := s.messages(name)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			id := messageID(r.Body)
			nodes[id] = append(nodes[id], name)
		}
	}
	return nodes, nil
}

func (s *story) loadCut(op, value string) error {
	received, err := s.received()
	if err != nil {
		return err
	}
	cut := slices.DeleteFunc(failures(s.load.shots), func(f shot) bool { return len(received[f.id]) > 0 })
	return compare(float64(len(cut)), op, value)
}

// A loadClient is one client.
type loadClient struct {
	load   *load
	number int
	keep   bool
	count  int
	conn   *tls.Conn
	r      *bufio.Reader
}

// shoot sends one request and reads its answer.
func (c *loadClient) shoot(ctx context.Context) {
	if c.conn == nil && !c.connect(ctx) {
		return
	}
	c.count++
	q := wstrust.Query{
		SOAP: soap.V12, Version: wstrust.V13, To: c.load.base + path13, MessageID: fmt.Sprintf("urn:shot:%d-%d", c.number, c.count),
		Username: "alice@contoso.example", Password: account.NewPassword([]byte(alicePassword)), AppliesTo: "urn:payroll", Now: time.Now(),
	}
	s := shot{id: q.MessageID, begun: time.Now()}
	closing, err := c.exchange(wstrust.AppendRequest(nil, q), s.id)
	s.end, s.err = time.Now(), err
	if err != nil || closing || !c.keep {
		c.hangUp()
	}
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	c.load.shots = append(c.load.shots, s)
}

// connect makes a connection, or counts that it was refused and waits before
// the next try.
func (c *loadClient) connect(ctx context.Context) bool {
	d := tls.Dialer{Config: &tls.Config{RootCAs: c.load.roots, ServerName: "localhost"}}
	conn, err := d.DialContext(ctx, "tcp", c.load.address)
	if err == nil {
		c.conn, c.r = conn.(*tls.Conn), bufio.NewReader(conn)
		return true
	}
	if ctx.Err() == nil {
		c.load.mu.Lock()
		c.load.refused++
		c.load.mu.Unlock()
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
	return false
}

// exchange tells, beside what failed, whether the gateway closes the
// connection.
func (c *loadClient) exchange(message []byte, id string) (closing bool, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return false, err
	}
	if _, err := fmt.Fprintf(c.conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		path13, soap.V12.ContentType(), len(message), message); err != nil {
		return false, fmt.Errorf("write: %w", err)
	}
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return false, fmt.Errorf("read: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return false, fmt.Errorf("read body: %w", err)
	}
	answer, err := wstrust.ReadAnswer(body, wstrust.V13)
	if err != nil {
		return response.Close, fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	if answer.RelatesTo != id {
		return response.Close, fmt.Errorf("the answer relates to %s", answer.RelatesTo)
	}
	return response.Close, nil
}

func (c *loadClient) hangUp() {
	if c.conn != nil {
		c.conn.Close()
	}
	c.conn = nil
}

// messageID finds the id of a message that a loadClient sent.
func messageID(message []byte) string {
	_, rest, _ := bytes.Cut(message, []byte("<a:MessageID>"))
	id, _, _ := bytes.Cut(rest, []byte("<"))
	return string(id)
}
