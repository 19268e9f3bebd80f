package policy

import (
	"iter"
	"math/bits"
	"slices"
)

// A ruleList has the rules of one effect by name, and finds those that may
// apply: each is found by one condition that must hold for it, the one that
// the fewest rules share.
type ruleList struct {
	rules   []*compiledRule
	always  bitset // by position: rules without such a condition
	watches []watch
}

// A watch is a condition with the positions of the rules that it finds.
type watch struct {
	condition int32
	rules     []int32
}

// prepare fills always and watches.
func (l *ruleList) prepare() {
	shared := make(map[int32]int)
	for _, r := range l.rules {
		for _, c := range r.must() {
			shared[c]++
		}
	}
	l.always = make(bitset, len(l.rules)/64+1)
	found := make(map[int32]int) // positions in watches
	for i, r := range l.rules {
		must := r.must()
		if len(must) == 0 {
			l.always.set(int32(i))
			continue
		}
		rarest := slices.MinFunc(must, func(a, b int32) int { return shared[a] - shared[b] })
		at, ok := found[rarest]
		if !ok {
			at = len(l.watches)
			found[rarest] = at
			l.watches = append(l.watches, watch{condition: rarest})
		}
		l.watches[at].rules = append(l.watches[at].rules, int32(i))
	}
}

// must returns the conditions that must hold for the rule.
func (t *test) must() []int32 { return slices.Concat(t.request.holds, t.user.holds) }

// listed bounds how many rules are found without allocating: 64 a word.
const listed = 32

// possible returns the rules that may apply, by name.
func (l *ruleList) possible(w *weighing) iter.Seq[*compiledRule] {
	return func(yield func(*compiledRule) bool) {
		var buf [listed]uint64
		found := bitset(buf[:])
		if len(l.always) > listed {
			found = make(bitset, len(l.always))
		}
		copy(found, l.always)
		for i := range l.watches {
			if x := &l.watches[i]; w.maybe.has(x.condition) {
				for _, r := range x.rules {
					found.set(r)
				}
			}
		}
		for i := range l.always {
			for word := found[i]; word != 0; word &= word - 1 {
				if !yield(l.rules[64*i+bits.TrailingZeros64(word)]) {
					return
				}
			}
		}
	}
}
