package edge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"

	"github.com/pires/go-proxyproto"
)

// maxAnnouncement is the most that is read for a header of the PROXY protocol,
// in bytes, with the TLVs of version 2: what a sender may count on to arrive at
// once (PROXY protocol, section 2.2). Version 1 ends at 107.
const maxAnnouncement = 536

// announced reads what a proxy says ahead of TLS, if one must stand in front of
// this server, and reports whether the connection goes on.
func (c *conn) announced() bool {
	if len(c.server.proxies) == 0 {
		return true
	}
	err := c.announcement()
	switch {
	case err == nil:
		return true
	case errors.Is(err, proxyproto.ErrNoProxyProtocol) && c.wire.received.Load() == 0: // a probe of the port
		c.server.log.Debug("connection ended without a PROXY header", "peer", c.peer)
	default:
		c.server.log.Info("connection refused", "peer", c.peer, "err", err)
	}
	return false
}

// announcement makes the source that a proxy names the peer. It believes
// nobody else, and reads nothing from others.
func (c *conn) announcement() error {
	proxy, err := netip.ParseAddrPort(c.peer)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	addr := proxy.Addr().Unmap().WithZone("")
	if !slices.ContainsFunc(c.server.proxies, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return errors.New("peer is not a proxy that may connect here")
	}
	source, ahead, err := readAnnouncement(c.wire)
	if err != nil {
		return err
	}
	if c.own = !source.IsValid(); !c.own {
		c.peer = source.String()
	}
	c.wire.ahead = ahead
	return nil
}

// readAnnouncement reads a header of the PROXY protocol, version 1 or 2, and
// what arrived behind it. The source is not valid when the header names none:
// the connection is the proxy's own (LOCAL), or its source is UNKNOWN. TLVs are
// skipped. Version 1 must arrive at once, as it asks of its senders.
func readAnnouncement(r io.Reader) (source netip.AddrPort, ahead []byte, err error) {
	b := bufio.NewReaderSize(io.LimitReader(r, maxAnnouncement), maxAnnouncement)
	h, err := proxyproto.Read(b)
	if err != nil {
		return netip.AddrPort{}, nil, fmt.Errorf("read PROXY header: %w", err)
	}
	if !h.Command.IsLocal() {
		tcp, ok := h.SourceAddr.(*net.TCPAddr)
		if !ok {
			return netip.AddrPort{}, nil, errors.New("read PROXY header: source is not of TCP")
		}
		source = netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())
	}
	ahead, _ = b.Peek(b.Buffered())
	return source, ahead, nil
}
