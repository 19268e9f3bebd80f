//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An attack is what a siege does to its target for a while.
type attack struct {
	name   string
	length time.Duration
	// memory is what the gateway may grow by meanwhile, in bytes.
	memory int64
	// closes is how long a connection may last, 0 for any time.
	closes time.Duration
	// handshakes is how many the gateway may let through, 0 for any number.
	handshakes int64
	run        func(context.Context, *attackers)
}

const (
	slowConnections = 5000
	slowRate        = 1000 // of them opened in a second
	slowSources     = 1000 // addresses that they come from
	crowd           = 16   // connections of every other attack
	pipelined       = 100_000
)

// attacks returns what security.md, DOS-01 to DOS-03, names. A refused request
// may cost 1 MiB by DOS-02, and each connection has one at a time.
func attacks() []attack {
	bombs := [][]byte{billionLaughs(), quadratic()}
	attributes := [][]byte{attributesBody(pipelined), attributesBody(6000)}
	return []attack{
		{"slowloris", 16 * time.Second, slowConnections*perConnection + reserve, 11 * time.Second, 0, slowloris},
		{"1 GiB bodies", 8 * time.Second, crowd * perRequest, 0, 0, gigabytes},
		{"entity bombs", 8 * time.Second, crowd * perRequest, 0, 0, func(ctx context.Context, a *attackers) { a.ask(ctx, bombs) }},
		{"attributes", 8 * time.Second, crowd * perRequest, 0, 0, func(ctx context.Context, a *attackers) { a.ask(ctx, attributes) }},
		{"pipelined", 8 * time.Second, crowd * perRequest, 0, 0, pipeline},
		{"one source", 8 * time.Second, crowd * perRequest, 0, 200 + 9*100, handshakes}, // DOS-06
	}
}

// attackers share a target and count what they do to it.
type attackers struct {
	address string
	tls     *tls.Config
	request []byte // a lawful message

	standing, opened, unopened, closed, requests, bytes atomic.Int64
	most, longest                                       atomic.Int64 // standing at a time; ns that one lasted
}

// open has f use a connection of its own until the target ends it, or until
// ctx ends and cuts it. It comes from one of the addresses of loopback.
func (a *attackers) open(ctx context.Context, source int, f func(*tls.Conn)) {
	from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(source>>8), byte(source))}
	d := tls.Dialer{Config: a.tls, NetDialer: &net.Dialer{LocalAddr: from}}
	c, err := d.DialContext(ctx, "tcp", a.address)
	if err != nil {
		if ctx.Err() == nil {
			a.unopened.Add(1)
		}
		return
	}
	conn := c.(*tls.Conn)
	cut := func() { _ = conn.NetConn().Close() }
	defer context.AfterFunc(ctx, cut)()
	defer cut()
	a.opened.Add(1)
	raise(&a.most, a.standing.Add(1))
	begun := time.Now()
	f(conn)
	a.standing.Add(-1)
	if ctx.Err() == nil {
		a.closed.Add(1)
	}
	raise(&a.longest, int64(time.Since(begun)))
}

// crowd has each of some connections used by f, and opened again when it
// ended, at most every 50 ms, and not all at the same moment: the attackers'
// own half of a handshake costs the core that they share with the honest client
// as much as the target's half costs the target.
func (a *attackers) crowd(ctx context.Context, f func(conn *tls.Conn, number int)) {
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			const between = 50 * time.Millisecond
			wait(ctx, time.After(between*time.Duration(i)/crowd))
			pace := time.NewTicker(between)
			defer pace.Stop()
			for ctx.Err() == nil {
				a.open(ctx, i, func(c *tls.Conn) { f(c, i) })
				wait(ctx, pace.C)
			}
		})
	}
	all.Wait()
}

// slowloris keeps 5,000 connections standing, each of which sends a byte in a
// second: every other one of its head, the rest of its body.
func slowloris(ctx context.Context, a *attackers) {
	var all sync.WaitGroup
	places := make(chan struct{}, slowConnections)
	pace := time.NewTicker(time.Second / slowRate)
	defer pace.Stop()
	for n := 0; ; n++ {
		wait(ctx, pace.C)
		select {
		case <-ctx.Done():
			all.Wait()
			return
		case places <- struct{}{}:
		}
		all.Go(func() {
			defer func() { <-places }()
			start, drip := "POST "+siegePath+" HTTP/1.1\r\nHost: localhost\r\nX: ", []byte("x")
			if n%2 == 1 {
				start, drip = postHead(len(a.request)), []byte("<")
			}
			a.open(ctx, n%slowSources, func(c *tls.Conn) { a.drip(c, []byte(start), drip) })
		})
	}
}

