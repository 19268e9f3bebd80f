package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"stsgate/policy"
)

// render writes an explanation in lines.
func render(e policy.Explanation) string {
	var b strings.Builder
	conditions := func(all []policy.ConditionResult) string {
		var s []string
		for _, c := range all {
			not := ""
			if c.Negated {
				not = "not "
			}
			s = append(s, fmt.Sprintf("%s%s %s: %s (%s)", not, c.Key, c.Want, c.Result, c.Got))
		}
		return strings.Join(s, "; ")
	}
	for _, r := range e.Rules {
		fmt.Fprintf(&b, "%s %s: %s\n", r.Rule.Name, r.Result, conditions(r.Conditions))
		for _, x := range r.Exceptions {
			fmt.Fprintf(&b, "  except %s %s: %s\n", x.Exception.Reason, x.Result, conditions(x.Conditions))
		}
	}
	return b.String()
}

// TestExplain checks that an explanation says of each condition what it is, and
// that its decision is Decide's.
func TestExplain(t *testing.T) {
	s := load(t, preamble+
		named("a", `{users: [svc-*], groups: [staff, admins], networks: [labs], not: {applications: [travel]}}`, "allow: {}, expires: 2026-12-01")+
		named("b", `{hours: [{days: [tue], from: "13:00", to: "14:00", zone: Europe/Berlin}], token_types: [saml2.0], on_behalf_of: ["*"]}`, "allow: {}")+
		named("c", `{asns: [64500], countries: [AT], familiar: true, families: [adal]}`, "deny: {}, except: [{match: {groups: [staff]}, owner: o, reason: first, expires: 2026-12-01}, {when: 'source.failures < 5', owner: o, reason: second, expires: 2027-01-01}]")+
		named("d", "everyone", "deny: {}, except: "+except("{groups: [staff]}", "2027-01-01"))+
		"  - {name: e, when: 'user.name == \"x\" || request.soap == \"1.2\"', allow: {}}\n")
	f := alice()
	f.Request.TokenType = ""
	f.Known = f.Known.Without(policy.ClientCountry)
	const want = `a not matched: users svc-*: false (Alice@Contoso.example, CONTOSO\alice); groups admins, staff: true (["Domain Users", Staff]); networks labs: false (192.0.2.10); not applications travel: true (payroll); expires 2026-12-01T00:00:00Z: false (2026-12-01T12:00:00Z)
b not matched: token_types saml2.0: false (empty); hours tue 13:00-14:00 Europe/Berlin: true (2026-12-01T12:00:00Z, Tue 13:00 in Europe/Berlin); on_behalf_of *: false (empty)
c not matched: countries AT: unknown (unknown); asns 64500: true (64500); families adal: false (outlook); familiar true: true (true)
  except first expired: groups staff: true (["Domain Users", Staff])
  except second matched: when source.failures < 5: true (source.failures=0)
d excepted: 
  except tests matched: groups staff: true (["Domain Users", Staff])
e matched: when user.name == "x" || request.soap == "1.2": true (user.name=Alice@Contoso.example, request.soap=1.2)
`
	e := s.Explain(&f)
	if got := render(e); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := decided(e.Decision); got != decided(s.Decide(&f)) || e.Decision.Effect != policy.Allow {
		t.Errorf("the decision is %s", got)
	}
	f.Request.AppliesTo = "urn:nothing"
	if e := s.Explain(&f); e.Decision.Cause != policy.UnknownApplication || len(e.Rules) != 5 || !strings.Contains(render(e), "applications travel: true (empty)") {
		t.Errorf("got %s\n%s", decided(e.Decision), render(e))
	}
}

// TestMentions checks that a set tells which facts its rules ask for, in
// conditions, expressions and exceptions, and no others.
func TestMentions(t *testing.T) {
	s := load(t, preamble+named("a", "{groups: [staff]}", "allow: {}")+
		named("d", "everyone", "deny: {}, except: [{match: {not: {countries: [AT]}}, when: 'source.failures < 5', owner: o, reason: r, expires: 2027-01-01}]"))
	if got, want := s.Mentions(), policy.FactSet(0).With(policy.UserGroups, policy.ClientCountry, policy.SourceFailures); got != want {
		t.Errorf("got %b, want %b", got, want)
	}
	if got := load(t, preamble+named("a", "everyone", "allow: {}")).Mentions(); got != 0 {
		t.Errorf("got %b, want none", got)
	}
}

// POL-09: an explanation says whether the client hears of a refusal.
func TestExplainTold(t *testing.T) {
	const told, hidden = "\nthe client is told\n", "\nto the client it looks like a wrong password\n"
	for rules, want := range map[string]string{
		named("a", "everyone", "allow: {}"):                                                   "",
		named("a", "everyone", "allow: {}") + named("d", "{networks: [offices]}", "deny: {}"): told,
		named("a", "everyone", "allow: {}") + named("d", "{groups: [staff]}", "deny: {}"):     hidden,
		named("a", "{groups: [leavers]}", "allow: {}"):                                        hidden,
		named("a", "{networks: [labs]}", "allow: {}"):                                         told,
	} {
		f := alice()
		x := load(t, preamble+rules).Explain(&f)
		text := x.String()
		if strings.Contains(text, told) != (want == told) || strings.Contains(text, hidden) != (want == hidden) {
			t.Errorf("%s\ngot\n%s\nwant %q", rules, text, want)
		}
	}
}
