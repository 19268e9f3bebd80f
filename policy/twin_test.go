package policy_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"stsgate/policy"
)

// The twin is a slow evaluator that follows the words of the language, rule
// by rule and address by address. It shares no code with the package.

type twinRule struct {
	name   string
	effect string // allow, deny or require
	twinConditions
	answer  string
	expires time.Time
	report  bool
	require int // in twinRequires
	except  []twinException
}

type twinConditions struct {
	match, not map[string][]string // by key; both nil for everyone
	when       int                 // in twinWhens, 0 for none
}

type twinException struct {
	twinConditions
	expires time.Time
}

// A tri is true (1), false (-1) or unknown (0).
type tri int

func triOf(known, b bool) tri {
	switch {
	case !known:
		return 0
	case b:
		return 1
	default:
		return -1
	}
}

var (
	twinNetworks = map[string][]string{
		"n1": {"192.0.2.0/24"},
		"n2": {"192.0.2.0/25", "2001:db8::/32"},
		"n3": {"198.51.100.0/24", "192.0.2.128/32", "2001:db8:1::/48"},
		"n4": {"0.0.0.0/0"},
	}
	twinRealms  = map[string]string{"urn:a": "a", "urn:b": "b", "urn:b2": "b"}
	twinAnswers = map[string]string{"a": "issue", "b": "forward", "rest": "forward"}
	twinValues  = map[string][]string{
		"users":        {"alice@contoso.example", `CONTOSO\bob`, "*@partner.example", "svc-*", `LAB\*`, "con*"},
		"groups":       {"staff", "Admins", "sales"},
		"domains":      {"CONTOSO", "lab"},
		"networks":     {"n1", "n2", "n3", "n4"},
		"countries":    {"DE", "AT", "CH"},
		"asns":         {"AS64500", "64501"},
		"applications": {"a", "b", "rest"},
		"endpoints":    {endpoint13, endpoint2005},
		"versions":     {"1.2", "1.3"},
		"types":        {"issue", "renew", "cancel"},
		"credentials":  {"password", "saml"},
		"token_types":  {"saml1.1", "saml2.0", "urn:jwt"},
		"key_types":    {"bearer", "symmetric"},
		"families":     {"adal", "outlook", "unknown"},
		"hours":        {`{from: "12:00", to: "13:00", zone: UTC}`, `{days: [mon], from: "22:00", to: "12:30", zone: Europe/Berlin}`},
		"on_behalf_of": {"*", "bob", "svc-*"},
		"act_as":       {"*@partner.example", "?"},
		"familiar":     {"true", "false"},
	}
	twinKeys     = slices.Sorted(maps.Keys(twinValues))
	twinRequires = []struct {
		yaml               string
		mfa                bool
		remember, lifetime time.Duration
	}{
		{"{mfa: {}}", true, 0, 0},
		{"{mfa: {remember: 1h, shapes: [code]}}", true, time.Hour, 0},
		{"{mfa: {remember: 8h}, limit: {lifetime: 30m}}", true, 8 * time.Hour, 30 * time.Minute},
		{"{limit: {lifetime: 10m}}", false, 0, 10 * time.Minute},
		{"{limit: {rate: 20/1m}}", false, 0, 0},
	}
)

