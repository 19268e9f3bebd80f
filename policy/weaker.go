package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Weaker compares a set with the one that is to replace it, and lists the edits
// that can let more pass, or let it pass with less (security.md, POL-05): what
// is gone with its place in the old files, and the others with theirs in the
// new ones. Words are compared, not what they mean: a set that says the same
// otherwise may be listed, and one that loosens by what its directory or farm
// does is not.
func Weaker(old, next *Set) (gone, edits Errors) {
	w := weakening{old: old, next: next, was: make(map[string]*Rule)}
	for _, r := range old.rules {
		w.was[r.Name] = r
	}
	kept := make(map[string]bool)
	for _, r := range next.rules {
		kept[r.identity()] = true
	}
	for _, r := range old.rules {
		now := next.rule(r.Name)
		switch {
		case r.Effect == Allow || r.ReportOnly || kept[r.identity()]:
		case now == nil:
			w.gone = append(w.gone, r.at.errorf("rule %q is gone: it would %s", r.Name, r.Does()))
		case now.Effect != r.Effect:
			w.add(now.at, "rule %q no longer would %s", r.Name, r.Does())
		case now.ReportOnly:
			w.add(now.at, "rule %q only reports", r.Name)
		default:
			w.objection(r, now)
		}
	}
	w.allows()
	w.networks()
	w.applications()
	return w.gone.sorted(), w.edits.sorted()
}

type weakening struct {
	old, next   *Set
	was         map[string]*Rule
	gone, edits Errors
}

func (w *weakening) add(at place, format string, args ...any) {
	w.edits = append(w.edits, at.errorf(format, args...))
}

// rule returns the rule of that name, or nil.
func (s *Set) rule(name string) *Rule {
	at, ok := slices.BinarySearchFunc(s.rules, name, func(r *Rule, name string) int { return strings.Compare(r.Name, name) })
	if !ok {
		return nil
	}
	return s.rules[at]
}

// objection compares a deny or a require with what it was.
func (w *weakening) objection(was, now *Rule) {
	if !was.implies(&now.conditions) {
		w.add(now.at, "rule %q applies to fewer requests, or to others", now.Name)
	}
	if was.Effect == Require && !now.asksFor(was) {
		w.add(now.effectAt, "rule %q requires less", now.Name)
	}
	for _, e := range now.Exceptions {
		covered := func(o *Exception) bool { return e.implies(&o.conditions) && !o.Expires.Before(e.Expires) }
		if !slices.ContainsFunc(was.Exceptions, covered) {
			w.add(e.at, "rule %q has a new, wider or longer exception (%s) until %s", now.Name, e.Reason, e.Expires.Format(time.RFC3339))
		}
	}
}

// allows compares what grants.
func (w *weakening) allows() {
	before := make(map[string]bool)
	for _, r := range w.old.rules {
		before[r.identity()] = true
	}
	for _, r := range w.next.rules {
		if r.Effect != Allow || r.ReportOnly || before[r.identity()] {
			continue
		}
		was := w.was[r.Name]
		switch {
		case was == nil || was.Effect != Allow:
			w.add(r.at, "rule %q allows more", r.Name)
			continue
		case was.ReportOnly:
			w.add(r.at, "rule %q no longer only reports", r.Name)
		case !r.implies(&was.conditions):
			w.add(r.at, "rule %q matches more requests, or others", r.Name)
		}
		if !was.Expires.IsZero() && (r.Expires.IsZero() || r.Expires.After(was.Expires)) {
			w.add(r.at, "rule %q expires later", r.Name)
		}
		if was.Answer != r.Answer {
			w.add(r.effectAt, "rule %q answers %s, not %s", r.Name, r.Answer, was.Answer)
		}
	}
}

// networks lists those that hold other addresses: more of them may be let in,
// and fewer of them kept out.
func (w *weakening) networks() {
	for name, n := range w.next.networks {
		was := w.old.networks[name]
		if was == nil || !n.used || slices.Equal(sortedPrefixes(was), sortedPrefixes(n)) {
			continue
		}
		w.add(n.at, "network %q holds other addresses: %d prefixes, not %d", name, len(n.prefixes), len(was.prefixes))
	}
}

// without returns the texts of a that are not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

func sortedPrefixes(n *network) []netip.Prefix {
	all := slices.SortedFunc(slices.Values(n.prefixes), netip.Prefix.Compare)
	return slices.Compact(all)
}

// applications compares what is released for them.
func (w *weakening) applications() {
	for _, a := range w.next.applications {
		at := slices.IndexFunc(w.old.applications, func(o *Application) bool { return o.Name == a.Name })
		if at < 0 {
			w.add(a.at, "application %q is new", a.Name)
			continue
		}
		w.application(w.old.applications[at], a)
	}
}

func (w *weakening) application(was, a *Application) {
	for _, realm := range a.Realms {
		if !slices.Contains(was.Realms, realm) {
			w.add(a.at, "application %q has the realm %q more", a.Name, realm)
		}
	}
	if r, o := a.relaxation, was.relaxation; r != nil && (o == nil || r.Until.After(o.Until)) {
		w.add(r.at, "application %q goes on while the store is down, until %s", a.Name, r.Until.UTC().Format(time.RFC3339))
	}
	if a.Answer != was.Answer {
		w.add(a.at, "application %q answers %s, not %s", a.Name, a.Answer, was.Answer)
	}
	if a.Lifetime > was.Lifetime {
		w.add(a.at, "application %q has tokens that live %s, not %s", a.Name, a.Lifetime, was.Lifetime)
	}
	if was.Hide && !a.Hide {
		w.add(a.at, "application %q no longer hides that a password was right", a.Name)
	}
	if a.AnswerEncrypted && !was.AnswerEncrypted {
		w.add(a.at, "application %q takes answers that nobody can check", a.Name)
	}
	if more := without(a.Extensions, was.Extensions); len(more) > 0 {
		w.add(a.at, "application %q has %s forwarded", a.Name, strings.Join(more, ", "))
	}
	if a.TrustFarmMFA && !was.TrustFarmMFA {
		w.add(a.at, "application %q takes second factors that the farm claims", a.Name)
	}
	if a.AcceptApprove && !was.AcceptApprove {
		w.add(a.at, "application %q is told of a second factor where the user only approved", a.Name)
	}
	if len(was.Issuers) > 0 && (len(a.Issuers) == 0 || len(without(a.Issuers, was.Issuers)) > 0) {
		w.add(a.at, "application %q takes tokens of more issuers", a.Name)
	}
	if !slices.Equal(a.Claims, was.Claims) || a.NameID != was.NameID {
		w.add(a.at, "application %q gets other claims", a.Name)
	}
}
