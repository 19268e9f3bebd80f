package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

const (
	upnClaim       = `AttributeName="UPN" AttributeNamespace="http://schemas.xmlsoap.org/claims"`
	upn2005Claim   = `AttributeName="upn" AttributeNamespace="http://schemas.xmlsoap.org/ws/2005/05/identity/claims"`
	nameClaim      = `AttributeName="windowsaccountname" AttributeNamespace="http://schemas.microsoft.com/ws/2008/06/identity/claims"`
	immutableClaim = `AttributeName="ImmutableID" AttributeNamespace="http://schemas.microsoft.com/LiveID/Federation/2008/05"`
	immutableID    = "q83vEjRWeJCrze8SNFZ4kA=="
	upnValue       = "<saml:AttributeValue>alice@contoso.example</saml:AttributeValue>"
	idValue        = "<saml:AttributeValue>" + immutableID + "</saml:AttributeValue>"
	audience       = "<saml:Audience>" + cloud + "</saml:Audience>"
	appliesTo      = "<wsa:Address>" + cloud + "</wsa:Address>"
)

// What the farm answered is released only for the account and the application
// that were decided on (SIG-10; design.md, section 4).
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change []string // of the right answer: from and to in turn
		want   string
	}{
		{"right", nil, "ok"},
		{"UPN of another", []string{upnValue, strings.ReplaceAll(upnValue, alice.UPN, bob.UPN)}, "answer-mismatch"},
		{"UPN of nobody", []string{upnValue, strings.ReplaceAll(upnValue, alice.UPN, "nobody@contoso.example")}, "answer-mismatch"},
		{"UPN without a form", []string{upnValue, strings.ReplaceAll(upnValue, alice.UPN, "alice@")}, "answer-mismatch"},
		{"UPN in capitals", []string{upnValue, strings.ReplaceAll(upnValue, alice.UPN, strings.ToUpper(alice.UPN))}, "ok"},
		{"second UPN of another", []string{upnValue, upnValue + strings.ReplaceAll(upnValue, alice.UPN, bob.UPN)}, "answer-mismatch"},
		{"claim of 2005", []string{upnClaim, upn2005Claim}, "ok"},
		{"claim of 2005 of another", []string{upnClaim, upn2005Claim, upnValue, strings.ReplaceAll(upnValue, alice.UPN, bob.UPN)}, "answer-mismatch"},
		{"ImmutableID of another", []string{idValue, strings.ReplaceAll(idValue, immutableID, bob.ImmutableID())}, "answer-mismatch"},
		{"ImmutableID in other case", []string{idValue, strings.ReplaceAll(idValue, immutableID, strings.ToLower(immutableID))}, "answer-mismatch"},
		{"account name", []string{upnClaim, nameClaim, upnValue, strings.ReplaceAll(upnValue, alice.UPN, `contoso\ALICE`)}, "ok"},
		{"account name of another", []string{upnClaim, nameClaim, upnValue, strings.ReplaceAll(upnValue, alice.UPN, `CONTOSO\bob`)}, "answer-mismatch"},
		{"no claim of an account", []string{upnClaim, `AttributeName="mail" AttributeNamespace="urn:x"`, immutableClaim, `AttributeName="id" AttributeNamespace="urn:x"`}, "answer-mismatch"},
		{"one claim of an account", []string{upnClaim, `AttributeName="mail" AttributeNamespace="urn:x"`}, "ok"},
		{"claim without a value", []string{upnValue, "", immutableClaim, `AttributeName="id" AttributeNamespace="urn:x"`}, "answer-mismatch"},
		{"other audience", []string{audience, "<saml:Audience>urn:other</saml:Audience>"}, "answer-mismatch"},
		{"audience in other case", []string{audience, strings.ReplaceAll(audience, cloud, strings.ToLower(cloud))}, "answer-mismatch"},
		{"no audience", []string{audience, ""}, "answer-mismatch"},
		{"second audience", []string{audience, audience + "<saml:Audience>urn:other</saml:Audience>"}, "answer-mismatch"},
		{"applies to another", []string{appliesTo, "<wsa:Address>urn:other</wsa:Address>"}, "answer-mismatch"},
		{"relates to another", []string{"urn:uuid:of-the-request", "urn:uuid:of-another"}, "answer-mismatch"},
		{"relates to none", []string{"<a:RelatesTo>urn:uuid:of-the-request</a:RelatesTo>", ""}, "answer-mismatch"},
		{"sender-vouches", []string{":cm:bearer<", ":cm:sender-vouches<"}, "answer-mismatch"},
		{"holder-of-key", []string{":cm:bearer<", ":cm:holder-of-key<"}, "answer-mismatch"},
		{"no confirmation", []string{"saml:SubjectConfirmation>", "saml:Other>"}, "answer-mismatch"},
		{"other SOAP version", []string{soap.NSSOAP12, soap.NSSOAP11}, "answer-unreadable"},
		{"other WS-Trust version", []string{wstrust.NS13, wstrust.NS2005}, "answer-unreadable"},
		{"cut short", []string{"</s:Envelope>", ""}, "answer-unreadable"},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				answer := string(answerTo(t, r))
				for i := 0; i < len(c.change); i += 2 {
					if !strings.Contains(answer, c.change[i]) {
						t.Fatalf("the answer holds no %s", c.change[i])
					}
					answer = strings.ReplaceAll(answer, c.change[i], c.change[i+1])
				}
				return readAnswer([]byte(answer), r)
			}
			g.ended(g.ask(modern, nil), c.want)
		})
	}
}

