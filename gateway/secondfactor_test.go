package gateway_test

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// owing is a policy of which every application owes a second factor in a shape
// of its own.
const owing = `
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
`

// An approver is the second factor of a gate, in whose place a test answers.
type approver struct {
	t       *testing.T
	service *mfa.Service
	factors *factor.Verifier
	secret  string // of alice's app

	mu       sync.Mutex
	prompted int
}

// newApprover returns a gate whose alice has an app.
func newApprover(t *testing.T, remember string, hold time.Duration, change func(*gateway.Config)) (*gate, *approver) {
	t.Helper()
	a := &approver{t: t}
	store := state.NewMemory(nil)
	log := slog.New(slog.DiscardHandler)
	var err error
	if a.factors, err = factor.New(factor.Config{Store: store, Metrics: prometheus.NewRegistry(), Log: log}); err != nil {
		t.Fatal(err)
	}
	a.service, err = mfa.New(mfa.Config{
		Store: store, Portal: "https://approve.contoso.example", Separator: ",", DefaultHold: hold, Factors: a.factors,
		Knock:    func(knock.Prompt) { a.mu.Lock(); a.prompted++; a.mu.Unlock() },
		Families: []string{"msal-net", "adal", "zeep", "unknown"}, Metrics: prometheus.NewRegistry(), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.service.Run(ctx) })
	running.Go(func() { a.factors.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	for _, wait := range []func(context.Context) error{a.service.Wait, a.factors.Wait} {
		if err := wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	a.enrol()
	g := newGate(t, func(c *gateway.Config) {
		c.MFA, c.Policy = a.service, live(t, strings.ReplaceAll(owing, "REMEMBER", remember))
		if change != nil {
			change(c)
		}
	})
	return g, a
}

func (a *approver) enrol() {
	a.t.Helper()
	ctx := context.Background()
	user := factor.User{ID: alice.ID, UPN: alice.UPN, SAM: alice.SAM}
	h, err := a.factors.BeginTOTP(ctx, user, factor.Proof{User: alice.ID, Kind: factor.Binding, At: time.Now()})
	if err != nil {
		a.t.Fatal(err)
	}
	a.secret = strings.ReplaceAll(h.Secret(), " ", "")
	if _, err := a.factors.ConfirmTOTP(ctx, alice.ID, h.ID, account.NewPassword([]byte(a.code())), "phone", factor.Source{}); err != nil {
		a.t.Fatal(err)
	}
	time.Sleep(31 * time.Second) // that code was spent
}

func (a *approver) code() string {
	c, err := totp.GenerateCode(a.secret, time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// decide answers the one prompt that there is.
func (a *approver) decide(d mfa.Decision) {
	a.t.Helper()
	ctx := context.Background()
	all, err := a.service.Pending(ctx, alice.ID)
	if err != nil || len(all) != 1 {
		a.t.Fatalf("%d sign-ins wait (%v), want 1", len(all), err)
	}
	d.Factor = factor.Proof{User: alice.ID, Kind: factor.Passkey, UV: true, At: time.Now()}
	if err := a.service.Decide(ctx, alice.ID, all[0].ID, d); err != nil {
		a.t.Fatal(err)
	}
}

func (a *approver) prompts() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.prompted
}

// typed asks for an application with a text in the password's place.
func typed(application, text string) func(*wstrust.Query) {
	return func(q *wstrust.Query) {
		q.AppliesTo, q.Password = application, account.NewPassword([]byte(text))
	}
}

// last is the audit record of the last exchange.
func (g *gate) last() map[string]any {
	all := g.records()
	return all[len(all)-1]
}

func (g *gate) reason() string { return g.last()["event.reason"].(string) }

// later asks in the background.
func (g *gate) later(r *http.Request) (answer <-chan *recorder) {
	c := make(chan *recorder, 1)
	go func() { c <- g.serve(r) }()
	synctest.Wait()
	return c
}

// MFA-24: a code behind the password opens, once; the farm gets the message that
// the client would have sent without it.
func TestCodeOpensOnce(t *testing.T) {
	for _, application := range []string{cloud, "urn:payroll", "urn:travel"} {
		atFresh(t, application, func(t *testing.T) {
			g, a := newApprover(t, "0s", mfa.DefaultHold, nil)
			code := a.code()
			message := modern.query(typed(application, password+","+code))
			if w := g.serve(modern.post(message)); w.Code != http.StatusOK {
				t.Fatalf("got %d %s (%v)", w.Code, w.Body, g.last())
			}
			if r := g.last(); list(r["labels.factors"]) != "totp" || list(r["labels.shapes"]) != "code" || list(r["labels.assurance"]) != "otp" {
				t.Errorf("the record is %v", r)
			}
			if application != "urn:payroll" {
				if want := modern.query(typed(application, password)); string(g.farm.asked[0].body) != string(want) {
					t.Errorf("the farm got %s\nwant %s", g.farm.asked[0].body, want)
				}
			} else if !g.sts.granted[0].SecondFactor {
				t.Error("TOK-02: the token does not tell of the second factor")
			}
			g.ask(modern, func(q *wstrust.Query) {
				typed(application, password+","+code)(q)
				q.MessageID = "urn:uuid:another"
			})
			if got := g.reason(); got != "wrong-code" {
				t.Errorf("a code that was used: got %s, want wrong-code", got)
			}
		})
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
		g, a := newApprover(t, "0s", mfa.DefaultHold, nil)
		code := a.code()
		wrong := "000000"
		if code == wrong {
			wrong = "111111"
		}
		var faults []string
		for _, text := range []string{"guess," + code, "guess," + wrong, password + "," + wrong} {
			w := g.ask(modern, typed("urn:payroll", text))
			id := g.last()["transaction.id"].(string)
			faults = append(faults, instants.ReplaceAllString(strings.ReplaceAll(w.Body.String(), id, "ID"), "TIME"))
		}
		if faults[0] != faults[1] || faults[1] != faults[2] {
			t.Errorf("the faults differ:\n%s", strings.Join(faults, "\n"))
		}
		if w := g.ask(modern, typed("urn:payroll", password+","+code)); w.Code != http.StatusOK {
			t.Errorf("a code that came with a wrong password is spent: %v", g.last())
		}
	})
}

// A password may end like a code: nothing is cut off it for a user without an
// app, nor where no rule takes codes.
func TestNothingCut(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g, _ := newApprover(t, "0s", 0, nil)
		g.ask(modern, func(q *wstrust.Query) {
			typed(cloud, password+",123456")(q)
			q.Username = bob.UPN
		})
		g.ask(modern, typed("urn:plain", password+",123456"))
		for _, asked := range g.farm.asked {
			if asked.password != password+",123456" {
				t.Errorf("the farm got the password %q", asked.password)
			}
		}
		if len(g.farm.asked) != 2 {
			t.Errorf("the farm was asked %d times, want 2", len(g.farm.asked))
		}
	})
}

// hold: the request waits while the user approves, and its burst with it. What
// it releases says nothing of a second factor unless the application takes that
// (MFA-20, TOK-02).
func TestHeld(t *testing.T) {
	for application, says := range map[string]bool{"urn:payroll": false, "urn:badge": true, cloud: false} {
		atFresh(t, application, func(t *testing.T) {
			g, a := newApprover(t, "0s", mfa.DefaultHold, nil)
			first := g.later(modern.post(modern.query(typed(application, password))))
			second := g.later(modern.post(modern.query(func(q *wstrust.Query) {
				typed(application, password)(q)
				q.MessageID = "urn:uuid:another"
			})))
			if a.prompts() != 1 {
				t.Errorf("the user was told %d times, want once", a.prompts())
			}
			time.Sleep(20 * time.Second)
			a.decide(mfa.Decision{Verdict: mfa.Approve})
			for _, c := range []<-chan *recorder{first, second} {
				if w := <-c; w.Code != http.StatusOK {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			}
			if r := g.last(); list(r["labels.assurance"]) != "approve-only" || list(r["labels.factors"]) != "passkey-uv" {
				t.Errorf("the record is %v", r)
			}
			for _, granted := range g.sts.granted {
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
		g, a := newApprover(t, "0s", mfa.DefaultHold, nil)
		c := g.later(modern.post(modern.query(typed("urn:payroll", password))))
		a.decide(mfa.Decision{Verdict: mfa.Deny})
		if w := <-c; w.Code == http.StatusOK || g.reason() != "second-factor-denied" {
			t.Errorf("got %d, %v", w.Code, g.last())
		}
		if len(g.sts.granted) != 0 {
			t.Error("a token was signed for a denied request")
		}
	})
	atFresh(t, "expired", func(t *testing.T) {
		g, a := newApprover(t, "0s", mfa.DefaultHold, nil)
		start := time.Now()
		w := <-g.later(modern.post(modern.query(typed("urn:payroll", password))))
		if got := time.Since(start); got != mfa.DefaultHold {
			t.Errorf("it was held for %v, want %v", got, mfa.DefaultHold)
		}
		if g.reason() != "second-factor-approve" || !strings.Contains(w.Body.String(), "open https://approve.contoso.example,") {
			t.Errorf("got %s, %v", w.Body, g.last())
		}
		a.decide(mfa.Decision{Verdict: mfa.Approve})
		again := func(q *wstrust.Query) {
			typed("urn:payroll", password)(q)
			q.MessageID = "urn:uuid:again"
		}
		if w := g.ask(modern, again); w.Code != http.StatusOK {
			t.Errorf("the next try got %d, %v", w.Code, g.last())
		}
	})
}

// challenge: the fault tells a number, and typed in the portal it opens once.
func TestChallenged(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g, a := newApprover(t, "0s", 0, nil)
		ask := func(id string) *recorder {
			return g.ask(modern, func(q *wstrust.Query) {
				typed("urn:payroll", password)(q)
				q.MessageID = id
			})
		}
		body := ask("urn:uuid:1").Body.String()
		_, rest, ok := strings.Cut(body, "https://approve.contoso.example, type ")
		if !ok || g.reason() != "second-factor-number" {
			t.Fatalf("got %s", body)
		}
		a.decide(mfa.Decision{Verdict: mfa.Approve, Number: rest[:6]})
		if w := ask("urn:uuid:2"); w.Code != http.StatusOK || !g.sts.granted[0].SecondFactor {
			t.Fatalf("the next try got %d, %v", w.Code, g.last())
		}
		if w := ask("urn:uuid:3"); w.Code == http.StatusOK {
			t.Error("a challenge was redeemed twice")
		}
	})
}

// A proof that is remembered opens from the same address, and says nothing in
// the token (MFA-15, TOK-02).
func TestRemembered(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g, a := newApprover(t, "8h", mfa.DefaultHold, nil)
		if w := g.ask(modern, typed("urn:payroll", password+","+a.code())); w.Code != http.StatusOK {
			t.Fatalf("got %v", g.last())
		}
		message := modern.query(func(q *wstrust.Query) {
			typed("urn:payroll", password)(q)
			q.MessageID = "urn:uuid:2"
		})
		time.Sleep(time.Second) // a grant is known on all gateways
		if w := g.serve(modern.post(message)); w.Code != http.StatusOK || g.last()["labels.remembered"] != true {
			t.Fatalf("got %d, %v", w.Code, g.last())
		}
		if g.sts.granted[1].SecondFactor {
			t.Error("the token tells of a second factor that was proven for an earlier request")
		}
		c := g.later(from("198.51.100.9", message))
		if a.prompts() != 1 {
			t.Error("from another address the user was not asked")
		}
		a.decide(mfa.Decision{Verdict: mfa.Deny})
		<-c
	})
}

