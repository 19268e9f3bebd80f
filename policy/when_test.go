package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	celtypes "cel.dev/cel-go/common/types"
)

var whenVocabulary = Vocabulary{Endpoints: []string{"/adfs/services/trust/2005/usernamemixed", "/adfs/services/trust/13/usernamemixed"}, Families: []string{"adal", "outlook", "activesync"}, Directory: true}

// readWhen reads the expression of a file that is one mapping with a when.
func readWhen(t testing.TB, content string, v Vocabulary) (*expression, Errors) {
	t.Helper()
	var errs Errors
	r := &reader{file: "f.yaml", errs: &errs, vocabulary: &v, content: []byte(content)}
	n := r.parse([]byte(content))
	if n == nil || len(n.Content) != 2 {
		t.Fatalf("%q: no mapping: %v", content, errs)
	}
	return r.when(n.Content[1]), errs
}

func mustWhen(t testing.TB, source string) *expression {
	t.Helper()
	e, errs := readWhen(t, "when: |\n  "+strings.ReplaceAll(source, "\n", "\n  ")+"\n", whenVocabulary)
	if e == nil {
		t.Fatalf("%s: %v", source, errs)
	}
	return e
}

func whenFacts() *Facts {
	return &Facts{
		Known: AllFacts,
		Time:  time.Date(2027, 4, 1, 10, 30, 0, 0, time.UTC),
		User:  User{Name: "Alice@contoso.example", GUID: "11", Domain: "CONTOSO", Groups: []string{"Staff", "vpn-users", "eu"}},
		Client: Client{
			Address: netip.MustParseAddr("203.0.113.7"), Places: []Place{{"DE", 64500}},
			Family: "adal", UserAgent: "Agent/1", Familiar: true,
		},
		Source:  Source{FailedUsers: 12, Failures: 40},
		Request: Request{AppliesTo: "urn:payroll", Endpoint: whenVocabulary.Endpoints[0], Version: "1.2", Type: "issue", Credential: "password", SOAP: "1.2"},
	}
}

// aboutEach has an expression for each fact that is true of whenFacts.
var aboutEach = [NumFacts]string{
	UserName:             `user.name == "alice@contoso.example"`,
	UserGUID:             `user.guid == "11"`,
	UserDomain:           `user.domain in ["contoso", "fabrikam"]`,
	UserGroups:           `"staff" in user.groups`,
	ClientAddress:        `cidr("203.0.113.0/24").containsIP(client.address)`,
	ClientForwarded:      `client.forwarded.size() == 0`,
	ClientCountry:        `client.country != "AT"`,
	ClientASN:            `client.asn == 64500`,
	ClientFamily:         `client.family in ["adal", "outlook"]`,
	ClientUserAgent:      `client.user_agent.lowerAscii().startsWith("agent")`,
	ClientFamiliar:       `client.familiar`,
	SourceFailedUsers:    `source.failed_users > 10`,
	SourceFailures:       `source.failures / 4 == 10`,
	RequestAppliesTo:     `request.applies_to.startsWith("urn:")`,
	RequestApplication:   `request.application == "payroll"`,
	RequestEndpoint:      `request.endpoint.contains("2005")`,
	RequestVersion:       `request.version == "1.2"`,
	RequestType:          `request.type != "cancel"`,
	RequestCredential:    `request.credential == "password"`,
	RequestTokenType:     `request.token_type == ""`,
	RequestKeyType:       `request.key_type == ""`,
	RequestSOAP:          `request.soap == "1.2"`,
	DelegationOnBehalfOf: `delegation.on_behalf_of == ""`,
	DelegationActAs:      `delegation.act_as.size() == 0`,
	Time:                 `time >= timestamp("2027-03-01T00:00:00Z")`,
}

// forget returns the facts without one of them.
func forget(f *Facts, application string, fact Fact) (*Facts, string) {
	less := *f
	less.Known = f.Known.Without(fact)
	if fact == RequestApplication {
		application = ""
	}
	return &less, application
}