// An answer that is not what was asked for costs the connection that brought it
// (HTTP-11), and no other does.
func TestMismatchIsDistrusted(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"right", audience, audience, "ok"},
		{"other account", alice.UPN, bob.UPN, "answer-mismatch"},
		{"other audience", audience, "<saml:Audience>urn:other</saml:Audience>", "answer-mismatch"},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			distrusted := 0
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				a, err := readAnswer(bytes.ReplaceAll(answerTo(t, r), []byte(c.from), []byte(c.to)), r)
				if err == nil {
					a.Distrust = func() { distrusted++ }
				}
				return a, err
			}
			g.ended(g.ask(modern, nil), c.want)
			if want := c.want != "ok"; (distrusted == 1) != want || distrusted > 1 {
				t.Errorf("distrusted %d times, with reason %s", distrusted, c.want)
			}
		})
	}
}

// SIG-10, confirmation as asked: a token for a key is given to who asked for
// one, and one for its bearer to who asked for that. Whether the client has the
// key is between it and the application.
func TestConfirmation(t *testing.T) {
	const symmetric, public, holder, bearer = "/SymmetricKey", "/PublicKey", "holder-of-key", "bearer"
	for _, s := range []shape{modern, shapes[2]} {
		for _, c := range []struct{ asked, method, want string }{
			{s.trust.BearerKey(), bearer, "ok"},
			{s.trust.BearerKey(), holder, "answer-mismatch"},
			{s.trust.Namespace() + symmetric, holder, "ok"},
			{s.trust.Namespace() + symmetric, bearer, "answer-mismatch"},
			{s.trust.Namespace() + symmetric, "sender-vouches", "answer-mismatch"},
			{s.trust.Namespace() + public, holder, "ok"},
			{s.trust.Namespace() + public, bearer, "answer-mismatch"},
			// Who says nothing that is known here leaves it to the farm.
			{"", holder, "ok"},
			{"", bearer, "ok"},
			{"", "sender-vouches", "answer-mismatch"},
			{"http://schemas.xmlsoap.org/ws/2004/04/trust" + symmetric, bearer, "ok"},
			{"urn:x", "holder", "answer-mismatch"},
		} {
			atFresh(t, fmt.Sprintf("%v/%s for %s", s, c.method, c.asked), func(t *testing.T) {
				g := newGate(t, nil)
				g.farm.bends(":cm:bearer<", ":cm:"+c.method+"<")
				keyType := "<trust:KeyType>" + s.trust.BearerKey() + "</trust:KeyType>"
				asked := strings.ReplaceAll(keyType, s.trust.BearerKey(), c.asked)
				if c.asked == "" {
					asked = ""
				}
				g.ended(g.serve(s.post([]byte(replace(keyType, asked)(string(s.query(nil)))))), c.want)
			})
		}
	}
}

