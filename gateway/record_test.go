package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"stsgate/gateway"
	"stsgate/gateway/audit"
	"stsgate/gateway/clientip"
	"stsgate/gateway/place"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

// facts returns the facts of the one record, as JSON.
func (g *gate) facts() string {
	g.t.Helper()
	b, err := json.Marshal(g.record()["labels.facts"])
	if err != nil {
		g.t.Fatal(err)
	}
	return string(b)
}

// countries writes a database in which one network is in Germany.
func countries(t *testing.T) *place.DB {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-Country", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, network, _ := net.ParseCIDR("203.0.113.0/24")
	if err := w.Insert(network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("DE")}}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := place.Open(place.Config{Country: file})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// A record has the facts that policy decided on: those of message, connection
// and clock always, those that cost a look-up when a rule or the configuration
// asks for them. What could not be read is unknown, what nobody asked for is
// not read.
func TestFactsInTheRecord(t *testing.T) {
	const (
		head   = `{"client":{"address":"203.0.113.9",`
		rest   = `"family":"unknown","user_agent":"tests"},`
		asked  = `"request":{"applies_to":"urn:federation:MicrosoftOnline","credential":"password","endpoint":"/adfs/services/trust/13/usernamemixed","key_type":"bearer","soap":"1.2","type":"issue","version":"1.3"},"time":"2026-03-02T08:00:30Z"`
		who    = `,"user":{"domain":"CONTOSO","groups":["staff","payroll \u0026 travel"],"guid":"12efcdab-5634-9078-abcd-ef1234567890","name":"alice@contoso.example","sam":"alice"}}`
		never  = `"client.familiar","source.failed_users","source.failures"]`
		places = `"client.country","client.asn",`
		user   = `"user.name","user.guid","user.domain","user.groups"`
	)
	for _, c := range []struct {
		name   string
		rules  string // more of them
		change func(*gateway.Config)
		down   bool
		user   string
		want   string
	}{
		{"usual", "", nil, false, "", head + rest + `"not_read":[` + places + never + `,` + asked + who},
		{"no such user", "", nil, false, "nobody", head + rest + `"not_read":[` + places + never + `,` + asked + `}`},
		{"a name that is none", "", nil, false, `\`, head + rest + `"not_read":[` + places + never + `,` + asked + `}`},
		{"directory down", "", nil, true, "", head + rest + `"not_read":[` + places + never + `,` + asked + `,"unknown":[` + user + `]}`},
		{"no directory", "", func(c *gateway.Config) { c.Directory = nil }, false, "", head + rest + `"not_read":[` + user + `,` + places + never + `,` + asked + `}`},
		{"no directory, and a name that is none", "", func(c *gateway.Config) { c.Directory = nil }, false, `\`, head + rest + `"not_read":[` + user + `,` + places + never + `,` + asked + `}`},
		{"a rule asks for the country", "  - {name: no, match: {countries: [NO]}, deny: {}}\n", func(c *gateway.Config) { c.Places = countries(t) }, false, "",
			head + `"country":"DE",` + rest + `"not_read":["client.asn",` + never + `,` + asked + who},
		{"a rule asks, and nobody knows", "  - {name: no, match: {countries: [NO]}, deny: {}, mode: report-only}\n", nil, false, "",
			head + rest + `"not_read":["client.asn",` + never + `,` + asked + `,"unknown":["client.country"]` + who},
		{"all are recorded", "", func(c *gateway.Config) {
			c.Places, c.Record = countries(t), policy.AllFacts.Without(policy.ClientASN, policy.ClientFamiliar, policy.SourceFailedUsers, policy.SourceFailures)
		}, false, "", head + `"country":"DE",` + rest + `"not_read":["client.asn",` + never + `,` + asked + who},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, func(gc *gateway.Config) {
				gc.Policy = live(t, rules+c.rules)
				gc.Clients = clientip.New(clientip.Config{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
				if c.change != nil {
					c.change(gc)
				}
			})
			if c.down {
				g.directory.fail(errors.New("down"))
			}
			r := modern.post(modern.query(func(q *wstrust.Query) {
				if c.user != "" {
					q.Username = c.user
				}
			}))
			r.Header.Set("X-Forwarded-For", "203.0.113.9")
			g.serve(r)
			if got := g.facts(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// The software that the message points to is a fact, and policy can ask for it.
func TestFamilyInTheRecord(t *testing.T) {
	for file, want := range map[string]string{
		"msal-net/password-13.http": "msal-net", "adal/net-13.http": "adal", "zeep/password.http": "zeep",
	} {
		atFresh(t, file, func(t *testing.T) {
			message, err := os.ReadFile(filepath.Join("family", "testdata", "messages", filepath.FromSlash(file)))
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(message)))
			if err != nil {
				t.Fatal(err)
			}
			r.RemoteAddr = "192.0.2.1:1234"
			g := newGate(t, func(c *gateway.Config) {
				c.Policy = live(t, `
applications: {any: {realms: ["*"], answer: forward}}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: `+want+`, when: client.family == "`+want+`", deny: {}, mode: report-only}
`)
			})
			g.serve(r)
			if got, reported := g.facts(), g.record()["labels.report_only"]; !strings.Contains(got, `"family":"`+want+`"`) || fmt.Sprint(reported) != "["+want+"]" {
				t.Errorf("got %s, reported by %v, want %s", got, reported, want)
			}
		})
	}
}

// Addresses that Exchange Online names are recorded, and where a header of
// addresses cannot be read, nobody knows where the client is.
func TestAddressesInTheRecord(t *testing.T) {
	for header, want := range map[string][]string{
		"203.0.113.9, 198.51.100.7": {`"forwarded":["203.0.113.9","198.51.100.7"]`, `"country":["DE",""]`},
		"nonsense":                  {`"unknown":["client.address","client.forwarded","client.country"]`},
	} {
		atFresh(t, header, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) {
				c.Places, c.Record = countries(t), policy.FactSet(0).With(policy.ClientCountry)
				c.Clients = clientip.New(clientip.Config{ExchangeOnline: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
			})
			r := modern.post(modern.query(nil))
			r.Header.Set("X-MS-Forwarded-Client-IP", header)
			g.serve(r)
			for _, w := range want {
				if got := g.facts(); !strings.Contains(got, w) {
					t.Errorf("got %s, want %s", got, w)
				}
			}
		})
	}
}

// A line tells what policy decided, so that a replay finds it again; a request
// on which policy was not asked has nothing of it.
func TestDecisionInTheRecord(t *testing.T) {
	twoFactors := rules + "  - {name: prove more, match: {applications: [payroll]}, require: {mfa: {}}}\n  - {name: briefly, match: {applications: [payroll]}, require: {limit: {lifetime: 1h}}}\n"
	for _, c := range []struct {
		name     string
		change   func(*wstrust.Query)
		effect   string
		answer   string
		mfa      bool
		requires string
		rule     string
	}{
		{"allowed", nil, "allow", "forward", false, "[]", "staff"},
		{"owes", issued, "allow", "issue", true, "[briefly prove more]", "staff"},
		{"denied", func(q *wstrust.Query) { q.Username = mallory.UPN }, "deny", "", false, "[]", "never mallory"},
		{"nothing allows", func(q *wstrust.Query) { q.Username = carol.UPN }, "deny", "", false, "[]", ""},
		{"unknown application", func(q *wstrust.Query) { q.AppliesTo = "urn:nobody" }, "deny", "", false, "[]", ""},
		{"malformed", func(q *wstrust.Query) { q.AppliesTo = "" }, "deny", "", false, "[]", ""},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, func(gc *gateway.Config) { gc.Policy = live(t, twoFactors) })
			g.ask(modern, c.change)
			g.record()
			line, err := os.ReadFile(g.audited)
			if err != nil {
				t.Fatal(err)
			}
			d, err := audit.ReadDecision(line)
			if err != nil || d.Effect != c.effect || d.Answer != c.answer || d.SecondFactor != c.mfa || fmt.Sprint(d.Requires) != c.requires || d.Rule != c.rule {
				t.Errorf("got %+v, %v", d, err)
			}
			facts, missing, err := policy.ParseRecorded(d.Facts)
			if err != nil {
				t.Fatal(err)
			}
			was, err := policy.ParseVerdict(d.Effect, d.Answer, d.SecondFactor)
			if err != nil {
				t.Fatal(err)
			}
			var p policy.Replay
			if p.Add(g.live.Load(), &policy.Recorded{Facts: facts, Missing: missing, Was: was}); p.Unchanged != 1 {
				t.Errorf("a replay finds %v", p.Changes())
			}
		})
	}
	atFresh(t, "not read", func(t *testing.T) {
		g := newGate(t, nil)
		g.serve(modern.post([]byte("<x/>")))
		r := g.record()
		for _, field := range []string{"labels.effect", "labels.facts", "labels.requires", "labels.second_factor"} {
			if r[field] != nil {
				t.Errorf("got %s %v", field, r[field])
			}
		}
	})
}

// MFA-18: who is excepted from a second factor is recorded and counted, by rule
// and application, from 0 on.
func TestExcepted(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) {
			c.Policy = live(t, `
applications:
  microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - name: second factor
    match: everyone
    require: {mfa: {}}
    except: [{match: {versions: ["1.3"]}, owner: ops, reason: tests, expires: "2026-03-02T08:10:00Z"}]
`)
			c.Issuer = nil
		})
		count := func() float64 {
			families, err := g.metrics.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if f.GetName() == "stsgate_excepted_total" && len(f.Metric) == 1 {
					return f.Metric[0].GetCounter().GetValue()
				}
			}
			return -1
		}
		if n := count(); n != 0 {
			t.Errorf("at first %v", n)
		}
		last := func() map[string]any { all := g.records(); return all[len(all)-1] }
		g.ask(modern, nil)
		if r := last(); r["event.outcome"] != "success" || fmt.Sprint(r["labels.excepted"]) != "[second factor]" || count() != 1 {
			t.Errorf("excepted: %v by %v, counted %v", r["event.outcome"], r["labels.excepted"], count())
		}
		time.Sleep(10 * time.Minute)
		g.ask(modern, nil)
		if r := last(); r["event.outcome"] != "failure" || r["labels.excepted"] != nil || count() != 1 {
			t.Errorf("when it is over: %v by %v, counted %v", r["event.outcome"], r["labels.excepted"], count())
		}
	})
}

// The series of rules in report-only begin at 0 when a set comes into force,
// one for each application that the rule covers, and end with the rule.
func TestReportOnlySeries(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) {
			c.Policy = live(t, `
applications:
  microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}
  payroll: {realms: ["urn:payroll"], answer: issue}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: not that, match: {applications: [microsoft-365], versions: ["1.3"]}, deny: {}, mode: report-only}
  - {name: prove more, match: {not: {applications: [payroll]}}, require: {mfa: {}, limit: {lifetime: 1h}}, mode: report-only}
  - {name: guests, match: {groups: [guests]}, allow: {}, mode: report-only}
`)
			c.Issuer = nil
		})
		series := func() string {
			families, err := g.metrics.Gather()
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, f := range families {
				if f.GetName() != "stsgate_report_only_total" {
					continue
				}
				for _, m := range f.Metric {
					l := m.Label // in the order of their names
					all = append(all, fmt.Sprintf("%s/%s/%s %v", l[1].GetValue(), l[0].GetValue(), l[2].GetValue(), m.GetCounter().GetValue()))
				}
			}
			slices.Sort(all)
			return strings.Join(all, "\n")
		}
		const rest = "guests/microsoft-365/allow 0\nguests/payroll/allow 0\n"
		if got, want := series(), rest+"not that/microsoft-365/deny 0\nprove more/microsoft-365/require mfa and limit 0"; got != want {
			t.Errorf("at first got\n%s\nwant\n%s", got, want)
		}
		g.ask(modern, nil)
		g.ask(modern, nil)
		g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = "urn:nobody" })
		if got, want := series(), rest+"not that/microsoft-365/deny 2\nprove more/microsoft-365/require mfa and limit 2"; got != want {
			t.Errorf("after two requests got\n%s\nwant\n%s", got, want)
		}
		old := g.live.Load()
		g.live.Store(load(t, `
applications:
  microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: not that, match: everyone, deny: {}, mode: report-only}
  - {name: prove more, match: everyone, require: {mfa: {}}}
`))
		if got, want := series(), "not that/microsoft-365/deny 2"; got != want {
			t.Errorf("under another set got\n%s\nwant\n%s", got, want)
		}
		g.live.Store(old)
		if got, want := series(), rest+"not that/microsoft-365/deny 2\nprove more/microsoft-365/require mfa and limit 0"; got != want {
			t.Errorf("under the first again got\n%s\nwant\n%s", got, want)
		}
	})
}
