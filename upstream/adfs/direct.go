package adfs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Reach is whether a node answers an address that is not the gateway's.
type Reach struct {
	// Node is host:port as configured.
	Node string
	Standing
}

// A direct is what the nodes did when they were last tried from such an address
// (HDR-08).
type direct struct {
	last atomic.Pointer[tries] // nil before the first
}

type tries struct {
	at  time.Time
	all []Reach
}

// ProveDirect tries to reach every node, each within the time for a connect,
// from an address of this machine that their firewall is to refuse. A node that
// refuses it proves something only while it takes the gateway's own
// connections. Direct has the result, and so does what is returned, in the
// configuration's order.
func (f *Farm) ProveDirect(ctx context.Context, from netip.Addr) []Reach {
	all := make([]Reach, len(f.nodes))
	var g sync.WaitGroup
	for i, n := range f.nodes {
		g.Go(func() { all[i] = Reach{n.name, n.reach(ctx, from)} })
	}
	g.Wait()
	if ctx.Err() == nil {
		f.direct.last.Store(&tries{time.Now(), all})
	}
	return all
}

// Direct is what is known of whether the nodes can be reached past the gateway,
// for 25 hours after ProveDirect.
func (f *Farm) Direct() Standing {
	last := f.direct.last.Load()
	if last == nil || time.Since(last.at) >= evidenceLife {
		return Standing{Unproven, "no node was tried from an address that is not the gateway's"}
	}
	for _, s := range []State{Violated, Unproven} {
		var whys []string
		for _, r := range last.all {
			if r.State == s {
				whys = append(whys, r.Node+" "+r.Why)
			}
		}
		if len(whys) > 0 {
			return Standing{s, strings.Join(whys, "; ")}
		}
	}
	return Standing{Proven, "no node answered at " + stamp(last.at)}
}

// reach tries a node.
func (n *node) reach(ctx context.Context, from netip.Addr) Standing {
	switch connected, err := n.knock(ctx, from); {
	case err == nil:
		return Standing{Violated, fmt.Sprintf("answers %s, which is no address of the gateway's: clients can reach it past the gateway", from)}
	case connected:
		return Standing{Unproven, fmt.Sprintf("takes a connection from %s, and then does not speak TLS: %v", from, err)}
	case !refused(err):
		return Standing{Unproven, fmt.Sprintf("could not be tried from %s: %v", from, err)}
	}
	c, err := n.dial(ctx)
	if err != nil {
		return Standing{Unproven, fmt.Sprintf("answers neither %s nor the gateway: %v", from, err)}
	}
	c.close()
	return Standing{Proven, fmt.Sprintf("does not answer %s", from)}
}

// knock connects from an address and begins TLS. The node has answered when it
// says anything in TLS, be it a certificate that is not the farm's.
func (n *node) knock(ctx context.Context, from netip.Addr) (connected bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.c.DialTimeout)
	defer cancel()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	raw, err := d.DialContext(ctx, "tcp", n.name)
	if err != nil {
		return false, err
	}
	defer func() { _ = raw.Close() }()
	err = tls.Client(raw, &tls.Config{ServerName: n.c.Host, RootCAs: n.c.CA, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx)
	if err != nil && !cutOff(err) {
		err = nil
	}
	return true, err
}

// cutOff tells that a handshake failed for want of an answer.
func cutOff(err error) bool {
	return timedOut(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// refused tells that a connect failed as a firewall has it fail, and not for
// want of the address or of a route.
func refused(err error) bool {
	return timedOut(err) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EHOSTUNREACH)
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
}
