package policy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
)

// A scope is an application with the rules that may apply to it: conditions
// on the application are decided when the set is loaded.
type scope struct {
	application   *Application
	denies, allow []*compiled
}

// A compiled rule refers to conditions by number.
type compiled struct {
	*Rule
	request, user literals // conditions on the request and on its user
}

// literals are conditions of which all in holds must hold and none in never.
type literals struct{ holds, never []int32 }

// An index finds the conditions that the facts of a request make true. A
// condition is one key with its list of values; rules share it.
type index struct {
	conditions int
	// texts has, for the keys that compare text, the conditions that list a
	// value.
	texts    [numMatchKeys]map[string][]int32
	patterns []pattern
	// prefixes finds the entry of covers for an address: the conditions on
	// networks that hold it, in ascending order.
	prefixes bart.Table[int32]
	covers   [][]int32
	// byKey has all conditions of a key.
	byKey [numMatchKeys][]int32
}

// A pattern is a user name with a * at one end.
type pattern struct {
	text       string // without the *
	prefix     bool   // the * is at the end
	conditions []int32
}

// compile turns the rules, which are all right, into scopes and an index.
func (l *loader) compile() {
	s := l.set
	for k := range s.index.texts {
		s.index.texts[k] = make(map[string][]int32)
	}
	numbers := make(map[string]int32)
	slices.SortFunc(s.rules, func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
	rules := make([]compiled, len(s.rules))
	for i, rule := range s.rules {
		rules[i] = s.index.compile(rule, numbers)
	}
	s.index.cover(s.networks)

	s.scopes = make(map[string]*scope)
	for _, a := range l.applications {
		s.applications = append(s.applications, a)
		sc := &scope{application: a}
		for i := range rules {
			switch {
			case !rules[i].covers(a.Name):
			case rules[i].Effect == Deny:
				sc.denies = append(sc.denies, &rules[i])
			default:
				sc.allow = append(sc.allow, &rules[i])
			}
		}
		for _, realm := range a.Realms {
			s.scopes[realm] = sc
		}
	}
	s.rest = s.scopes[AnyRealm]
	slices.SortFunc(s.applications, func(a, b *Application) int { return strings.Compare(a.Name, b.Name) })
}

func (x *index) compile(rule *Rule, numbers map[string]int32) compiled {
	c := compiled{Rule: rule}
	for _, cl := range rule.clauses {
		if cl.key == applications {
			continue
		}
		part := &c.request
		if cl.key.aboutUser() {
			part = &c.user
		}
		n := x.number(cl, numbers)
		if cl.negated {
			part.never = append(part.never, n)
		} else {
			part.holds = append(part.holds, n)
		}
	}
	return c
}

// number returns the number of a clause's condition. Clauses with the same
// key and values have the same.
func (x *index) number(cl clause, numbers map[string]int32) int32 {
	id := matchKeys[cl.key].Name + "\n" + strings.Join(cl.texts(), "\n")
	if n, ok := numbers[id]; ok {
		return n
	}
	n := int32(x.conditions)
	x.conditions++
	numbers[id] = n
	x.byKey[cl.key] = append(x.byKey[cl.key], n)
	for _, v := range cl.texts() {
		if cl.key == users && strings.Contains(v, "*") {
			x.pattern(v, n)
			continue
		}
		x.texts[cl.key][v] = append(x.texts[cl.key][v], n)
	}
	return n
}

func (x *index) pattern(v string, n int32) {
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

// texts returns the values in ascending order.
func (c clause) texts() []string {
	all := make([]string, len(c.values))
	for i, v := range c.values {
		all[i] = v.text
	}
	slices.Sort(all)
	return all
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
		n.prefixes = nil
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
