package policy

import (
	"net/netip"
	"slices"
	"unicode"
	"unicode/utf8"
)

// A ternary is a value of Kleene's logic. Of several that must all hold, the
// least is the result.
type ternary uint8

const (
	no ternary = iota
	unknown
	yes
)

// truth tells of each condition whether it is true (in yes and in maybe),
// unknown (in maybe only) or false (in neither).
type truth struct{ yes, maybe bitset }

type bitset []uint64

func (b bitset) set(i int32)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) has(i int32) bool { return b[i>>6]&(1<<(i&63)) != 0 }

func (t truth) set(conditions []int32) {
	for _, c := range conditions {
		t.yes.set(c)
		t.maybe.set(c)
	}
}

func (t truth) unknown(conditions []int32) {
	for _, c := range conditions {
		t.maybe.set(c)
	}
}

// holds reports that all literals are true.
func (t truth) holds(l literals) bool { return all(l, t.yes, t.maybe) }

// possible reports that no literal is false.
func (t truth) possible(l literals) bool { return all(l, t.maybe, t.yes) }

// all reports that every condition in l.holds is in has, and none of l.never
// is in lacks.
func all(l literals, has, lacks bitset) bool {
	for _, c := range l.holds {
		if !has.has(c) {
			return false
		}
	}
	for _, c := range l.never {
		if lacks.has(c) {
			return false
		}
	}
	return true
}

// weigh finds out which conditions the facts make true, and which are
// unknown. It fills t, which is all false.
func (x *index) weigh(f *Facts, t truth) {
	x.weighNames(f, t)
	x.weighGroups(f, t)
	x.weighClients(f, t)
	x.weighText(endpoints, f.Known.Has(RequestEndpoint), f.Request.Endpoint, t)
	x.weighText(versions, f.Known.Has(RequestVersion), f.Request.Version, t)
}

func (x *index) weighText(k matchKey, known bool, s string, t truth) {
	if !known {
		t.unknown(x.byKey[k])
		return
	}
	t.set(x.texts[k][s])
}

// weighNames weighs the conditions on the user's names, in either form, and
// on its domain.
func (x *index) weighNames(f *Facts, t truth) {
	var buf [256]byte // longer names are rare, and allocate
	u := &f.User
	switch {
	case !f.Known.Has(UserName):
		t.unknown(x.byKey[users])
	case u.Name != "" && len(x.byKey[users]) > 0:
		x.weighName(appendFolded(buf[:0], u.Name), t)
	}
	if !f.Known.Has(UserDomain) {
		t.unknown(x.byKey[users])
		t.unknown(x.byKey[domains])
		return
	}
	if u.Domain == "" {
		return
	}
	domain := appendFolded(buf[:0], u.Domain)
	t.set(x.texts[domains][string(domain)])
	if u.SAM != "" && len(x.byKey[users]) > 0 {
		x.weighName(appendFolded(append(domain, '\\'), u.SAM), t)
	}
}

func (x *index) weighGroups(f *Facts, t truth) {
	if !f.Known.Has(UserGroups) {
		t.unknown(x.byKey[groups])
		return
	}
	if len(x.byKey[groups]) == 0 {
		return
	}
	var buf [256]byte
	for _, g := range f.User.Groups {
		t.set(x.texts[groups][string(appendFolded(buf[:0], g))])
	}
}

func (x *index) weighName(name []byte, t truth) {
	t.set(x.texts[users][string(name)])
	for i := range x.patterns {
		if p := &x.patterns[i]; p.matches(name) {
			t.set(p.conditions)
		}
	}
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

// weighClients makes a condition on networks true when all addresses are in
// it, and unknown when some are.
func (x *index) weighClients(f *Facts, t truth) {
	if len(x.byKey[networks]) == 0 {
		return
	}
	clients, known := f.clients()
	if !known || slices.ContainsFunc(clients, func(a netip.Addr) bool { return !a.IsValid() }) {
		t.unknown(x.byKey[networks])
		return
	}
	first := x.conditionsOf(clients[0])
	if len(clients) == 1 {
		t.set(first)
		return
	}
	t.unknown(first)
	for _, a := range clients[1:] {
		t.unknown(x.conditionsOf(a))
	}
next:
	for _, c := range first {
		for _, a := range clients[1:] {
			if _, in := slices.BinarySearch(x.conditionsOf(a), c); !in {
				continue next
			}
		}
		t.yes.set(c)
	}
}

// conditionsOf returns the conditions on networks that hold the address. The
// table knows no zones.
func (x *index) conditionsOf(a netip.Addr) []int32 {
	cover, _ := x.prefixes.Lookup(a.Unmap())
	return x.covers[cover]
}

// appendFolded appends s in lower case.
func appendFolded(b []byte, s string) []byte {
	for _, c := range s {
		b = utf8.AppendRune(b, unicode.ToLower(c))
	}
	return b
}
