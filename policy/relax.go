package policy

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v4"
)

// longestRelaxation is how long before its end a relaxation holds at most
// (security.md, FAIL-03).
const longestRelaxation = 4 * time.Hour

// A Relaxation lets an application go on while the store cannot be reached: with
// failures counted in memory, for requests that an allow on networks lets pass and
// that owe no second factor. It ends by itself.
type Relaxation struct {
	Until         time.Time
	Owner, Reason string

	at place
}

// active tells that it holds at a time.
func (r *Relaxation) active(now time.Time) bool {
	return r != nil && now.Before(r.Until) && r.Until.Sub(now) <= longestRelaxation
}

// Relaxed returns the application's relaxation if it holds now, nil otherwise.
func (a *Application) Relaxed(now time.Time) *Relaxation {
	if a.relaxation.active(now) {
		return a.relaxation
	}
	return nil
}

// Exempt tells that a decision lets pass by an allow on networks, with nothing
// owed for which the store is needed.
func (s *Set) Exempt(d *Decision) bool {
	if d.Effect != Allow || d.Obligations.SecondFactor {
		return false
	}
	return slices.ContainsFunc(s.rules, func(r *Rule) bool {
		return r.Name == d.Rule && r.Effect == Allow && slices.ContainsFunc(r.clauses, func(c clause) bool { return c.key == networks && !c.negated })
	})
}

// relaxation reads the key while_state_down of an application.
func (r *reader) relaxation(n *yaml.Node) *Relaxation {
	fields := r.fields(n, inRelaxation, "a mapping with until, owner and reason")
	if fields == nil {
		return nil
	}
	x := &Relaxation{at: r.at(n)}
	for _, name := range []string{"until", "owner", "reason"} {
		if _, ok := fields[name]; !ok {
			r.fail(n, "while_state_down needs %s", name)
		}
	}
	if f, ok := fields["owner"]; ok {
		x.Owner, _ = r.text(f.value, "an owner")
	}
	if f, ok := fields["reason"]; ok {
		x.Reason, _ = r.text(f.value, "a reason")
	}
	if f, ok := fields["until"]; ok {
		x.Until = r.instant(f.value)
		if now := r.vocabulary.Now; !now.IsZero() && x.Until.Sub(now) > longestRelaxation {
			r.fail(f.value, "it lasts at most 4 hours: until %s", now.Add(longestRelaxation).UTC().Format(time.RFC3339))
		}
	}
	return x
}
