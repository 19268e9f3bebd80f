package adfstest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A Request is what a node saw of one request.
type Request struct {
	// Head is the request line and the headers as they came, without the
	// empty line.
	Head string
	Body []byte
	// ServerName is the TLS server name of the connection.
	ServerName string
}

// A Node is one server. Its methods may be called at any time.
type Node struct {
	// Addr is the node's address, 127.0.0.1:PORT.
	Addr string
	// ProbePort is where /adfs/probe is answered in plain HTTP.
	ProbePort uint16

	farm  *Farm
	probe string // address
	conns sync.WaitGroup

	mu        sync.Mutex
	behaviour Behaviour
	delay     time.Duration
	crowded   bool
	resumed   chan struct{} // closed while the node does not hang
	dead      chan struct{} // closed while the node is killed
	open      map[net.Conn]bool
	seen      []Request
	accepted  int
}

func startNode(f *Farm) (*Node, error) {
	resumed, dead := make(chan struct{}), make(chan struct{})
	close(resumed)
	close(dead)
	n := &Node{Addr: "127.0.0.1:0", probe: "127.0.0.1:0", farm: f, resumed: resumed, dead: dead}
	return n, n.Restart()
}

// Restart starts a killed node again, at the same addresses and with the same
// behaviour.
func (n *Node) Restart() error {
	l, err := net.Listen("tcp", n.Addr)
	if err != nil {
		return err
	}
	p, err := net.Listen("tcp", n.probe)
	if err != nil {
		_ = l.Close()
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Addr, n.probe = l.Addr().String(), p.Addr().String()
	n.ProbePort = p.Addr().(*net.TCPAddr).AddrPort().Port()
	n.dead = make(chan struct{})
	n.open = map[net.Conn]bool{}
	n.accept(l, n.dead, n.serve)
	n.accept(p, n.dead, n.serveProbe)
	return nil
}

// accept serves the connections of l until the node is killed.
func (n *Node) accept(l net.Listener, dead chan struct{}, serve func(net.Conn)) {
	n.conns.Go(func() {
		<-dead
		_ = l.Close()
	})
	n.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.conns.Go(func() {
				if n.track(c, dead) {
					serve(c)
				}
				n.untrack(c)
			})
		}
	})
}

func (n *Node) track(c net.Conn, dead chan struct{}) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-dead:
		return false
	default:
		n.open[c] = true
		n.accepted++
		return true
	}
}

func (n *Node) untrack(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, c)
	_ = c.Close()
}

// Kill closes the ports and resets all connections, and returns when that is
// done.
func (n *Node) Kill() {
	n.mu.Lock()
	select {
	case <-n.dead:
	default:
		close(n.dead)
	}
	for c := range n.open {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
	n.mu.Unlock()
	n.conns.Wait()
}

// Disconnect ends all connections as an idle timeout does, and returns when
// the node has ended them.
func (n *Node) Disconnect() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.open {
		_ = c.Close()
	}
}

// Set changes the behaviour. Connections that hang go on when it is no longer Hang.
func (n *Node) Set(b Behaviour) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case b == Hang && n.behaviour != Hang:
		n.resumed = make(chan struct{})
	case b != Hang && n.behaviour == Hang:
		close(n.resumed)
	}
	n.behaviour = b
}

// SetDelay changes how long the node waits before each answer.
func (n *Node) SetDelay(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = d
}

// SetCrowded has the node make no new handshake, while it answers on the
// connections that are open.
func (n *Node) SetCrowded(crowded bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.crowded = crowded
}

func (n *Node) isCrowded() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.crowded
}

// Seen are the requests that the node read so far, in the order in which it
// had read them.
func (n *Node) Seen() []Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Request(nil), n.seen...)
}

// Accepted counts the connections that the node accepted, those for the probe
// included.
func (n *Node) Accepted() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.accepted
}

// Open counts the connections that are open now.
func (n *Node) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.open)
}

