// Package clientip says whose address a request comes from: the TCP peer, or,
// when the peer is a proxy that is believed, the nearest address in
// X-Forwarded-For that is not such a proxy.
//
// It is pure: headers in, addresses out. It never believes a header of a peer
// that the configuration does not name, and an empty list names nobody.
package clientip

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxEntries is how many entries of X-Forwarded-For are read (security.md,
// HDR-04). A longer header is not a chain of proxies.
const maxEntries = 20

// Config configures a Resolver.
type Config struct {
	// Proxies are the addresses of the proxies whose X-Forwarded-For is
	// believed. IPv4 prefixes are given as such, not mapped into IPv6.
	Proxies []netip.Prefix
}

// A Resolver finds the address of clients. It is safe for concurrent use.
type Resolver struct {
	proxies []netip.Prefix
}

// New returns a Resolver.
func New(c Config) *Resolver {
	return &Resolver{proxies: slices.Clone(c.Proxies)}
}

// A Client is where a request comes from.
type Client struct {
	// Addr is the address that the request is judged by: an unmapped address
	// without a zone.
	Addr netip.Addr
	// Forwarded are the addresses that a believed header names before Addr,
	// the original client first. Nobody has checked them. They are nil when the
	// header does not name one address after the other.
	Forwarded []netip.Addr
	// Doubtful tells that a proxy that is believed sent a header that cannot
	// be read, so that Addr is the proxy's own.
	Doubtful bool
}

// Locate returns the client behind a TCP peer (security.md, HDR-04). The
// header lines of X-Forwarded-For are joined in order and walked from the
// right, from entry to entry that a believed proxy has appended, to the first
// that is not itself such a proxy. When all of them are, the client is the
// leftmost.
func (r *Resolver) Locate(peer netip.AddrPort, h http.Header) Client {
	addr := plain(peer.Addr())
	lines := h["X-Forwarded-For"]
	if len(lines) == 0 || !r.believes(addr) {
		return Client{Addr: addr}
	}
	entries := strings.Split(strings.Join(lines, ","), ",")
	if len(entries) > maxEntries {
		return Client{Addr: addr, Doubtful: true}
	}
	at, client := len(entries), addr
	for at > 0 && r.believes(client) {
		at--
		entry, ok := parse(entries[at])
		if !ok {
			return Client{Addr: addr, Doubtful: true}
		}
		client = entry
	}
	return Client{Addr: client, Forwarded: claimed(entries[:at])}
}

// claimed reads the entries before the client, all or none: they are whatever
// somebody chose to send.
func claimed(entries []string) []netip.Addr {
	var addrs []netip.Addr
	for _, e := range entries {
		addr, ok := parse(e)
		if !ok {
			return nil
		}
		addrs = append(addrs, addr)
	}
	return addrs
}

func (r *Resolver) believes(addr netip.Addr) bool {
	for _, p := range r.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// parse reads one entry: an address, or an address with a port, as some
// balancers write it (203.0.113.9:4711, [2001:db8::1]:4711). It takes no
// names, no "unknown", no obfuscated identifiers and no zones.
func parse(entry string) (netip.Addr, bool) {
	entry = strings.Trim(entry, " \t")
	addr, err := netip.ParseAddr(entry)
	if err != nil {
		ap, err := netip.ParseAddrPort(entry)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = ap.Addr()
	}
	if addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// plain brings a peer's address into the form that prefixes are compared with.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
