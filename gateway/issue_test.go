package gateway_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"reflect"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
)

const (
	formatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	profileSAML11     = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"
	profileSAML20     = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0"
)

// grant returns the one grant that the issuer was given.
func (g *gate) grant() *wstrust.Grant {
	g.t.Helper()
	if len(g.sts.granted) != 1 {
		g.t.Fatalf("got %d grants (%v), want 1", len(g.sts.granted), g.record()["error.message"])
	}
	return g.sts.granted[0]
}

// What is issued is what the policy says of the application, for the account
// that was proven.
func TestGrant(t *testing.T) {
	upn := wstrust.Claim{URI: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", Values: []string{alice.UPN}}
	for _, c := range []struct {
		realm string
		want  wstrust.Grant
	}{
		{"urn:payroll", wstrust.Grant{
			Kind: wstrust.SAML11, Lifetime: wstrust.Lifetime{Expires: fresh.Add(time.Hour)},
			NameID: alice.UPN, NameFormat: formatUnspecified, Claims: []wstrust.Claim{upn},
		}},
		{"urn:archive", wstrust.Grant{
			Kind: wstrust.SAML20, Lifetime: wstrust.Lifetime{Expires: fresh.Add(8 * time.Hour)},
			NameID: "alice", NameFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName",
			Claims: []wstrust.Claim{
				{URI: "http://contoso.example/claims/group", Values: alice.Groups},
				{URI: "http://contoso.example/claims/tier", Values: []string{"gold"}},
			},
		}},
	} {
		atFresh(t, c.realm, func(t *testing.T) {
			g := newGate(t, nil)
			g.ask(modern, func(q *wstrust.Query) { q.AppliesTo, q.Username = c.realm, `CONTOSO\alice` })
			c.want.Audience, c.want.Authenticated = c.realm, fresh
			c.want.Lifetime.Created = fresh.Add(-5 * time.Minute)
			got := *g.grant()
			got.Lifetime.Created, got.Lifetime.Expires = plain(got.Lifetime.Created), plain(got.Lifetime.Expires)
			got.Authenticated = plain(got.Authenticated)
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// The token says of the user what the proof says: groups may have changed
// since the decision.
func TestGrantOfTheProven(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		now := person("alice", alice.ID, "staff")
		g.sts.authenticate = func(context.Context, account.Name, account.Password) (account.Account, error) { return now, nil }
		g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = "urn:archive" })
		if got := g.grant().Claims[0].Values; !reflect.DeepEqual(got, now.Groups) {
			t.Errorf("got the groups %q, want %q", got, now.Groups)
		}
	})
}

// plain is a time without its zone and its monotonic clock.
func plain(t time.Time) time.Time { return t.UTC().Round(0) }

// A wish for less is granted, a wish for more is not (TOK-03).
func TestLifetime(t *testing.T) {
	for _, c := range []struct {
		name, realm   string
		wish          time.Duration // from now to Expires
		want          time.Duration
		createdOfWish time.Duration
	}{
		{"shorter", "urn:payroll", 10 * time.Minute, 10 * time.Minute, 0},
		{"equal", "urn:payroll", time.Hour, time.Hour, 0},
		{"longer", "urn:payroll", 2 * time.Hour, time.Hour, 0},
		{"longer than an hour, for one that may", "urn:archive", 2 * time.Hour, 2 * time.Hour, 0},
		{"a year", "urn:archive", 365 * 24 * time.Hour, 8 * time.Hour, 0},
		{"over already", "urn:payroll", -time.Minute, time.Hour, -time.Hour},
		{"to begin later", "urn:payroll", 30 * time.Minute, 30 * time.Minute, 20 * time.Minute},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			message := string(modern.query(func(q *wstrust.Query) { q.AppliesTo = c.realm }))
			stamp := func(d time.Duration) string { return fresh.Add(d).Format(time.RFC3339) }
			g.serve(modern.post([]byte(replace("<trust:KeyType>", `<trust:Lifetime><u:Created>`+stamp(c.createdOfWish)+
				`</u:Created><u:Expires>`+stamp(c.wish)+`</u:Expires></trust:Lifetime><trust:KeyType>`)(message))))
			got := g.grant().Lifetime
			if !got.Created.Equal(fresh.Add(-5*time.Minute)) || !got.Expires.Equal(fresh.Add(c.want)) {
				t.Errorf("got %v to %v, want from 5m before to %v after %v", got.Created, got.Expires, c.want, fresh)
			}
			if r := g.record(); r["labels.not_on_or_after"] != fresh.Add(c.want).Format(time.RFC3339) || r["labels.assertion_id"] != assertionID {
				t.Errorf("the record says %v until %v", r["labels.assertion_id"], r["labels.not_on_or_after"])
			}
		})
	}
}

// The request says which kind of token it wants, and if not the application.
func TestTokenKind(t *testing.T) {
	for _, c := range []struct {
		realm, asked string
		want         wstrust.TokenKind
		answered     string
	}{
		{"urn:payroll", "", wstrust.SAML11, wstrust.NSSAML11},
		{"urn:payroll", wstrust.NSSAML20, wstrust.SAML20, wstrust.NSSAML20},
		{"urn:payroll", profileSAML20, wstrust.SAML20, profileSAML20},
		{"urn:archive", "", wstrust.SAML20, wstrust.NSSAML20},
		{"urn:archive", wstrust.NSSAML11, wstrust.SAML11, wstrust.NSSAML11},
		{"urn:archive", profileSAML11, wstrust.SAML11, profileSAML11},
	} {
		for _, s := range shapes {
			atFresh(t, fmt.Sprintf("%s %s/%v", c.realm, c.asked, s), func(t *testing.T) {
				g := newGate(t, nil)
				w := g.ask(s, func(q *wstrust.Query) { q.AppliesTo, q.TokenType = c.realm, c.asked })
				if got := g.grant().Kind; got != c.want {
					t.Errorf("granted %v, want %v", got, c.want)
				}
				checkIssued(t, s, w, c.realm, c.answered)
			})
		}
	}
}

