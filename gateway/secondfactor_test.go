package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/mfa"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// owing is a policy under which most applications owe a second factor.
func owing(remember string) string {
	return strings.ReplaceAll(`
applications:
  microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}
  payroll: {realms: ["urn:payroll"], answer: issue}
  badge: {realms: ["urn:badge"], answer: issue, assurance: accept-approve}
  travel: {realms: ["urn:travel"], answer: forward, oracle: hide}
  trusting: {realms: ["urn:trusting"], answer: forward, trust_farm_mfa: true}
  plain: {realms: ["urn:plain"], answer: forward}
  cloud: {realms: ["https://cloud.contoso.example/saml/metadata"], answer: forward, answer_encrypted: true}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: second factor, match: {applications: [microsoft-365, payroll, badge, cloud]}, require: {mfa: {remember: REMEMBER}}}
  - {name: hidden factor, match: {applications: [travel]}, require: {mfa: {shapes: [code]}}}
`, "REMEMBER", remember)
}

// typed asks for an application with a text in the password's place.
func typed(application, text string) func(*wstrust.Query) {
	return func(q *wstrust.Query) {
		q.AppliesTo, q.Password = application, account.NewPassword([]byte(text))
	}
}

func list(v any) string {
	var all []string
	for _, s := range v.([]any) {
		all = append(all, s.(string))
	}
	return strings.Join(all, " ")
}

var instants = regexp.MustCompile(`2026-[0-9T:.-]+Z`)

// MFA-17: wrong password, wrong code and both look alike, and a code is not
// spent or counted before its password is right (MFA-24).
func TestCodeAndPasswordLookAlike(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("0s"), nil)
		code := f.code(t)
		wrong := "000000"
		if code == wrong {
			wrong = "111111"
		}
		var faults []string
		for _, text := range []string{"guess," + code, "guess," + wrong, password + "," + wrong} {
			w := f.ask(modern, typed("urn:payroll", text))
			id := f.last()["transaction.id"].(string)
			faults = append(faults, instants.ReplaceAllString(strings.ReplaceAll(w.Body.String(), id, "ID"), "TIME"))
		}
		if faults[0] != faults[1] || faults[1] != faults[2] {
			t.Errorf("the faults differ:\n%s", strings.Join(faults, "\n"))
		}
		if w := f.ask(modern, typed("urn:payroll", password+","+code)); w.Code != http.StatusOK {
			t.Errorf("a code that came with a wrong password is spent: %v", f.last())
		}
	})
}

// A password may end like a code: nothing is cut off it for a user without an
// app, nor where no rule takes codes.
func TestNothingCut(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("0s"), nil, func(c *mfa.Config) { c.DefaultHold = 0 })
		f.ask(modern, func(q *wstrust.Query) {
			typed(cloud, password+",123456")(q)
			q.Username = bob.UPN
		})
		f.ask(modern, typed("urn:plain", password+",123456"))
		for _, asked := range f.farm.asked {
			if asked.password != password+",123456" {
				t.Errorf("the farm got the password %q", asked.password)
			}
		}
		if len(f.farm.asked) != 2 {
			t.Errorf("the farm was asked %d times, want 2", len(f.farm.asked))
		}
	})
}