// SIG-10, the issuer: the farm's own name, or what the application lists, with
// a pattern per UPN suffix. A token of another one costs its connection.
func TestIssuer(t *testing.T) {
	const (
		suffix = `, issuers: ["http://{domain}/adfs/services/trust/"]`
		list   = `, issuers: ["urn:other", "` + farmName + `"]`
	)
	for _, c := range []struct{ name, issuers, issuer, want string }{
		{"the farm's name", "", farmName, "ok"},
		{"another", "", "http://fabrikam.example/adfs/services/trust", "answer-untrusted"},
		{"the farm's name and a slash", "", farmName + "/", "answer-untrusted"},
		{"listed", list, farmName, "ok"},
		{"listed, another", list, "urn:other", "ok"},
		{"not listed", list, "urn:another", "answer-untrusted"},
		{"suffix", suffix, "http://contoso.example/adfs/services/trust/", "ok"},
		{"suffix of another", suffix, "http://fabrikam.example/adfs/services/trust/", "answer-untrusted"},
		{"suffix, the farm's name", suffix, farmName, "answer-untrusted"},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			text := "applications: {microsoft-365: {realms: [" + cloud + "], answer: forward" + c.issuers + "}}\n" +
				"rules: [{name: staff, match: {groups: [staff]}, allow: {}}]\n"
			g := newGate(t, func(g *gateway.Config) { g.Policy = live(t, text) })
			distrusted := 0
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				issuer := `Issuer="` + c.issuer + `"`
				a, err := readAnswer([]byte(replace(`Issuer="`+farmName+`"`, issuer)(string(answerTo(t, r)))), r)
				if err == nil {
					a.Distrust = func() { distrusted++ }
				}
				return a, err
			}
			g.ended(g.ask(modern, nil), c.want)
			if want := c.want != "ok"; (distrusted == 1) != want {
				t.Errorf("distrusted %d times, with reason %s", distrusted, c.want)
			}
			if why, _ := g.record()["error.message"].(string); c.want != "ok" && !strings.Contains(why, c.issuer) {
				t.Errorf("the record says %q, and not which issuer", why)
			}
		})
	}
}

// SIG-10: a token is released while it is valid, and for 8 hours at most, by
// clocks that are 5 minutes apart at most.
func TestCheckLifetime(t *testing.T) {
	const conditions = `NotBefore="2026-03-02T08:00:01.234Z" NotOnOrAfter="2026-03-02T09:00:01.234Z"`
	at := func(d time.Duration) string { return fresh.Add(d).Format(time.RFC3339Nano) }
	const day, slack, little = 24 * time.Hour, 5 * time.Minute, time.Millisecond
	for _, c := range []struct {
		name, conditions string
		want             string
	}{
		{"the longest", `NotBefore="` + at(0) + `" NotOnOrAfter="` + at(8*time.Hour+slack) + `"`, "ok"},
		{"longer", `NotBefore="` + at(0) + `" NotOnOrAfter="` + at(8*time.Hour+slack+little) + `"`, "answer-mismatch"},
		{"a day", `NotBefore="` + at(0) + `" NotOnOrAfter="` + at(day) + `"`, "answer-mismatch"},
		{"begins soon", `NotBefore="` + at(slack) + `" NotOnOrAfter="` + at(time.Hour) + `"`, "ok"},
		{"begins later", `NotBefore="` + at(slack+little) + `" NotOnOrAfter="` + at(time.Hour) + `"`, "answer-mismatch"},
		{"has just ended", `NotBefore="` + at(-time.Hour) + `" NotOnOrAfter="` + at(-slack) + `"`, "ok"},
		{"has ended", `NotBefore="` + at(-time.Hour) + `" NotOnOrAfter="` + at(-slack-little) + `"`, "answer-mismatch"},
		{"no beginning", `NotOnOrAfter="` + at(time.Hour) + `"`, "ok"},
		{"no end", `NotBefore="` + at(0) + `"`, "answer-mismatch"},
		{"neither", "", "answer-mismatch"},
		{"ends before it begins", `NotBefore="` + at(slack) + `" NotOnOrAfter="` + at(-slack) + `"`, "answer-mismatch"},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			g.farm.bends(conditions, c.conditions)
			g.ended(g.ask(modern, nil), c.want)
		})
	}
}

// ended checks how an exchange ended, and that no byte of a token left unless
// it ended well.
func (g *gate) ended(w *recorder, want string) {
	g.t.Helper()
	if got := g.record()["event.reason"]; got != want || (w.Code == 200) != (want == "ok") {
		g.t.Errorf("got reason %v (%v) with status %d, want %s", got, g.record()["error.message"], w.Code, want)
	}
	released := bytes.Contains(w.Body.Bytes(), []byte("RequestedSecurityToken"))
	for _, part := range []string{"Assertion", "Encrypted", immutableID, "_8a0c5f3e", "RequestSecurityTokenResponse"} {
		if !released && bytes.Contains(w.Body.Bytes(), []byte(part)) {
			g.t.Errorf("the answer holds %s", part)
		}
	}
	if released != (want == "ok") {
		g.t.Errorf("released: %v, with reason %s", released, want)
	}
	if r := g.record(); (r["labels.assertion_id"] != nil) != released && !bytes.Contains(w.Body.Bytes(), []byte("Encrypted")) {
		g.t.Errorf("the record names token %v, released: %v", r["labels.assertion_id"], released)
	}
}