// checkIssued reads an answer with another parser than the gateway's: a
// collection of one in 1.3, a bare response in Feb 2005.
func checkIssued(t *testing.T, s shape, w *recorder, realm, tokenType string) {
	t.Helper()
	type response struct {
		AppliesTo string `xml:"AppliesTo>EndpointReference>Address"`
		TokenType string
		Assertion struct {
			ID string `xml:"AssertionID,attr"`
		} `xml:"RequestedSecurityToken>Assertion"`
	}
	var envelope struct {
		XMLName   xml.Name
		Action    string     `xml:"Header>Action"`
		RelatesTo string     `xml:"Header>RelatesTo"`
		In2005    []response `xml:"Body>RequestSecurityTokenResponse"`
		In13      []response `xml:"Body>RequestSecurityTokenResponseCollection>RequestSecurityTokenResponse"`
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &envelope); err != nil || w.Code != 200 {
		t.Fatalf("got %d %s: %v", w.Code, w.Body, err)
	}
	if got := w.Header().Get("Content-Type"); got != s.soap.ContentType() || envelope.XMLName.Space != s.soap.Namespace() {
		t.Errorf("got %s with an envelope of %s, want SOAP %v", got, envelope.XMLName.Space, s.soap)
	}
	all, want := append(envelope.In2005, envelope.In13...), response{AppliesTo: realm, TokenType: tokenType}
	want.Assertion.ID = assertionID
	if len(all) != 1 || all[0] != want || (len(envelope.In13) == 1) != (s.trust == wstrust.V13) {
		t.Errorf("got %+v, want one %+v", envelope, want)
	}
	if envelope.Action != s.trust.ResponseAction() || envelope.RelatesTo != "urn:uuid:of-the-request" {
		t.Errorf("got action %s related to %s", envelope.Action, envelope.RelatesTo)
	}
}

// The issuer gives bearer tokens only; no key type means a symmetric key
// (WS-Trust 1.3, section 9.2).
func TestKeyType(t *testing.T) {
	for _, s := range []shape{modern, shapes[2]} {
		bearer := "<trust:KeyType>" + s.trust.BearerKey() + "</trust:KeyType>"
		for _, c := range []struct{ name, keyType, want string }{
			{"bearer", bearer, "ok"},
			{"none", "", "unsupported"},
			{"symmetric", "<trust:KeyType>" + s.trust.Namespace() + "/SymmetricKey</trust:KeyType>", "unsupported"},
			{"public", "<trust:KeyType>" + s.trust.Namespace() + "/PublicKey</trust:KeyType>", "unsupported"},
		} {
			atFresh(t, fmt.Sprintf("%v/%s", s, c.name), func(t *testing.T) {
				g := newGate(t, nil)
				message := string(s.query(func(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }))
				g.serve(s.post([]byte(replace(bearer, c.keyType)(message))))
				if got := g.record()["event.reason"]; got != c.want || g.quiet() != (c.want != "ok") {
					t.Errorf("got reason %v (%v), want %s", got, g.record()["error.message"], c.want)
				}
				// The farm may give what we do not.
				if c.name == "symmetric" || c.name == "public" {
					g.farm.bends(":cm:bearer<", ":cm:holder-of-key<")
				}
				g.serve(s.post([]byte(replace(bearer, c.keyType)(string(s.query(nil))))))
				if got := g.records()[1]["event.reason"]; got != "ok" {
					t.Errorf("forwarded: got reason %v, want ok", got)
				}
			})
		}
	}
}

// A user without a value that a claim requires gets no token.
func TestRequiredClaim(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		badge := func(q *wstrust.Query) { q.AppliesTo = "urn:badge" }
		g.ask(modern, badge)
		a := alice
		a.Attributes = map[string][]string{"badge": {"4711"}}
		g.directory.byName[a.UPN] = a
		time.Sleep(later)
		g.ask(modern, badge)
		all := g.records()
		if all[0]["event.reason"] != "issuer-failed" || all[1]["event.reason"] != "ok" || len(g.sts.granted) != 1 {
			t.Errorf("got %v without and %v with a badge, and %d tokens", all[0]["event.reason"], all[1]["event.reason"], len(g.sts.granted))
		}
	})
}

// What policy answers in a way that is not there is refused, not answered in another.
func TestNoOtherWay(t *testing.T) {
	for _, c := range []struct {
		realm  string
		change func(*gateway.Config)
	}{
		{cloud, func(c *gateway.Config) { c.Forwarder = nil }},
		{"urn:payroll", func(c *gateway.Config) { c.Issuer = nil }},
	} {
		atFresh(t, c.realm, func(t *testing.T) {
			g := newGate(t, c.change)
			g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = c.realm })
			if got := g.record()["event.reason"]; got != "internal" || !g.quiet() {
				t.Errorf("got reason %v, want internal and nobody asked", got)
			}
		})
	}
}