func TestWhenFacts(t *testing.T) {
	f := whenFacts()
	for fact, source := range aboutEach {
		e := mustWhen(t, source)
		if e.facts() != FactSet(0).With(Fact(fact)) {
			t.Errorf("%s: mentions %b", source, e.facts())
		}
		if got := e.eval(f, "payroll"); got != yes {
			t.Errorf("%s: %d, want yes", source, got)
		}
		if got := mustWhen(t, "!("+source+")").eval(f, "payroll"); got != no {
			t.Errorf("not %s: %d, want no", source, got)
		}
		for other := range NumFacts {
			less, application := forget(f, "payroll", other)
			want := yes
			if other == Fact(fact) || other == ClientForwarded && placeFacts.Has(Fact(fact)) ||
				other == ClientAddress && placeFacts.Has(Fact(fact)) {
				want = unknown
			}
			if got := e.eval(less, application); got != want {
				t.Errorf("%s without %s: %d, want %d", source, other, got, want)
			}
			if got := mustWhen(t, source+" || source.failures < 0").eval(less, application); other != SourceFailures && got != want {
				t.Errorf("%s or false, without %s: %d, want %d", source, other, got, want)
			}
		}
	}
}

// Kleene's logic: what is unknown is decided by the rest where it can be.
func TestWhenUnknown(t *testing.T) {
	f := whenFacts()
	f.Known = AllFacts.Without(UserGroups, ClientFamily)
	for source, want := range map[string]ternary{
		`"staff" in user.groups`:                                             unknown,
		`!("staff" in user.groups)`:                                          unknown,
		`"staff" in user.groups || source.failures > 3`:                      yes,
		`source.failures > 3 || "staff" in user.groups`:                      yes,
		`"staff" in user.groups && source.failures < 3`:                      no,
		`"staff" in user.groups && source.failures > 3`:                      unknown,
		`"staff" in user.groups || client.family == "adal"`:                  unknown,
		`client.family == "adal" && client.family != "adal"`:                 unknown,
		`client.family == client.family`:                                     unknown,
		`client.family in ["adal", client.user_agent]`:                       unknown,
		`client.user_agent in ["Agent/1", client.family]`:                    unknown,
		`user.groups.exists(g, g.startsWith("x"))`:                           unknown,
		`user.groups.all(g, true) || source.failures == 40`:                  yes,
		`[client.family].exists(f, true)`:                                    unknown,
		`client.family == "adal" ? true : true`:                              unknown,
		`source.failures > 3 ? true : client.family == "adal"`:               yes,
		`source.failures / source.failures == 1`:                             yes,
		`1 / (source.failures - 40) == 1`:                                    unknown, // division by zero
		`1 / (source.failures - 40) == 1 || source.failures == 40`:           yes,
		`1 / (source.failures - 40) == 1 && source.failures != 40`:           no,
		`[1, 2][source.failures] == 1`:                                       unknown, // out of range
		`int(client.user_agent) == 1`:                                        unknown, // no number
		`source.failures + 9223372036854775807 > 0`:                          unknown, // overflow
		`cidr(client.user_agent).containsIP(client.address)`:                 unknown, // no prefix
		`[1, 2, 3].exists(i, i / (source.failures - 40) == 1 || i == 3)`:     yes,
		`[1, 2, 3].all(i, i / (source.failures - 40) == 1 && i != 3)`:        no,
		`{"a": 1}[client.user_agent] == 1`:                                   unknown, // no such key
		`timestamp(client.user_agent) < time`:                                unknown,
		`duration(client.user_agent) < duration("1h")`:                       unknown,
		`ip(client.user_agent) == client.address`:                            unknown,
		`isIP(client.user_agent) && ip(client.user_agent) == client.address`: no,
	} {
		if got := mustWhen(t, source).eval(f, "payroll"); got != want {
			t.Errorf("%s: %d, want %d", source, got, want)
		}
	}
}

