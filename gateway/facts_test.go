package gateway_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway"
	"stsgate/gateway/clientip"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// Policy is asked about the request as it is: each rule here allows by one
// fact, or by one that the request does not have.
func TestFacts(t *testing.T) {
	for _, c := range []struct {
		match   string
		expires string
		want    bool
	}{
		{"everyone", "", true},
		{"everyone", "2026-03-02T08:00:31Z", true},
		{"everyone", "2026-03-02T08:00:30Z", false},
		{"{users: [alice@contoso.example]}", "", true},
		{`{users: ['CONTOSO\alice']}`, "", true},
		{"{users: [bob@contoso.example]}", "", false},
		{"{groups: [payroll & travel]}", "", true},
		{"{groups: [admins]}", "", false},
		{"{domains: [contoso]}", "", true},
		{"{domains: [fabrikam]}", "", false},
		{"{networks: [here]}", "", true},
		{"{networks: [there]}", "", false},
		{"{applications: [any]}", "", true},
		{"{applications: [other]}", "", false},
		{"{endpoints: [/adfs/services/trust/13/usernamemixed]}", "", true},
		{"{endpoints: [/adfs/services/trust/2005/usernamemixed]}", "", false},
		{`{versions: ["1.3"]}`, "", true},
		{`{versions: ["1.2"]}`, "", false},
		{"{types: [issue]}", "", true},
		{"{types: [renew, validate, cancel]}", "", false},
		{"{credentials: [password]}", "", true},
		{"{credentials: [digest, x509, kerberos, saml]}", "", false},
		{"{key_types: [bearer]}", "", true},
		{"{key_types: [symmetric, public]}", "", false},
		{"{token_types: [saml2.0]}", "", true},
		{"{token_types: [saml1.1]}", "", false},
		{`{applications: [any], not: {on_behalf_of: ["*"], act_as: ["*"]}}`, "", true},
		{`{hours: [{from: "08:00", to: "09:00", zone: UTC}]}`, "", true},
		{`{hours: [{from: "08:00", to: "09:00", zone: Europe/Berlin}]}`, "", false},
		// Nobody tells these yet.
		{"{countries: [DE]}", "", false},
		{"{not: {countries: [DE]}}", "", false},
		{"{not: {asns: [64500]}}", "", false},
		{"{familiar: true}", "", false},
		{"{familiar: false}", "", true},
	} {
		atFresh(t, c.match+c.expires, func(t *testing.T) {
			expires := ""
			if c.expires != "" {
				expires = "\n    expires: " + c.expires
			}
			g := newGate(t, func(g *gateway.Config) {
				g.Clients = clientip.New(clientip.Config{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
				g.Policy = live(t, `
networks: {here: [203.0.113.0/24], there: [192.0.2.0/24]}
applications:
  any: {realms: ["*"], answer: forward}
  other: {realms: ["urn:other"], answer: forward}
rules:
  - name: one
    match: `+c.match+`
    allow: {}`+expires+"\n")
			})
			r := modern.post(modern.query(func(q *wstrust.Query) { q.Username, q.TokenType = "alice", wstrust.NSSAML20 }))
			r.Header.Set("X-Forwarded-For", "203.0.113.9")
			if w := g.serve(r); (w.Code == http.StatusOK) != c.want {
				t.Errorf("got status %d (%v), allowed: want %v", w.Code, g.record()["error.message"], c.want)
			}
		})
	}
}

// What Microsoft 365 knows a user by is the directory's, or follows from the GUID.
func TestImmutableIDIsIssued(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) {
			c.Policy = live(t, `
applications: {microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: issue, claims: microsoft-365}}
rules: [{name: all, match: everyone, allow: {}}]
`)
		})
		g.ask(modern, nil)
		if got := g.grant(); got.NameID != immutableID || !reflect.DeepEqual(got.Claims, []wstrust.Claim{
			{URI: "http://schemas.xmlsoap.org/claims/UPN", Values: []string{alice.UPN}},
			{URI: "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID", Values: []string{immutableID}},
		}) {
			t.Errorf("got %q and %v", got.NameID, got.Claims)
		}
	})
}

