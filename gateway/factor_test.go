package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/clientip"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

const approvePage = "https://approve.contoso.example"

// asking is rules that ask everybody for a second factor in some shapes.
func asking(shapes string) string {
	return rules + fmt.Sprintf("  - {name: a second factor, match: everyone, require: {mfa: {shapes: [%s], factors: [totp, passkey]}}}\n", shapes)
}

// factored is a gateway with second factors, and alice's app.
type factored struct {
	*gate
	mfa     *mfa.Service
	factors *factor.Verifier
	secret  string
	prompts atomic.Int32 // how often alice was told that something waits
}

// newFactored returns a gateway with a policy. change, which may be nil, and tune
// have the last word on the configurations of the gateway and of package mfa.
func newFactored(t *testing.T, text string, change func(*gateway.Config), tune ...func(*mfa.Config)) *factored {
	t.Helper()
	store, log := state.NewMemory(nil), slog.New(slog.DiscardHandler)
	f := &factored{}
	var err error
	if f.factors, err = factor.New(factor.Config{Store: store, Metrics: prometheus.NewRegistry(), Log: log}); err != nil {
		t.Fatal(err)
	}
	c := mfa.Config{
		Store: store, Portal: approvePage, Separator: ",", DefaultHold: mfa.DefaultHold, Factors: f.factors,
		Knock: func(knock.Prompt) { f.prompts.Add(1) }, Families: []string{"unknown"}, Metrics: prometheus.NewRegistry(), Log: log,
	}
	c.Forget = func(ctx context.Context, user string, a netip.Addr) error { return f.guard.Forget(ctx, user, a) }
	for _, change := range tune {
		change(&c)
	}
	if f.mfa, err = mfa.New(c); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.mfa.Run(ctx) })
	running.Go(func() { f.factors.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	if err := f.mfa.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	f.gate = newGate(t, func(c *gateway.Config) {
		c.Policy, c.MFA = live(t, text), f.mfa
		if change != nil {
			change(c)
		}
	})
	f.enrol(t)
	return f
}

func (f *factored) enrol(t *testing.T) {
	t.Helper()
	half, err := f.factors.BeginTOTP(t.Context(), factor.User{ID: alice.ID, UPN: alice.UPN}, f.proof())
	if err != nil {
		t.Fatal(err)
	}
	f.secret = strings.ReplaceAll(half.Secret(), " ", "")
	code := account.NewPassword([]byte(f.code(t)))
	if _, err := f.factors.ConfirmTOTP(t.Context(), alice.ID, half.ID, code, "phone", factor.Source{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute) // for the next code, and the mirrors
}

func (f *factored) code(t *testing.T) string {
	t.Helper()
	code, err := totp.GenerateCode(f.secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (f *factored) proof() factor.Proof {
	return factor.Proof{User: alice.ID, Kind: factor.Passkey, Authenticator: "key", UV: true, At: time.Now()}
}

// answer is what alice says in the portal to the one thing that waits.
func (f *factored) answer(t *testing.T, d mfa.Decision) {
	t.Helper()
	synctest.Wait()
	all, err := f.mfa.Pending(t.Context(), alice.ID)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d things wait, want 1: %v", len(all), err)
	}
	if err := f.mfa.Decide(t.Context(), alice.ID, all[0].ID, d); err != nil {
		t.Fatal(err)
	}
}

func (f *factored) approve(t *testing.T, number string) {
	t.Helper()
	f.answer(t, mfa.Decision{Verdict: mfa.Approve, Number: number, Factor: f.proof()})
}

// start asks, and returns when the answer waits for something.
func (f *factored) start(r *http.Request) chan *recorder {
	w := make(chan *recorder, 1)
	go func() { w <- f.serve(r) }()
	synctest.Wait()
	return w
}

// last is the last record.
func (f *factored) last() map[string]any {
	all := f.records()
	return all[len(all)-1]
}

var realms = map[string]string{"forwarded": cloud, "issued": "urn:payroll"}

// A held request gets its token when its user approves, is denied when its user
// denies, and is told what to do when nobody answers. MFA-20, TOK-02: a hold is
// approve-only, and an issued token does not say that there was a second factor.
func TestHold(t *testing.T) {
	for name, realm := range realms {
		for what, c := range map[string]struct {
			then   func(*testing.T, *factored)
			reason string
			says   string
		}{
			"approved": {func(t *testing.T, f *factored) { f.approve(t, "") }, "ok", ""},
			"denied":   {func(t *testing.T, f *factored) { f.answer(t, mfa.Decision{Verdict: mfa.Deny}) }, "second-factor-denied", "MSIS7068"},
			"expired":  {func(*testing.T, *factored) {}, "second-factor-approve", approvePage},
		} {
			atFresh(t, name+" "+what, func(t *testing.T) {
				f := newFactored(t, asking("hold"), nil)
				waits := f.start(modern.post(modern.query(func(q *wstrust.Query) { q.AppliesTo = realm })))
				synctest.Wait()
				c.then(t, f)
				w := <-waits
				r := f.last()
				if r["event.reason"] != c.reason || !strings.Contains(w.Body.String(), c.says) || len(f.farm.asked)+len(f.sts.proved) != 1 {
					t.Errorf("got %v (%v) and %s", r["event.reason"], r["error.message"], w.Body)
				}
				if c.reason == "ok" && (list(r["labels.shapes"]) != "hold" || list(r["labels.assurance"]) != "approve-only" || list(r["labels.factors"]) != "passkey-uv") {
					t.Errorf("the record says %v, %v, %v", r["labels.shapes"], r["labels.assurance"], r["labels.factors"])
				}
				for _, g := range f.sts.granted {
					if g.SecondFactor {
						t.Error("a hold is said to be a second factor")
					}
				}
			})
		}
	}
}

// MFA-24: the farm gets the password without the code, an issuer too; the token
// that is issued says that there was a second factor. A code is used once, and
// wrong ones look like a wrong password (MFA-17).
func TestCode(t *testing.T) {
	for name, realm := range realms {
		atFresh(t, name, func(t *testing.T) {
			f := newFactored(t, asking("code"), nil)
			ask := func(typed string) (*recorder, []byte) {
				message := modern.query(func(q *wstrust.Query) { q.AppliesTo, q.Password = realm, account.NewPassword([]byte(typed)) })
				w := f.serve(modern.post(message))
				time.Sleep(later)
				return w, message
			}
			code := f.code(t)
			w, message := ask(password + "," + code)
			r := f.last()
			if w.Code != http.StatusOK || list(r["labels.shapes"]) != "code" || list(r["labels.assurance"]) != "otp" || list(r["labels.factors"]) != "totp" {
				t.Fatalf("got %d and %v", w.Code, r)
			}
			f.hides(w, code)
			if realm == cloud {
				sent := f.farm.asked[0]
				if want := strings.Replace(string(message), ","+code, "", 1); string(sent.body) != want || sent.password != password {
					t.Errorf("the farm got %q in\n%s", sent.password, sent.body)
				}
			} else if g := f.sts.granted[0]; !g.SecondFactor || f.sts.proved[0] != password {
				t.Errorf("granted %+v for %q", g, f.sts.proved[0])
			}
			if realm == cloud {
				f.farm.answers(testdata.Message(t, "fault/adfs-id3242-13.xml"))
			}
			wrong, _ := ask("wrong," + f.code(t))
			if r := f.last(); r["event.reason"] != "wrong-password" {
				t.Errorf("wrong password: %v", r["event.reason"])
			}
			f.farm.forward = nil
			for what, typed := range map[string]string{"used": password + "," + code, "wrong": password + ",000000"} {
				w, _ := ask(typed)
				if r := f.last(); r["event.reason"] != "wrong-code" {
					t.Errorf("%s: %v", what, r["event.reason"])
				}
				alike(t, w, wrong)
			}
			none, _ := ask(password)
			if r := f.last(); r["event.reason"] != "second-factor" {
				t.Errorf("none: %v %s", r["event.reason"], none.Body)
			}
		})
	}
}

var number = regexp.MustCompile(`type ([0-9]{6}) there`)

// A challenge tells a number. SOAP-16: what is sent again gets the same fault,
// reaches nobody and starts no prompt, until the user has typed it: then the
// repeat redeems it, once.
func TestChallenge(t *testing.T) {
	for name, realm := range realms {
		atFresh(t, name, func(t *testing.T) {
			f := newFactored(t, asking("challenge"), nil)
			message := modern.query(func(q *wstrust.Query) { q.AppliesTo = realm })
			first := f.serve(modern.post(message))
			told := number.FindStringSubmatch(first.Body.String())
			if told == nil || !strings.Contains(first.Body.String(), approvePage) {
				t.Fatalf("the client reads %s", first.Body)
			}
			time.Sleep(time.Second)
			if again := f.serve(modern.post(message)); again.Body.String() != first.Body.String() {
				t.Errorf("the repeat reads %s", again.Body)
			}
			if asked := len(f.farm.asked) + len(f.sts.proved); asked != 1 {
				t.Errorf("%d passwords left the gateway, want 1", asked)
			}
			f.approve(t, told[1])
			time.Sleep(time.Second)
			if w := f.serve(modern.post(message)); w.Code != http.StatusOK || list(f.last()["labels.assurance"]) != "bound" {
				t.Errorf("after the number was typed: %d %v", w.Code, f.last())
			}
			time.Sleep(later)
			if w := f.serve(modern.post(message)); w.Code == http.StatusOK {
				t.Error("the approval is redeemed twice")
			}
		})
	}
}

// MFA-16: a request whose client has gone waits for 10 seconds, and as long as
// a repeat of it does; the repeat gets the token that was kept.
func TestHoldOfAClientThatWent(t *testing.T) {
	for _, repeats := range []bool{false, true} {
		atFresh(t, fmt.Sprint("repeats ", repeats), func(t *testing.T) {
			f := newFactored(t, asking("hold"), nil)
			message := modern.query(nil)
			ctx, hangUp := context.WithCancel(t.Context())
			first := f.start(modern.post(message).WithContext(ctx))
			synctest.Wait()
			hangUp()
			time.Sleep(9 * time.Second)
			var again chan *recorder
			if repeats {
				again = f.start(modern.post(message))
			}
			time.Sleep(2 * time.Second)
			if !repeats {
				<-first
				if r := f.record(); r["event.reason"] != "client-gone" {
					t.Errorf("got %v", r["event.reason"])
				}
				return
			}
			f.approve(t, "")
			if w := <-again; w.Code != http.StatusOK || len(f.farm.asked) != 1 {
				t.Errorf("the repeat got %d %s", w.Code, w.Body)
			}
			<-first
		})
	}
}

// A request that was held is decided again if the policy set has changed.
func TestPolicyChangesWhileHeld(t *testing.T) {
	for name, c := range map[string]struct{ rules, reason string }{
		"unchanged":      {asking("hold"), "ok"},
		"denied now":     {asking("hold") + "  - {name: no alice, match: {users: [alice@contoso.example]}, deny: {}}\n", "denied-user"},
		"more owed":      {asking("hold") + "  - {name: codes, match: everyone, require: {mfa: {shapes: [code]}}}\n", "second-factor"},
		"answered there": {strings.Replace(asking("hold"), `"urn:payroll", "https://payroll.contoso.example/"], answer: issue`, `"urn:payroll"], answer: forward`, 1), "denied"},
	} {
		atFresh(t, name, func(t *testing.T) {
			f := newFactored(t, asking("hold"), nil)
			waits := f.start(modern.post(modern.query(issued)))
			synctest.Wait()
			f.live.Store(load(t, c.rules))
			f.approve(t, "")
			w := <-waits
			if r := f.last(); r["event.reason"] != c.reason {
				t.Errorf("got %d, %v: %v", w.Code, r["event.reason"], r["error.message"])
			}
		})
	}
}

// MFA-26: a token that nobody can read may be anybody's, and no factor of alice's
// releases it; and without a directory nobody's factor is known.
func TestFactorOfNobody(t *testing.T) {
	atFresh(t, "encrypted", func(t *testing.T) {
		f := newFactored(t, asking("hold"), nil)
		sealed := testdata.Message(t, "rstr/adfs-13-encrypted.xml")
		f.farm.answers(current(sealed))
		f.ask(modern, func(q *wstrust.Query) { q.AppliesTo = "https://cloud.contoso.example/saml/metadata" })
		if r := f.record(); r["event.reason"] != "second-factor" {
			t.Errorf("got %v: %v", r["event.reason"], r["error.message"])
		}
	})
	atFresh(t, "no directory", func(t *testing.T) {
		const all = "applications: {microsoft-365: {realms: [\"urn:federation:MicrosoftOnline\"], answer: forward}}\nrules:\n  - {name: all, match: everyone, allow: {}}\n  - {name: more, match: everyone, require: {mfa: {}}}\n"
		f := newFactored(t, all, func(c *gateway.Config) { c.Directory = nil })
		f.ask(modern, nil)
		if r := f.record(); r["event.reason"] != "second-factor" {
			t.Errorf("got %v: %v", r["event.reason"], r["error.message"])
		}
	})
}

// MFA-23: an address that many share binds nothing: what was approved there is
// for nobody's next request.
func TestSharedAddressDoesNotBind(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		online := netip.MustParsePrefix("192.0.2.0/24")
		f := newFactored(t, asking("challenge"), func(c *gateway.Config) {
			c.Clients = clientip.New(clientip.Config{ExchangeOnline: []netip.Prefix{online}})
			c.Guard = newExemptGuard(t, online)
		})
		f.ask(modern, nil)
		if r := f.record(); r["event.reason"] != "second-factor" {
			t.Errorf("got %v: %v", r["event.reason"], r["error.message"])
		}
	})
}

// MFA-07: an address that a user disowns is familiar no more, although the user
// was taken in and approved a sign-in from there.
func TestDisownedIsUnfamiliar(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, asking("hold"), nil)
		done := f.start(modern.post(modern.query(typed("urn:payroll", password))))
		f.approve(t, "")
		<-done
		time.Sleep(time.Second)
		if familiar, err := f.guard.Familiar(alice.ID, here); !familiar || err != nil {
			t.Fatalf("familiar %v, %v (%v)", familiar, err, f.last()["event.reason"])
		}
		if err := f.mfa.NotMe(t.Context(), knock.Recipient{ID: alice.ID}, alice.ID, here[0], "payroll", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if familiar, err := f.guard.Familiar(alice.ID, here); familiar || err != nil {
			t.Errorf("still familiar: %v, %v", familiar, err)
		}
	})
}

// LOCK-02: a sign-in with two factors makes its address familiar.
func TestSecondFactorMakesFamiliar(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		f := newFactored(t, asking("code"), nil)
		f.ask(modern, func(q *wstrust.Query) { q.Password = account.NewPassword([]byte(password + "," + f.code(t))) })
		time.Sleep(time.Second)
		if familiar, err := f.guard.Familiar(alice.ID, here); !familiar || err != nil {
			t.Errorf("familiar %v, %v (%v)", familiar, err, f.last()["event.reason"])
		}
	})
}