func TestWhenValues(t *testing.T) {
	for _, test := range []struct {
		source string
		change func(*Facts)
		want   ternary
	}{
		{`user.name.endsWith("@contoso.example")`, nil, yes},
		{`user.groups.exists(g, g.startsWith("vpn-"))`, nil, yes},
		{`user.groups.exists(g, g.matches("^vpn-[a-z]+$"))`, nil, yes},
		{`user.groups.exists_one(g, g == "staff")`, nil, yes},
		{`user.groups.size() == 3 && user.groups[0] == "staff"`, nil, yes},
		{`user.groups == []`, func(f *Facts) { f.User.Groups = nil }, yes},
		{`user.name == ""`, func(f *Facts) { f.User = User{} }, yes},
		{`1 in [1, 2] && "x" in user.groups`, nil, no},
		{`client.country == ""`, func(f *Facts) { f.Client.Places = nil }, yes},
		{`client.asn == 0`, func(f *Facts) { f.Client.Places = nil }, yes},
		{`client.address == ip("203.0.113.7")`, nil, yes},
		{`string(client.address) == "203.0.113.7"`, nil, yes},
		{`client.address.family() == 4`, func(f *Facts) { f.Client.Address = netip.MustParseAddr("::ffff:203.0.113.7") }, yes},
		{`cidr("fe80::/10").containsIP(client.address)`, func(f *Facts) { f.Client.Address = netip.MustParseAddr("fe80::1%eth0") }, yes},
		{`client.address == client.address`, func(f *Facts) { f.Client.Address = netip.Addr{} }, unknown},
		{`time < time`, func(f *Facts) { f.Time = time.Time{} }, unknown},
		{`time.getHours() == 10`, nil, yes},
		{`time.getHours("Europe/Berlin") == 12`, nil, yes},
		{`time.getHours("+05:30") == 16 && time.getMinutes("+05:30") == 0`, nil, yes},
		{`time.getHours("-02:00") == 8`, nil, yes},
		{`time.getDayOfWeek("Europe/Berlin") in [1, 2, 3, 4, 5]`, nil, yes},
		{`time.getHours("Europe/Berlin") == 12`, func(f *Facts) { f.Known = f.Known.Without(Time) }, unknown},
		{`time - duration("1h") > timestamp("2027-04-01T09:00:00Z")`, nil, yes},
		{`request.token_type == "urn:x:y"`, nil, no},
		{`request.token_type in ["saml1.1", ""]`, nil, yes},
		{`delegation.act_as == "?"`, func(f *Facts) { f.Delegation.ActAs = "?" }, yes},
		{`client.user_agent == "Ä\n\""`, func(f *Facts) { f.Client.UserAgent = "Ä\n\"" }, yes},
	} {
		f := whenFacts()
		if test.change != nil {
			test.change(f)
		}
		if got := mustWhen(t, test.source).eval(f, "payroll"); got != test.want {
			t.Errorf("%s: %d, want %d", test.source, got, test.want)
		}
	}
}

// Of several addresses, all must agree.
func TestWhenAddresses(t *testing.T) {
	const inside = `cidr("10.0.0.0/8").containsIP(client.address) && client.country == "DE"`
	for _, test := range []struct {
		forwarded string
		places    []Place
		source    string
		want      ternary
	}{
		{"10.0.0.1", []Place{{Country: "DE"}}, inside, yes},
		{"10.0.0.1 10.0.0.2", []Place{{Country: "DE"}, {Country: "DE"}}, inside, yes},
		{"10.0.0.1 10.0.0.2", []Place{{Country: "DE"}, {Country: "AT"}}, inside, unknown},
		{"10.0.0.1 10.0.0.2", []Place{{Country: "DE"}}, inside, unknown},
		{"192.0.2.1 10.0.0.2", []Place{{Country: "DE"}, {Country: "DE"}}, inside, unknown},
		{"192.0.2.1 192.0.2.2", []Place{{Country: "DE"}, {Country: "DE"}}, inside, no},
		// Neither all inside nor all outside, but one of both for each.
		{"10.0.0.1 192.0.2.2", []Place{{Country: "AT"}, {Country: "DE"}}, inside, no},
		{"10.0.0.1 192.0.2.2", nil, `client.forwarded.exists(a, a == ip("192.0.2.2"))`, yes},
		{"10.0.0.1 192.0.2.2", nil, inside + ` || source.failures == 40`, yes},
	} {
		f := whenFacts()
		f.Client.Places = test.places
		for _, a := range strings.Fields(test.forwarded) {
			f.Client.Forwarded = append(f.Client.Forwarded, netip.MustParseAddr(a))
		}
		if got := mustWhen(t, test.source).eval(f, "payroll"); got != test.want {
			t.Errorf("%s, %v, %s: %d, want %d", test.forwarded, test.places, test.source, got, test.want)
		}
	}
}