// A token that nobody here can read is released only where the policy says so,
// and only if the answer around it says what the token would have said.
func TestEncryptedAnswers(t *testing.T) {
	const (
		sealed   = "https://cloud.contoso.example/saml/metadata"
		expires  = `Expires xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">2026-03-0`
		tomorrow = expires + "3T09:"
	)
	for _, name := range []string{"rstr/adfs-13-encrypted.xml", "rstr/adfs-13-encrypted-assertion.xml"} {
		for _, c := range []struct {
			name, realm, from, to, want string
		}{
			{"said so", sealed, "", "", "ok"},
			{"not said", cloud, sealed, cloud, "answer-mismatch"},
			{"for another", sealed, sealed, cloud, "answer-mismatch"},
			{"for nobody", sealed, "wsp:AppliesTo", "wsp:Other", "answer-mismatch"},
			{"valid for a day", sealed, expires + "2T09:", tomorrow, "answer-mismatch"},
			{"without an end", sealed, ":Lifetime>", ":Other>", "answer-mismatch"},
			{"two tokens", sealed, "</trust:RequestedSecurityToken>", "<x/></trust:RequestedSecurityToken>", "answer-unreadable"},
		} {
			atFresh(t, name+"/"+c.name, func(t *testing.T) {
				g := newGate(t, nil)
				answer := testdata.Message(t, name)
				if !bytes.Contains(answer, []byte(c.from)) {
					t.Fatalf("the answer holds no %s: %s", c.from, answer)
				}
				if c.from != "" {
					answer = bytes.ReplaceAll(answer, []byte(c.from), []byte(c.to))
				}
				g.farm.answers(answer)
				g.ended(g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = c.realm }), c.want)
			})
		}
	}
}

// A directory that fails between decision and check: the answer is dropped.
func TestDirectoryDownInCheck(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
			g.directory.fail(errors.New("down"))
			return readAnswer([]byte(strings.ReplaceAll(string(answerTo(t, r)), alice.UPN, "alias@contoso.example")), r)
		}
		g.ended(g.ask(modern, nil), "directory-down")
	})
}

// A token may name the account otherwise than the request did.
func TestAlias(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		g.directory.byName["alias@contoso.example"] = alice
		g.farm.bends(alice.UPN, "alias@contoso.example")
		g.ended(g.ask(modern, func(q *wstrust.Query) { q.Username = "alice" }), "ok")
	})
}

// An account without a UPN is not the one of a token without a name.
func TestNoNameIsNobody(t *testing.T) {
	for _, c := range []struct{ name, from, other string }{
		{"UPN", upnValue, immutableClaim},
		{"ImmutableID", idValue, upnClaim},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			g.directory.byName["service"] = account.Account{ID: "service", SAM: "service", Groups: []string{"staff"}}
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				return readAnswer([]byte(strings.NewReplacer(c.from, "<saml:AttributeValue></saml:AttributeValue>",
					c.other, `AttributeName="other" AttributeNamespace="urn:x"`).Replace(string(answerTo(t, r)))), r)
			}
			g.ended(g.ask(modern, func(q *wstrust.Query) { q.Username = "service" }), "answer-mismatch")
		})
	}
}

// Without a directory there is nobody to compare with, and everything else
// is compared all the same.
func TestCheckWithoutDirectory(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"right", audience, audience, "ok"},
		{"other account", alice.UPN, bob.UPN, "ok"},
		{"other audience", audience, "<saml:Audience>urn:other</saml:Audience>", "answer-mismatch"},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) { c.Directory, c.Policy = nil, live(t, forwardAll) })
			g.farm.bends(c.from, c.to)
			g.ended(g.ask(modern, nil), c.want)
			if got, want := g.record()["user.name"] == alice.UPN, c.want == "ok"; got != want {
				t.Errorf("the record has the name: %v, want %v: it was typed and proven", got, want)
			}
		})
	}
}