// SOAP-17: each deviation that is accepted is recorded and counted, by its name.
func TestTolerated(t *testing.T) {
	seen := map[any]bool{}
	for _, c := range []struct {
		name       string
		old, fresh string
		action     string // the SOAPAction header, if there is one
		want       []any
	}{
		{name: "rst/msal-net-13.xml"},
		{name: "rst/zeep-soap11-13.xml"},
		{name: "rst/msal-go-13.xml", want: []any{"messageid-spelling"}},
		{name: "rst/office-2005.xml", want: []any{"unread-header", "policy-reference"}},
		{name: "rst/go-vcd-13.xml", want: []any{"namespaced-password-type"}},
		{name: "rst/node-sp-auth-13.xml", want: []any{"no-timestamp"}},
		{name: "rst/govmomi-soap11-13.xml", want: []any{"no-addressing"}},
		{name: "rst-other/rampart-2005.xml", want: []any{"addressing-2004"}},
		{name: "rst/msal-net-13.xml", action: "https://sts.contoso.example" + path13, want: []any{"soapaction-ignored"}},
		{name: "rst/msal-net-13.xml", old: wstrust.NS13 + `"`, fresh: wstrust.NS13 + `/"`, want: []any{"trust-namespace-slash"}},
		{name: "rst/msal-net-13.xml", old: "</wst:KeyType>", fresh: "\n</wst:KeyType>", want: []any{"padded-uri"}},
		{name: "rst/msal-net-13.xml", old: wstrust.NSPolicy, fresh: "http://www.w3.org/ns/ws-policy", want: []any{"policy-1.5"}},
		{name: "rst/msal-net-13.xml", old: "<wst:KeyType>", fresh: "<!-- c --><wst:KeyType>", want: []any{"comment"}},
	} {
		atFresh(t, c.name+" "+fmt.Sprint(c.want), func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) { c.Policy = live(t, forwardAll) })
			message := testdata.Message(t, c.name)
			if c.old != "" && !bytes.Contains(message, []byte(c.old)) {
				t.Fatalf("the message holds no %s", c.old)
			}
			r := shapeOf(c.name, message).post(bytes.ReplaceAll(message, []byte(c.old), []byte(c.fresh)))
			if c.action != "" {
				r.Header.Set("SOAPAction", c.action)
			}
			g.serve(r)
			got, _ := g.record()["labels.tolerated"].([]any)
			for _, tolerance := range c.want {
				if n := g.value("stsgate_tolerated_total", "tolerance", fmt.Sprint(tolerance)); n != 1 {
					t.Errorf("%v is counted %v times, want 1", tolerance, n)
				}
				seen[tolerance] = true
			}
			if all := g.value("stsgate_tolerated_total"); !reflect.DeepEqual(got, c.want) || int(all) != len(c.want) {
				t.Errorf("got %v, counted %v, want %v (%v)", got, all, c.want, g.record()["error.message"])
			}
		})
	}
	for _, tolerance := range wstrust.Tolerances() {
		if !seen[tolerance.String()] {
			t.Errorf("%v has no message", tolerance)
		}
	}
}

// SOAP-17: an endpoint that refuses a tolerance refuses who needs it, and nobody else.
func TestEndpointRefusesTolerance(t *testing.T) {
	for name, want := range map[string]string{"rst/msal-net-13.xml": "ok", "rst/msal-go-13.xml": "ok", "rst/node-sp-auth-13.xml": "malformed"} {
		atFresh(t, name, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) { c.Policy = live(t, forwardAll) })
			e := endpoints[1]
			e.Takes.Refuses = []wstrust.Tolerance{wstrust.NoTimestamp}
			message := testdata.Message(t, name)
			w := &recorder{ResponseRecorder: httptest.NewRecorder()}
			g.Endpoint(e).ServeHTTP(w, shapeOf(name, message).post(message))
			r := g.record()
			if r["event.reason"] != want || (want == "ok") == g.quiet() {
				t.Errorf("got reason %v (%v), want %s", r["event.reason"], r["error.message"], want)
			}
			if n := g.value("stsgate_tolerated_total", "tolerance", "no-timestamp"); n != 0 {
				t.Errorf("it is counted %v times as tolerated", n)
			}
		})
	}
}

// Documents that are given out are counted by path.
func TestCount(t *testing.T) {
	g := newGate(t, nil)
	h := g.Count("/adfs/services/trust/mex", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/adfs/services/trust/mex", nil))
	if got := g.value("stsgate_exchanges_total", "endpoint", "/adfs/services/trust/mex", "reason", "ok", "application", "none", "version", "none", "answer", "none"); got != 1 || w.Code != http.StatusNoContent {
		t.Errorf("got %v counted and status %d, want 1 and 204", got, w.Code)
	}
}

// A gateway without what it needs is not made.
func TestNew(t *testing.T) {
	g := newGate(t, nil)
	for name, change := range map[string]func(*gateway.Config){
		"":                  func(*gateway.Config) {},
		"no policy":         func(c *gateway.Config) { c.Policy = nil },
		"no guard":          func(c *gateway.Config) { c.Guard = nil },
		"no audit log":      func(c *gateway.Config) { c.Audit = nil },
		"no clients":        func(c *gateway.Config) { c.Clients = nil },
		"no log":            func(c *gateway.Config) { c.Log = nil },
		"no metrics":        func(c *gateway.Config) { c.Metrics = nil },
		"nobody to ask":     func(c *gateway.Config) { c.Forwarder = nil },
		"no body":           func(c *gateway.Config) { c.MaxBody = 0 },
		"no time":           func(c *gateway.Config) { c.BodyTimeout = 0 },
		"no slot":           func(c *gateway.Config) { c.Slot = 0 },
		"URL that is none":  func(c *gateway.Config) { c.URL = "https://%" },
		"metrics there yet": func(c *gateway.Config) { c.Metrics = g.metrics },
	} {
		c := gateway.Config{
			Host: host, URL: "https://" + host, Policy: g.live, Guard: g.guard, Forwarder: g.farm, Clients: clientip.New(clientip.Config{}),
			Audit: openAudit(t, "/dev/null"), MaxBody: 1, BodyTimeout: 1, Slot: 1, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		}
		change(&c)
		if _, err := gateway.New(c, endpoints); (err == nil) != (name == "") {
			t.Errorf("%q: got error %v", name, err)
		}
	}
}
