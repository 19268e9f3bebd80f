package gateway_test

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// strangers are requests whose sender has proven nothing, and whose answer
// rests on who the user is.
var strangers = []struct {
	name   string
	change func(*wstrust.Query)
}{
	{"unknown user", func(q *wstrust.Query) { q.Username = "nobody@contoso.example" }},
	{"name without a form", func(q *wstrust.Query) { q.Username = "alice@" }},
	{"user who is denied", func(q *wstrust.Query) { q.Username = mallory.UPN }},
	{"user whom nothing allows", func(q *wstrust.Query) { q.Username = carol.UPN }},
	{"wrong password", func(q *wstrust.Query) { q.Password = account.NewPassword([]byte("wrong")) }},
	{"longer name", func(q *wstrust.Query) { q.Username = strings.Repeat("n", 500) + "@contoso.example" }},
}

// requests are what else the sender may ask for.
var requests = []struct {
	name    string
	change  func(*wstrust.Query)
	rewrite func(string) string
	want    string // the code of the fault
}{
	{"forwarded", func(*wstrust.Query) {}, nil, "FailedAuthentication"},
	{"issued", func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }, nil, "FailedAuthentication"},
	// What is wrong with the message is told whoever the user is. Told only to
	// the users that are allowed, it would tell who they are.
	{"forwarded, addressed to another", func(q *wstrust.Query) { q.To = "https://other.example/" }, nil, "InvalidRequest"},
	{"issued, addressed to another", func(q *wstrust.Query) { q.To, q.AppliesTo = "https://other.example/", "urn:payroll" }, nil, "InvalidRequest"},
	{"forwarded without addresses", func(q *wstrust.Query) { q.To = "" }, nil, "InvalidRequest"},
	{"forwarded with a deviation", func(*wstrust.Query) {}, replace(cloud, " "+cloud), "BadRequest"},
	{"issued, other token", func(q *wstrust.Query) { q.AppliesTo, q.TokenType = "urn:payroll", "urn:jwt" }, nil, "BadRequest"},
	{"issued, with a key", func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }, replace("/Bearer", "/SymmetricKey"), "BadRequest"},
	{"closed to all", func(q *wstrust.Query) { q.AppliesTo = "urn:closed" }, nil, "FailedAuthentication"},
	{"unknown application", func(q *wstrust.Query) { q.AppliesTo = "urn:other" }, nil, "InvalidScope"},
}

// SOAP-14, POL-09: whoever has not proven a password learns nothing about a
// user from the answer, byte for byte but the transaction id.
func TestUsersLookAlike(t *testing.T) {
	for _, s := range shapes {
		for _, c := range requests {
			if s.soap == modern.soap && s.trust == modern.trust || c.name == "forwarded" {
				atFresh(t, fmt.Sprintf("%v/%s", s, c.name), func(t *testing.T) { testAlike(t, s, c.change, c.rewrite, c.want) })
			}
		}
	}
}

func testAlike(t *testing.T, s shape, change func(*wstrust.Query), rewrite func(string) string, want string) {
	var first *recorder
	var work int // passwords tried in the directory: what takes time here
	for i, stranger := range strangers {
		g := newGate(t, nil)
		g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
		message := string(s.query(func(q *wstrust.Query) {
			change(q)
			stranger.change(q)
		}))
		if rewrite != nil {
			message = rewrite(message)
		}
		w := g.serve(s.post([]byte(message)))
		id := fmt.Sprint(g.record()["transaction.id"])
		same := bytes.ReplaceAll(w.Body.Bytes(), []byte(id), []byte("TRANSACTION"))
		w.Body = bytes.NewBuffer(receipts.ReplaceAll(same, []byte("TIME")))
		if first == nil {
			first = w
		}
		if i == 0 {
			work = g.directory.verified
		} else if g.directory.verified != work {
			t.Errorf("%s costs %d passwords tried, %s %d", stranger.name, g.directory.verified, strangers[0].name, work)
		}
		if got := hear(t, s.soap, w.Body.Bytes()).Code; got != want {
			t.Errorf("%s: got %s (%v), want %s", stranger.name, got, g.record()["error.message"], want)
		}
		if w.Code != first.Code || !sameHeader(w.Header(), first.Header()) || w.Body.String() != first.Body.String() {
			t.Errorf("%s is answered %d %v %s\nand %s %d %v %s", stranger.name, w.Code, w.Header(), w.Body,
				strangers[0].name, first.Code, first.Header(), first.Body)
		}
	}
}

