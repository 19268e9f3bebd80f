package policy

import (
	"cmp"
	"net/netip"
	"slices"
)

// wide warns of networks that hold every address and let somebody in.
func (s *Set) wide(warn func(at place, format string, args ...any)) {
	for _, r := range s.rules {
		for i := range r.clauses {
			c := &r.clauses[i]
			if r.Effect != Allow || c.key != networks || c.negated {
				continue
			}
			for _, v := range c.values {
				for _, p := range s.networks[v.text].prefixes {
					if p.Bits() == 0 {
						warn(v.at, "rule %q allows from network %q, which holds %s: every address of %s", r.Name, v.text, p, version(p))
					}
				}
			}
		}
	}
}

func version(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// nested warns of prefixes that another one of their network holds already. Of
// a file it counts them, unless it is one that is published as it is.
func (n *network) nested(warn func(at place, format string, args ...any)) {
	if n.published {
		return
	}
	order := make([]int, len(n.prefixes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(n.prefixes[a].Compare(n.prefixes[b]), cmp.Compare(a, b)) })
	var outer netip.Prefix // in this order a prefix comes after those that hold it
	inside := 0
	for _, i := range order {
		p := n.prefixes[i]
		if !outer.Contains(p.Addr()) {
			outer = p
			continue
		}
		inside++
		if n.places != nil {
			warn(n.places[i], "network %q: %s lies inside %s", n.name, p, outer)
		}
	}
	if n.places == nil && inside > 0 {
		warn(n.at, "network %q: %d of %d prefixes lie inside others of it", n.name, inside, len(n.prefixes))
	}
}