// TOK-02: a factor that the farm claims opens nothing by itself.
func TestFarmsFactor(t *testing.T) {
	for application, want := range map[string]string{"urn:plain": "answer-mismatch", "urn:trusting": "ok"} {
		atFresh(t, application, func(t *testing.T) {
			g, _ := newApprover(t, "0s", mfa.DefaultHold, nil)
			g.farm.bends("urn:oasis:names:tc:SAML:1.0:am:password", "http://schemas.microsoft.com/claims/multipleauthn")
			g.ask(modern, typed(application, password))
			if got := g.reason(); got != want {
				t.Errorf("got %s, want %s (%v)", got, want, g.last())
			}
		})
	}
}

// MFA-16: where the directory proves the password, the farm makes no token
// before the user has approved.
func TestProvenInDirectory(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g, a := newApprover(t, "0s", mfa.DefaultHold, func(c *gateway.Config) { c.ProveInDirectory = true })
		c := g.later(modern.post(modern.query(typed(cloud, password))))
		if len(g.farm.asked) != 0 || g.directory.verified != 1 {
			t.Fatalf("the farm was asked %d times and the directory %d", len(g.farm.asked), g.directory.verified)
		}
		a.decide(mfa.Decision{Verdict: mfa.Approve})
		if w := <-c; w.Code != http.StatusOK || len(g.farm.asked) != 1 {
			t.Errorf("got %d, and the farm was asked %d times", w.Code, len(g.farm.asked))
		}
		g.ask(modern, typed(cloud, "guess"))
		if g.reason() != refusal.WrongPassword.String() || len(g.farm.asked) != 1 {
			t.Errorf("a wrong password: got %v", g.last())
		}
	})
}

