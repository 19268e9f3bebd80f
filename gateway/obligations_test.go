package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// secondFactor are rules that nobody can satisfy yet.
const secondFactor = `
  - {name: prove more, match: everyone, require: {mfa: {}}}
  - {name: prove still more, match: {groups: [staff]}, require: {mfa: {shapes: [code]}}}
`

// A second factor that is owed is never left out: the request is refused once
// the password is proven, and nothing is released (MFA-18).
func TestSecondFactorIsOwed(t *testing.T) {
	for _, realm := range []string{cloud, "urn:payroll"} {
		atFresh(t, realm, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) { c.Policy = live(t, rules+secondFactor) })
			w := g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = realm })
			if text := hear(t, modern.soap, w.Body.Bytes()).Text; !strings.HasPrefix(text, "MSIS7068: ") {
				t.Errorf("the client is told %q", text)
			}
			if r := g.record(); r["event.reason"] != "second-factor" || !strings.Contains(fmt.Sprint(r["error.message"]), `"prove more", "prove still more"`) {
				t.Errorf("the record says %v: %v", r["event.reason"], r["error.message"])
			}
		})
	}
}

// once lets each user pass once in an hour.
const once = `
  - {name: seldom, match: everyone, require: {limit: {rate: 1/1h}}}
`

// A rate counts the requests of one account that passed, by whatever name it
// asked, on both ways out together, and no others.
func TestRateIsHeld(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) { c.Policy = live(t, rules+once) })
		g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
		for _, step := range []struct {
			change func(*wstrust.Query)
			reason string
		}{
			{func(q *wstrust.Query) { q.Password = account.NewPassword([]byte("wrong")) }, "wrong-password"},
			{func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }, "ok"},
			{func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }, "rate-limited"},
			{func(q *wstrust.Query) { q.AppliesTo, q.Username = "urn:payroll", alice.Domain+`\`+alice.SAM }, "rate-limited"},
			{func(q *wstrust.Query) { q.AppliesTo, q.Username = "urn:payroll", bob.UPN }, "ok"},
		} {
			g.ask(modern, step.change)
			all := g.records()
			if r := all[len(all)-1]; r["event.reason"] != step.reason {
				t.Errorf("got %v (%v), want %s", r["event.reason"], r["error.message"], step.reason)
			}
		}
	})
}

// Where an application hides it, no answer tells that the password was right
// (design.md, section 6).
func TestHiddenRefusals(t *testing.T) {
	hidden := strings.Replace(rules, "answer: forward}", "answer: forward, oracle: hide}", 1)
	for _, c := range []struct {
		name    string
		rules   string
		arrange func(*gate)
	}{
		{"wrong password", hidden, func(g *gate) { g.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml")) }},
		{"second factor", hidden + secondFactor, nil},
		{"denied by the farm", hidden, func(g *gate) { g.farm.answers(testdata.Message(t, "fault/adfs-msis7068-13.xml")) }},
		{"unknown to the farm", hidden, func(g *gate) { g.farm.answers(testdata.Message(t, "fault/adfs-id3082-13.xml")) }},
		{"answer for another", hidden, func(g *gate) { g.farm.bends(alice.UPN, bob.UPN) }},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, func(gc *gateway.Config) { gc.Policy = live(t, c.rules) })
			if c.arrange != nil {
				c.arrange(g)
			}
			w := g.ask(modern, nil)
			if f := hear(t, modern.soap, w.Body.Bytes()); !strings.HasPrefix(f.Text, "ID3242: ") {
				t.Errorf("the client is told %q", f.Text)
			}
			if r := g.record(); c.name != "wrong password" && r["event.reason"] == "wrong-password" {
				t.Errorf("the record says %v", r["event.reason"])
			}
		})
	}
}

// What is issued lives no longer than policy allows.
func TestLifetimeIsCapped(t *testing.T) {
	const caps = `
  - {name: short, match: everyone, require: {limit: {lifetime: 20m}}}
  - {name: shorter, match: {groups: [staff]}, require: {limit: {lifetime: 10m}}}
  - {name: not for her, match: {groups: [others]}, require: {limit: {lifetime: 1m}}}
`
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, func(c *gateway.Config) { c.Policy = live(t, rules+caps) })
		g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = "urn:archive" })
		if got := g.grant().Lifetime; !got.Expires.Equal(fresh.Add(10 * time.Minute)) {
			t.Errorf("expires %v after now, want 10m", got.Expires.Sub(fresh))
		}
	})
}

// A forwarded token that lives longer than policy allows is refused.
func TestForwardedLifetimeIsCapped(t *testing.T) {
	for limit, want := range map[string]string{"1h": "ok", "54m": "answer-mismatch", "8h": "ok"} {
		atFresh(t, limit, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) {
				c.Policy = live(t, rules+"  - {name: short, match: everyone, require: {limit: {lifetime: "+limit+"}}}\n")
			})
			g.ask(modern, nil)
			if r := g.record(); r["event.reason"] != want {
				t.Errorf("got %v (%v), want %s", r["event.reason"], r["error.message"], want)
			}
		})
	}
}
