package portal

import "stsgate/gateway/mfa/factor"

// A Declared route is a row of the table.
type Declared struct {
	Method, Path                     string
	Password, Factor, Fresh, Mutates bool
}

// Declared returns the table.
func (p *Portal) Declared() []Declared {
	var all []Declared
	for _, r := range p.routes {
		all = append(all, Declared{r.method, r.path, r.needs >= password, r.needs >= signedIn, r.fresh, r.mutates})
	}
	return all
}

// Plain is plain.
func Plain(s string) string { return plain(s) }

// Explained tells whether a reason has words of its own.
func Explained(label string) bool { return whyText(label) != whyText("") }

// CookieName is the session's cookie.
const CookieName = cookieName

// Fresh is how old a factor may be for what is sensitive.
const Fresh = factor.Fresh

// WhatWasWrong is whatWasWrong.
func WhatWasWrong(err error) string { return whatWasWrong(err) }
