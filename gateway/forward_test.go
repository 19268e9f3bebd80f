package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"stsgate/gateway"
	"stsgate/gateway/clientip"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

const forwardAll = `
applications: {any: {realms: ["*"], answer: forward}}
rules: [{name: all, match: everyone, allow: {}}]
`

// notForwarded are the messages that the farm could not read as the gateway does.
var notForwarded = map[string]string{"rst/govmomi-soap11-13.xml": "no addresses, and no application"}

// shapeOf tells how a message of testdata is sent.
func shapeOf(name string, message []byte) shape {
	s := modern
	if strings.Contains(name, "-2005") {
		s.trust = wstrust.V2005
	}
	if bytes.Contains(message, []byte(soap.NSSOAP11)) {
		s.soap = soap.V11
	}
	return s
}

// XML-18: the farm gets the bytes that were received, and the client the
// bytes that the farm answered, or the farm gets nothing.
func TestBytesAreForwardedAsTheyCame(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) {
			c.Audit, c.Policy = openAudit(t, "/dev/null"), live(t, forwardAll)
		})
		var sent []byte
		g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
			a, err := readAnswer(answerTo(t, r), r)
			if err == nil {
				sent = bytes.Clone(a.Body)
			}
			return a, err
		}
		accepted := 0
		for _, name := range testdata.Names(t, "rst") {
			message := testdata.Message(t, name)
			for i, v := range variants(message) {
				g.farm.asked = nil
				w := g.serve(shapeOf(name, message).post(v))
				switch forwarded := len(g.farm.asked) == 1; {
				case !forwarded && (w.Code == 200 || len(g.farm.asked) > 0):
					t.Fatalf("%s %d: status %d, and the farm was asked %d times", name, i, w.Code, len(g.farm.asked))
				case forwarded && !bytes.Equal(g.farm.asked[0].body, v):
					t.Fatalf("%s %d: the farm got\n%s\nwant\n%s", name, i, g.farm.asked[0].body, v)
				case forwarded && (w.Code != 200 || !bytes.Equal(w.Body.Bytes(), sent)):
					t.Fatalf("%s %d: the client got %d\n%s\nwant\n%s", name, i, w.Code, w.Body, sent)
				case i == 0 && forwarded == (notForwarded[name] != ""):
					t.Fatalf("%s as it is: forwarded %v\n%s", name, forwarded, g.log)
				case forwarded:
					accepted++
				}
			}
		}
		if accepted < 1000 {
			t.Errorf("%d variants were forwarded, want at least 1000", accepted)
		}
	})
}

// variants are the message as it is, and with what changes its bytes and not
// its meaning.
func variants(message []byte) [][]byte {
	all := [][]byte{message}
	add := func(b []byte) { all = append(all, b) }
	unix := bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n"))
	add(unix)
	add(bytes.ReplaceAll(unix, []byte("\n"), []byte("\r\n")))
	add(append([]byte("\ufeff"), message...))
	for _, filling := range []string{"\n\t ", "\r\n", "<!-- between -->"} {
		for _, at := range regexp.MustCompile(`>\s*<`).FindAllIndex(message, -1) {
			add(append(append(bytes.Clone(message[:at[0]+1]), filling...), message[at[0]+1:]...))
		}
	}
	return all
}