// twinWhens are expressions, each with what it is by hand.
var twinWhens = []struct {
	source string
	user   bool // it asks about the user
	is     func(f *policy.Facts, application string) tri
}{
	{},
	{"source.failures > 3", false, func(f *policy.Facts, _ string) tri {
		return triOf(f.Known.Has(policy.SourceFailures), f.Source.Failures > 3)
	}},
	{`"staff" in user.groups`, true, func(f *policy.Facts, _ string) tri {
		return triOf(f.Known.Has(policy.UserGroups), twinGroup(f, "staff"))
	}},
	{`request.soap == "1.1" || "sales" in user.groups`, true, func(f *policy.Facts, _ string) tri {
		return max(triOf(f.Known.Has(policy.RequestSOAP), f.Request.SOAP == "1.1"),
			triOf(f.Known.Has(policy.UserGroups), twinGroup(f, "sales")))
	}},
	{`!(client.user_agent == "x" && source.failed_users > 1)`, false, func(f *policy.Facts, _ string) tri {
		return -min(triOf(f.Known.Has(policy.ClientUserAgent), f.Client.UserAgent == "x"),
			triOf(f.Known.Has(policy.SourceFailedUsers), f.Source.FailedUsers > 1))
	}},
	{`client.country == "DE"`, false, func(f *policy.Facts, _ string) tri { return twinCondition("countries", []string{"DE"}, f, "") }},
	{`request.application == "a" && (client.familiar || time < timestamp("2026-12-01T12:00:00Z"))`, true, func(f *policy.Facts, application string) tri {
		return min(triOf(true, application == "a"),
			max(triOf(f.Known.Has(policy.ClientFamiliar), f.Client.Familiar), triOf(f.Known.Has(policy.Time), f.Time.Before(noon))))
	}},
	{`cidr("192.0.2.0/24").containsIP(client.address)`, false, func(f *policy.Facts, _ string) tri { return twinNetwork([]string{"n1"}, f) }},
}

// twinTexts are the keys that compare one text.
var twinTexts = map[string]struct {
	fact policy.Fact
	of   func(*policy.Facts) string
}{
	"endpoints":   {policy.RequestEndpoint, func(f *policy.Facts) string { return f.Request.Endpoint }},
	"versions":    {policy.RequestVersion, func(f *policy.Facts) string { return f.Request.Version }},
	"types":       {policy.RequestType, func(f *policy.Facts) string { return f.Request.Type }},
	"credentials": {policy.RequestCredential, func(f *policy.Facts) string { return f.Request.Credential }},
	"token_types": {policy.RequestTokenType, func(f *policy.Facts) string { return f.Request.TokenType }},
	"key_types":   {policy.RequestKeyType, func(f *policy.Facts) string { return f.Request.KeyType }},
	"families":    {policy.ClientFamily, func(f *policy.Facts) string { return f.Client.Family }},
	"familiar":    {policy.ClientFamiliar, func(f *policy.Facts) string { return fmt.Sprint(f.Client.Familiar) }},
}