// MFA-07: after "not me" the address is closed to the user, whatever the
// password, and looks like a wrong one; others are not.
func TestNotMeBlocks(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g, a := newApprover(t, "0s", mfa.DefaultHold, nil)
		c := g.later(modern.post(modern.query(typed(cloud, password))))
		a.decide(mfa.Decision{Verdict: mfa.NotMe})
		<-c
		time.Sleep(2 * time.Second)
		asked := len(g.farm.asked)
		for _, application := range []string{cloud, "urn:plain"} {
			g.ask(modern, func(q *wstrust.Query) {
				typed(application, password)(q)
				q.MessageID = "urn:uuid:again"
			})
			if g.reason() != "address-blocked" {
				t.Errorf("%s: got %s", application, g.reason())
			}
		}
		if len(g.farm.asked) != asked {
			t.Error("a password left the gateway from a closed address")
		}
		if w := g.serve(from("198.51.100.9", modern.query(typed("urn:plain", password)))); w.Code != http.StatusOK {
			t.Errorf("another address: got %v", g.last())
		}
	})
}

// MFA-26: nobody can tell whose factor an encrypted token of the farm needs.
func TestEncryptedNeedsDirectory(t *testing.T) {
	const realm = "https://cloud.contoso.example/saml/metadata"
	atFresh(t, "", func(t *testing.T) {
		g, a := newApprover(t, "0s", mfa.DefaultHold, nil)
		g.farm.answers(encrypted(t))
		g.ask(modern, func(q *wstrust.Query) { typed(realm, password)(q); q.MessageID = "" })
		if g.reason() != "second-factor" || a.prompts() != 0 {
			t.Errorf("got %s, and %d prompts", g.reason(), a.prompts())
		}
	})
	atFresh(t, "", func(t *testing.T) {
		g, a := newApprover(t, "0s", mfa.DefaultHold, func(c *gateway.Config) { c.ProveInDirectory = true })
		g.farm.answers(encrypted(t))
		c := g.later(modern.post(modern.query(func(q *wstrust.Query) { typed(realm, password)(q); q.MessageID = "" })))
		a.decide(mfa.Decision{Verdict: mfa.Approve})
		if w := <-c; w.Code != http.StatusOK {
			t.Errorf("got %v", g.last())
		}
	})
}

// encrypted is an answer of the farm's whose token nobody can read.
func encrypted(t *testing.T) []byte {
	return current(relatesTo.ReplaceAll(testdata.Message(t, "rstr/adfs-13-encrypted.xml"), nil))
}