// hold: the request waits while the user approves, and its burst with it. What
// it releases says nothing of a second factor unless the application takes that
// (MFA-20, TOK-02).
func TestHeld(t *testing.T) {
	for application, says := range map[string]bool{"urn:payroll": false, "urn:badge": true, cloud: false} {
		atFresh(t, application, func(t *testing.T) {
			f := newFactored(t, owing("0s"), nil)
			first := f.start(modern.post(modern.query(typed(application, password))))
			second := f.start(modern.post(modern.query(func(q *wstrust.Query) {
				typed(application, password)(q)
				q.MessageID = "urn:uuid:another"
			})))
			if f.prompts.Load() != 1 {
				t.Errorf("the user was told %d times, want once", f.prompts.Load())
			}
			time.Sleep(20 * time.Second)
			f.approve(t, "")
			for _, c := range []<-chan *recorder{first, second} {
				if w := <-c; w.Code != http.StatusOK {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			}
			if r := f.last(); list(r["labels.assurance"]) != "approve-only" || list(r["labels.factors"]) != "passkey-uv" {
				t.Errorf("the record is %v", r)
			}
			for _, granted := range f.sts.granted {
				if granted.SecondFactor != says {
					t.Errorf("the token tells of a second factor: %v, want %v", granted.SecondFactor, says)
				}
			}
		})
	}
}

// A hold ends with the user's no, or with the client's patience; then the fault
// says what to do, and the next try passes.
func TestHoldEnds(t *testing.T) {
	atFresh(t, "denied", func(t *testing.T) {
		f := newFactored(t, owing("0s"), nil)
		c := f.start(modern.post(modern.query(typed("urn:payroll", password))))
		f.answer(t, mfa.Decision{Verdict: mfa.Deny})
		if w := <-c; w.Code == http.StatusOK || f.last()["event.reason"] != "second-factor-denied" {
			t.Errorf("got %d, %v", w.Code, f.last())
		}
		if len(f.sts.granted) != 0 {
			t.Error("a token was signed for a denied request")
		}
	})
	atFresh(t, "expired", func(t *testing.T) {
		f := newFactored(t, owing("0s"), nil)
		start := time.Now()
		w := <-f.start(modern.post(modern.query(typed("urn:payroll", password))))
		if got := time.Since(start); got != mfa.DefaultHold {
			t.Errorf("it was held for %v, want %v", got, mfa.DefaultHold)
		}
		if f.last()["event.reason"] != "second-factor-approve" || !strings.Contains(w.Body.String(), "open https://approve.contoso.example,") {
			t.Errorf("got %s, %v", w.Body, f.last())
		}
		f.approve(t, "")
		again := func(q *wstrust.Query) {
			typed("urn:payroll", password)(q)
			q.MessageID = "urn:uuid:again"
		}
		if w := f.ask(modern, again); w.Code != http.StatusOK {
			t.Errorf("the next try got %d, %v", w.Code, f.last())
		}
	})
}

// A proof that is remembered opens from the same address, and says nothing in
// the token (MFA-15, TOK-02).
func TestRemembered(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("8h"), nil)
		if w := f.ask(modern, typed("urn:payroll", password+","+f.code(t))); w.Code != http.StatusOK {
			t.Fatalf("got %v", f.last())
		}
		message := modern.query(func(q *wstrust.Query) {
			typed("urn:payroll", password)(q)
			q.MessageID = "urn:uuid:2"
		})
		time.Sleep(time.Second) // a grant is known on all gateways
		if w := f.serve(modern.post(message)); w.Code != http.StatusOK || f.last()["labels.remembered"] != true {
			t.Fatalf("got %d, %v", w.Code, f.last())
		}
		if f.sts.granted[1].SecondFactor {
			t.Error("the token tells of a second factor that was proven for an earlier request")
		}
		c := f.start(from("198.51.100.9", message))
		if f.prompts.Load() != 1 {
			t.Error("from another address the user was not asked")
		}
		f.answer(t, mfa.Decision{Verdict: mfa.Deny})
		<-c
	})
}