// The farm is told whose request it is, in typed values.
func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		name, forwardedFor, agent string
		want                      wstrust.Origin
	}{
		{"direct", "", "curl/8", wstrust.Origin{Path: path13, Client: netip.MustParseAddr("192.0.2.1"), UserAgent: "curl/8"}},
		{"behind a proxy", "203.0.113.9", "", wstrust.Origin{Path: path13, Client: netip.MustParseAddr("203.0.113.9")}},
		{"agent that is no text", "", "a\x7fb", wstrust.Origin{Path: path13, Client: netip.MustParseAddr("192.0.2.1")}},
		{"agent that is long", "", strings.Repeat("a", 257), wstrust.Origin{Path: path13, Client: netip.MustParseAddr("192.0.2.1"), UserAgent: strings.Repeat("a", 256)}},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) {
				c.Clients = clientip.New(clientip.Config{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
			})
			r := modern.post(modern.query(nil))
			r.Header.Set("User-Agent", c.agent)
			if c.forwardedFor != "" {
				r.Header.Set("X-Forwarded-For", c.forwardedFor)
			}
			g.serve(r)
			if got := fmt.Sprintf("%+v", g.farm.asked[0].origin); got != fmt.Sprintf("%+v", c.want) {
				t.Errorf("got %s, want %+v", got, c.want)
			}
			if r := g.record(); r["source.ip"] != "192.0.2.1" || r["client.ip"] != c.want.Client.String() || r["destination.address"] != node {
				t.Errorf("got the record %v", r)
			}
		})
	}
}

// SOAP-04: To names the host, and the port that the request came to, or that
// clients know, or none.
func TestTo(t *testing.T) {
	for _, c := range []struct{ hostHeader, to, want string }{
		{host, "https://" + host + path13, "ok"},
		{host, "https://" + host + ":443" + path13, "ok"},
		{host, "https://" + host + ":8443" + path13, "ok"},
		{host + ":9443", "https://" + host + ":9443" + path13, "ok"},
		{host, "https://" + host + ":9443" + path13, "misaddressed"},
		{host, "https://node1.contoso.example" + path13, "misaddressed"},
		{host, "http://" + host + path13, "misaddressed"},
		{host, "https://" + host + path2005, "misaddressed"},
	} {
		for _, realm := range []string{cloud, "urn:payroll"} {
			atFresh(t, c.hostHeader+" "+c.to+" "+realm, func(t *testing.T) {
				g := newGate(t, nil)
				r := modern.post(modern.query(func(q *wstrust.Query) { q.To, q.AppliesTo = c.to, realm }))
				r.Host = c.hostHeader
				g.serve(r)
				if got := g.record()["event.reason"]; got != c.want {
					t.Errorf("got reason %v (%v), want %s", got, g.record()["error.message"], c.want)
				}
			})
		}
	}
}

// What is forwarded is recorded with the id of the token that was released.
func TestForwardedRecord(t *testing.T) {
	for _, s := range shapes {
		atFresh(t, s.String(), func(t *testing.T) {
			g := newGate(t, nil)
			if w := g.ask(s, nil); w.Code != 200 || w.Header().Get("Content-Type") != s.soap.ContentType() || w.Header().Get("Cache-Control") != "no-store" {
				t.Fatalf("got %d %v %s", w.Code, w.Header(), w.Body)
			}
			r := g.record()
			for field, want := range map[string]any{
				"event.outcome": "success", "event.reason": "ok", "http.response.status_code": 200.0, "labels.answer": "forward",
				"service.target.name": "microsoft-365", "labels.applies_to": cloud, "rule.name": "staff", "url.path": s.path(),
				"labels.wstrust_version": s.trust.String(), "labels.soap_version": s.soap.String(), "user.id": alice.ID,
				"rule.ruleset": g.live.Load().Revision(), "@timestamp": "2026-03-02T08:00:30Z",
				"labels.not_on_or_after": "2026-03-02T09:00:01.234Z", "user_agent.original": "tests", "labels.effect": "allow",
			} {
				if r[field] != want {
					t.Errorf("%s: got %v, want %v", field, r[field], want)
				}
			}
			if id, _ := r["labels.assertion_id"].(string); !strings.HasPrefix(id, "_") {
				t.Errorf("got labels.assertion_id %q", id)
			}
			if got, want := r["labels.report_only"] != nil, s.trust == wstrust.V2005; got != want {
				t.Errorf("got the rule in report-only %v, want %v", got, want)
			}
			if len(r) != 33 && len(r) != 34 {
				t.Errorf("got %d fields: %v", len(r), r)
			}
		})
	}
}