// A method's types are named without the compiler's own marks.
func TestWhenMethodOnOtherType(t *testing.T) {
	_, errs := readWhen(t, `when: client.address.startsWith("10.")`, whenVocabulary)
	if got, want := errs.Error(), "f.yaml:1:32: startsWith does not take net.IP and string"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// POL-01: every mistake in an expression has its own place in the file.
func TestWhenMistakes(t *testing.T) {
	for _, test := range []struct{ content, want string }{
		{`when: user.nam == "x"`, `1:11: unknown name "user.nam": did you mean "user.name"?`},
		{`when: user == "x"`, `1:7: unknown name "user": name a fact, such as user.name`},
		{`when: time.hour == 3`, `1:11: type 'timestamp' does not support field selection`},
		{`when: user.name.startWith("x")`, `1:26: unknown name "startWith": did you mean "startsWith"?`},
		{`when: user.name >= 3`, `1:17: >= does not take (string, int)`},
		{`when: user.name == "x" &&`, `1:26: the expression ends too early`},
		{`when: user.name = "x"`, `1:17: = is no operator: use ==`},
		{`when: user.name == "x" and client.familiar`, `1:24: "and" is no operator: use &&`},
		{`when: user.name == "x" or client.familiar`, `1:24: "or" is no operator: use ||`},
		{`when: 'not (user.name == "x")'`, `1:12: "not" is no operator: use !`},
		{`when: client.familiar not`, `1:23: "not" is no operator: use !`},
		{`when: client.familiar client.familiar`, `1:23: not valid CEL`},
		{`when: user.name`, `1:11: the expression is of type string: want a comparison, which is true or false`},
		{`when: source.failures`, `1:13: the expression is of type int: want a comparison`},
		{`when: dyn(client.familiar)`, `1:10: the expression is of type dyn: want a comparison`},
		{`when: 1 == 1`, `1:9: the expression mentions no fact, so that it is the same for every request`},
		{`when: true`, `1:7: want an expression about facts, got a truth value`},
		{`when: 12`, `1:7: want an expression about facts, got a number`},
		{`when: 2027-01-01`, `1:7: want an expression about facts, got a date`},
		{`when: `, `1:6: want an expression about facts, got nothing`},
		{`when: ""`, `1:7: want an expression, got nothing`},
		{`when: " "`, `1:7: want an expression, got nothing`},
		{`when: [a]`, `1:7: want an expression, got a list`},
		{`when: {a: b}`, `1:7: want an expression, got a mapping`},
		{`when: "client.familiar\u0007"`, `1:7: want an expression; character U+0007 is not allowed`},
		{`when: "client.familiar\u202e"`, `1:7: want an expression; character U+202E is not allowed`},
		{`when: client.family == "adl"`, `1:24: client.family is never "adl": did you mean "adal"?`},
		{`when: '"adl" != client.family'`, `1:8: client.family is never "adl": did you mean "adal"?`},
		{`when: client.family in ["outlook", "adl"]`, `1:36: client.family is never "adl": did you mean "adal"?`},
		{`when: client.family == "thunderbird"`, `1:24: client.family is never "thunderbird": want one of ["adal" "outlook" "activesync" "unknown"]`},
		{`when: request.endpoint == "/adfs/services/trust/13/usernamemixd"`, `1:27: request.endpoint is never "/adfs/services/trust/13/usernamemixd": did you mean "/adfs/services/trust/13/usernamemixed"?`},
		{`when: request.version == "1.4"`, `1:26: request.version is never "1.4"`},
		{`when: request.type == "isue"`, `1:23: request.type is never "isue": did you mean "issue"?`},
		{`when: request.credential in ["pasword"]`, `1:30: request.credential is never "pasword": did you mean "password"?`},
		{`when: request.token_type == "saml1"`, `1:29: request.token_type is never "saml1"`},
		{`when: request.key_type == "bearr"`, `1:27: request.key_type is never "bearr": did you mean "bearer"?`},
		{`when: request.soap == "2"`, `1:23: request.soap is never "2"`},
		{`when: client.country == "de"`, `1:25: "de" is not a two-letter code of ISO 3166-1, such as DE`},
		{`when: client.country in ["DE", "UK"]`, `1:32: "UK" is not a two-letter code`},
		{`when: request.key_type == "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer"`, `1:27: "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer" is compared by its word: write "bearer"`},
		{`when: user.name == "Alice@contoso.example"`, `1:20: the directory's names are in lower case here: write "alice@contoso.example"`},
		{`when: '"Staff" in user.groups'`, `1:8: the directory's names are in lower case here: write "staff"`},
		{`when: user.groups.exists(g, g.startsWith("VPN"))`, `1:42: the directory's names are in lower case here: write "vpn"`},
		{`when: user.groups.exists(g, g == "VPN")`, `1:34: the directory's names are in lower case here: write "vpn"`},
		{`when: user.name.matches("^SVC")`, `1:25: the directory's names are in lower case here: write the pattern so, or begin it with (?i)`},
		{`when: user.name.matches("(")`, `1:25: invalid matches argument`},
		{`when: client.user_agent.matches(user.guid)`, `1:37: the pattern of matches must be written out`},
		{`when: time > timestamp("2027-03-01")`, `1:24: invalid timestamp argument`},
		{`when: time - duration("x") > time`, `1:23: invalid duration argument`},
		{`when: cidr("10.0.0.0/33").containsIP(client.address)`, `1:12: invalid cidr argument`},
		{`when: client.address == ip("10.0.0.256")`, `1:28: invalid ip argument`},
		{`when: time.getHours("Europe/Berln") < 7`, `1:21: unknown time zone "Europe/Berln"`},
		{`when: time.getHours("Local") < 7`, `1:21: unknown time zone "Local"`},
		{`when: time.getHours("1:00") < 7`, `1:21: unknown time zone "1:00"`},
		{`when: time.getHours(client.user_agent) < 7`, `1:27: the time zone must be written out`},
		{`when: has(user.name)`, `1:11: has is not for facts: one that is absent is "", 0 or []`},
		{`when: client.familiar && !has( client.country )`, `1:32: has is not for facts: one that is absent is "", 0 or []`},
		{`when: client.address in "10.0.0.0/8"`, `1:22: in does not take (net.IP, string): use cidr("10.0.0.0/8").containsIP(client.address)`},
		{`when: client.address in ["10.0.0.0/8"]`, `1:22: in does not take (net.IP, list(string)): use cidr("10.0.0.0/8").containsIP(client.address)`},
		{`when: client.address in cidr("10.0.0.0/8")`, `1:22: in does not take (net.IP, net.CIDR): use cidr("10.0.0.0/8").containsIP(client.address)`},
		{`when: client.address == "10.0.0.1"`, `1:22: == does not take (net.IP, string): use ip("10.0.0.1")`},
		{`when: '"10.0.0.1" != client.address'`, `1:19: != does not take (string, net.IP): use ip("10.0.0.1")`},
		{`when: user.groups.exists(user, user == "x")`, `1:25: a variable "user" hides facts: choose another name`},
		{`when: '[1].exists(time, time == 1) && client.familiar'`, `1:18: a variable "time" hides facts`},
		{`when: user.groups.exists(g, user.groups.exists(h, g == h))`, `1:25: the expression may cost `},
		{`when: '[1,2].all(a, [1,2].all(b, [1,2].all(c, [1,2].all(d, client.familiar))))'`, `1:56: comprehension exceeds nesting limit`},
		{`when: ` + strings.Repeat("(", 40) + "client.familiar" + strings.Repeat(")", 40), `1:7: expression recursion limit exceeded: 32`},
		{`when: client.familiar || ` + strings.Repeat(" ", 4096) + ` user.nam == "x"`, `1:7: expression code point size exceeds limit: size: 4131, limit 4096`},
	} {
		e, errs := readWhen(t, test.content, whenVocabulary)
		if e != nil || len(errs) == 0 {
			t.Errorf("%s: no mistake", test.content)
			continue
		}
		if got := errs[0].Error(); !strings.HasPrefix(got, "f.yaml:"+test.want) {
			t.Errorf("%s:\n%s, want\nf.yaml:%s", test.content, got, test.want)
		}
	}
}

// What the parser finds behind a mistake that has words of its own is no
// mistake of the author's.
func TestWhenOneMistake(t *testing.T) {
	for _, expression := range []string{
		`user.name = "x"`, `user.name = "x" and client.familiar`, `user.name == "x" and client.familiar or client.familiar`,
		`client.familiar && not (user.name == "x")`, `user.name == "x" &&`,
	} {
		if _, errs := readWhen(t, "when: "+expression, whenVocabulary); len(errs) != 1 || strings.Contains(errs.Error(), "not valid CEL") {
			t.Errorf("%s: got %v", expression, errs)
		}
	}
}

// Every mistake is reported, not the first only.
func TestWhenAllMistakes(t *testing.T) {
	v := Vocabulary{Unavailable: 1 << ClientFamily}
	_, errs := readWhen(t, `when: client.family == "a" || request.soap == "b" || user.name == "C" || source.failures > 0`, v)
	want := []string{"1:13", "1:24", "1:47", "1:58", "1:67"}
	var got []string
	for _, e := range errs.sorted() {
		got = append(got, fmt.Sprintf("%d:%d", e.Line, e.Column))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v: %v", got, want, errs)
	}
}

// The place of a mistake is found in each way of writing text in YAML. The
// mistake is a name with a ~ in place of its a, so that the ~ shows the place.
func TestWhenPlaces(t *testing.T) {
	for _, content := range []string{
		"when: ~bc",
		"when: client.familiar && ~bc",
		"when:   client.user_agent == 'äü' || ~bc",
		"when: 'client.familiar && \"it''s\" == ~bc'",
		`when: "client.familiar && \"x\\\"y\" == ~bc"`,
		`when: "client.familiar && \"\u00e4\xe4\U0001F600\" == ~bc"`,
		`when: "client.familiar &&\x20\u0020~bc"`,
		"when: \"client.familiar && \\\n   ~bc\"",
		"when: \"client.familiar &&\n\n\n   ~bc\"",
		"when: 'client.familiar &&\n\n   ~bc'",
		"when: client.familiar &&\n   client.familiar &&\n      ~bc",
		"when: client.familiar &&\n\n\n   client.familiar && ~bc\nother: 1",
		"when: |\n  client.familiar &&\n  ~bc\n",
		"when: |-\n  client.familiar &&\n    ~bc",
		"when: |2\n    client.familiar &&\n   ~bc",
		"when: | # why\n\n\n  client.familiar && // a comment\n  ~bc\n\n\n",
		"when: >\n  client.familiar\n  && ~bc\n",
		"when: >-\n  client.familiar\n\n    &&\n    client.familiar\n  && ~bc\n",
		"when: |\r\n  client.familiar &&\r\n  ~bc\r\n",
		"\n\n# first\n  # second\nwhen:\n  # third\n  client.familiar && ~bc",
		"when: {when: client.familiar && ~bc}",
	} {
		before, _, _ := strings.Cut(content, "~")
		last := before[strings.LastIndexByte(before, '\n')+1:]
		want := spot{strings.Count(before, "\n") + 1, len([]rune(last)) + 1}
		var errs Errors
		content = strings.ReplaceAll(content, "~", "a")
		r := &reader{file: "f.yaml", errs: &errs, vocabulary: &whenVocabulary, content: []byte(content)}
		n := r.parse([]byte(content)).Content[1]
		if len(n.Content) > 0 {
			n = n.Content[1]
		}
		r.when(n)
		found := slices.ContainsFunc(errs, func(e *Error) bool {
			return spot{e.Line, e.Column} == want && strings.Contains(e.Msg, `"abc"`)
		})
		if !found {
			t.Errorf("%q: want a mistake at %v, got %v", content, want, errs)
		}
	}
}

type spot struct{ line, column int }

// Without the content, a mistake stands at the expression, which tells the
// rest in words.
func TestWhenWithoutContent(t *testing.T) {
	var errs Errors
	r := &reader{file: "f.yaml", errs: &errs, vocabulary: &whenVocabulary}
	n := r.parse([]byte("when: |\n  client.familiar &&\n  abc\n"))
	if e := r.whenIn(n.Content[1], nil, nil); e != nil || errs.Error() != `f.yaml:1:7: line 2, column 1 of the expression: unknown name "abc"` {
		t.Error(errs)
	}
}

func TestWhenApplications(t *testing.T) {
	e := mustWhen(t, "request.application == \"a\" ||\nrequest.application in [\"b\", \"c\"] || \"d\" != request.application")
	want := []named{
		{"a", place{"f.yaml", 2, 26}}, {"b", place{"f.yaml", 3, 27}}, {"c", place{"f.yaml", 3, 32}}, {"d", place{"f.yaml", 3, 40}},
	}
	if !slices.Equal(e.applications, want) {
		t.Errorf("%v, want %v", e.applications, want)
	}
}

func TestWhenText(t *testing.T) {
	f := whenFacts()
	f.Known = f.Known.Without(ClientCountry)
	f.Client.UserAgent = "a\r\nb\u202e"
	f.Client.Family = strings.Repeat("x", 200)
	e := mustWhen(t, `source.failed_users > 10 && client.country == "DE" && client.user_agent != "" && request.token_type == "" &&
"a" in user.groups && client.address == ip("10.0.0.1") && client.family == "adal" && time < time && client.familiar && client.asn == 1 && request.application == "x"`)
	want := `user.groups=[Staff, vpn-users, eu], client.address=203.0.113.7, client.country=unknown, client.asn=64500, client.family=` +
		strings.Repeat("x", 128) + `…, client.user_agent="a\r\nb\u202e", client.familiar=true, source.failed_users=12, request.token_type="", time=2027-04-01T10:30:00Z`
	if got := e.values(f); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if !strings.HasPrefix(e.String(), "source.failed_users > 10") || strings.HasSuffix(e.String(), "\n") {
		t.Errorf("%q", e.String())
	}
}

// Facts larger than the cost was estimated for are decided under a limit.
func TestWhenLarge(t *testing.T) {
	e := mustWhen(t, `user.groups.exists(g, g.matches("^abc.*[0-9]+$")) || source.failures == 1`)
	f := whenFacts()
	f.User.Groups = slices.Repeat([]string{"abc" + strings.Repeat("x", usualName-3)}, usualGroups)
	if got := e.eval(f, ""); got != no {
		t.Errorf("usual: %d, want no", got)
	}
	f.User.Groups = slices.Repeat(f.User.Groups, 100)
	start := time.Now()
	if got := e.eval(f, ""); got != unknown {
		t.Errorf("large: %d, want unknown", got)
	}
	t.Log(time.Since(start))
}

// randomWhen writes an expression from a source of randomness.
func randomWhen(r *rand.Rand, depth int) string {
	if depth > 0 {
		a, b := randomWhen(r, depth-1), randomWhen(r, depth-1)
		switch r.IntN(6) {
		case 0, 1:
			return "(" + a + " && " + b + ")"
		case 2, 3:
			return "(" + a + " || " + b + ")"
		case 4:
			return "!(" + a + ")"
		default:
			return "(" + a + " ? " + b + " : " + randomWhen(r, depth-1) + ")"
		}
	}
	more := []string{
		`1 / (source.failures - 40) == 1`, `user.groups.exists(g, g == user.domain)`, `user.groups.all(g, g != user.name)`,
		`user.groups.exists_one(g, g == "eu")`, `client.user_agent in [user.name, client.family, "Agent/1"]`,
		`user.groups.filter(g, g.startsWith("x")).size() == source.failures`, `[1, 2][source.failures] == 1`,
		`{"a": client.familiar}["a"]`, `user.groups.map(g, g.size()).exists(n, n == 2)`,
		`[source.failures, 2].exists(i, i == 2)`, `user.groups[0] == "staff"`, `type(client.family) == string`,
		`string(source.failures) == "40"`, `dyn(client.family) == dyn(1)`, `client.forwarded.exists(a, a == client.address)`,
	}
	i := r.IntN(len(aboutEach) + len(more))
	if i < len(aboutEach) {
		return aboutEach[i]
	}
	return more[i-len(aboutEach)]
}

// A fact that becomes unknown never turns yes into no or no into yes.
func TestWhenUnknownNeverFlips(t *testing.T) {
	count := 600
	if testing.Short() {
		count = 100
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	lost := 0
	for range count {
		source := randomWhen(r, r.IntN(4))
		e, errs := readWhen(t, "when: |\n  "+source, whenVocabulary)
		if e == nil && strings.Contains(errs.Error(), "may cost") {
			continue
		}
		f := whenFacts()
		application := "payroll"
		if r.IntN(2) == 0 {
			f.Client.Forwarded = []netip.Addr{f.Client.Address, netip.MustParseAddr("10.0.0.1")}
		}
		last := e.eval(f, application)
		for _, i := range r.Perm(int(NumFacts)) {
			if again := e.eval(f, application); again != last {
				t.Fatalf("%s: %d, then %d", source, last, again)
			}
			f, application = forget(f, application, Fact(i))
			next := e.eval(f, application)
			if next != last && next != unknown {
				t.Fatalf("%s: %d, without %s %d", source, last, Fact(i), next)
			}
			last = next
		}
		if last == unknown {
			lost++
		}
	}
	if lost < count/2 {
		t.Errorf("only %d of %d became unknown", lost, count)
	}
}

// The oracle is CEL's own way with unknown facts: partial evaluation with
// patterns of the attributes that are unknown.
func TestWhenLikePartialEvaluation(t *testing.T) {
	env, err := language()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	results := map[ternary]int{}
	for range 600 {
		source := randomWhen(r, r.IntN(3))
		f := whenFacts()
		a := activation{facts: f, application: "payroll", client: f.Client.Address, place: f.Client.Places[0]}
		var patterns []*cel.AttributePatternType
		less, application := f, "payroll"
		for fact := range NumFacts {
			if r.IntN(3) == 0 {
				less, application = forget(less, application, fact)
				patterns = append(patterns, cel.AttributePattern(fact.String()))
			}
			if fact == ClientForwarded && !less.Known.Has(fact) || fact == ClientAddress && !less.Known.Has(fact) {
				for _, p := range []Fact{ClientAddress, ClientCountry, ClientASN} {
					patterns = append(patterns, cel.AttributePattern(p.String()))
				}
			}
		}
		checked, issues := env.Compile(source)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		p, err := env.Program(checked, cel.EvalOptions(cel.OptPartialEval))
		if err != nil {
			t.Fatal(err)
		}
		partial, err := cel.PartialVars(&a, patterns...)
		if err != nil {
			t.Fatal(err)
		}
		want := unknown
		switch v, _, err := p.Eval(partial); {
		case err != nil:
		case v == celtypes.True:
			want = yes
		case v == celtypes.False:
			want = no
		}
		results[want]++
		if got := mustWhen(t, source).eval(less, application); got != want {
			t.Errorf("%s: %d, partial evaluation %d", source, got, want)
		}
	}
	if min(results[yes], results[no], results[unknown]) < 50 {
		t.Errorf("%v", results)
	}
}

func TestWhenConcurrent(t *testing.T) {
	e := mustWhen(t, strings.Join(aboutEach[:], " && "))
	less, _ := forget(whenFacts(), "", SourceFailures)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if got := e.eval(whenFacts(), "payroll"); got != yes {
					t.Errorf("%d, want yes", got)
				}
				if got := e.eval(less, "payroll"); got != unknown {
					t.Errorf("%d, want unknown", got)
				}
			}
		})
	}
	all.Wait()
}