// current waits while the node hangs, and returns the behaviour that holds
// then. It reports false when the node is killed.
func (n *Node) current() (Behaviour, bool) {
	for {
		n.mu.Lock()
		b, resumed, dead := n.behaviour, n.resumed, n.dead
		n.mu.Unlock()
		select {
		case <-dead:
			return b, false
		default:
		}
		if b != Hang {
			return b, true
		}
		select {
		case <-dead:
		case <-resumed:
		}
	}
}

// wait waits for d. It reports false when the node is killed meanwhile.
func (n *Node) wait(d time.Duration) bool {
	n.mu.Lock()
	dead := n.dead
	n.mu.Unlock()
	select {
	case <-dead:
		return false
	case <-time.After(d):
		return true
	}
}

// serve speaks HTTP on one connection.
func (n *Node) serve(raw net.Conn) {
	b, ok := n.current()
	if !ok {
		return
	}
	if n.isCrowded() && !n.wait(time.Hour) {
		return
	}
	c := tls.Server(raw, n.farm.tls)
	if err := c.Handshake(); err != nil || b == CloseOnConnect {
		return
	}
	if b == Early {
		_, _ = c.Write(n.farm.early().regular())
	}
	r := bufio.NewReader(c)
	for {
		in, request, err := read(r)
		if err != nil {
			return
		}
		in.ServerName = c.ConnectionState().ServerName
		n.record(in)
		if b, ok = n.current(); !ok || !n.respond(c, b, in, request) {
			return
		}
	}
}

// record notes a request. One with a body has delivered a password.
func (n *Node) record(r Request) {
	n.mu.Lock()
	n.seen = append(n.seen, r)
	n.mu.Unlock()
	if len(r.Body) > 0 {
		n.farm.deliver(r.Body)
	}
}

// respond answers a request. It reports whether the connection stays open.
func (n *Node) respond(c net.Conn, b Behaviour, in Request, request *http.Request) bool {
	n.mu.Lock()
	delay := n.delay
	n.mu.Unlock()
	if delay > 0 && !n.wait(delay) {
		return false
	}
	switch b {
	case CloseOnRequest:
		return false
	case Stall:
		return n.wait(time.Hour)
	case Huge:
		endless(c)
		return false
	}
	out, last := b.wire(n.farm.answer(b, in, request))
	if _, err := c.Write(out); err != nil {
		return false
	}
	if b == UntilClose {
		_ = c.Close() // which ends TLS first
	}
	return !last
}

// endless sends a chunked body until the other side has had enough of it.
func endless(c net.Conn) {
	chunk := []byte("4000\r\n" + strings.Repeat("x", 0x4000) + "\r\n")
	_, err := c.Write(response{status: 200, contentType: "application/soap+xml; charset=utf-8"}.bytes("Transfer-Encoding: chunked"))
	for err == nil {
		_, err = c.Write(chunk)
	}
}

// serveProbe answers one request for /adfs/probe.
func (n *Node) serveProbe(c net.Conn) {
	_, request, err := read(bufio.NewReader(c))
	b, ok := n.current()
	if err != nil || !ok {
		return
	}
	out := response{status: 200, contentType: "text/html"}
	switch {
	case b == Unavailable:
		out = page(503)
	case request.URL.Path != "/adfs/probe":
		out = page(404)
	}
	_, _ = c.Write(out.regular())
}

// read reads a request, whose body must have a Content-Length: a gateway has
// no reason to send anything else (HTTP-01).
func read(r *bufio.Reader) (Request, *http.Request, error) {
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := r.ReadString('\n')
		if err != nil {
			return Request{}, nil, err
		}
		head.WriteString(line)
	}
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head.String())))
	if err != nil {
		return Request{}, nil, err
	}
	if request.ContentLength < 0 || request.ContentLength > 1<<20 {
		return Request{}, nil, errors.New("no usable Content-Length")
	}
	body := make([]byte, request.ContentLength)
	if _, err := io.ReadFull(r, body); err != nil {
		return Request{}, nil, err
	}
	return Request{Head: strings.TrimSuffix(head.String(), "\r\n\r\n"), Body: body}, request, nil
}
