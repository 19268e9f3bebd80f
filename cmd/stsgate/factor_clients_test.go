package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/refusal"
	"stsgate/testdata"
)

// A factorClient is a client that was written elsewhere, which has no idea of a
// second factor.
type factorClient struct {
	name   string // and of its users
	family string // as its messages tell
	ask    func(t *testing.T, s *site, user person) outcome
}

func factorClients() []factorClient {
	return []factorClient{{"msal-go", "msal-go", askMSALGo}, {"msal-python", "msal-python", askMSALPython}, {"zeep", "zeep", askZeep13}}
}

// haveFactorClients skips the test where not all are installed.
func haveFactorClients(t *testing.T) {
	t.Helper()
	for _, module := range []string{"msal", "zeep"} {
		testdata.Python(t, module)
	}
}

// The second factor as users meet it, with one gateway: clients that were written
// elsewhere, a farm, and the portal over HTTPS, for every shape.
func TestSecondFactor(t *testing.T) {
	t.Parallel() // it waits more than it works
	haveFactorClients(t)
	f := newFactorFleet(t, 1, func(int) string { return "{dir: state, key: ../state.key}" }, append(factorNames(), "rita", "vera", "mallory")...)
	f.everyShape(t)
	t.Run("repeats", f.repeats)
	t.Run("another user's name", f.anothersName)
}

// The same with three gateways on three NATS servers: what is asked at one is
// approved at the second, and redeemed at the third.
func TestSecondFactorThreeNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short leaves out what starts three NATS servers and three gateways")
	}
	t.Parallel() // it waits more than it works
	haveFactorClients(t)
	c := startNATS(t)
	f := newFactorFleet(t, fleetSize, func(i int) string {
		return fmt.Sprintf("{key: ../state.key, nats: {urls: [%s], credentials: %q, ca: %q}}", strings.Join(c.urls(i), ", "),
			filepath.Join(c.dir, "nats.seed"), filepath.Join(c.dir, "ca.pem"))
	}, append(factorNames(), "rita")...)
	f.everyShape(t)
	t.Run("repeats elsewhere", f.repeatsElsewhere)
	t.Run("history elsewhere", f.historyElsewhere) // and one gateway is gone
}

// factorNames are two users of each client: nobody is asked more than three
// times in ten minutes.
func factorNames() (all []string) {
	for _, c := range factorClients() {
		all = append(all, c.name+"-waits", c.name+"-types")
	}
	return all
}

// everyShape goes through all shapes with every client. Some wait in vain while
// the others ask.
func (f *factorFleet) everyShape(t *testing.T) {
	var inVain []<-chan outcome
	for _, c := range factorClients() {
		if !t.Run(c.name+" waits", func(t *testing.T) { f.waits(t, c) }) {
			t.FailNow()
		}
		inVain = append(inVain, later(t, func() outcome { return f.askInVain(t, c) }))
	}
	for _, c := range factorClients() {
		t.Run(c.name+" is told", func(t *testing.T) { f.types(t, c) })
	}
	for i, c := range factorClients() {
		t.Run(c.name+" waits in vain", func(t *testing.T) { f.waitsInVain(t, c, inVain[i]) })
	}
	f.checkMetrics(t)
}

