package policy

// anyone is what rules say of a request whoever its user is. Where that would
// make a difference, it makes the one in the request's favour (security.md,
// POL-09).
type anyone struct {
	against *compiledRule // the first deny that applies to every user
	favour  support       // of the allows that match for every user
	open    bool          // some user could be allowed
}

func (sc *scope) anyone(w *weighing) anyone {
	var a anyone
	for _, r := range sc.denies {
		if !r.ReportOnly && r.appliesToAll(w) {
			a.against = r
			break
		}
	}
	for _, r := range sc.allows {
		if r.ReportOnly || lapsed(r.Expires, w.facts) {
			continue
		}
		least, most := w.ofAnyone(&r.test)
		a.open = a.open || most == yes
		if least == yes {
			a.favour.add(r)
		}
	}
	return a
}

// appliesToAll tells that a deny applies whoever the user is.
func (r *compiledRule) appliesToAll(w *weighing) bool {
	if least, _ := w.ofAnyone(&r.test); least == no {
		return false
	}
	for i := range r.except {
		e := &r.except[i]
		if _, most := w.ofAnyone(&e.test); most == yes && !lapsed(e.Expires, w.facts) {
			return false
		}
	}
	return true
}

// ofAnyone returns what is known of a test for the user for whom it is least
// true, and for the one for whom it is most.
func (w *weighing) ofAnyone(t *test) (least, most ternary) {
	most = w.all(t.request)
	if t.user.exist() {
		return no, most
	}
	return most, most
}
