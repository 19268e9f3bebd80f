package policy

// anyone is what rules say of a request whoever its user is. Where that would
// make a difference, it makes the one in the request's favour (security.md,
// POL-09).
type anyone struct {
	against *compiledRule // the first deny that applies to every user
	favour  support       // of the allows that match for every user
	open    bool          // some user could be allowed
}

func (sc *scope) anyone(q *inquiry, w *weighing) anyone {
	var a anyone
	for _, r := range sc.anyDenies {
		if r.appliesToAll(q, w) {
			a.against = r
			break
		}
	}
	for _, r := range sc.anyAllows {
		if a.open && (r.test.user.exist() || a.favour.settled(r)) || lapsed(r.Expires, q.facts) {
			continue
		}
		least, most := w.ofAnyone(q, &r.test)
		a.open = a.open || most == yes
		if least == yes {
			a.favour.add(r)
		}
	}
	for _, r := range sc.userAllows {
		if a.open {
			break
		}
		_, most := w.ofAnyone(q, &r.test)
		a.open = most == yes && !lapsed(r.Expires, q.facts)
	}
	return a
}

// appliesToAll tells that a deny applies whoever the user is.
func (r *compiledRule) appliesToAll(q *inquiry, w *weighing) bool {
	if least, _ := w.ofAnyone(q, &r.test); least == no {
		return false
	}
	for i := range r.except {
		e := &r.except[i]
		if _, most := w.ofAnyone(q, &e.test); most == yes && !lapsed(e.Expires, q.facts) {
			return false
		}
	}
	return true
}

// ofAnyone returns what is known of a test for the user for whom it is least
// true, and for the one for whom it is most.
func (w *weighing) ofAnyone(q *inquiry, t *test) (least, most ternary) {
	least = w.all(t.request)
	most = least
	if t.user.exist() {
		least = no
	}
	if t.when == noWhen || most == no {
		return least, most
	}
	if q.index.whens[t.when].facts()&UserFacts == 0 {
		result := w.when(q, t.when)
		return min(least, result), min(most, result)
	}
	switch w.whenForAnyone(q, t.when) {
	case yes:
		return least, most
	case no:
		return no, no
	default:
		return no, most
	}
}
