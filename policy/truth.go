package policy

import "slices"

// A ternary is a value of Kleene's logic. Of several that must all hold, the
// least is the result.
type ternary uint8

const (
	no ternary = iota
	unknown
	yes
)

// String returns "true", "false" or "unknown".
func (t ternary) String() string { return [...]string{"false", "unknown", "true"}[t] }

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

// across makes the conditions true that are in each of several lists, which
// are in ascending order, and those unknown that are in some.
func (t truth) across(lists [][]int32) {
	for _, list := range lists {
		t.unknown(list)
	}
next:
	for _, c := range lists[0] {
		for _, list := range lists[1:] {
			if _, in := slices.BinarySearch(list, c); !in {
				continue next
			}
		}
		t.yes.set(c)
	}
}

// one returns what is known of a condition.
func (t truth) one(condition int32) ternary {
	switch {
	case t.yes.has(condition):
		return yes
	case t.maybe.has(condition):
		return unknown
	default:
		return no
	}
}

// all returns what is known of literals that must all hold.
func (t truth) all(l literals) ternary {
	result := yes
	for _, c := range l.holds {
		if !t.yes.has(c) {
			if !t.maybe.has(c) {
				return no
			}
			result = unknown
		}
	}
	for _, c := range l.never {
		if t.maybe.has(c) {
			if t.yes.has(c) {
				return no
			}
			result = unknown
		}
	}
	return result
}