// checkMetrics holds the metrics to what everyShape did.
func (f *factorFleet) checkMetrics(t *testing.T) {
	n := float64(len(factorClients()))
	for series, want := range map[string]float64{
		`stsgate_mfa_prompts_total{shape="hold"}`:                               3 * n,
		`stsgate_mfa_prompts_total{shape="challenge"}`:                          2 * n,
		`stsgate_mfa_decisions_total{decision="approved"}`:                      3 * n,
		`stsgate_mfa_decisions_total{decision="denied"}`:                        n,
		`stsgate_mfa_decisions_total{decision="wrong-number"}`:                  n,
		`stsgate_mfa_approval_seconds_count`:                                    3 * n,
		`stsgate_mfa_expiries_total{family="msal-go"}`:                          1,
		`stsgate_mfa_expiries_total{family="msal-python"}`:                      1,
		`stsgate_mfa_expiries_total{family="zeep"}`:                             1,
		`stsgate_mfa_proofs_total{assurance="approve-only",remembered="false"}`: 2 * n,
		`stsgate_mfa_proofs_total{assurance="bound",remembered="false"}`:        n,
		`stsgate_mfa_proofs_total{assurance="otp",remembered="false"}`:          n,
		`stsgate_mfa_proofs_total{assurance="pre-approved",remembered="false"}`: n,
		`stsgate_factor_attempts_total{kind="totp",outcome="reused"}`:           n,
		`stsgate_factor_attempts_total{kind="totp",outcome="wrong"}`:            0,
		`stsgate_mfa_held`:                     0,
		`stsgate_mfa_binding_mismatches_total`: 0,
	} {
		if got := f.count(t, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// later has a client ask while its user is at the portal. Nothing comes from the
// channel when the test failed meanwhile.
func later(t *testing.T, ask func() outcome) <-chan outcome {
	answer, over := make(chan outcome, 1), make(chan struct{})
	go func() {
		defer close(over)
		defer close(answer)
		answer <- ask()
	}()
	t.Cleanup(func() { <-over })
	return answer
}

// waits has a client wait until its user approves, and until he denies.
func (f *factorFleet) waits(t *testing.T, c factorClient) {
	m := f.signIn(t, c.name+"-waits")
	approved := later(t, func() outcome { return c.ask(t, f.at(t, 0, held), m.person) })
	m.awaits("Sign in to held")
	m.says("<dd>" + c.family + "</dd>")
	m.press("Approve")
	m.says("Approved. Your program signs in now.")
	since := time.Now()
	f.checkToken(t, <-approved, m, "hold", "approve-only")
	if took := time.Since(since); took > holdFor/2 {
		t.Errorf("the client heard of it after %s", took)
	}

	denied := later(t, func() outcome { return c.ask(t, f.at(t, 2, held), m.person) })
	m.awaits("Sign in to held")
	m.press("Deny")
	m.says("Denied.")
	f.checkRefused(t, <-denied, refusal.SecondFactorDenied)
}

// askInVain asks for somebody who does not answer. MSAL Go stands in for those
// that send the same again then: it counts as one (SOAP-16).
func (f *factorFleet) askInVain(t *testing.T, c factorClient) outcome {
	m := f.members[c.name+"-waits"]
	if c.name == "msal-go" {
		return f.askTwice(t, m, held, m.password, &repeater{t: t})
	}
	return c.ask(t, f.at(t, 0, held), m.person)
}

// waitsInVain has a user approve after the client has given up: its next try
// passes.
func (f *factorFleet) waitsInVain(t *testing.T, c factorClient, answer <-chan outcome) {
	m := f.members[c.name+"-waits"]
	m.t = t
	f.checkRefused(t, <-answer, refusal.SecondFactorApprove)
	m.awaits("Sign in to held")
	m.press("Approve")
	m.says("Go back to your program and sign in there once more.")
	f.checkToken(t, c.ask(t, f.at(t, 2, held), m.person), m, "hold", "approve-only")
	if n := f.asked(t, m); n != 4 {
		t.Errorf("the farm was asked %d times, want 4: once for every try", n)
	}
}

// within asks until there is a token, or none any more: a gateway hears within a
// second of what was changed at another.
func within(token bool, ask func() outcome) (got outcome) {
	eventually(2*time.Second, func() bool {
		got = ask()
		return (got.shown == "") == token
	})
	return got
}

var toldNumber = regexp.MustCompile(`type (\d{6}) there`)

func otherDigit(d byte) string { return string('0' + (d-'0'+1)%10) }

// types has a user type: a code behind the password, a number in the portal, and
// nothing where the sign-in was allowed there before.
func (f *factorFleet) types(t *testing.T, c factorClient) {
	m := f.signIn(t, c.name+"-types")
	asked := 0
	ask := func(gateway int, application, behind string) outcome {
		asked++
		user := m.person
		user.password += behind
		return c.ask(t, f.at(t, gateway, application), user)
	}

	code := "," + m.code(t)
	f.checkToken(t, ask(0, coded, code), m, "code", "otp")
	f.checkRefused(t, ask(2, coded, code), refusal.WrongCode)

	first := ask(0, challenged, "")
	f.checkRefused(t, first, refusal.SecondFactorNumber)
	number := toldNumber.FindStringSubmatch(first.shown)
	if number == nil {
		t.Fatalf("no number in %q", first.shown)
	}
	m.awaits("Sign in to challenged")
	if strings.Contains(m.page, number[1]) {
		t.Error("the portal shows the number") // MFA-08
	}
	m.press("Approve", "number", otherDigit(number[1][0])+number[1][1:])
	m.says("That is not the number that your program shows.")
	m.press("Approve", "number", number[1])
	m.says("sign in there once more")
	f.checkToken(t, ask(2, challenged, ""), m, "challenge", "bound")
	// It was redeemed, so that the next is asked for anew (MFA-02).
	f.checkRefused(t, ask(0, challenged, ""), refusal.SecondFactorNumber)

	f.checkRefused(t, ask(0, allowed, ""), refusal.SecondFactorApprove)
	m.visit("/allowed")
	m.press("Allow", "application", allowed, "address", "127.0.0.1")
	m.says("Allowed. Sign in there within 10 minutes.")
	f.checkToken(t, within(true, func() outcome { return ask(2, allowed, "") }), m, "grant", "pre-approved")
	m.visit("/allowed")
	m.press("End it")
	m.says("Ended.")
	f.checkRefused(t, within(false, func() outcome { return ask(0, allowed, "") }), refusal.SecondFactorApprove)

	if n := f.asked(t, m); n != asked {
		t.Errorf("the farm was asked %d times, want %d", n, asked)
	}
}
