package guard

import (
	"net/netip"
	"time"
)

// A source is what failures are counted by beside the user: where they came
// from.
type source struct {
	host netip.Addr
	// address is one IPv4 address, or 64 bits of IPv6, which is the least that
	// anybody has.
	address netip.Prefix
	// network is 24 bits of IPv4, or 48 of IPv6.
	network netip.Prefix
}

func sourceOf(a netip.Addr) source {
	a = a.Unmap().WithZone("")
	address, network := 32, 24
	if a.Is6() {
		address, network = 64, 48
	}
	return source{host: a, address: prefix(a, address), network: prefix(a, network)}
}

func prefix(a netip.Addr, bits int) netip.Prefix {
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // a is no address
	}
	return p
}

// sourcesOf returns the sources of addresses, without those that many share by
// the operator's own word: proxies, and Exchange Online.
func (g *Guard) sourcesOf(addresses []netip.Addr) []source {
	var all []source
	for _, a := range addresses {
		if a.IsValid() && !g.exempt.Contains(a.Unmap().WithZone("")) {
			all = append(all, sourceOf(a))
		}
	}
	return all
}

// Shared tells that many are behind the address by the operator's own word: a
// proxy, or a server of Exchange Online's.
func (g *Guard) Shared(a netip.Addr) bool { return g.exempt.Contains(a.Unmap().WithZone("")) }

// mostUsers is how many users of one source are remembered, the last ones.
const mostUsers = 256

// users are those who were seen from somewhere lately, the last at the end.
type users []seen

// A seen is one user, and how the last try went.
type seen struct {
	user   uint64 // a hash
	at     uint32 // in seconds of the guard's time
	failed bool
}

// note adds how a try of the user went.
func (u *users) note(s seen, window uint32, most int) {
	kept := (*u)[:0]
	for _, old := range *u {
		if old.user != s.user && old.at+window > s.at {
			kept = append(kept, old)
		}
	}
	if len(kept) >= most {
		kept = kept[:copy(kept, kept[len(kept)-most+1:])]
	}
	*u = append(kept, s)
}

// count returns how many users were seen within the window, and whose last try
// failed.
func (u users) count(now, window uint32) (all, failing int) {
	for _, s := range u {
		if s.at+window <= now {
			continue
		}
		all++
		if s.failed {
			failing++
		}
	}
	return all, failing
}

// seconds is the time for seen. The first are not 0, so that a window before
// them is none.
func (g *Guard) seconds(now time.Time) uint32 { return uint32(now.Sub(g.began)/time.Second) + 1 }

// mostSources and mostSeen bound what is remembered of sources.
const (
	mostSources = 1 << 16
	mostSeen    = 1 << 20
)

// sources remember who was seen from where. What is used least recently is
// forgotten first.
type sources struct {
	by   *lru[netip.Prefix, users]
	seen int
}

func newSources() sources { return sources{by: newLRU[netip.Prefix, users](mostSources)} }

func (s *sources) note(p netip.Prefix, one seen, window uint32) {
	if s.by.get(p) == nil && s.by.len() >= mostSources {
		s.forget()
	}
	u := s.by.make(p)
	before := len(*u)
	u.note(one, window, mostUsers)
	for s.seen += len(*u) - before; s.seen > mostSeen; {
		s.forget()
	}
}

func (s *sources) forget() {
	if u := s.by.drop(); u != nil {
		s.seen -= len(*u)
	}
}

func (s *sources) count(p netip.Prefix, now, window uint32) (all, failing int) {
	if u := s.by.get(p); u != nil {
		return u.count(now, window)
	}
	return 0, 0
}
