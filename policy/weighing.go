package policy

// An inquiry is one request that is decided on.
type inquiry struct {
	index       *index
	facts       *Facts
	forgotten   *Facts // without those about the user, once they are needed
	application string
}

// A weighing is what the facts of an inquiry make of the conditions. It
// evaluates an expression when it is asked for, and once. It holds no facts:
// expressions let those escape to the heap, and the rest need not follow.
type weighing struct {
	truth
	whens []outcome // two for each expression: for this user, and for any
}

// An outcome is a ternary plus one, and 0 when there is none yet.
type outcome uint8

// words and outcomes bound what is kept on the stack: 64 conditions a word,
// and two outcomes an expression.
const (
	words    = 64
	outcomes = 64
)

// A room is where a weighing keeps what it finds.
type room struct {
	truth [2][words]uint64
	whens [outcomes]outcome
}

// weigh weighs the conditions that are no expressions.
func (q *inquiry) weigh(r *room) weighing {
	w := weighing{truth: truth{yes: r.truth[0][:], maybe: r.truth[1][:]}, whens: r.whens[:]}
	if n := q.index.conditions; n > 64*words {
		w.truth = truth{yes: make(bitset, n/64+1), maybe: make(bitset, n/64+1)}
	}
	if n := 2 * len(q.index.whens); n > outcomes {
		w.whens = make([]outcome, n)
	}
	q.index.weigh(q.facts, w.truth)
	return w
}

// of returns what is known of a test.
func (w *weighing) of(q *inquiry, t *test) ternary {
	result := w.all(t.request)
	if result != no {
		result = min(result, w.all(t.user))
	}
	if result != no && t.when != noWhen {
		result = min(result, w.when(q, t.when))
	}
	return result
}

// when returns what is known of an expression.
func (w *weighing) when(q *inquiry, i int32) ternary { return w.evaluated(q, i, 2*i, q.facts) }

// whenForAnyone returns what is known of it when nothing is about the user.
func (w *weighing) whenForAnyone(q *inquiry, i int32) ternary {
	if q.forgotten == nil {
		f := *q.facts
		f.Known &^= UserFacts
		q.forgotten = &f
	}
	return w.evaluated(q, i, 2*i+1, q.forgotten)
}

func (w *weighing) evaluated(q *inquiry, i, slot int32, f *Facts) ternary {
	if w.whens[slot] == 0 {
		w.whens[slot] = outcome(q.index.whens[i].eval(f, q.application)) + 1
	}
	return ternary(w.whens[slot] - 1)
}