// twinCondition evaluates one key.
func twinCondition(key string, values []string, f *policy.Facts, application string) tri {
	if text, ok := twinTexts[key]; ok {
		return triOf(f.Known.Has(text.fact), slices.Contains(values, text.of(f)))
	}
	anyOf := func(fact policy.Fact, holds func(v string) bool) tri {
		return triOf(f.Known.Has(fact), slices.ContainsFunc(values, holds))
	}
	switch key {
	case "applications":
		return triOf(true, slices.Contains(values, application))
	case "networks":
		return twinNetwork(values, f)
	case "countries":
		return twinPlaces(policy.ClientCountry, f, func(p policy.Place) bool { return slices.Contains(values, p.Country) })
	case "asns":
		return twinPlaces(policy.ClientASN, f, func(p policy.Place) bool {
			return slices.Contains(values, fmt.Sprint(p.ASN)) || slices.Contains(values, fmt.Sprint("AS", p.ASN))
		})
	case "groups":
		return anyOf(policy.UserGroups, func(v string) bool { return twinGroup(f, v) })
	case "domains":
		return anyOf(policy.UserDomain, func(v string) bool { return strings.EqualFold(f.User.Domain, v) })
	case "users":
		return max(
			anyOf2(values, f.Known.Has(policy.UserName), f.User.Name, func(v string) bool { return !strings.Contains(v, `\`) }),
			anyOf2(values, f.Known.Has(policy.UserDomain), twinSAM(f), func(v string) bool { return !strings.Contains(v, "@") }))
	case "on_behalf_of":
		return anyOf(policy.DelegationOnBehalfOf, func(v string) bool { return twinName(v, f.Delegation.OnBehalfOf) })
	case "act_as":
		return anyOf(policy.DelegationActAs, func(v string) bool { return twinName(v, f.Delegation.ActAs) })
	case "hours":
		return anyOf(policy.Time, func(v string) bool {
			if strings.Contains(v, "UTC") {
				return f.Time.Hour() == 12
			}
			return f.Time.Before(time.Date(2026, 12, 1, 11, 30, 0, 0, time.UTC)) && f.Time.After(time.Date(2026, 11, 30, 21, 0, 0, 0, time.UTC))
		})
	}
	panic(key)
}

func twinGroup(f *policy.Facts, name string) bool {
	return slices.ContainsFunc(f.User.Groups, func(g string) bool { return strings.EqualFold(g, name) })
}

// anyOf2 compares a name with those of the values that can be one of its form.
func anyOf2(values []string, known bool, name string, form func(string) bool) tri {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return !form(v) })
	if len(values) == 0 {
		return -1
	}
	return triOf(known, slices.ContainsFunc(values, func(v string) bool { return twinName(v, name) }))
}

func twinSAM(f *policy.Facts) string {
	if f.User.Domain == "" || f.User.SAM == "" {
		return ""
	}
	return f.User.Domain + `\` + f.User.SAM
}

func twinName(pattern, name string) bool {
	pattern, name = strings.ToLower(pattern), strings.ToLower(name)
	if name == "" {
		return false
	}
	if text, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, text)
	}
	if text, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(name, text)
	}
	return pattern == name
}

// twinClients are the addresses that the client may be at, or none when they
// are not known.
func twinClients(f *policy.Facts) []netip.Addr {
	clients := f.Client.Forwarded
	if len(clients) == 0 && f.Known.Has(policy.ClientAddress) {
		clients = []netip.Addr{f.Client.Address}
	}
	if !f.Known.Has(policy.ClientForwarded) || slices.Contains(clients, netip.Addr{}) {
		return nil
	}
	return clients
}

func twinNetwork(names []string, f *policy.Facts) tri {
	var sides []bool
	for _, a := range twinClients(f) {
		found := false
		for _, name := range names {
			for _, p := range twinNetworks[name] {
				found = found || netip.MustParsePrefix(p).Contains(a.Unmap().WithZone(""))
			}
		}
		sides = append(sides, found)
	}
	return agreed(sides)
}

func twinPlaces(fact policy.Fact, f *policy.Facts, in func(policy.Place) bool) tri {
	if !f.Known.Has(fact) {
		return 0
	}
	var sides []bool
	for i := range twinClients(f) {
		var p policy.Place
		if i < len(f.Client.Places) {
			p = f.Client.Places[i]
		}
		sides = append(sides, in(p))
	}
	return agreed(sides)
}

func agreed(sides []bool) tri {
	if slices.Contains(sides, true) == slices.Contains(sides, false) { // both, or none
		return 0
	}
	return triOf(true, sides[0])
}

// aboutUser are the keys that ask about the user.
var aboutUser = []string{"users", "groups", "domains", "familiar"}

// is evaluates conditions. Skipped are those on the user, in the view of
// someone who must not learn about it: what of the expression depends on the
// user is unknown.
func (c *twinConditions) is(f *policy.Facts, application string, skipUser bool) tri {
	result := tri(1)
	for i, conditions := range []map[string][]string{c.match, c.not} {
		for key, values := range conditions {
			if skipUser && slices.Contains(aboutUser, key) {
				continue
			}
			one := twinCondition(key, values, f, application)
			if i == 1 {
				one = -one
			}
			result = min(result, one)
		}
	}
	if c.when > 0 && !skipUser {
		result = min(result, twinWhens[c.when].is(f, application))
	}
	return result
}

// forAnyone evaluates conditions for the user for whom they are least true, and
// for the one for whom they are most.
func (c *twinConditions) forAnyone(f *policy.Facts, application string) (least, most tri) {
	least = c.is(f, application, true)
	most = least
	for _, key := range aboutUser {
		if c.match[key] != nil || c.not[key] != nil {
			least = -1
		}
	}
	if c.when > 0 {
		w := &twinWhens[c.when]
		blind := *f
		blind.Known &^= policy.UserFacts
		is := w.is(&blind, application)
		low, high := is, is
		if w.user && is == 0 {
			low, high = -1, 1
		}
		least, most = min(least, low), min(most, high)
	}
	return least, most
}

func twinOver(expires time.Time, f *policy.Facts) bool {
	return !expires.IsZero() && (!f.Known.Has(policy.Time) || !f.Time.Before(expires))
}

// applies tells that the rule counts for the request.
func (r *twinRule) applies(f *policy.Facts, application string) bool {
	is := r.is(f, application, false)
	if r.effect == "allow" {
		return is == 1 && !twinOver(r.expires, f)
	}
	for i := range r.except {
		if e := &r.except[i]; e.is(f, application, false) == 1 && !twinOver(e.expires, f) {
			return false
		}
	}
	return is >= 0
}

// A twinVerdict is what the twin says.
type twinVerdict struct {
	outcome, answer string // allow, deny, conflict or unknown
	owed, reported  []string
	mfa             bool
	remember, life  time.Duration
}

func twinApplication(f *policy.Facts, catchAll bool) string {
	if !f.Known.Has(policy.RequestAppliesTo) || f.Request.AppliesTo == "" {
		return ""
	}
	rest := ""
	if catchAll {
		rest = "rest"
	}
	return cmp.Or(twinRealms[f.Request.AppliesTo], rest)
}

func twinDecide(rules []twinRule, f *policy.Facts, application string) twinVerdict {
	v := twinVerdict{outcome: "unknown"}
	if application == "" {
		return v
	}
	denied, allowed := false, false
	answers := map[string]bool{}
	for i := range rules {
		switch r := &rules[i]; {
		case !r.applies(f, application):
		case r.report:
			v.reported = append(v.reported, r.name)
		case r.effect == "deny":
			denied = true
		case r.effect == "allow":
			allowed = true
			if r.answer != "" {
				answers[r.answer] = true
			}
		default:
			v.owed = append(v.owed, r.name)
			q := twinRequires[r.require]
			if q.mfa && (!v.mfa || q.remember < v.remember) {
				v.mfa, v.remember = true, q.remember
			}
			if q.lifetime > 0 && (v.life == 0 || q.lifetime < v.life) {
				v.life = q.lifetime
			}
		}
	}
	slices.Sort(v.reported)
	slices.Sort(v.owed)
	switch {
	case denied || !allowed:
		v.outcome = "deny"
	case len(answers) > 1:
		v.outcome = "conflict"
	case len(answers) == 1:
		v.outcome, v.answer = "allow", slices.Collect(maps.Keys(answers))[0]
	default:
		v.outcome, v.answer = "allow", twinAnswers[application]
	}
	if v.outcome != "allow" {
		v = twinVerdict{outcome: v.outcome, reported: v.reported}
	}
	return v
}

// twinNamed tells that the request is refused whoever the user is.
func twinNamed(rules []twinRule, f *policy.Facts, application string) bool {
	open := false
	answers := map[string]bool{}
next:
	for i := range rules {
		r := &rules[i]
		least, most := r.forAnyone(f, application)
		switch {
		case r.report || r.effect == "require":
		case r.effect == "deny" && least >= 0:
			for j := range r.except {
				e := &r.except[j]
				if _, high := e.forAnyone(f, application); high == 1 && !twinOver(e.expires, f) {
					continue next
				}
			}
			return true
		case r.effect == "allow" && most == 1 && !twinOver(r.expires, f):
			open = true
			if least == 1 && r.answer != "" {
				answers[r.answer] = true
			}
		}
	}
	return !open || len(answers) > 1
}

// verdict renders a decision as the twin does.
func verdict(d *policy.Decision) twinVerdict {
	v := twinVerdict{outcome: d.Effect.String()}
	for _, r := range d.Reported {
		v.reported = append(v.reported, r.Name)
	}
	for r := range d.Obligations.Rules() {
		v.owed = append(v.owed, r.Name)
	}
	slices.Sort(v.reported)
	slices.Sort(v.owed)
	v.mfa, v.remember, v.life = d.Obligations.SecondFactor, d.Obligations.Remember, d.Obligations.Lifetime
	switch {
	case d.Effect == policy.Allow:
		v.answer = d.Answer.String()
	case d.Cause == policy.UnknownApplication:
		v.outcome = "unknown"
	case d.Cause == policy.Conflict:
		v.outcome = "conflict"
	}
	return v
}
