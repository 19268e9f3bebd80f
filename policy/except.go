package policy

import (
	"time"

	"go.yaml.in/yaml/v4"
)

// maxException is the longest that a second factor can be left out (security.md,
// MFA-18).
const maxException = 90 * 24 * time.Hour

// An Exception is an entry of except: requests to which a deny or a require
// does not apply, for a while.
type Exception struct {
	// Owner answers for it, and Reason says why there is one.
	Owner, Reason string
	// Expires is the second from which it excepts nothing.
	Expires time.Time
	// File and Line are where it stands.
	File string
	Line int

	at place
	conditions
}

// exception reads one entry of except, or returns nil for what is no mapping.
func (r *reader) exception(n *yaml.Node, rule *Rule) *Exception {
	fields := r.fields(n, inExcept, "an exception: a mapping with match or when, owner, reason and expires")
	if fields == nil {
		return nil
	}
	e := &Exception{File: r.file, Line: n.Line, at: r.at(n)}
	for _, name := range []string{"owner", "reason", "expires"} {
		if _, ok := fields[name]; !ok {
			r.fail(n, "an exception needs %s", name)
		}
	}
	if f, ok := fields["owner"]; ok {
		e.Owner, _ = r.text(f.value, "an owner")
	}
	if f, ok := fields["reason"]; ok {
		e.Reason, _ = r.text(f.value, "a reason")
	}
	if f, ok := fields["expires"]; ok {
		e.Expires = r.instant(f.value)
		if now := r.vocabulary.Now; rule.MFA != nil && !now.IsZero() && e.Expires.After(now.Add(maxException)) {
			r.fail(f.value, "an exception from mfa lasts at most 90 days: until %s", now.Add(maxException).UTC().Format(time.DateOnly))
		}
	}
	e.conditions = r.conditions(n, fields, "an exception")
	return e
}

// lapsed tells that what expires no longer holds. An unknown time is late.
func lapsed(expires time.Time, f *Facts) bool {
	return !expires.IsZero() && (!f.timed() || !f.Time.Before(expires))
}