// TOK-02: an issued token tells of a second factor when this exchange proved one
// that names the transaction or was typed there, and not when the rule did not
// apply, an exception lifted it, or the user allowed it beforehand.
func TestTokenTellsOfFactor(t *testing.T) {
	const rules = `
applications:
  payroll: {realms: ["urn:payroll"], answer: issue, assurance: ASSURANCE}
networks:
  here: [192.0.2.0/24]
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - name: second factor
    match: MATCH
    require: {mfa: {shapes: [SHAPE]}}
`
	const excepted = `    except: [{match: {networks: [here]}, owner: ops, reason: tests, expires: 2026-03-31}]
`
	plain := typed("urn:payroll", password)
	for name, c := range map[string]struct {
		shape, match, more string
		prove              func(*testing.T, *factored) func(*wstrust.Query)
		want               bool
	}{
		"a code": {shape: "code", want: true, prove: func(t *testing.T, f *factored) func(*wstrust.Query) {
			return typed("urn:payroll", password+","+f.code(t))
		}},
		"a number": {shape: "challenge", want: true, prove: func(t *testing.T, f *factored) func(*wstrust.Query) {
			w := f.ask(modern, plain)
			told := number.FindStringSubmatch(w.Body.String())
			if told == nil {
				t.Fatalf("no number: %s", w.Body)
			}
			f.approve(t, told[1])
			return func(q *wstrust.Query) { plain(q); q.MessageID = "urn:uuid:again" }
		}},
		"allowed beforehand": {shape: "grant", prove: func(t *testing.T, f *factored) func(*wstrust.Query) {
			if err := f.mfa.Allow(t.Context(), alice.ID, "payroll", here[0], true, f.proof()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // a grant is known on all gateways
			return plain
		}},
		"not owed at this address": {shape: "code", match: "{not: {networks: [here]}}"},
		"excepted":                 {shape: "code", more: excepted},
	} {
		for _, assurance := range []string{"proven", "accept-approve"} {
			atFresh(t, name+", "+assurance, func(t *testing.T) {
				match := c.match
				if match == "" {
					match = "everyone"
				}
				text := strings.NewReplacer("MATCH", match, "SHAPE", c.shape, "ASSURANCE", assurance).Replace(rules) + c.more
				f := newFactored(t, strings.Replace(text, ", assurance: proven", "", 1), nil)
				ask := plain
				if c.prove != nil {
					ask = c.prove(t, f)
				}
				if w := f.ask(modern, ask); w.Code != http.StatusOK || len(f.sts.granted) != 1 {
					t.Fatalf("got %v", f.last())
				}
				if got := f.sts.granted[0].SecondFactor; got != c.want {
					t.Errorf("the token tells of a second factor: %v, want %v", got, c.want)
				}
			})
		}
	}
}

// TOK-02: a factor that the farm claims opens nothing by itself.
func TestFarmsFactor(t *testing.T) {
	for application, want := range map[string]string{"urn:plain": "answer-mismatch", "urn:trusting": "ok"} {
		atFresh(t, application, func(t *testing.T) {
			f := newFactored(t, owing("0s"), nil)
			f.farm.bends("urn:oasis:names:tc:SAML:1.0:am:password", "http://schemas.microsoft.com/claims/multipleauthn")
			f.ask(modern, typed(application, password))
			if got := f.last()["event.reason"]; got != want {
				t.Errorf("got %s, want %s (%v)", got, want, f.last())
			}
		})
	}
}

// TOK-02: the farm's claim is released where an issued token would say the same:
// after a code, and not after a proof of an earlier request.
func TestFarmsFactorBesideOurs(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("8h"), nil)
		f.farm.bends("urn:oasis:names:tc:SAML:1.0:am:password", "http://schemas.microsoft.com/claims/multipleauthn")
		f.ask(modern, typed(cloud, password+","+f.code(t)))
		if got := f.last()["event.reason"]; got != "ok" {
			t.Fatalf("with a code: %s (%v)", got, f.last())
		}
		time.Sleep(time.Second) // a grant is known on all gateways
		f.ask(modern, func(q *wstrust.Query) { typed(cloud, password)(q); q.MessageID = "urn:uuid:2" })
		if got := f.last(); got["event.reason"] != "answer-mismatch" || got["labels.remembered"] != true {
			t.Errorf("remembered: %s (%v)", got["event.reason"], got)
		}
	})
}

// MFA-16: where the directory proves the password, the farm makes no token
// before the user has approved.
func TestProvenInDirectory(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("0s"), func(c *gateway.Config) { c.ProveInDirectory = true })
		c := f.start(modern.post(modern.query(typed(cloud, password))))
		if len(f.farm.asked) != 0 || f.directory.verified != 1 {
			t.Fatalf("the farm was asked %d times and the directory %d", len(f.farm.asked), f.directory.verified)
		}
		f.approve(t, "")
		if w := <-c; w.Code != http.StatusOK || len(f.farm.asked) != 1 {
			t.Errorf("got %d, and the farm was asked %d times", w.Code, len(f.farm.asked))
		}
		f.ask(modern, typed(cloud, "guess"))
		if f.last()["event.reason"] != "wrong-password" || len(f.farm.asked) != 1 {
			t.Errorf("a wrong password: got %v", f.last())
		}
	})
}