// receipts are the times that a fault names.
var receipts = regexp.MustCompile(`2026-03-02T[0-9:.]{8,12}Z`)

func sameHeader(a, b http.Header) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// A deny that is one for any user is told, and no deny tells its rule to
// anyone but the operator (POL-09).
func TestDeniesAreNamed(t *testing.T) {
	for _, c := range []struct {
		name, code, rule string
		change           func(*wstrust.Query)
	}{
		{"closed to all", "MSIS7068: Access denied.", "closed for good", func(q *wstrust.Query) { q.AppliesTo = "urn:closed" }},
		{"closed to one", "ID3242: ", "never mallory", func(q *wstrust.Query) { q.Username = mallory.UPN }},
		{"closed to all and to one", "MSIS7068: Access denied.", "closed for good", func(q *wstrust.Query) { q.AppliesTo, q.Username = "urn:closed", mallory.UPN }},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			w := g.ask(modern, c.change)
			if text := hear(t, modern.soap, w.Body.Bytes()).Text; !strings.HasPrefix(text, c.code) {
				t.Errorf("the client is told %q, want %s", text, c.code)
			}
			if strings.Contains(w.Body.String(), c.rule) {
				t.Errorf("the client is told the rule: %s", w.Body)
			}
			if r := g.record(); r["rule.name"] != c.rule || !strings.Contains(fmt.Sprint(r["error.message"]), c.rule) {
				t.Errorf("the record names rule %v and cause %v, want %q", r["rule.name"], r["error.message"], c.rule)
			}
		})
	}
}

const divided = `
applications: {microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}}
rules:
  - {name: staff here, match: {groups: [staff]}, allow: {answer: issue}}
  - {name: travellers there, match: {groups: ["payroll & travel"]}, allow: {answer: forward}}
`

// A conflict of rules that rest on the user looks like a wrong password, and
// only the operator is told (POL-09).
func TestConflictOfOneUser(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) { c.Policy = live(t, divided) })
		w := g.ask(modern, nil)
		if text := hear(t, modern.soap, w.Body.Bytes()).Text; !strings.HasPrefix(text, "ID3242: ") || !g.quiet() {
			t.Errorf("the client is told %q, want ID3242 and nobody asked", text)
		}
		if got := fmt.Sprint(g.record()["error.message"]); !strings.Contains(got, `"staff here" and "travellers there"`) {
			t.Errorf("the record says %s, want both rules", got)
		}
	})
}

// AUD-08: a name is written as it was typed once it stands for somebody, and
// as a hash before: it may be a password in the wrong box.
func TestNamesInRecords(t *testing.T) {
	for _, c := range []struct {
		typed, id, name string
	}{
		{alice.UPN, alice.ID, alice.UPN},
		{`contoso\ALICE`, alice.ID, alice.UPN},
		{"Alice", alice.ID, alice.UPN},
		{"nobody@contoso.example", "", ""},
		{"Str0ng&<password>", "", ""},
		{"alice\t", "", ""},
	} {
		atFresh(t, c.typed, func(t *testing.T) {
			g := newGate(t, nil)
			g.ask(modern, func(q *wstrust.Query) { q.Username = c.typed })
			g.ask(modern, func(q *wstrust.Query) { q.Username = strings.ToUpper(c.typed) })
			all := g.records()
			id, _ := all[0]["user.id"].(string)
			name, _ := all[0]["user.name"].(string)
			hash, _ := all[0]["user.hash"].(string)
			if id != c.id || name != c.name || (hash == "") != (id != "") {
				t.Errorf("got user.id %q, user.name %q, user.hash %q, want %q and %q", id, name, hash, c.id, c.name)
			}
			if all[1]["user.hash"] != all[0]["user.hash"] {
				t.Errorf("the same name in capitals has the hash %v, want %v", all[1]["user.hash"], all[0]["user.hash"])
			}
			if id == "" && strings.Contains(fmt.Sprint(all)+g.log.String(), c.typed) {
				t.Errorf("the name shows in %v or %s", all, g.log)
			}
		})
	}
}
