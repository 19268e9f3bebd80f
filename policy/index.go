package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gaissmai/bart"
)

// An index finds the conditions that the facts of a request make true. A
// condition is one key with its list of values; rules share it.
type index struct {
	conditions int
	// byKey has all conditions of a key.
	byKey [numMatchKeys][]int32
	// texts has, for the keys that compare text, the conditions that list a
	// value.
	texts [numMatchKeys]map[string][]int32
	// upn and sam have the conditions on the two forms of a user's name.
	upn, sam          nameIndex
	onBehalfOf, actAs nameIndex
	asns              map[uint32][]int32
	hours             []opening
	// prefixes finds the entry of covers for an address: the conditions on
	// networks that hold it, in ascending order.
	prefixes bart.Table[int32]
	covers   [][]int32
	// whens are the expressions, each once.
	whens []*expression
}

// An opening is a condition on hours.
type opening struct {
	number int32
	spans  []span
}

// prepare makes an empty index ready.
func (x *index) prepare() {
	x.asns = make(map[uint32][]int32)
	for k := range x.texts {
		x.texts[k] = make(map[string][]int32)
	}
	for _, n := range []*nameIndex{&x.upn, &x.sam, &x.onBehalfOf, &x.actAs} {
		n.texts = make(map[string][]int32)
	}
}

// number returns the number of a clause's condition. Clauses with the same
// key and values have the same.
func (x *index) number(c *clause, numbers map[string]int32) int32 {
	texts := c.texts()
	id := c.key.String() + "\n" + strings.Join(texts, "\n")
	if n, ok := numbers[id]; ok {
		return n
	}
	n := int32(x.conditions)
	x.conditions++
	numbers[id] = n
	x.byKey[c.key] = append(x.byKey[c.key], n)
	if c.key == hours {
		x.hours = append(x.hours, opening{n, c.spans})
	}
	for _, v := range texts {
		x.add(c.key, v, n)
	}
	return n
}

// expression returns the number of an expression. Those with the same text
// have the same.
func (x *index) expression(e *expression) int32 {
	for i, other := range x.whens {
		if other.source == e.source {
			return int32(i)
		}
	}
	x.whens = append(x.whens, e)
	return int32(len(x.whens) - 1)
}

// add makes a value find its condition.
func (x *index) add(k matchKey, v string, n int32) {
	switch k {
	case users:
		if !strings.Contains(v, `\`) {
			x.upn.add(v, n)
		}
		if !strings.Contains(v, "@") || strings.Contains(v, `\`) {
			x.sam.add(v, n)
		}
	case onBehalfOf:
		x.onBehalfOf.add(v, n)
	case actAs:
		x.actAs.add(v, n)
	case asns:
		number, _ := strconv.ParseUint(v, 10, 32) // read from one
		x.asns[uint32(number)] = append(x.asns[uint32(number)], n)
	default:
		x.texts[k][v] = append(x.texts[k][v], n)
	}
}

// A nameIndex finds the conditions that list a name, or a pattern of it.
type nameIndex struct {
	texts    map[string][]int32
	patterns []pattern
	all      []int32 // conditions that have a value here
}

// A pattern is a name with a * at one end.
type pattern struct {
	text       string // without the *
	prefix     bool   // the * is at the end
	conditions []int32
}

func (x *nameIndex) add(v string, n int32) {
	if len(x.all) == 0 || x.all[len(x.all)-1] != n {
		x.all = append(x.all, n)
	}
	if !strings.Contains(v, "*") {
		x.texts[v] = append(x.texts[v], n)
		return
	}
	p := pattern{text: strings.Trim(v, "*"), prefix: strings.HasSuffix(v, "*")}
	for i := range x.patterns {
		if q := &x.patterns[i]; q.text == p.text && q.prefix == p.prefix {
			q.conditions = append(q.conditions, n)
			return
		}
	}
	p.conditions = []int32{n}
	x.patterns = append(x.patterns, p)
}

func (p *pattern) matches(name []byte) bool {
	switch {
	case len(name) < len(p.text):
		return false
	case p.prefix:
		return string(name[:len(p.text)]) == p.text
	default:
		return string(name[len(name)-len(p.text):]) == p.text
	}
}

// A member is a prefix with the conditions on its network.
type member struct {
	netip.Prefix
	network    int32
	conditions []int32
}

// cover fills the table of prefixes with those of the networks that rules
// mention. In ascending order a prefix comes right after the prefixes that
// hold it, so those still open tell all networks that its addresses are in.
func (x *index) cover(all map[string]*network) {
	var members []member
	number := int32(0)
	for name, n := range all {
		number++
		if conditions := x.texts[networks][name]; len(conditions) > 0 {
			for _, p := range n.prefixes {
				members = append(members, member{p, number, conditions})
			}
		}
	}
	slices.SortFunc(members, func(a, b member) int { return a.Compare(b.Prefix) })

	x.covers = [][]int32{nil}
	type nested struct {
		netip.Prefix
		cover int32
	}
	open := []nested{{}} // the first stands for no prefix, and stays
	joined := make(map[[2]int32]int32)
	for _, m := range members {
		for len(open) > 1 && !open[len(open)-1].Contains(m.Addr()) {
			open = open[:len(open)-1]
		}
		key := [2]int32{open[len(open)-1].cover, m.network}
		cover, ok := joined[key]
		if !ok {
			cover = x.join(key[0], m.conditions)
			joined[key] = cover
		}
		open = append(open, nested{m.Prefix, cover})
		x.prefixes.Insert(m.Prefix, cover)
	}
}

// join returns the entry of covers that has the conditions of another one and
// these.
func (x *index) join(cover int32, conditions []int32) int32 {
	all := slices.Concat(x.covers[cover], conditions)
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) == len(x.covers[cover]) {
		return cover
	}
	x.covers = append(x.covers, all)
	return int32(len(x.covers) - 1)
}
