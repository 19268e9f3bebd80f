package policy

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// domainHole stands in an issuer for the domain of the user's UPN.
const domainHole = "{domain}"

// TakesIssuer tells that the farm's token for the application may name issuer
// (security.md, SIG-10). Where the application lists none, that is the farm's
// own name; upns are the UPNs that the token states.
func (a *Application) TakesIssuer(issuer, farm string, upns []string) bool {
	if len(a.Issuers) == 0 {
		return issuer == farm
	}
	return slices.ContainsFunc(a.Issuers, func(p string) bool { return isIssuer(p, issuer, upns) })
}

// isIssuer compares byte for byte, but for what a * or the hole stands for.
func isIssuer(pattern, issuer string, upns []string) bool {
	if tail, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(issuer, tail)
	}
	if start, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(issuer, start)
	}
	before, after, ok := strings.Cut(pattern, domainHole)
	if !ok {
		return issuer == pattern
	}
	domain, starts := strings.CutPrefix(issuer, before)
	domain, ends := strings.CutSuffix(domain, after)
	return starts && ends && slices.ContainsFunc(upns, func(upn string) bool { return isDomainOf(domain, upn) })
}

// isDomainOf tells that domain is what follows the @ in a UPN, or a domain
// above it with two labels or more: the rules of AD FS for subdomains name that.
func isDomainOf(domain, upn string) bool {
	at := strings.LastIndexByte(upn, '@')
	if at < 0 || domain == "" || strings.HasPrefix(domain, ".") {
		return false
	}
	suffix := upn[at+1:]
	above := len(suffix) - len(domain)
	if above > 0 && suffix[above-1] == '.' && strings.Contains(domain, ".") {
		suffix = suffix[above:]
	}
	return strings.EqualFold(suffix, domain)
}

// issuers reads the issuers of an application.
func (r *reader) issuers(n *yaml.Node) []string {
	var all []string
	for _, i := range r.texts(n, "a list of issuers", "issuer", func(c *yaml.Node) (string, bool) { return r.text(c, "an issuer") }) {
		if wrong := issuerMistake(i.text); wrong != "" {
			r.failAt(i.at.line, i.at.column, "issuer %q: %s", i.text, wrong)
		}
		all = append(all, i.text)
	}
	return all
}

// issuerMistake says what is wrong with an issuer, if anything is.
func issuerMistake(s string) string {
	stars, holes := strings.Count(s, "*"), strings.Count(s, domainHole)
	switch {
	case strings.Contains(s, " "):
		return "an issuer has no spaces"
	case s == "*":
		return "that is any issuer: name those that the farm issues for this application as"
	case stars > 1 || stars == 1 && s[0] != '*' && s[len(s)-1] != '*':
		return "one * stands at the beginning or the end"
	case holes > 1 || strings.Count(s, "{") != holes || strings.Count(s, "}") != holes:
		return domainHole + " stands once, and no other braces"
	case stars == 1 && holes == 1:
		return "either * or " + domainHole + ", not both"
	default:
		return ""
	}
}
