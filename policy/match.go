package policy

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A clause is one key of a match with its values.
type clause struct {
	key     matchKey
	negated bool
	values  []named
	spans   []span // of hours
	at      place
	number  int32 // of the condition, when the set is compiled
}

// texts returns the values in ascending order.
func (c *clause) texts() []string {
	all := make([]string, len(c.values))
	for i, v := range c.values {
		all[i] = v.text
	}
	slices.Sort(all)
	return all
}

// match reads the conditions of a rule. Everyone has none.
func (r *reader) match(n *yaml.Node) []clause {
	if n.Kind == yaml.ScalarNode {
		if n.ShortTag() == "!!null" {
			r.fail(n, "an empty match: for every request say match: everyone")
		} else {
			r.word(n, "conditions", "everyone")
		}
		return nil
	}
	fields := r.fields(n, inMatch, "conditions or everyone")
	if fields != nil && len(n.Content) == 0 {
		r.fail(n, "an empty match: for every request say match: everyone")
	}
	clauses := r.clauses(fields, false)
	if f, ok := fields[inNot]; ok {
		negated := r.fields(f.value, inNot, "a mapping of conditions")
		if negated != nil && len(f.value.Content) == 0 {
			r.fail(f.value, "an empty not: want conditions")
		}
		clauses = append(clauses, r.clauses(negated, true)...)
	}
	return clauses
}

func (r *reader) clauses(fields map[string]field, negated bool) []clause {
	var all []clause
	for k := range numMatchKeys {
		f, ok := fields[k.String()]
		if !ok {
			continue
		}
		r.available(f.key, k.String(), keyFacts[k])
		c := clause{key: k, negated: negated, at: r.at(f.key)}
		switch k {
		case hours:
			c.spans, c.values = r.hours(f.value)
		case familiar:
			c.values = []named{{strconv.FormatBool(r.truth(f.value)), r.at(f.value)}}
		default:
			read := func(n *yaml.Node) (string, bool) { return r.conditionValue(k, n) }
			c.values = r.texts(f.value, "a list of "+k.String(), "value", read)
		}
		all = append(all, c)
	}
	return all
}

// available refuses a condition on facts that the configuration cannot tell.
func (r *reader) available(n *yaml.Node, what string, facts FactSet) {
	if facts&UserFacts != 0 && !r.vocabulary.Directory {
		r.fail(n, "%s needs a directory, and none is configured", what)
		return
	}
	for _, info := range factInfos {
		if (facts & r.vocabulary.Unavailable).Has(info.Fact) {
			r.fail(n, "%s needs %s, which is not available here", what, info.Name)
			return
		}
	}
}

// conditionValue reads one of the alternatives of a condition, in the form in
// which it is compared.
func (r *reader) conditionValue(k matchKey, n *yaml.Node) (string, bool) {
	switch k {
	case users:
		return r.userName(n)
	case onBehalfOf, actAs:
		return r.pattern(n, "a name")
	case groups, domains:
		s, ok := r.text(n, "a name")
		if strings.Contains(s, "*") {
			r.fail(n, "%q: * has no meaning in %s", s, k)
		}
		return fold(s), ok
	case networks:
		return r.name(n, "a network name")
	case countries:
		return r.country(n)
	case asns:
		return r.asn(n)
	case applications:
		return r.name(n, "an application name")
	case versions:
		return r.word(n, "1.2", "1.3")
	case requestTypes:
		return r.word(n, "issue", "renew", "validate", "cancel")
	case credentials:
		return r.word(n, "password", "digest", "x509", "kerberos", "saml")
	case tokenTypes:
		return r.kindOrURI(n, SAML11, SAML20)
	case keyTypes:
		return r.kindOrURI(n, "bearer", "symmetric", "public")
	case families:
		return r.family(n)
	}
	s, ok := r.text(n, "a path")
	if ok && !slices.Contains(r.vocabulary.Endpoints, s) {
		r.fail(n, "endpoint %q is not published%s", s, didYouMean(s, r.vocabulary.Endpoints))
	}
	return s, ok
}

