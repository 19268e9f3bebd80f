package policy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/policy"
)

const (
	endpoint13   = "/adfs/services/trust/13/usernamemixed"
	endpoint2005 = "/adfs/services/trust/2005/usernamemixed"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// server is one of Exchange Online's.
var server = netip.MustParseAddr("203.0.113.200")

func addrs(all ...string) []netip.Addr {
	var list []netip.Addr
	for _, a := range all {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

// alice is a request of a known user, from the offices, for payroll.
func alice() policy.Facts {
	return policy.Facts{
		Known: policy.AllFacts,
		Time:  noon,
		User: policy.User{
			Name: "Alice@Contoso.example", SAM: "alice", Domain: "CONTOSO",
			Groups: []string{"Domain Users", "Staff"},
		},
		Client: policy.Client{
			Address: netip.MustParseAddr("192.0.2.10"), Places: []policy.Place{{Country: "DE", ASN: 64500}}, Family: "outlook", Familiar: true,
		},
		Request: policy.Request{
			AppliesTo: "urn:payroll", Endpoint: endpoint13, Version: "1.3", Type: "issue", Credential: "password",
			TokenType: "saml1.1", KeyType: "bearer", SOAP: "1.2",
		},
	}
}

// preamble has what the rules of the tests name.
const preamble = `
networks:
  offices: [192.0.2.0/24, 2001:db8::/32]
  labs: [198.51.100.0/24]
  halls: [203.0.113.0/24]
applications:
  payroll: {realms: ["urn:payroll"], answer: issue}
  travel: {realms: ["urn:travel"], answer: forward}
rules:
`

// named writes a rule.
func named(name, match, effect string) string {
	return fmt.Sprintf("  - {name: %s, match: %s, %s}\n", name, match, effect)
}

// when writes a rule with an expression.
func when(name, expression, effect string) string {
	return fmt.Sprintf("  - {name: %s, when: %q, %s}\n", name, expression, effect)
}

// except writes an exception.
func except(match, expires string) string {
	return fmt.Sprintf("[{match: %s, owner: ops, reason: tests, expires: %s}]", match, expires)
}

// TestMatch checks each condition by an allow and by a deny with the same
// match: true grants and refuses, false does neither, and unknown refuses and
// does not grant.
func TestMatch(t *testing.T) {
	const yes, no, unknown = "true", "false", "unknown"
	with := func(change func(f *policy.Facts)) policy.Facts { f := alice(); change(&f); return f }
	clients := func(all ...string) policy.Facts {
		return with(func(f *policy.Facts) { f.Client = policy.Client{Address: server, Forwarded: addrs(all...)} })
	}
	without := func(facts ...policy.Fact) policy.Facts {
		return with(func(f *policy.Facts) { f.Known = f.Known.Without(facts...) })
	}
	absent := with(func(f *policy.Facts) { f.User = policy.User{} })
	down := with(func(f *policy.Facts) { f.User, f.Known = policy.User{}, f.Known&^policy.UserFacts })
	places := func(countries ...string) policy.Facts {
		return with(func(f *policy.Facts) {
			f.Client.Forwarded, f.Client.Places = addrs("198.51.100.1", "203.0.113.1"), nil
			for _, c := range countries {
				f.Client.Places = append(f.Client.Places, policy.Place{Country: c})
			}
		})
	}
	onBehalf := func(name string) policy.Facts {
		return with(func(f *policy.Facts) { f.Delegation.OnBehalfOf = name })
	}
	tests := []struct {
		name  string
		match string
		facts policy.Facts
		want  string
	}{
		{"everyone", "everyone", alice(), yes},
		{"everyone, of an unknown user", "everyone", down, yes},

		{"UPN without case", "{users: [aLICE@contoso.EXAMPLE]}", alice(), yes},
		{"domain name without case", `{users: ['contoso\ALICE']}`, alice(), yes},
		{"another user", "{users: [alice@other.example, bob@contoso.example]}", alice(), no},
		{"another domain", `{users: ['OTHER\alice']}`, alice(), no},
		{"pattern by domain", `{users: ["*@contoso.example"]}`, alice(), yes},
		{"pattern by prefix", "{users: [ali*]}", alice(), yes},
		{"pattern on the domain name", `{users: ['CONTOSO\*']}`, alice(), yes},
		{"pattern for all of a name", `{users: ["alice@contoso.example*"]}`, alice(), yes},
		{"pattern of others", `{users: [svc-*, "*@partner.example", "x*"]}`, alice(), no},
		{"pattern longer than the name", `{users: ["*aaaaaaaaaaaaaaaaaaaaaaaaaaaalice@contoso.example"]}`, alice(), no},
		{"name in other letters", "{users: [JÜRGEN@contoso.example]}",
			with(func(f *policy.Facts) { f.User.Name = "jürgen@contoso.example" }), yes},
		{"no user", "{users: [alice@contoso.example]}", absent, no},
		{"unknown user", "{users: [alice@contoso.example]}", down, unknown},
		{"half a domain name", `{users: ['CONTOSO\*', '*\alice']}`,
			with(func(f *policy.Facts) { f.User = policy.User{SAM: "alice"} }), no},

		{"group without case", "{groups: [admins, STAFF]}", alice(), yes},
		{"not in the group", "{groups: [admins]}", alice(), no},
		{"group of an unknown user", "{groups: [admins]}", down, unknown},
		{"group of no user", "{groups: [admins]}", absent, no},
		{"not: group", "{not: {groups: [staff]}}", alice(), no},
		{"not: other group", "{not: {groups: [admins]}}", alice(), yes},
		{"not: group of an unknown user", "{not: {groups: [admins]}}", down, unknown},
		{"not: group of no user", "{not: {groups: [admins]}}", absent, yes},

		{"domain", "{domains: [contoso]}", alice(), yes},
		{"other domain", "{domains: [lab]}", alice(), no},
		{"domain of an unknown user", "{domains: [lab]}", down, unknown},

		{"in the network", "{networks: [offices]}", alice(), yes},
		{"in one of the networks", "{networks: [labs, offices]}", alice(), yes},
		{"not in the network", "{networks: [labs]}", alice(), no},
		{"not: network", "{not: {networks: [offices, labs]}}", alice(), no},
		{"not: other network", "{not: {networks: [labs]}}", alice(), yes},
		{"no address", "{networks: [offices]}", without(policy.ClientAddress), unknown},
		{"not: no address", "{not: {networks: [labs]}}", without(policy.ClientAddress), unknown},
		{"an invalid address", "{networks: [labs]}", with(func(f *policy.Facts) { f.Client.Address = netip.Addr{} }), unknown},
		{"IPv4 in IPv6 form", "{networks: [offices]}", clients("::ffff:192.0.2.1"), yes},
		{"IPv6", "{networks: [offices]}", clients("2001:db8::1"), yes},
		{"IPv6 with a zone", "{networks: [offices]}", clients("2001:db8::1%eth0"), yes},
		{"both in", "{networks: [offices]}", clients("192.0.2.1", "192.0.2.2"), yes},
		{"both out", "{networks: [offices]}", clients("198.51.100.1", "203.0.113.1"), no},
		{"both sides", "{networks: [offices]}", clients("192.0.2.1", "203.0.113.1"), unknown},
		{"both sides, the other way round", "{networks: [offices]}", clients("203.0.113.1", "192.0.2.1"), unknown},
		{"not: both sides", "{not: {networks: [offices]}}", clients("192.0.2.1", "203.0.113.1"), unknown},
		{"in by different networks", "{networks: [offices, labs]}", clients("192.0.2.1", "198.51.100.1"), yes},
		{"not: in by different networks", "{not: {networks: [offices, labs]}}", clients("192.0.2.1", "198.51.100.1"), no},

		{"application", "{applications: [payroll]}", alice(), yes},
		{"other application", "{applications: [travel]}", alice(), no},
		{"not: application", "{not: {applications: [payroll]}}", alice(), no},
		{"not: other application", "{not: {applications: [travel]}}", alice(), yes},

		{"endpoint", "{endpoints: [" + endpoint13 + "]}", alice(), yes},
		{"other endpoint", "{endpoints: [" + endpoint2005 + "]}", alice(), no},
		{"unknown endpoint", "{endpoints: [" + endpoint13 + "]}", without(policy.RequestEndpoint), unknown},
		{"version", `{versions: [1.3]}`, alice(), yes},
		{"other version", `{versions: ["1.2"]}`, alice(), no},
		{"unknown version", `{not: {versions: ["1.2"]}}`, without(policy.RequestVersion), unknown},

		{"UPN though the domain is unknown", "{users: [alice@contoso.example]}", without(policy.UserDomain), yes},
		{"domain name though the UPN is unknown", `{users: ['CONTOSO\alice']}`, without(policy.UserName), yes},
		{"pattern when one name is unknown", "{users: [svc-*]}", without(policy.UserName), unknown},
		{"pattern that the other name has", "{users: [ali*]}", without(policy.UserDomain), yes},

		{"country", "{countries: [AT, DE]}", alice(), yes},
		{"other country", "{countries: [AT, CH]}", alice(), no},
		{"not: other country", "{not: {countries: [AT]}}", alice(), yes},
		{"unknown country", "{not: {countries: [AT]}}", without(policy.ClientCountry), unknown},
		{"no country", "{countries: [DE]}", with(func(f *policy.Facts) { f.Client.Places = nil }), no},
		{"not: no country", "{not: {countries: [DE]}}", with(func(f *policy.Facts) { f.Client.Places = []policy.Place{{}} }), yes},
		{"both countries", "{countries: [AT, DE]}", places("DE", "AT"), yes},
		{"one of two countries", "{countries: [AT]}", places("DE", "AT"), unknown},
		{"not: one of two countries", "{not: {countries: [AT]}}", places("DE", "AT"), unknown},
		{"neither country", "{countries: [CH]}", places("DE", "AT"), no},
		{"a second address in no country", "{countries: [DE]}", places("DE", ""), unknown},
		{"addresses that are unknown", "{countries: [DE]}", without(policy.ClientForwarded), unknown},
		{"autonomous system", "{asns: [AS64500]}", alice(), yes},
		{"other autonomous system", "{asns: [64501]}", alice(), no},
		{"unknown autonomous system", "{asns: [64501]}", without(policy.ClientASN), unknown},
		{"no autonomous system", "{not: {asns: [64500]}}", with(func(f *policy.Facts) { f.Client.Places = nil }), yes},

		{"type", "{types: [renew, issue]}", alice(), yes},
		{"other type", "{types: [renew]}", alice(), no},
		{"unknown type", "{types: [renew]}", without(policy.RequestType), unknown},
		{"credential", "{credentials: [password]}", alice(), yes},
		{"other credential", "{credentials: [saml, x509]}", alice(), no},
		{"no credential", "{not: {credentials: [password]}}", with(func(f *policy.Facts) { f.Request.Credential = "" }), yes},
		{"unknown credential", "{credentials: [saml]}", without(policy.RequestCredential), unknown},
		{"token type", "{token_types: [saml1.1]}", alice(), yes},
		{"no token type", "{token_types: [saml1.1, saml2.0]}", with(func(f *policy.Facts) { f.Request.TokenType = "" }), no},
		{"token type by URI", "{token_types: ['urn:jwt']}", with(func(f *policy.Facts) { f.Request.TokenType = "urn:jwt" }), yes},
		{"key type", "{key_types: [symmetric, bearer]}", alice(), yes},
		{"other key type", "{key_types: [public]}", alice(), no},
		{"unknown key type", "{key_types: [public]}", without(policy.RequestKeyType), unknown},
		{"family", "{families: [adal, outlook]}", alice(), yes},
		{"other family", "{families: [unknown, adal]}", alice(), no},
		{"a family that fits none", "{families: [unknown]}", with(func(f *policy.Facts) { f.Client.Family = policy.UnknownFamily }), yes},
		{"nobody knows the family", "{families: [unknown]}", without(policy.ClientFamily), unknown},
		{"familiar", "{familiar: true}", alice(), yes},
		{"not familiar", "{familiar: false}", alice(), no},
		{"not: familiar", "{not: {familiar: true}}", alice(), no},
		{"unknown whether familiar", "{familiar: false}", without(policy.ClientFamiliar), unknown},
		{"for nobody", `{act_as: ["*"]}`, alice(), no},
		{"not: for anybody", `{not: {act_as: ["*"], on_behalf_of: ["*"]}}`, alice(), yes},
		{"for somebody", `{on_behalf_of: ["*"]}`, onBehalf("Bob"), yes},
		{"for somebody by name", `{on_behalf_of: [BOB]}`, onBehalf("Bob"), yes},
		{"for somebody by pattern", `{on_behalf_of: ["*@partner.example", "bo*"]}`, onBehalf("Bob"), yes},
		{"for somebody else", `{on_behalf_of: [carol, "*x"]}`, onBehalf("Bob"), no},
		{"for somebody without a name", `{on_behalf_of: ["?"]}`, onBehalf("?"), yes},
		{"for anybody, without a name", `{on_behalf_of: ["*"]}`, onBehalf("?"), yes},
		{"unknown for whom", `{not: {act_as: ["*"]}}`, without(policy.DelegationActAs), unknown},
		{"within hours", `{hours: [{days: [tue], from: "11:00", to: "13:00", zone: UTC}]}`, alice(), yes},
		{"outside hours", `{hours: [{days: [tue], from: "08:00", to: "12:00", zone: UTC}]}`, alice(), no},
		{"in one span", `{hours: [{days: [mon], from: "11:00", to: "13:00", zone: UTC}, {from: "12:00", to: "13:00", zone: UTC}]}`, alice(), yes},
		{"not: hours", `{not: {hours: [{days: [tue], from: "11:00", to: "13:00", zone: UTC}]}}`, alice(), no},
		{"unknown time", `{hours: [{days: [tue], from: "11:00", to: "13:00", zone: UTC}]}`, without(policy.Time), unknown},

		{"all keys hold", "{groups: [staff], networks: [offices], not: {domains: [lab]}}", alice(), yes},
		{"one does not", "{groups: [staff], networks: [labs], not: {domains: [lab]}}", alice(), no},
		{"not is by key", "{not: {networks: [labs], groups: [staff]}}", alice(), no},
		{"false beats unknown", "{groups: [staff], networks: [labs]}", down, no},
		{"unknown beats true", "{groups: [staff], networks: [offices]}", down, unknown},
		{"a key and its negation", "{networks: [offices], not: {networks: [offices]}}", alice(), no},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			allow := load(t, preamble+named("r", tt.match, "allow: {}"))
			deny := load(t, preamble+named("r", tt.match, "deny: {}")+named("all", "everyone", "allow: {}"))
			allows := allow.Decide(&tt.facts).Effect == policy.Allow
			denies := deny.Decide(&tt.facts).Effect == policy.Deny
			got := map[[2]bool]string{{true, true}: yes, {false, false}: no, {false, true}: unknown}[[2]bool{allows, denies}]
			if got != tt.want {
				t.Errorf("got %s (allow %v, deny %v), want %s", got, allows, denies, tt.want)
			}
		})
	}
}

// decided renders what matters of a decision.
func decided(d policy.Decision) string {
	s := fmt.Sprintf("%s %s %q %s", d.Effect, d.Cause, d.Rule, d.Answer)
	if d.Other != "" {
		s += fmt.Sprintf(" other=%q", d.Other)
	}
	if d.Named {
		s += " named"
	}
	if owed := slices.Collect(d.Obligations.Rules()); len(owed) > 0 {
		s += " owes=" + ruleNames(owed)
	}
	if len(d.Excepted) > 0 {
		s += " excepted=" + ruleNames(d.Excepted)
	}
	if len(d.Reported) > 0 {
		s += " reported=" + ruleNames(d.Reported)
	}
	return s
}

func ruleNames(rules []*policy.Rule) string {
	var all []string
	for _, r := range rules {
		all = append(all, r.Name)
	}
	return strings.Join(all, ",")
}

// TestDecide is the table of decisions (POL-02), with who may be told of
// them (POL-09).
func TestDecide(t *testing.T) {
	at := func(s string) policy.Facts { f := alice(); f.Time, _ = time.Parse(time.RFC3339, s); return f }
	timeless := alice()
	timeless.Known = timeless.Known.Without(policy.Time)
	realm := func(s string) policy.Facts { f := alice(); f.Request.AppliesTo = s; return f }
	down := alice()
	down.User, down.Known = policy.User{}, down.Known&^policy.UserFacts
	nowhere := alice()
	nowhere.Known = nowhere.Known.Without(policy.ClientForwarded)
	astride := alice()
	astride.Client.Forwarded = addrs("192.0.2.1", "203.0.113.1")

	tests := []struct {
		name  string
		rules string
		facts policy.Facts
		want  string
	}{
		{"no rule", "", alice(), `deny no-allow "" none named`},
		{"an allow", named("a", "everyone", "allow: {}"), alice(), `allow allow "a" issue`},
		{"two allows", named("b", "everyone", "allow: {}") + named("a", "everyone", "allow: {}"), alice(), `allow allow "a" issue`},
		{"a deny wins", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}"), alice(), `deny deny "d" none named`},
		{"a deny for others", named("a", "everyone", "allow: {}") + named("d", "{networks: [labs]}", "deny: {}"), alice(), `allow allow "a" issue`},
		{"only a deny", named("d", "{networks: [labs]}", "deny: {}"), alice(), `deny no-allow "" none named`},
		{"an unknown deny", named("a", "everyone", "allow: {}") + named("d", "{networks: [labs]}", "deny: {}"),
			nowhere, `deny deny "d" none named`},
		{"an unknown allow", named("a", "{networks: [offices]}", "allow: {}"), astride, `deny no-allow "" none named`},

		{"unknown application", named("a", "everyone", "allow: {}"), realm("urn:nothing"), `deny unknown-application "" none named`},
		{"realm in other case", named("a", "everyone", "allow: {}"), realm("urn:Payroll"), `deny unknown-application "" none named`},
		{"no realm", named("a", "everyone", "allow: {}"), realm(""), `deny unknown-application "" none named`},
		{"application's answer", named("a", "everyone", "allow: {}"), realm("urn:travel"), `allow allow "a" forward`},

		{"rule's answer", named("a", "everyone", "allow: {answer: forward}"), alice(), `allow allow "a" forward`},
		{"rule's answer beats none", named("a", "everyone", "allow: {}") + named("b", "everyone", "allow: {answer: forward}"), alice(), `allow allow "b" forward`},
		{"the same answer twice", named("a", "everyone", "allow: {answer: forward}") + named("b", "everyone", "allow: {answer: forward}"), alice(), `allow allow "a" forward`},
		{"conflict", named("a", "everyone", "allow: {answer: issue}") + named("b", "everyone", "allow: {answer: forward}"), alice(), `deny conflict "a" none other="b" named`},
		{"conflict of three", named("a", "everyone", "allow: {}") + named("b", "everyone", "allow: {answer: forward}") + named("c", "everyone", "allow: {answer: issue}"), alice(),
			`deny conflict "b" none other="c" named`},
		{"conflict for this user", named("a", "everyone", "allow: {answer: issue}") + named("b", "{groups: [staff]}", "allow: {answer: forward}"), alice(),
			`deny conflict "a" none other="b"`},
		{"no conflict with a rule that does not match", named("a", "everyone", "allow: {answer: issue}") + named("b", "{groups: [admins]}", "allow: {answer: forward}"), alice(),
			`allow allow "a" issue`},
		{"no conflict with a rule that reports", named("a", "everyone", "allow: {answer: issue}") + named("b", "everyone", "allow: {answer: forward}, mode: report-only"), alice(),
			`allow allow "a" issue reported=b`},

		{"not yet expired", named("a", "everyone", "allow: {}, expires: 2026-12-02"), at("2026-12-01T23:59:59Z"), `allow allow "a" issue`},
		{"expired from that second", named("a", "everyone", "allow: {}, expires: 2026-12-02"), at("2026-12-02T00:00:00Z"), `deny no-allow "" none named`},
		{"expires at a time", named("a", "everyone", "allow: {}, expires: 2026-12-02T01:00:00+01:00"), at("2026-12-02T00:00:00Z"), `deny no-allow "" none named`},
		{"expires when nobody knows the time", named("a", "everyone", "allow: {}, expires: 2126-12-02"), timeless, `deny no-allow "" none named`},

		{"a deny that reports", named("a", "everyone", "allow: {}") + named("d", "{groups: [staff]}", "deny: {}, mode: report-only"), alice(), `allow allow "a" issue reported=d`},
		{"an unknown deny that reports", named("a", "everyone", "allow: {}") + named("d", "{groups: [admins]}", "deny: {}, mode: report-only"), down, `allow allow "a" issue reported=d`},
		{"a deny that would not have applied", named("a", "everyone", "allow: {}") + named("d", "{groups: [admins]}", "deny: {}, mode: report-only"), alice(), `allow allow "a" issue`},
		{"an allow that reports", named("a", "everyone", "allow: {}, mode: report-only"), alice(), `deny no-allow "" none named reported=a`},
		{"an unknown allow that reports", named("a", "{groups: [staff]}", "allow: {}, mode: report-only"), down, `deny no-allow "" none named`},
		{"denied and reported", named("a", "everyone", "allow: {}, mode: report-only") + named("d", "everyone", "deny: {}") + named("e", "everyone", "deny: {}, mode: report-only"), alice(),
			`deny deny "d" none named reported=e,a`},

		{"a require", named("a", "everyone", "allow: {}") + named("m", "everyone", "require: {mfa: {}}"), alice(), `allow allow "a" issue owes=m`},
		{"a require grants nothing", named("m", "everyone", "require: {mfa: {}}"), alice(), `deny no-allow "" none named`},
		{"a require for others", named("a", "everyone", "allow: {}") + named("m", "{groups: [admins]}", "require: {mfa: {}}"), alice(), `allow allow "a" issue`},
		{"an unknown require", named("a", "everyone", "allow: {}") + named("m", "{groups: [admins]}", "require: {mfa: {}}"), down, `allow allow "a" issue owes=m`},
		{"a require of who is denied", named("d", "everyone", "deny: {}") + named("m", "everyone", "require: {mfa: {}}"), alice(), `deny deny "d" none named`},
		{"a require that reports", named("a", "everyone", "allow: {}") + named("m", "everyone", "require: {mfa: {}}, mode: report-only"), alice(), `allow allow "a" issue reported=m`},
		{"a require that reports of who is denied", named("d", "everyone", "deny: {}") + named("m", "everyone", "require: {limit: {lifetime: 10m}}, mode: report-only"), alice(), `deny deny "d" none named reported=m`},
		{"requires by name", named("a", "everyone", "allow: {}") + named("m", "everyone", "require: {mfa: {}}") + named("l", "everyone", "require: {limit: {lifetime: 10m}}"), alice(), `allow allow "a" issue owes=l,m`},

		{"an exception of a deny", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("{groups: [staff]}", "2026-12-02")), alice(), `allow allow "a" issue`},
		{"an exception of others", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("{groups: [admins]}", "2026-12-02")), alice(), `deny deny "d" none`},
		{"an exception that is over", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("{groups: [staff]}", "2026-12-01T12:00:00Z")), alice(), `deny deny "d" none named`},
		{"an exception that ends in a second", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("{groups: [staff]}", "2026-12-01T12:00:01Z")), alice(), `allow allow "a" issue`},
		{"an exception when nobody knows the time", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("{groups: [staff]}", "2026-12-02")), timeless, `deny deny "d" none named`},
		{"an unknown exception", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("{groups: [staff]}", "2026-12-02")), down, `deny deny "d" none`},
		{"an exception for another application", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("{applications: [travel], groups: [staff]}", "2026-12-02")), alice(), `deny deny "d" none named`},
		{"an exception for this application", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("{applications: [payroll]}", "2026-12-02")), alice(), `allow allow "a" issue`},
		{"an exception of a require", named("a", "everyone", "allow: {}") + named("m", "everyone", "require: {mfa: {}}, except: "+except("{networks: [offices]}", "2026-12-02")), alice(), `allow allow "a" issue excepted=m`},
		{"an exception of a require that reports", named("a", "everyone", "allow: {}") + named("m", "everyone", "require: {mfa: {}}, mode: report-only, except: "+except("{networks: [offices]}", "2026-12-02")), alice(), `allow allow "a" issue`},
		{"an exception of a require, denied", named("m", "everyone", "require: {mfa: {}}, except: "+except("{networks: [offices]}", "2026-12-02")), alice(), `deny no-allow "" none named`},
		{"an unknown exception of a require", named("a", "everyone", "allow: {}") + named("m", "everyone", "require: {mfa: {}}, except: "+except("{networks: [offices]}", "2026-12-02")), nowhere, `allow allow "a" issue owes=m`},
		{"an exception of a deny that reports", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, mode: report-only, except: "+except("{groups: [staff]}", "2026-12-02")), alice(), `allow allow "a" issue`},

		{"a when that is true", when("a", "request.type == 'issue'", "allow: {}"), alice(), `allow allow "a" issue`},
		{"a when that is false", when("a", "request.type == 'renew'", "allow: {}"), alice(), `deny no-allow "" none named`},
		{"match and when must both hold", "  - {name: a, match: {groups: [staff]}, when: \"request.type == 'renew'\", allow: {}}\n", alice(), `deny no-allow "" none named`},
		{"an unknown when of an allow", when("a", "cidr('192.0.2.0/24').containsIP(client.address)", "allow: {}"), nowhere, `deny no-allow "" none named`},
		{"an unknown when of a deny", named("a", "everyone", "allow: {}") + when("d", "cidr('198.51.100.0/24').containsIP(client.address)", "deny: {}"), nowhere, `deny deny "d" none named`},
		{"an unknown when of a require", named("a", "everyone", "allow: {}") + when("m", "'admins' in user.groups", "require: {mfa: {}}"), down, `allow allow "a" issue owes=m`},
		{"an exception by when", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: [{when: 'source.failures == 0', owner: o, reason: r, expires: 2027-01-01}]"), alice(), `allow allow "a" issue`},
		{"denied by a when for this user", named("a", "everyone", "allow: {}") + when("d", "'staff' in user.groups", "deny: {}"), alice(), `deny deny "d" none`},
		{"denied by a when for any user", named("a", "everyone", "allow: {}") + when("d", "'admins' in user.groups || request.type == 'issue'", "deny: {}"), alice(), `deny deny "d" none named`},
		{"no allow by a when for this user", when("a", "'admins' in user.groups", "allow: {}"), alice(), `deny no-allow "" none`},
		{"no allow by a when for anybody", when("a", "'admins' in user.groups && request.type == 'renew'", "allow: {}"), alice(), `deny no-allow "" none named`},
		{"an exception by a when on the user", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: [{when: \"'admins' in user.groups\", owner: o, reason: r, expires: 2027-01-01}]"), alice(), `deny deny "d" none`},
		{"an exception by a when for nobody", named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: [{when: \"'admins' in user.groups && request.type == 'renew'\", owner: o, reason: r, expires: 2027-01-01}]"), alice(), `deny deny "d" none named`},

		{"denied for this user", named("a", "everyone", "allow: {}") + named("d", "{groups: [staff]}", "deny: {}"), alice(), `deny deny "d" none`},
		{"denied because the user is unknown", named("a", "everyone", "allow: {}") + named("d", "{groups: [admins]}", "deny: {}"), down, `deny deny "d" none`},
		{"denied for this user and for any", named("a", "everyone", "allow: {}") + named("d", "{groups: [staff]}", "deny: {}") + named("e", "{networks: [offices]}", "deny: {}"), alice(),
			`deny deny "e" none named`},
		{"denied for this user, and no allow for anybody", named("a", "{networks: [labs]}", "allow: {}") + named("d", "{groups: [staff]}", "deny: {}"), alice(),
			`deny deny "d" none named`},
		{"no allow for this user", named("a", "{groups: [admins]}", "allow: {}"), alice(), `deny no-allow "" none`},
		{"no allow for anybody here", named("a", "{groups: [admins], networks: [labs]}", "allow: {}"), alice(), `deny no-allow "" none named`},
		{"no allow since the user is unknown", named("a", "{groups: [admins]}", "allow: {}"), down, `deny no-allow "" none`},
		// Whoever the user is, the client hears of the conflict.
		{"denied for this user, conflict for any", named("a", "everyone", "allow: {answer: issue}") + named("b", "everyone", "allow: {answer: forward}") + named("d", "{groups: [staff]}", "deny: {}"),
			alice(), `deny conflict "a" none other="b" named`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			content := preamble + tt.rules
			if tt.rules == "" {
				content = strings.TrimSuffix(preamble, "rules:\n")
			}
			d := load(t, content).Decide(&tt.facts)
			if got := decided(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestCatchAll is about the application of all realms.
func TestCatchAll(t *testing.T) {
	s := load(t, preamble[:len(preamble)-len("rules:\n")]+"  rest: {realms: [\"*\"], answer: forward}\nrules:\n"+
		named("a", "{not: {applications: [travel]}}", "allow: {}")+
		named("b", "{applications: [payroll]}", "allow: {answer: issue}"))
	tests := []struct{ realm, application, want string }{
		{"urn:payroll", "payroll", `allow allow "b" issue`},
		{"urn:travel", "travel", `deny no-allow "" none named`},
		{"urn:anything", "rest", `allow allow "a" forward`},
		{"*", "rest", `allow allow "a" forward`},
		{"", "", `deny unknown-application "" none named`},
	}
	for _, tt := range tests {
		f := alice()
		f.Request.AppliesTo = tt.realm
		d := s.Decide(&f)
		if got := decided(d); got != tt.want {
			t.Errorf("realm %q: got %s, want %s", tt.realm, got, tt.want)
		}
		name := ""
		if a := s.Application(tt.realm); a != nil {
			name = a.Name
		}
		if name != tt.application {
			t.Errorf("realm %q: got application %q, want %q", tt.realm, name, tt.application)
		}
	}
	var names []string
	for _, a := range s.Applications() {
		names = append(names, a.Name)
	}
	if got := strings.Join(names, " "); got != "payroll rest travel" {
		t.Errorf("got applications %s", got)
	}
}

// TestZero checks that what was never set denies.
func TestZero(t *testing.T) {
	var d policy.Decision
	if d.Effect != policy.Deny || d.Cause != policy.NoAllow || d.Answer != policy.NoAnswer || d.Named {
		t.Errorf("the zero Decision is %+v", d)
	}
	s := load(t, preamble+named("a", "{users: [alice@contoso.example]}", "allow: {}")+named("d", "{networks: [labs]}", "deny: {}"))
	if d := s.Decide(&policy.Facts{Known: policy.FactSet(0).With(policy.RequestAppliesTo), Request: policy.Request{AppliesTo: "urn:payroll"}}); d.Effect != policy.Deny || d.Rule != "d" {
		t.Errorf("without facts: %s", decided(d))
	}
}

// TestWhy checks the explanations that end up in the operator's log.
func TestWhy(t *testing.T) {
	for want, d := range map[string]policy.Decision{
		"no allow matches":                         {},
		"no application has this realm":            {Cause: policy.UnknownApplication},
		`rule "a" denies`:                          {Cause: policy.DenyRule, Rule: "a"},
		`rules "a" and "b" name different answers`: {Cause: policy.Conflict, Rule: "a", Other: "b"},
		`rule "a" allows`:                          {Cause: policy.AllowRule, Rule: "a"},
	} {
		if got := d.Why(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestWarnings checks what is reported of a set without mistakes.
func TestWarnings(t *testing.T) {
	s := load(t, preamble+
		named("a", "{groups: [staff], networks: [offices]}", "allow: {answer: issue}")+
		named("b", "{networks: [offices]}", "allow: {answer: forward}")+
		named("c", "{networks: [labs]}", "allow: {answer: forward}, expires: 2026-12-01")+
		named("d", "{not: {groups: [staff, other]}, applications: [payroll]}", "allow: {answer: forward}")+
		named("e", `{networks: [offices], versions: ["1.2"], applications: [travel]}`, "allow: {answer: issue}, mode: report-only")+
		named("f", `{versions: ["1.2"], applications: [travel], not: {networks: [offices]}}`, "allow: {answer: issue}"))
	var got []string
	for _, w := range s.Warnings(noon) {
		got = append(got, w.Error())
	}
	want := []string{
		`policy.yaml:5:3: network "halls": no rule mentions it`,
		`policy.yaml:11:12: rule "b" answers forward and rule "a" answers issue: a request for application "payroll" that matches both is refused`,
		`policy.yaml:12:12: rule "c" expired at 2026-12-01T00:00:00Z: it matches nothing`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := load(t, denyAll).Warnings(noon); len(got) > 0 {
		t.Errorf("got %v, want none", got)
	}
}

// TestMeeting checks for which pairs of allows a conflict is possible.
func TestMeeting(t *testing.T) {
	tests := []struct {
		a, b  string
		meets bool
	}{
		{"everyone", "everyone", true},
		{"{groups: [staff]}", "{groups: [admins]}", true},
		{"{networks: [offices]}", "{networks: [labs]}", true}, // networks may overlap
		{"{groups: [staff]}", "{not: {groups: [staff]}}", false},
		{"{not: {groups: [staff]}}", "{groups: [staff]}", false},
		{"{not: {groups: [staff, admins]}}", "{groups: [staff]}", false},
		{"{not: {groups: [staff]}}", "{groups: [staff, admins]}", true},
		{"{not: {groups: [staff]}}", "{not: {groups: [staff]}}", true},
		{"{domains: [contoso]}", "{domains: [lab, test]}", false},
		{"{domains: [contoso]}", "{domains: [lab, Contoso]}", true},
		{`{versions: ["1.2"]}`, "{versions: [1.3]}", false},
		{"{endpoints: [" + endpoint13 + "]}", "{endpoints: [" + endpoint2005 + "]}", false},
		{"{applications: [payroll]}", "{applications: [travel]}", false},
		{"{applications: [payroll]}", "{not: {applications: [payroll]}}", false},
		{"{applications: [payroll]}", "{not: {applications: [travel]}}", true},
		{"{groups: [staff], networks: [offices]}", "{versions: [1.3], not: {networks: [offices, labs]}}", false},
	}
	for _, tt := range tests {
		s := load(t, preamble+named("a", tt.a, "allow: {answer: issue}")+named("b", tt.b, "allow: {answer: forward}"))
		meets := slices.ContainsFunc(s.Warnings(noon), func(w *policy.Error) bool { return strings.Contains(w.Msg, "that matches both is refused") })
		if meets != tt.meets {
			t.Errorf("%s and %s: got %v, want %v", tt.a, tt.b, meets, tt.meets)
		}
	}
}

// TestRules checks that a set lists its rules as written.
func TestRules(t *testing.T) {
	s := load(t, "rules:\n  - {name: b, match: everyone, deny: {}, mode: report-only}\n"+
		"  - {name: a, match: everyone, allow: {answer: forward}, expires: 2027-02-01, owner: ops}\n")
	var got []string
	for _, r := range s.Rules() {
		got = append(got, fmt.Sprintf("%s:%d %s %s %s %v %s %q", r.File, r.Line, r.Name, r.Effect, r.Answer, r.ReportOnly, r.Expires.Format(time.DateOnly), r.Owner))
	}
	const want = `policy.yaml:3 a allow forward false 2027-02-01 "ops"
policy.yaml:2 b deny none true 0001-01-01 ""`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

// TestLive swaps sets while they are used (POL-03): whoever took a set keeps it.
func TestLive(t *testing.T) {
	allow, deny := load(t, preamble+named("a", "everyone", "allow: {}")), load(t, preamble+named("d", "everyone", "deny: {}"))
	live := policy.NewLive(allow)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				live.Store(deny)
				live.Store(allow)
			}
		}
	}()
	f := alice()
	for range 10_000 {
		s := live.Load()
		if d := s.Decide(&f); (s == allow) != (d.Effect == policy.Allow) {
			t.Fatalf("revision %s: %s", s.Revision(), decided(d))
		}
	}
	close(stop)
	<-done
}

// POL-04: a time that nobody gives is unknown, in hours, expires and when alike.
func TestNoTime(t *testing.T) {
	const daily = "{hours: [{from: '00:00', to: '24:00', zone: UTC}]}"
	for name, tt := range map[string]struct {
		rules string
		want  policy.Cause
	}{
		"an allow by hours":   {named("a", daily, "allow: {}"), policy.NoAllow},
		"a deny by hours":     {named("a", "everyone", "allow: {}") + named("d", "{not: "+daily+"}", "deny: {}"), policy.DenyRule},
		"an allow that ends":  {named("a", "everyone", "allow: {}, expires: 2027-01-01"), policy.NoAllow},
		"an exception's end":  {named("a", "everyone", "allow: {}") + named("d", "everyone", "deny: {}, except: "+except("everyone", "2027-01-01")), policy.DenyRule},
		"an allow by when":    {named("a", "everyone", `allow: {}, when: time < timestamp("2027-01-01T00:00:00Z")`), policy.NoAllow},
		"no rule asks for it": {named("a", "everyone", "allow: {}"), policy.AllowRule},
	} {
		s := load(t, preamble+tt.rules)
		f := alice()
		f.Time = time.Time{}
		if got := s.Decide(&f); got.Cause != tt.want {
			t.Errorf("%s: got %s, want %s", name, decided(got), tt.want)
		}
		if x := s.Explain(&f); strings.Contains(x.String(), "0001-") {
			t.Errorf("%s: explained by the year 1:\n%s", name, &x)
		}
	}
}
