package policy

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const wholeFacts = `
user: {name: alice@contoso.example, guid: "11", sam: alice, domain: CONTOSO, groups: [staff, "vpn users"]}
client:
  address: 203.0.113.7
  forwarded: [192.0.2.1, "2001:db8::7", "::ffff:192.0.2.3"]
  country: [DE, "", AT]
  asn: 64500
  family: adal
  user_agent: "Agent/1\r\n"
  familiar: true
source: {failed_users: 12, failures: 40}
request: {applies_to: "urn:payroll", endpoint: /adfs/x, version: 1.3, type: issue, credential: password, token_type: saml1.1, key_type: "urn:other", soap: 1.2}
delegation: {on_behalf_of: bob, act_as: "?"}
time: 2026-11-22T10:00:00Z
`

func TestReadFacts(t *testing.T) {
	got, err := ReadFacts("facts.yaml", []byte(wholeFacts))
	if err != nil {
		t.Fatal(err)
	}
	want := FactsFile{
		Given: AllFacts,
		Facts: Facts{
			Known: AllFacts,
			Time:  time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
			User:  User{Name: "alice@contoso.example", GUID: "11", SAM: "alice", Domain: "CONTOSO", Groups: []string{"staff", "vpn users"}},
			Client: Client{
				Address:   netip.MustParseAddr("203.0.113.7"),
				Forwarded: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("192.0.2.3")},
				Places:    []Place{{"DE", 64500}, {"", 64500}, {"AT", 64500}},
				Family:    "adal", UserAgent: "Agent/1\r\n", Familiar: true,
			},
			Source: Source{12, 40},
			Request: Request{
				AppliesTo: "urn:payroll", Endpoint: "/adfs/x", Version: "1.3", Type: "issue",
				Credential: "password", TokenType: "saml1.1", KeyType: "urn:other", SOAP: "1.2",
			},
			Delegation: Delegation{"bob", "?"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want\n%+v", got, want)
	}
}

func TestReadFactsKnownAndGiven(t *testing.T) {
	user := FactSet(0).With(UserName, UserGUID, UserDomain, UserGroups)
	for content, want := range map[string]struct{ unknown, given FactSet }{
		`{}`:                             {1 << Time, 0},
		`facts: {}`:                      {1 << Time, 0},
		`user: {}`:                       {1 << Time, user},
		`user: {groups: []}`:             {1 << Time, 1 << UserGroups},
		`client: {address: 192.0.2.1}`:   {1 << Time, 1<<ClientAddress | 1<<ClientForwarded},
		`request: {applies_to: "urn:a"}`: {1 << Time, 1<<RequestAppliesTo | 1<<RequestApplication},
		`time: 2027-01-31`:               {0, 1 << Time},
		"facts: {user: {name: a@b}}\nunknown: [user]":              {user.Without(UserName) | 1<<Time, user},
		"facts: {}\nunknown: [user.groups, client.country]":        {1<<UserGroups | 1<<ClientCountry | 1<<Time, 1<<UserGroups | 1<<ClientCountry},
		"unknown: [time]\nsource: {failures: 1}":                   {1 << Time, 1<<Time | 1<<SourceFailures},
		"facts: {}\nunknown: [request.applies_to]":                 {1<<RequestAppliesTo | 1<<RequestApplication | 1<<Time, 1<<RequestAppliesTo | 1<<RequestApplication},
		"client: {user_agent: cut}\nnot_read: [client.user_agent]": {1<<ClientUserAgent | 1<<Time, 1 << ClientUserAgent},
	} {
		got, err := ReadFacts("facts.yaml", []byte(content))
		if err != nil {
			t.Errorf("%s: %v", content, err)
			continue
		}
		if unknown := AllFacts &^ got.Facts.Known; unknown != want.unknown || got.Given != want.given {
			t.Errorf("%s: unknown %b, given %b, want %b, %b", content, unknown, got.Given, want.unknown, want.given)
		}
	}
}

// POL-01: strict, with the place of every mistake.
func TestReadFactsMistakes(t *testing.T) {
	for content, want := range map[string]string{
		``:                                  `1:1: the file is empty: it needs facts`,
		`[]`:                                `1:1: want a mapping of facts, got a list`,
		`usr: {}`:                           `1:1: unknown key "usr": did you mean "user"?`,
		`xyzzy: {}`:                         `1:1: unknown key "xyzzy": the keys here are user, client, source, request, delegation, time, unknown, not_read`,
		`user: {nam: a}`:                    `1:8: unknown key "nam": did you mean "name"?`,
		`user: `:                            `1:6: want a mapping of facts, got nothing`,
		`user: {name: 1}`:                   `1:14: want text, got a number: put it in quotes`,
		`user: {name: [a]}`:                 `1:14: want text, got a list`,
		`user: {name: }`:                    `1:14: want text, got nothing: "" is empty`,
		`user: {sam: 1}`:                    `1:13: want a name, got a number: put it in quotes`,
		`user: {groups: staff}`:             `1:16: want a list of names, got text`,
		`user: {groups: [1]}`:               `1:17: want a name, got a number: put it in quotes`,
		`user: {name: a, name: b}`:          `1:17: key "name" stands already on line 1`,
		`client: {address: a}`:              `1:19: "a" is no address: want one such as 203.0.113.7 or 2001:db8::7`,
		`client: {address: "fe80::1%eth0"}`: `1:19: "fe80::1%eth0" is no address`,
		`client: {address: 192.0.2.0/24}`:   `1:19: "192.0.2.0/24" is no address`,
		`client: {forwarded: 192.0.2.1}`:    `1:21: want a list of addresses, got text`,
		`client: {country: de}`:             `1:19: "de" is not a two-letter code of ISO 3166-1, such as DE`,
		`client: {country: [DE, AT]}`:       `1:19: want one value, or 1: one for each address`,
		`client: {forwarded: [192.0.2.1, 192.0.2.2], asn: [1]}`: `1:50: want one value, or 2: one for each address`,
		`client: {asn: -1}`:              `1:15: want a number from 0 to 4294967295, got "-1"`,
		`client: {asn: 4294967296}`:      `1:15: want a number from 0 to 4294967295`,
		`client: {asn: "1"}`:             `1:15: want a number from 0 to 4294967295`,
		`client: {familiar: yes}`:        `1:20: want true or false, got "yes"`,
		`source: {failures: 1.5}`:        `1:20: want a number from 0 to 2147483647, got "1.5"`,
		`source: {failures: 0x10}`:       `1:20: want a number from 0 to 2147483647, got "0x10"`,
		`request: {version: 1.4}`:        `1:20: want text, got a number: put it in quotes`,
		`request: {version: "1.4"}`:      `1:20: request.version is never "1.4"`,
		`request: {type: isue}`:          `1:17: request.type is never "isue": did you mean "issue"?`,
		`request: {credential: pasword}`: `1:23: request.credential is never "pasword": did you mean "password"?`,
		`request: {token_type: saml}`:    `1:23: request.token_type is never "saml"`,
		`request: {key_type: "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer"}`: `1:21: "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer" is known by its word: write bearer`,
		`request: {application: payroll}`:                                                `1:11: request.application follows from request.applies_to, and is not given`,
		`time: soon`:                                                                     `1:7: want a date such as`,
		`unknown: []`:                                                                    `1:10: an empty list: want a list of facts`,
		`unknown: user`:                                                                  `1:10: want a list of facts, got text`,
		`unknown: [user.group]`:                                                          `1:11: unknown fact "user.group": did you mean "user.groups"?`,
		`unknown: [use]`:                                                                 `1:11: unknown fact "use": did you mean "user"?`,
		`unknown: [request.application]`:                                                 `1:11: unknown fact "request.application"`,
		`unknown: [user, user]`:                                                          `1:17: fact "user" stands already on line 1`,
		"user: {name: a}\nunknown: [user.name]":                                          `2:11: user.name has a value already`,
		"facts: {}\nunknwn: [user]":                                                      `2:1: unknown key "unknwn": did you mean "unknown"?`,
		"facts: &a {}":                                                                   `1:8: an anchor`,
		"\tuser: {}":                                                                     `1:1: a tab`,
	} {
		_, err := ReadFacts("facts.yaml", []byte(content))
		if err == nil {
			t.Errorf("%s: no mistake", content)
		} else if !strings.HasPrefix(err.Error(), "facts.yaml:"+want) {
			t.Errorf("%s:\n%v, want\nfacts.yaml:%s", content, err, want)
		}
	}
	_, err := ReadFacts("facts.yaml", []byte("user: {nam: a}\nclient: {asn: x}\ntime: 1"))
	if errs, ok := err.(Errors); !ok || len(errs) != 3 {
		t.Errorf("not every mistake: %v", err)
	}
	var errs Errors
	r := &reader{file: "f.yaml", errs: &errs, vocabulary: &whenVocabulary}
	r.facts(r.parse([]byte("request: {endpoint: /adfs/services/trust/13/usernamemixd}\nclient: {family: adl}")), nil)
	if len(errs) != 2 || !strings.Contains(errs.Error(), `f.yaml:2:18: client.family is never "adl"`) || !strings.Contains(errs.Error(), "f.yaml:1:21: request.endpoint is never") {
		t.Errorf("endpoint: %v", errs)
	}
}

func TestAppendJSON(t *testing.T) {
	file, err := ReadFacts("facts.yaml", []byte(wholeFacts))
	if err != nil {
		t.Fatal(err)
	}
	f := file.Facts
	want := `{"user":{"name":"alice@contoso.example","guid":"11","sam":"alice","domain":"CONTOSO","groups":["staff","vpn users"]},` +
		`"client":{"address":"203.0.113.7","forwarded":["192.0.2.1","2001:db8::7","192.0.2.3"],"country":["DE","","AT"],"asn":64500,` +
		`"family":"adal","user_agent":"Agent/1\u000d\u000a","familiar":true},"source":{"failed_users":12,"failures":40},` +
		`"request":{"applies_to":"urn:payroll","endpoint":"/adfs/x","version":"1.3","type":"issue","credential":"password",` +
		`"token_type":"saml1.1","key_type":"urn:other","soap":"1.2"},"delegation":{"on_behalf_of":"bob","act_as":"?"},` +
		`"time":"2026-11-22T10:00:00Z"}`
	if got := string(f.AppendJSON(nil, AllFacts)); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	f.Known = f.Known.Without(UserName, UserGroups)
	f.Client.UserAgent = "\x00\x1b\x7f\u0085\u202e\u2028\U000e0001\"\\é😀"
	f.Client.Forwarded, f.Client.Places = nil, nil
	want = `x{"client":{"user_agent":"\u0000\u001b\u007f\u0085\u202e\u2028\udb40\udc01\"\\é😀"},"unknown":["user.groups"],` +
		`"not_read":["user.name","user.guid","user.domain","client.address","client.forwarded","client.asn","client.family",` +
		`"client.familiar","source.failed_users","source.failures","request.applies_to","request.endpoint","request.version",` +
		`"request.type","request.credential","request.token_type","request.key_type","request.soap","delegation.on_behalf_of",` +
		`"delegation.act_as","time"]}`
	if got := string(f.AppendJSON([]byte("x"), FactSet(0).With(UserGroups, ClientUserAgent, ClientCountry))); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if got := string((&Facts{Known: AllFacts}).AppendJSON(nil, AllFacts)); got != `{"unknown":["time"]}` {
		t.Errorf("%s, want all but the time, which is never empty", got)
	}
	if got, _, err := ParseRecorded([]byte("{}")); err != nil || got.Known != AllFacts.Without(Time) {
		t.Errorf("got %b known, %v, want all but the time", got.Known, err)
	}
}

// AUD-06: a record is bounded, and what does not fit in it is missing when it
// is read: a replay never decides on a part of a value.
func TestAppendJSONCuts(t *testing.T) {
	long := strings.Repeat("ä", 300)
	for _, test := range []struct {
		name    string
		change  func(*Facts)
		missing FactSet
	}{
		{"nothing", func(*Facts) {}, 0},
		{"as long as may be", func(f *Facts) { f.Client.UserAgent = long[:512] }, 0},
		{"text", func(f *Facts) { f.Client.UserAgent = long }, 1 << ClientUserAgent},
		{"not UTF-8", func(f *Facts) { f.Delegation.ActAs = "a\xff" }, 1 << DelegationActAs},
		{"SAM", func(f *Facts) { f.User.SAM = long }, 1 << UserDomain},
		{"a group", func(f *Facts) { f.User.Groups = []string{"a", long, "b"} }, 1 << UserGroups},
		{"many groups", func(f *Facts) { f.User.Groups = slices.Repeat([]string{"group"}, 1000) }, 1 << UserGroups},
		{"many addresses", func(f *Facts) {
			f.Client.Forwarded = slices.Repeat([]netip.Addr{netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8::8")}, 500)
			f.Client.Places = slices.Repeat([]Place{{"DE", 1}, {"AT", 1}}, 500)
		}, 1<<ClientForwarded | 1<<ClientCountry | 1<<ClientASN},
		{"everything", func(f *Facts) {
			for fact := range NumFacts {
				if s := f.text(fact); s != nil {
					*s = strings.Repeat("\u0001", 512)
				}
			}
		}, 1<<UserDomain | 1<<ClientFamily | 1<<ClientUserAgent | 1<<RequestAppliesTo},
	} {
		f := whenFacts()
		test.change(f)
		b := f.AppendJSON(nil, AllFacts)
		if len(b) > 7<<10 || !json.Valid(b) || !utf8.Valid(b) {
			t.Errorf("%s: %d bytes: %s", test.name, len(b), b)
		}
		again, missing, err := ParseRecorded(b)
		if err != nil || test.name != "everything" && missing != test.missing || missing&test.missing != test.missing || again.Known&missing != 0 {
			t.Errorf("%s: missing %b, known %b, %v", test.name, missing, again.Known, err)
		}
	}
}

func TestParseRecordedMistakes(t *testing.T) {
	for _, line := range []string{
		``, `[]`, `null x`, `{"user":{"nam":"a"}}`, `{"x":1}`, `{"user":{"name":1}}`, `{"client":{"address":"x"}}`,
		`{"client":{"asn":-1}}`, `{"client":{"country":["DE","AT"]}}`, `{"unknown":["x"]}`, `{"not_read":["user"]}`, `{}{}`, `{"time":"x"}`,
	} {
		if f, _, err := ParseRecorded([]byte(line)); err == nil {
			t.Errorf("%s: %+v", line, f)
		}
	}
}

// randomFacts returns facts as a gateway may gather them.
func randomFacts(r *rand.Rand) *Facts {
	f := &Facts{Known: FactSet(r.Uint32()) & AllFacts, Time: time.Unix(r.Int64N(1<<32), r.Int64N(1e9)).UTC()}
	texts := []string{"", "a", "Ä\u202e\x00\n", strings.Repeat("x", 512), `"\`, "\U000e0001😀", "urn:a:b"}
	for fact := range NumFacts {
		if s := f.text(fact); s != nil {
			*s = texts[r.IntN(len(texts))]
		}
	}
	f.User.SAM = texts[r.IntN(2)]
	for range r.IntN(4) {
		f.User.Groups = append(f.User.Groups, texts[r.IntN(3)])
	}
	f.Client.Address = netip.AddrFrom4([4]byte{byte(r.Uint32()), 1, 2, 3})
	for range r.IntN(4) {
		f.Client.Forwarded = append(f.Client.Forwarded, netip.AddrFrom16([16]byte{0x20, 1, 15: byte(r.Uint32())}))
	}
	for range max(1, len(f.Client.Forwarded)) {
		f.Client.Places = append(f.Client.Places, Place{[]string{"", "DE", "AT"}[r.IntN(3)], r.Uint32N(3)})
	}
	f.Client.Familiar = r.IntN(2) == 0
	f.Source = Source{r.IntN(3), r.IntN(1000)}
	return f
}

// same compares the facts that are known of both, and reports the first that
// differs.
func sameFacts(a, b *Facts) (Fact, bool) {
	for fact := range NumFacts {
		if !a.Known.Has(fact) || fact == RequestApplication {
			continue
		}
		va, vb := a.show(fact), b.show(fact)
		if s := a.text(fact); s != nil {
			va, vb = *s, *b.text(fact)
		}
		switch fact {
		case UserDomain:
			va, vb = va+`\`+a.User.SAM, vb+`\`+b.User.SAM
		case UserGroups:
			va, vb = strings.Join(a.User.Groups, "\n"), strings.Join(b.User.Groups, "\n")
		case ClientAddress:
			va, vb = a.Client.Address.String(), b.Client.Address.String()
		case Time:
			va, vb = a.Time.String(), b.Time.String()
		case ClientCountry, ClientASN:
			if !a.Known.Has(ClientForwarded) {
				continue // of no address
			}
			places := func(f *Facts) (text string) {
				all := make([]Place, max(1, len(f.Client.Forwarded)))
				copy(all, f.Client.Places)
				for _, p := range all {
					p = map[bool]Place{true: {Country: p.Country}, false: {ASN: p.ASN}}[fact == ClientCountry]
					text += showText(p.Country) + " " + string(rune('0'+p.ASN)) + "\n"
				}
				return text
			}
			va, vb = places(a), places(b)
		}
		if va != vb {
			return fact, false
		}
	}
	return 0, true
}

// What is recorded is read back: every fact that was asked for and known.
func TestRecordedRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		f, read := randomFacts(r), FactSet(r.Uint32())&AllFacts
		line := f.AppendJSON(nil, read)
		got, missing, err := ParseRecorded(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if extra := got.Known &^ (f.Known & read).With(RequestApplication); extra != 0 {
			t.Fatalf("%s: knows %b more", line, extra)
		}
		if lost := f.Known & read &^ got.Known &^ missing; lost.Without(RequestApplication) != 0 {
			t.Fatalf("%s: lost %b", line, lost)
		}
		if missing&got.Known != 0 || AllFacts&^read&^missing != 0 && AllFacts&^read&^missing != 1<<RequestApplication {
			t.Fatalf("%s: missing %b, read %b", line, missing, read)
		}
		if fact, ok := sameFacts(&got, f); !ok {
			t.Fatalf("%s: %s differs:\n%+v\n%+v", line, fact, got, f)
		}
		// Recorded again, it is the same line.
		if again := got.AppendJSON(nil, AllFacts&^missing); missing&f.Known&read == 0 && !bytes.Equal(again, line) {
			t.Fatalf("%s, again\n%s", line, again)
		}
		// A file of facts is read the same, where YAML can say it.
		if file, err := ReadFacts("f.json", line); err == nil {
			if fact, ok := sameFacts(&file.Facts, &got); !ok || file.Facts.Known.Without(RequestApplication) != got.Known.Without(RequestApplication) {
				t.Fatalf("%s: as a file, %s differs: %+v", line, fact, file.Facts)
			}
		} else if !bytes.Contains(line, []byte(`\udb40`)) && !strings.Contains(err.Error(), "is never") {
			t.Fatalf("%s: as a file: %v", line, err)
		}
	}
}

// FuzzReadFacts checks that no file of facts makes reading panic, that every
// mistake has a text and a place, and that what is read can be recorded and
// read back.
func FuzzReadFacts(f *testing.F) {
	f.Add([]byte(wholeFacts))
	f.Add([]byte("facts: {user: {name: a@b}}\nunknown: [user, client.asn]"))
	f.Add((&Facts{Known: 7}).AppendJSON(nil, AllFacts))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := ReadFacts("f.yaml", content)
		if err != nil {
			for _, e := range err.(Errors) {
				if e.Line < 1 || e.Column < 1 || e.Msg == "" {
					t.Errorf("mistake %+v", e)
				}
			}
			return
		}
		line := file.Facts.AppendJSON(nil, AllFacts)
		got, _, err := ParseRecorded(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if fact, ok := sameFacts(&got, &file.Facts); !ok {
			t.Errorf("%s: %s differs", line, fact)
		}
	})
}

// FuzzParseRecorded checks that what is read from a record is recorded to the
// same facts.
func FuzzParseRecorded(f *testing.F) {
	f.Add(whenFacts().AppendJSON(nil, AllFacts))
	r := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		f.Add(randomFacts(r).AppendJSON(nil, FactSet(r.Uint32())))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		first, missing, err := ParseRecorded(line)
		if err != nil {
			return
		}
		again := first.AppendJSON(nil, AllFacts&^missing)
		if !json.Valid(again) || len(again) > 7<<10 {
			t.Fatalf("%s", again)
		}
		second, _, err := ParseRecorded(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if fact, ok := sameFacts(&second, &first); !ok {
			t.Errorf("%s, %s: %s differs", line, again, fact)
		}
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	f := whenFacts()
	buf := make([]byte, 0, 1<<12)
	b.ReportAllocs()
	for b.Loop() {
		buf = f.AppendJSON(buf[:0], AllFacts)
	}
}

func BenchmarkParseRecorded(b *testing.B) {
	for name, read := range map[string]FactSet{"all": AllFacts, "some": AllFacts.Without(UserGroups, UserGUID, ClientASN, ClientCountry)} {
		line := whenFacts().AppendJSON(nil, read)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := ParseRecorded(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