// userName reads a user name of one of the two forms that the directory has,
// or a pattern.
func (r *reader) userName(n *yaml.Node) (string, bool) {
	s, ok := r.pattern(n, `a user name: user@domain or DOMAIN\user`)
	switch {
	case s == "*":
		r.fail(n, `"*" names every user: leave users out`)
	case ok && !strings.ContainsAny(s, `@\*`):
		r.fail(n, `%q is neither user@domain nor DOMAIN\user`, s)
	}
	return s, ok
}

// pattern reads a name, which may have a * at one end.
func (r *reader) pattern(n *yaml.Node, what string) (string, bool) {
	s, ok := r.text(n, what)
	if strings.Count(s, "*") > 1 || strings.Contains(strings.Trim(s, "*"), "*") {
		r.fail(n, "%q: one * is possible, at the beginning or the end", s)
	}
	return fold(s), ok
}

// asn reads the number of an autonomous system.
func (r *reader) asn(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		return r.text(n, "a number such as 64500")
	}
	digits := strings.TrimPrefix(n.Value, "AS")
	if number, err := strconv.ParseUint(digits, 10, 32); err == nil && number > 0 && strconv.FormatUint(number, 10) == digits {
		return digits, true
	}
	r.fail(n, "%q is not the number of an autonomous system, such as 64500 or AS64500", n.Value)
	return "", false
}

// spelled are the URIs that are known under a word, and compared by it.
var spelled = map[string]string{
	"urn:oasis:names:tc:SAML:1.0:assertion":                                    SAML11,
	"urn:oasis:names:tc:SAML:2.0:assertion":                                    SAML20,
	"http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1": SAML11,
	"http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0": SAML20,
	"http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer":                  "bearer",
	"http://docs.oasis-open.org/ws-sx/ws-trust/200512/SymmetricKey":            "symmetric",
	"http://docs.oasis-open.org/ws-sx/ws-trust/200512/PublicKey":               "public",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey":                "bearer",
	"http://schemas.xmlsoap.org/ws/2005/02/trust/SymmetricKey":                 "symmetric",
	"http://schemas.xmlsoap.org/ws/2005/02/trust/PublicKey":                    "public",
}

// kindOrURI reads a word of a closed list, or the URI of something else.
func (r *reader) kindOrURI(n *yaml.Node, words ...string) (string, bool) {
	switch {
	case n.Kind == yaml.ScalarNode && slices.Contains(words, n.Value):
		return n.Value, true
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && !strings.Contains(n.Value, ":"):
		r.fail(n, "want %s or the URI of another, got %q", strings.Join(words, ", "), n.Value)
		return "", false
	}
	s, ok := r.text(n, "a URI")
	switch {
	case strings.Contains(s, " "):
		r.fail(n, "%q: a URI has no spaces", s)
	case spelled[s] != "":
		r.fail(n, "%q is compared by its word: write %s", s, spelled[s])
	}
	return s, ok
}

// UnknownFamily is the family of a client that fits none, or several.
const UnknownFamily = "unknown"

// family reads the name of a family of clients.
func (r *reader) family(n *yaml.Node) (string, bool) {
	s, ok := r.text(n, "a family")
	if !ok || s == UnknownFamily || slices.Contains(r.vocabulary.Families, s) {
		return s, ok
	}
	if near := nearest(s, r.vocabulary.Families); near != "" {
		r.fail(n, "unknown family %q: did you mean %q?", s, near)
	} else {
		r.fail(n, "unknown family %q: the families are %s", s, strings.Join(append(slices.Clone(r.vocabulary.Families), UnknownFamily), ", "))
	}
	return "", false
}

// fold brings names that are compared without case to one form.
func fold(s string) string { return string(appendFolded(nil, s)) }
