// Package clientip says whose address a request comes from. Three words are
// believed, each only from who is configured to speak it:
//
//   - The TCP peer is who connected.
//   - If it is a proxy of ours, X-Forwarded-For says who connected to it: the
//     nearest address that is not such a proxy.
//   - If that is Exchange Online, which signs people in from its own servers,
//     X-MS-Forwarded-Client-IP says where those people are. Then its
//     addresses, all of them, are the client's, and the server's is not: it
//     tells nothing of the person.
//
// It is pure: headers in, addresses out. It never believes a header of a peer
// that the configuration does not name, and an empty list names nobody.
package clientip

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"
)

// maxEntries is how many entries of a header are read (security.md, HDR-04). A
// longer one is not a chain of proxies.
const maxEntries = 20

// Config configures a Resolver. IPv4 prefixes are given as such, not mapped
// into IPv6.
type Config struct {
	// Proxies are the addresses of the proxies whose X-Forwarded-For is
	// believed.
	Proxies []netip.Prefix
	// ExchangeOnline are the addresses of the servers whose
	// X-MS-Forwarded-Client-IP is believed.
	ExchangeOnline []netip.Prefix
}

// A Resolver finds the address of clients. It is safe for concurrent use.
type Resolver struct {
	proxies, exchangeOnline *bart.Lite
}

// New returns a Resolver.
func New(c Config) *Resolver {
	return &Resolver{proxies: table(c.Proxies), exchangeOnline: table(c.ExchangeOnline)}
}

func table(prefixes []netip.Prefix) *bart.Lite {
	var t bart.Lite
	for _, p := range prefixes {
		t.Insert(p)
	}
	return &t
}

// Headers are those by which somebody speaks for a client, in canonical form:
// what Locate reads, and what Exchange Online says of the software beside it.
func Headers() []string {
	return []string{"X-Forwarded-For", "X-Ms-Forwarded-Client-Ip", "X-Ms-Client-Application", "X-Ms-Client-User-Agent"}
}

// A Client is where a request comes from. Its addresses are unmapped and have
// no zone.
type Client struct {
	// Addr is the address that connected to us, or to the first of the proxies
	// that are believed.
	Addr netip.Addr
	// ExchangeOnline tells that Addr is a server of Exchange Online's.
	ExchangeOnline bool
	// Forwarded are the addresses that this server says it calls for, in its
	// order; at most 20, and none of a client that is not Exchange Online.
	Forwarded []netip.Addr
	// Doubtful tells that somebody who is believed sent a header that cannot be
	// read: the request passed through Addr, and whose it is is not known.
	Doubtful bool
}

// Addresses returns the addresses that the client may be at; a rule must hold
// for all of them (security.md, HDR-05). There are none when it is not known
// whose the request is.
func (c Client) Addresses() []netip.Addr {
	switch {
	case c.Doubtful:
		return nil
	case len(c.Forwarded) > 0:
		return c.Forwarded
	default:
		return []netip.Addr{c.Addr}
	}
}

// Locate returns the client behind a TCP peer.
func (r *Resolver) Locate(peer netip.AddrPort, h http.Header) Client {
	addr, ok := r.connected(peer.Addr().Unmap().WithZone(""), h["X-Forwarded-For"])
	if !ok {
		return Client{Addr: addr, Doubtful: true}
	}
	if !r.exchangeOnline.Contains(addr) {
		return Client{Addr: addr}
	}
	c := Client{Addr: addr, ExchangeOnline: true}
	if lines := h["X-Ms-Forwarded-Client-Ip"]; len(lines) > 0 {
		c.Forwarded, ok = forwarded(lines)
		c.Doubtful = !ok
	}
	return c
}

// connected returns who connected to the first of the believed proxies before
// peer (security.md, HDR-04). The header lines are joined in order and walked
// from the right, from entry to entry that a believed proxy has appended, to
// the first that is not itself such a proxy; what stands before it is whatever
// somebody chose to send, and is not read. When all entries are proxies, it is
// the leftmost. When the header cannot be read, it is peer, and not ok.
func (r *Resolver) connected(peer netip.Addr, lines []string) (addr netip.Addr, ok bool) {
	if len(lines) == 0 || !r.proxies.Contains(peer) {
		return peer, true
	}
	entries := strings.SplitN(strings.Join(lines, ","), ",", maxEntries+1)
	if len(entries) > maxEntries {
		return peer, false
	}
	addr = peer
	for i := len(entries) - 1; i >= 0 && r.proxies.Contains(addr); i-- {
		if addr, ok = parse(entries[i]); !ok {
			return peer, false
		}
	}
	return addr, true
}

// forwarded reads Exchange Online's header: one line, with one address or
// several (protocol.md, section 6.4). It is read as a whole or not at all.
func forwarded(lines []string) ([]netip.Addr, bool) {
	entries := strings.SplitN(lines[0], ",", maxEntries+1)
	if len(lines) > 1 || len(entries) > maxEntries {
		return nil, false
	}
	addrs := make([]netip.Addr, len(entries))
	for i, e := range entries {
		var ok bool
		if addrs[i], ok = parse(e); !ok {
			return nil, false
		}
	}
	return addrs, true
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