// FuzzWhen checks that no expression makes compiling or deciding panic or run
// long, that what loads decides the same again, and that a mistake has a place
// in the file.
func FuzzWhen(f *testing.F) {
	for _, source := range aboutEach {
		f.Add(source, uint32(0))
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		f.Add(randomWhen(r, 2), r.Uint32())
	}
	f.Fuzz(func(t *testing.T, source string, without uint32) {
		content := "when: |2\n  " + strings.ReplaceAll(source, "\n", "\n  ")
		var errs Errors
		reader := &reader{file: "f.yaml", errs: &errs, vocabulary: &whenVocabulary, content: []byte(content)}
		n := reader.parse([]byte(content))
		if n == nil || len(n.Content) != 2 {
			return
		}
		lines := strings.Count(content, "\n") + 1
		start := time.Now()
		e := reader.when(n.Content[1])
		for _, m := range errs {
			if m.Line < 1 || m.Line > lines || m.Column < 1 || m.Msg == "" {
				t.Errorf("mistake %v in %q", m, content)
			}
		}
		if e == nil {
			if len(errs) == 0 {
				t.Errorf("%q: neither an expression nor a mistake", content)
			}
			return
		}
		facts := whenFacts()
		first := e.eval(facts, "payroll")
		if again := e.eval(facts, "payroll"); again != first {
			t.Errorf("%q: %d, then %d", source, first, again)
		}
		facts.Known = FactSet(without) & AllFacts
		if next := e.eval(facts, "payroll"); next != first && next != unknown && first != unknown {
			t.Errorf("%q: %d, with %b known %d", source, first, without, next)
		}
		e.values(facts)
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("%q: %v", source, d)
		}
	})
}

