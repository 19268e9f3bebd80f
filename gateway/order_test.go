package gateway_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/refusal"
	"stsgate/gateway/wstrust"
)

// The password of a request that is denied goes nowhere, whatever the reason
// (design.md, section 4).
func TestDeniedPasswordGoesNowhere(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*wstrust.Query)
		want   string
	}{
		{"application for nobody", func(q *wstrust.Query) { q.AppliesTo = "urn:closed" }, "denied"},
		{"application that no file names", func(q *wstrust.Query) { q.AppliesTo = "urn:other" }, "unknown-application"},
		{"no application", func(q *wstrust.Query) { q.AppliesTo = "" }, "unknown-application"},
		{"user who is denied", func(q *wstrust.Query) { q.Username = mallory.UPN }, "denied-user"},
		{"user whom nothing allows", func(q *wstrust.Query) { q.Username = carol.UPN }, "denied-user"},
		{"the same, issued", func(q *wstrust.Query) { q.Username, q.AppliesTo = carol.UPN, "urn:payroll" }, "denied-user"},
		{"unknown user", func(q *wstrust.Query) { q.Username = "nobody@contoso.example" }, "unknown-user"},
		{"unknown user, issued", func(q *wstrust.Query) { q.Username, q.AppliesTo = "nobody@contoso.example", "urn:payroll" }, "unknown-user"},
		{"name without a form", func(q *wstrust.Query) { q.Username = " alice" }, "unknown-user"},
		{"two answers", func(q *wstrust.Query) { q.AppliesTo = "urn:split" }, "conflict"},
		{"addressed to another", func(q *wstrust.Query) { q.To = "https://other.example" + path13 }, "misaddressed"},
		{"token that is not issued", func(q *wstrust.Query) { q.AppliesTo, q.TokenType = "urn:payroll", "urn:jwt" }, "unsupported"},
		{"expired", func(q *wstrust.Query) { q.Now = q.Now.Add(-11 * 60e9) }, "expired"},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			w := g.ask(modern, c.change)
			if got := g.record()["event.reason"]; got != c.want || w.Code != http.StatusInternalServerError {
				t.Errorf("got reason %v with status %d, want %v", got, w.Code, c.want)
			}
			if !g.quiet() {
				t.Errorf("the farm was asked %d times, the issuer %d times", len(g.farm.asked), len(g.sts.proved))
			}
		})
	}
}

// Without a directory in reach nobody is allowed by a rule on users, and
// whoever would be is not asked for.
func TestDirectoryDownGoesNowhere(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.directory.fail(context.DeadlineExceeded)
		g.ask(modern, nil)
		if got := g.record()["event.reason"]; got != "directory-down" || !g.quiet() {
			t.Errorf("got reason %v, want directory-down and nobody asked", got)
		}
	})
}

// Who is known from before passes a directory that does not answer, by rules
// that ask for no group; what asks for one is refused as a failure of the
// service, and not as a wrong password.
func TestRememberedHasNoGroups(t *testing.T) {
	for _, c := range []struct{ rules, want string }{
		{"[{name: all, match: everyone, allow: {}}]", "ok"},
		{"[{name: alice, match: {users: [alice@contoso.example]}, allow: {}}]", "ok"},
		{"[{name: bob, match: {users: [bob@contoso.example]}, allow: {}}]", "directory-down"},
		{"[{name: staff, match: {groups: [staff]}, allow: {}}]", "directory-down"},
		{"[{name: all, match: everyone, allow: {}}, {name: no admins, match: {groups: [admins]}, deny: {}}]", "directory-down"},
		{"[{name: none, match: everyone, deny: {}}]", "denied"},
	} {
		atFresh(t, c.rules, func(t *testing.T) {
			g := newGate(t, func(g *gateway.Config) {
				g.Policy = live(t, "applications: {any: {realms: [\"*\"], answer: forward}}\nrules: "+c.rules+"\n")
			})
			remembered := alice
			remembered.Remembered, remembered.Groups = true, nil
			g.directory.byName[alice.UPN] = remembered
			g.ask(modern, nil)
			if got := g.record()["event.reason"]; got != c.want || (len(g.farm.asked) > 0) != (c.want == "ok") {
				t.Errorf("got reason %v, farm asked %d times, want %v", got, len(g.farm.asked), c.want)
			}
		})
	}
}