// drip sends start, then a byte in each second, until the target answers or
// closes.
func (a *attackers) drip(c *tls.Conn, start, b []byte) {
	a.requests.Add(1)
	_, err := c.Write(start)
	for in := make([]byte, 256); err == nil; _, err = c.Write(b) {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(in); !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// gigabytes sends bodies of 1 GiB, half of them announced and half in chunks,
// for as long as the target takes them.
func gigabytes(ctx context.Context, a *attackers) {
	const size, piece = 1 << 30, 64 << 10
	text := bytes.Repeat([]byte("x"), piece)
	a.crowd(ctx, func(c *tls.Conn, number int) {
		a.requests.Add(1)
		start, before, after := postHead(size), "", ""
		if number%2 == 1 {
			start = strings.Replace(start, "Content-Length: "+strconv.Itoa(size), "Transfer-Encoding: chunked", 1)
			before, after = fmt.Sprintf("%x\r\n", piece), "\r\n"
		}
		chunk := append(append([]byte(before), text...), after...)
		_, err := io.WriteString(c, start)
		for sent := 0; err == nil && sent < size; sent += piece {
			var n int
			n, err = c.Write(chunk)
			a.bytes.Add(int64(n))
		}
	})
}

// ask sends one body after the other, each when the one before was answered,
// at most one on a connection in 10 ms.
func (a *attackers) ask(ctx context.Context, messages [][]byte) {
	a.crowd(ctx, func(c *tls.Conn, number int) {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		in, body := bufio.NewReader(c), messages[number%len(messages)]
		request := append([]byte(postHead(len(body))), body...)
		for {
			a.requests.Add(1)
			n, err := c.Write(request)
			a.bytes.Add(int64(n))
			if err != nil || !answered(in) {
				return
			}
			wait(ctx, pace.C)
		}
	})
}

// pipeline sends 100,000 lawful requests in all, none of which waits for the
// answer to another, and reads what comes.
func pipeline(ctx context.Context, a *attackers) {
	request := append([]byte(postHead(len(a.request))), a.request...)
	a.crowd(ctx, func(c *tls.Conn, _ int) {
		var reader sync.WaitGroup
		reader.Go(func() {
			for in := bufio.NewReader(c); answered(in); {
				a.requests.Add(1)
			}
			_ = c.NetConn().Close()
		})
		for range pipelined / crowd {
			n, err := c.Write(request)
			a.bytes.Add(int64(n))
			if err != nil {
				break
			}
		}
		reader.Wait()
	})
}

// handshakes has one source connect, shake hands and leave for as long as it is
// let, from many connections at a time.
func handshakes(ctx context.Context, a *attackers) {
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			for ctx.Err() == nil {
				a.open(ctx, 0, func(*tls.Conn) { a.requests.Add(1) })
			}
		})
	}
	all.Wait()
}

// answered reads an answer, and reports whether another may follow.
func answered(in *bufio.Reader) bool {
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err == nil && !r.Close
}

func postHead(length int) string {
	return "POST " + siegePath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + siegeMedia +
		"\r\nContent-Length: " + strconv.Itoa(length) + "\r\n\r\n"
}

// billionLaughs is the bomb of nested entities.
func billionLaughs() []byte {
	var b bytes.Buffer
	b.WriteString(`<!DOCTYPE s:Envelope [<!ENTITY e0 "lol">`)
	for i := range 9 {
		fmt.Fprintf(&b, `<!ENTITY e%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&e%d;", i), 10))
	}
	b.WriteString(`]>`)
	return envelope(&b, "", "&e9;")
}

// quadratic is the bomb of one long entity that is often referred to, where a
// reader might look for one: in an envelope without a declaration.
func quadratic() []byte {
	return envelope(new(bytes.Buffer), "", strings.Repeat("&e;", 15_000))
}

// attributesBody is an envelope with n attributes.
func attributesBody(n int) []byte {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strconv.FormatInt(int64(i), 36) + `=""`)
	}
	return envelope(new(bytes.Buffer), b.String(), "")
}

func envelope(b *bytes.Buffer, attributes, content string) []byte {
	fmt.Fprintf(b, `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"%s><s:Body>%s</s:Body></s:Envelope>`, attributes, content)
	return b.Bytes()
}

func wait(ctx context.Context, tick <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-tick:
	}
}

// raise sets v to n if that is more.
func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); n > old && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}