// MFA-07: after "not me" the address is closed to the user, whatever the
// password, and looks like a wrong one; others are not.
func TestNotMeBlocks(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("0s"), nil)
		c := f.start(modern.post(modern.query(typed(cloud, password))))
		f.answer(t, mfa.Decision{Verdict: mfa.NotMe})
		<-c
		time.Sleep(2 * time.Second)
		asked := len(f.farm.asked)
		for _, application := range []string{cloud, "urn:plain"} {
			f.ask(modern, func(q *wstrust.Query) {
				typed(application, password)(q)
				q.MessageID = "urn:uuid:again"
			})
			if f.last()["event.reason"] != "address-blocked" {
				t.Errorf("%s: got %s", application, f.last()["event.reason"])
			}
		}
		if len(f.farm.asked) != asked {
			t.Error("a password left the gateway from a closed address")
		}
		if w := f.serve(from("198.51.100.9", modern.query(typed("urn:plain", password)))); w.Code != http.StatusOK {
			t.Errorf("another address: got %v", f.last())
		}
	})
}

// MFA-26: nobody can tell whose factor an encrypted token of the farm needs.
func TestEncryptedNeedsDirectory(t *testing.T) {
	const realm = "https://cloud.contoso.example/saml/metadata"
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("0s"), nil)
		f.farm.answers(encrypted(t))
		f.ask(modern, func(q *wstrust.Query) { typed(realm, password)(q); q.MessageID = "" })
		if f.last()["event.reason"] != "second-factor" || f.prompts.Load() != 0 {
			t.Errorf("got %s, and %d prompts", f.last()["event.reason"], f.prompts.Load())
		}
	})
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("0s"), func(c *gateway.Config) { c.ProveInDirectory = true })
		f.farm.answers(encrypted(t))
		c := f.start(modern.post(modern.query(func(q *wstrust.Query) { typed(realm, password)(q); q.MessageID = "" })))
		f.approve(t, "")
		if w := <-c; w.Code != http.StatusOK {
			t.Errorf("got %v", f.last())
		}
	})
}

// encrypted is an answer of the farm's whose token nobody can read.
func encrypted(t *testing.T) []byte {
	return current(testdata.Message(t, "rstr/adfs-13-encrypted.xml"))
}

// MFA-16: what is approved when the client has gone is released to nobody.
func TestApprovedForNobody(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("0s"), nil)
		ctx, hangUp := context.WithCancel(t.Context())
		w := f.start(modern.post(modern.query(typed(cloud, password))).WithContext(ctx))
		hangUp()
		time.Sleep(5 * time.Second)
		f.approve(t, "")
		<-w
		if r := f.last(); r["event.reason"] != "client-gone" || r["labels.assertion_id"] != nil {
			t.Errorf("got %v, and the token %v", r["event.reason"], r["labels.assertion_id"])
		}
	})
}

// SIG-10, MFA-26: what the farm answers after the factor is checked as before it.
func TestLateAnswerIsChecked(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, owing("0s"), func(c *gateway.Config) { c.ProveInDirectory = true })
		f.farm.bends(alice.UPN, bob.UPN)
		w := f.start(modern.post(modern.query(typed(cloud, password))))
		f.approve(t, "")
		<-w
		if r := f.last(); r["event.reason"] != "answer-mismatch" {
			t.Errorf("got %v: %v", r["event.reason"], r["error.message"])
		}
	})
}

// MFA-23: an address that the operator calls shared binds nothing, so that a
// proof from there is not remembered.
func TestSharedAddressIsNotRemembered(t *testing.T) {
	for _, shared := range []bool{false, true} {
		atFresh(t, fmt.Sprint(shared), func(t *testing.T) {
			f := newFactored(t, owing("8h"), func(c *gateway.Config) {
				if shared {
					c.Guard = newExemptGuard(t, netip.MustParsePrefix("192.0.2.0/24"))
				}
			})
			if w := f.ask(modern, typed("urn:payroll", password+","+f.code(t))); w.Code != http.StatusOK {
				t.Fatalf("got %v", f.last())
			}
			time.Sleep(time.Second)
			w := f.start(modern.post(modern.query(typed("urn:payroll", password))))
			if asked := f.prompts.Load() == 1; asked != shared {
				t.Errorf("asked again: %v, want %v", asked, shared)
			}
			<-w
		})
	}
}
