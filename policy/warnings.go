package policy

import "time"

// Warnings lists what a correct set probably does not mean, as of now:
// networks that no rule mentions, that hold a prefix twice, or every address
// for an allow, rules in the shadow of others, allows that
// rest on the family of a client, openings that have ended or end within 30
// days, and pairs of allows that name different answers and can both match.
func (s *Set) Warnings(now time.Time) Errors {
	var all Errors
	warn := func(at place, format string, args ...any) {
		all = append(all, at.errorf(format, args...))
	}
	for _, n := range s.networks {
		if !n.used {
			warn(n.at, "network %q: no rule mentions it", n.name)
		}
		n.nested(warn)
	}
	s.wide(warn)
	s.shadows(warn)
	s.endings(now, warn)
	var answering []*Rule
	for _, r := range s.rules {
		for i := range r.clauses {
			if c := &r.clauses[i]; r.Effect == Allow && c.key == families {
				warn(c.at, "rule %q allows by a family, which is the client's own claim", r.Name)
			}
		}
		if r.Answer != NoAnswer && !r.ReportOnly && (r.Expires.IsZero() || now.Before(r.Expires)) {
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

// soon is how long before its end an opening is warned of.
const soon = 30 * 24 * time.Hour

// endings warns of openings that have ended, and of those that end soon.
func (s *Set) endings(now time.Time, warn func(at place, format string, args ...any)) {
	for _, r := range s.rules {
		switch end := r.Expires.Format(time.RFC3339); {
		case r.Expires.IsZero() || r.Expires.Sub(now) > soon:
		case now.Before(r.Expires):
			warn(r.at, "rule %q expires at %s", r.Name, end)
		default:
			warn(r.at, "rule %q expired at %s: it matches nothing", r.Name, end)
		}
		for _, e := range r.Exceptions {
			switch end := e.Expires.Format(time.RFC3339); {
			case e.Expires.Sub(now) > soon:
			case now.Before(e.Expires):
				warn(e.at, "the exception from rule %q (%s) expires at %s", r.Name, e.Reason, end)
			default:
				warn(e.at, "the exception from rule %q (%s) expired at %s: it excepts nothing", r.Name, e.Reason, end)
			}
		}
	}
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