// Before check has passed nothing is signed (design.md, section 4).
func TestNothingIsSignedForAnother(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.sts.authenticate = func(context.Context, account.Name, account.Password) (account.Account, error) { return bob, nil }
		w := g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" })
		if got := g.record()["event.reason"]; got != "answer-mismatch" || len(g.sts.granted) != 0 {
			t.Errorf("got reason %v and %d tokens, want answer-mismatch and none", got, len(g.sts.granted))
		}
		if strings.Contains(w.Body.String(), assertionID) {
			t.Error("the answer holds the token")
		}
	})
}

// AUD-01: the record is in the file before the client hears anything.
func TestRecordBeforeAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*wstrust.Query)
		want   string
	}{
		{"forwarded", nil, "ok"},
		{"issued", func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }, "ok"},
		{"refused", func(q *wstrust.Query) { q.Username = carol.UPN }, "denied-user"},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			heard := false
			w := &recorder{ResponseRecorder: httptest.NewRecorder()}
			w.heard = func() {
				heard = true
				if got := g.record()["event.reason"]; got != c.want {
					t.Errorf("when the client hears, the record says %v, want %v", got, c.want)
				}
			}
			g.serveTo(w, modern.post(modern.query(c.change)))
			if !heard {
				t.Error("the client heard nothing")
			}
		})
	}
	atFresh(t, "not let in", func(t *testing.T) {
		g := newGate(t, nil)
		w := &recorder{ResponseRecorder: httptest.NewRecorder()}
		w.heard = func() { g.record() }
		g.Refuse(w, modern.post(nil), refusal.New(refusal.WrongPath, "path"))
		if w.heard != nil {
			t.Error("the client heard nothing")
		}
	})
}

// AUD-01, AUD-12: an exchange whose record cannot be written is refused, and
// the token is not given out.
func TestNoRecordNoToken(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*wstrust.Query)
	}{
		{"forwarded", nil},
		{"issued", func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }},
		{"refused", func(q *wstrust.Query) { q.Username = carol.UPN }},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) { c.Audit = openAudit(t, "/dev/full") })
			w := g.ask(modern, c.change)
			row := refusal.AuditFailed.Row()
			if w.Code != 500 || !strings.Contains(w.Body.String(), row.Text) || !strings.Contains(w.Body.String(), "a:RequestFailed") {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if bytes.Contains(w.Body.Bytes(), []byte("Assertion")) || bytes.Contains(w.Body.Bytes(), []byte("space")) {
				t.Errorf("the answer holds the token or the cause: %s", w.Body)
			}
			if got := g.value("stsgate_audit_failures_total"); got != 1 {
				t.Errorf("got %v failures counted, want 1", got)
			}
			if got := g.value("stsgate_exchanges_total", "reason", "audit-failed"); got != 1 {
				t.Errorf("got %v exchanges counted, want 1", got)
			}
		})
	}
}

// A refusal gives nothing away, so it stands without its record.
func TestRefusalWithoutRecord(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) { c.Audit = openAudit(t, "/dev/full") })
		w := &recorder{ResponseRecorder: httptest.NewRecorder()}
		g.Refuse(w, modern.post(nil), refusal.New(refusal.WrongPath, "path"))
		if w.Code != http.StatusNotFound {
			t.Errorf("got status %d, want 404", w.Code)
		}
		if got := g.value("stsgate_audit_failures_total"); got != 1 || !strings.Contains(g.log.String(), "no space left") {
			t.Errorf("got %v failures counted and the log %s", got, g.log)
		}
	})
}
