package policy

import (
	"slices"
	"strings"
)

// implies tells that whatever meets c meets o too, as far as it can be seen
// from the words: by keys and values, never by what networks hold. It holds
// for what is unknown as well.
func (c *conditions) implies(o *conditions) bool {
	if o.when != nil && (c.when == nil || c.when.source != o.when.source) {
		return false
	}
	for i := range o.clauses {
		implied := func(mine clause) bool { return mine.implies(&o.clauses[i]) }
		if !slices.ContainsFunc(c.clauses, implied) {
			return false
		}
	}
	return true
}

func (c *clause) implies(o *clause) bool {
	switch {
	case c.key != o.key:
		return false
	case c.negated && o.negated:
		return o.within(c)
	case c.negated:
		return false
	case o.negated:
		return single[c.key] && !c.meets(o)
	default:
		return c.within(o)
	}
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
	switch {
	case c.key != o.key || c.negated && o.negated:
		return false
	case o.negated:
		return c.within(o)
	case c.negated:
		return o.within(c)
	default:
		return single[c.key] && !c.meets(o)
	}
}

// single are the keys of which a request has one value, so that lists without
// a common one exclude each other.
var single = [numMatchKeys]bool{
	domains: true, applications: true, endpoints: true, versions: true, requestTypes: true, credentials: true,
	tokenTypes: true, keyTypes: true, families: true, familiar: true,
}

// within tells that each value of c is among those of o, or fits a pattern of
// them.
func (c *clause) within(o *clause) bool {
	for _, v := range c.values {
		fits := func(p named) bool { return fits(c.key, v.text, p.text) }
		if !slices.ContainsFunc(o.values, fits) {
			return false
		}
	}
	return true
}

// meets tells that the lists have a value in common.
func (c *clause) meets(o *clause) bool {
	for _, v := range c.values {
		if slices.ContainsFunc(o.values, func(w named) bool { return w.text == v.text }) {
			return true
		}
	}
	return false
}

// fits tells that whatever value v stands for, p does too.
func fits(k matchKey, v, p string) bool {
	if v == p {
		return true
	}
	if k != users && k != onBehalfOf && k != actAs {
		return false
	}
	// A pattern with an @ is one of user@domain only.
	if k == users && strings.Contains(v, `\`) && strings.Contains(p, "@") && !strings.Contains(p, `\`) {
		return false
	}
	if text, ok := strings.CutSuffix(p, "*"); ok {
		return strings.HasPrefix(v, text) && (text == "" || !strings.HasPrefix(v, "*"))
	}
	if text, ok := strings.CutPrefix(p, "*"); ok {
		return strings.HasSuffix(v, text) && !strings.HasSuffix(v, "*")
	}
	return false
}

// identity writes the conditions in one form.
func (c *conditions) identity() string {
	var b strings.Builder
	for i := range c.clauses {
		cl := &c.clauses[i]
		if cl.negated {
			b.WriteString("not ")
		}
		b.WriteString(cl.key.String() + "\n" + strings.Join(cl.texts(), "\n") + "\n\n")
	}
	if c.when != nil {
		b.WriteString(c.when.source)
	}
	return b.String()
}
