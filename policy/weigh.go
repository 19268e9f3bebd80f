package policy

import (
	"net/netip"
	"slices"
	"unicode"
	"unicode/utf8"
)

// weigh finds out which conditions the facts make true, and which are
// unknown. It fills t, which is all false.
func (x *index) weigh(f *Facts, t truth) {
	x.weighUser(f, t)
	x.weighClient(f, t)
	x.weighRequest(f, t)
	x.weighHours(f, t)
}

// text weighs a key that compares one text.
func (x *index) text(k matchKey, f *Facts, fact Fact, s string, t truth) {
	switch {
	case len(x.byKey[k]) == 0:
	case !f.Known.Has(fact):
		t.unknown(x.byKey[k])
	default:
		t.set(x.texts[k][s])
	}
}

func (x *index) weighRequest(f *Facts, t truth) {
	r := &f.Request
	x.text(endpoints, f, RequestEndpoint, r.Endpoint, t)
	x.text(versions, f, RequestVersion, r.Version, t)
	x.text(requestTypes, f, RequestType, r.Type, t)
	x.text(credentials, f, RequestCredential, r.Credential, t)
	x.text(tokenTypes, f, RequestTokenType, r.TokenType, t)
	x.text(keyTypes, f, RequestKeyType, r.KeyType, t)
	var buf [256]byte // longer names are rare, and allocate
	if len(x.onBehalfOf.all) > 0 {
		x.onBehalfOf.weigh(f.Known.Has(DelegationOnBehalfOf), appendFolded(buf[:0], f.Delegation.OnBehalfOf), t)
	}
	if len(x.actAs.all) > 0 {
		x.actAs.weigh(f.Known.Has(DelegationActAs), appendFolded(buf[:0], f.Delegation.ActAs), t)
	}
}

func (x *index) weighHours(f *Facts, t truth) {
	for i := range x.hours {
		o := &x.hours[i]
		if !f.timed() {
			t.maybe.set(o.number)
			continue
		}
		for j := range o.spans {
			if o.spans[j].holds(f.Time) {
				t.yes.set(o.number)
				t.maybe.set(o.number)
			}
		}
	}
}

func (x *index) weighUser(f *Facts, t truth) {
	var buf [256]byte
	u := &f.User
	if len(x.upn.all) > 0 {
		x.upn.weigh(f.Known.Has(UserName), appendFolded(buf[:0], u.Name), t)
	}
	if len(x.sam.all) > 0 {
		name := buf[:0]
		if u.Domain != "" && u.SAM != "" {
			name = appendFolded(append(appendFolded(name, u.Domain), '\\'), u.SAM)
		}
		x.sam.weigh(f.Known.Has(UserDomain), name, t)
	}
	if f.Known.Has(UserDomain) {
		t.set(x.texts[domains][string(appendFolded(buf[:0], u.Domain))])
	} else {
		t.unknown(x.byKey[domains])
	}
	x.weighGroups(f, t)
	familiarity := "false"
	if f.Client.Familiar {
		familiarity = "true"
	}
	x.text(familiar, f, ClientFamiliar, familiarity, t)
}

// weigh weighs the conditions on a name, which may be empty.
func (x *nameIndex) weigh(known bool, name []byte, t truth) {
	switch {
	case !known:
		t.unknown(x.all)
	case len(name) > 0:
		t.set(x.texts[string(name)])
		for i := range x.patterns {
			if p := &x.patterns[i]; p.matches(name) {
				t.set(p.conditions)
			}
		}
	}
}

func (x *index) weighGroups(f *Facts, t truth) {
	switch {
	case len(x.byKey[groups]) == 0:
		return
	case !f.Known.Has(UserGroups):
		t.unknown(x.byKey[groups])
		return
	}
	var buf [256]byte
	for _, g := range f.User.Groups {
		t.set(x.texts[groups][string(appendFolded(buf[:0], g))])
	}
}

// maxAddresses is how many addresses of a client are weighed without
// allocating.
const maxAddresses = 20

// weighClient makes a condition on where the client is true when it holds for
// each address that it may be at, and unknown when it holds for some.
func (x *index) weighClient(f *Facts, t truth) {
	x.text(families, f, ClientFamily, f.Client.Family, t)
	if len(x.byKey[networks])+len(x.byKey[countries])+len(x.byKey[asns]) == 0 {
		return
	}
	clients, known := f.clients()
	known = known && !slices.ContainsFunc(clients, func(a netip.Addr) bool { return !a.IsValid() })
	var buf [maxAddresses][]int32
	for _, k := range [...]matchKey{networks, countries, asns} {
		switch {
		case len(x.byKey[k]) == 0:
		case !known || k == countries && !f.Known.Has(ClientCountry) || k == asns && !f.Known.Has(ClientASN):
			t.unknown(x.byKey[k])
		default:
			t.across(x.where(k, f, clients, buf[:0]))
		}
	}
}

// where returns the conditions of a key that each address meets. One without a
// place is in no country and in no autonomous system.
func (x *index) where(k matchKey, f *Facts, clients []netip.Addr, lists [][]int32) [][]int32 {
	for i, a := range clients {
		var p Place
		if i < len(f.Client.Places) {
			p = f.Client.Places[i]
		}
		switch k {
		case networks:
			lists = append(lists, x.conditionsOf(a))
		case countries:
			lists = append(lists, x.texts[countries][p.Country])
		default:
			lists = append(lists, x.asns[p.ASN])
		}
	}
	return lists
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
