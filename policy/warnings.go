package policy

import (
	"fmt"
	"slices"
	"time"
)

// Warnings lists what a correct set probably does not mean, as of now:
// networks that no rule mentions, allows that have expired, and pairs of
// allows that name different answers and can both match.
func (s *Set) Warnings(now time.Time) Errors {
	var all Errors
	warn := func(at place, format string, args ...any) {
		all = append(all, &Error{at.file, at.line, at.column, fmt.Sprintf(format, args...)})
	}
	for _, n := range s.networks {
		if !n.used {
			warn(n.at, "network %q: no rule mentions it", n.name)
		}
	}
	var answering []*Rule
	for _, r := range s.rules {
		switch {
		case lapsed(r.Expires, &Facts{Known: AllFacts, Time: now}):
			warn(r.at, "rule %q expired at %s: it matches nothing", r.Name, r.Expires.Format(time.RFC3339))
		case r.Answer != NoAnswer && !r.ReportOnly:
			answering = append(answering, r)
		}
	}
	for i, a := range answering {
		for _, b := range answering[i+1:] {
			if a.Answer == b.Answer {
				continue
			}
			if app := s.meeting(a, b); app != nil {
				warn(b.at, "rule %q answers %s and rule %q answers %s: a request for application %q that matches both is refused",
					b.Name, b.Answer, a.Name, a.Answer, app.Name)
			}
		}
	}
	return all.sorted()
}

// meeting returns an application for which both rules can match, or nil.
func (s *Set) meeting(a, b *Rule) *Application {
	if a.excludes(&b.conditions) {
		return nil
	}
	for _, app := range s.applications {
		if a.covers(app.Name) && b.covers(app.Name) {
			return app
		}
	}
	return nil
}

// excludes tells that no request can meet both.
func (c *conditions) excludes(o *conditions) bool {
	for i := range c.clauses {
		for j := range o.clauses {
			if c.clauses[i].excludes(&o.clauses[j]) {
				return true
			}
		}
	}
	return false
}

// excludes tells that no request can meet both clauses.
func (c *clause) excludes(o *clause) bool {
	if c.key != o.key || c.negated && o.negated {
		return false
	}
	mine, theirs := c.texts(), o.texts()
	switch {
	case o.negated:
		return len(without(mine, theirs)) == 0
	case c.negated:
		return len(without(theirs, mine)) == 0
	case single[c.key]:
		return len(without(mine, theirs)) == len(mine)
	default:
		return false
	}
}

// single are the keys of which a request has one value, so that lists without
// a common one exclude each other.
var single = [numMatchKeys]bool{
	domains: true, applications: true, endpoints: true, versions: true, requestTypes: true, credentials: true,
	tokenTypes: true, keyTypes: true, families: true, familiar: true,
}

// without returns the texts of a that are not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