func BenchmarkWhen(b *testing.B) {
	for _, test := range []struct{ name, source string }{
		{"counter", `source.failed_users > 10`},
		{"typical", `"vpn-users" in user.groups && !(client.country in ["AT", "CH"]) && request.applies_to.startsWith("urn:") && source.failed_users >= 10 && (client.asn < 8 || client.asn > 18 || !client.familiar)`},
		{"network", `cidr("10.0.0.0/8").containsIP(client.address)`},
		{"time", `client.family == "adal" && time >= timestamp("2027-03-01T00:00:00Z")`},
		{"zone", `time.getHours("Europe/Berlin") < 7`},
		{"groups", `user.groups.exists(g, g.startsWith("x"))`},
	} {
		e := mustWhen(b, test.source)
		f := whenFacts()
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.eval(f, "payroll")
			}
		})
	}
	b.Run("costliest", func(b *testing.B) {
		e := mustWhen(b, `user.groups.exists(g, g.matches("^abc.*[0-9]+$"))`)
		f := whenFacts()
		f.User.Groups = slices.Repeat([]string{"abc" + strings.Repeat("x", usualName-3)}, usualGroups)
		b.ReportAllocs()
		for b.Loop() {
			e.eval(f, "payroll")
		}
	})
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mustWhen(b, `client.family == "adal" && time >= timestamp("2027-03-01T00:00:00Z")`)
		}
	})
}
