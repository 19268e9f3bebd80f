package policy

import (
	"iter"
	"time"
)

// Obligations are what a request owes that passes: all that every require
// asks for that applies. One proof may meet several.
type Obligations struct {
	// SecondFactor tells that one is owed at all.
	SecondFactor bool
	// Rated tells that a rule limits a rate.
	Rated bool
	// Remember is how long a proof may have stood: the shortest of all. 0
	// means that each request needs its own.
	Remember time.Duration
	// Lifetime is the longest that a token may be valid: the shortest of all,
	// 0 for no cap.
	Lifetime time.Duration

	number int
	first  [4]*Rule // the first of them, so that few allocate nothing
	more   []*Rule
}

// Rules returns the requires that apply, by name.
func (o *Obligations) Rules() iter.Seq[*Rule] {
	return func(yield func(*Rule) bool) {
		for i := range o.number {
			if !yield(o.rule(i)) {
				return
			}
		}
	}
}

func (o *Obligations) rule(i int) *Rule {
	if i < len(o.first) {
		return o.first[i]
	}
	return o.more[i-len(o.first)]
}

func (o *Obligations) add(r *Rule) {
	if o.number < len(o.first) {
		o.first[o.number] = r
	} else {
		o.more = append(o.more, r)
	}
	o.number++
	if m := r.MFA; m != nil {
		if !o.SecondFactor || m.Remember < o.Remember {
			o.Remember = m.Remember
		}
		o.SecondFactor = true
	}
	o.Rated = o.Rated || r.Limit.Rate.Count > 0
	if d := r.Limit.Lifetime; d > 0 && (o.Lifetime == 0 || d < o.Lifetime) {
		o.Lifetime = d
	}
}
