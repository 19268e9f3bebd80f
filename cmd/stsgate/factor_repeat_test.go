package main

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/audit"
	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// A repeater sends each message for a token twice, as libraries of Microsoft's
// do after a fault or a time-out.
type repeater struct {
	http.RoundTripper
	t *testing.T
	// between is what happens when the first is under way and before the second
	// is sent; after what does when both are. Without them the second is sent when
	// the first has its answer.
	between, after func()
	answers        [][]byte // of both
}

// RoundTrip implements http.RoundTripper.
func (r *repeater) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Method != http.MethodPost || !strings.HasSuffix(q.URL.Path, "/usernamemixed") {
		return r.RoundTripper.RoundTrip(q)
	}
	message, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	first, second := make(chan *http.Response, 1), make(chan *http.Response, 1)
	send := func(answer chan<- *http.Response) {
		again := q.Clone(q.Context())
		again.Body = io.NopCloser(bytes.NewReader(message))
		a, err := r.RoundTripper.RoundTrip(again)
		if err != nil {
			r.t.Error(err)
		}
		answer <- a
	}
	if r.between == nil {
		send(first)
		send(second)
	} else {
		go send(first)
		r.between()
		go send(second)
		r.after()
	}
	one, two := r.read(<-first), r.read(<-second)
	r.answers = [][]byte{one.body, two.body}
	one.Body = io.NopCloser(bytes.NewReader(one.body))
	return one.Response, nil
}

type twinAnswer struct {
	*http.Response
	body []byte
}

func (r *repeater) read(a *http.Response) twinAnswer {
	if a == nil {
		return twinAnswer{Response: &http.Response{Body: http.NoBody}}
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Error(err)
	}
	return twinAnswer{a, body}
}

// SOAP-16: a try that is sent again by itself, wrong or waiting, gets the same
// answer; it reaches the farm, counts, and asks the user once.
func (f *factorFleet) repeats(t *testing.T) {
	m := f.signIn(t, "rita")
	used := m.at(t, m.last) // in the portal
	for _, try := range []struct {
		name, application, password string
		reason                      refusal.Reason
		counts                      string // beside the password
	}{
		{"wrong password", coded, "another", refusal.WrongPassword, `stsgate_guard_tries_total{outcome="wrong"}`},
		{"wrong code", coded, m.password + "," + m.wrong(t), refusal.WrongCode, `stsgate_factor_attempts_total{kind="totp",outcome="wrong"}`},
		{"used code", coded, m.password + "," + used, refusal.WrongCode, `stsgate_factor_attempts_total{kind="totp",outcome="reused"}`},
		{"number", challenged, m.password, refusal.SecondFactorNumber, `stsgate_mfa_prompts_total{shape="challenge"}`},
		{"not allowed", allowed, m.password, refusal.SecondFactorApprove, ""},
	} {
		t.Run(try.name, func(t *testing.T) {
			before := f.tally(t, m)
			got := f.askTwice(t, m, try.application, try.password, &repeater{t: t})
			r := f.checkRefused(t, got, try.reason)
			if again := f.line(t, `"labels.repeat_of":"`+r.Transaction+`"`); again.Reason != r.Reason || again.UserID != m.guid {
				t.Errorf("the repeat is recorded as %s of %s", again.Reason, again.UserName)
			}
			f.checkTally(t, m, before, "fault", try.counts)
		})
	}
	t.Run("waiting", func(t *testing.T) {
		m.awaits("Sign in to challenged")
		m.press("Deny") // one at a time is asked for
		before := f.tally(t, m)
		got := f.askTwice(t, m, held, m.password, &repeater{t: t, between: func() { m.awaits("Sign in to held") }, after: func() {
			if !eventually(patience, func() bool { return f.count(t, "stsgate_exchanges_in_flight") == 2 }) {
				t.Error("the repeat is not under way")
			}
			m.visit("/")
			if strings.Contains(m.page, "2 times") {
				t.Error("the repeat is shown as a request of its own")
			}
			m.press("Approve")
		}})
		id := assertionID.FindStringSubmatch(got.assertion)
		if id == nil {
			t.Fatalf("got %s, want a token", got.shown)
		}
		lines := f.lines(t, `"labels.assertion_id":"`+id[1]+`"`)
		slices.SortFunc(lines, func(a, b audit.Record) int { return strings.Compare(a.RepeatOf, b.RepeatOf) })
		if len(lines) != 2 || lines[0].RepeatOf != "" || lines[1].RepeatOf != lines[0].Transaction {
			t.Errorf("recorded %+v", lines)
		}
		f.checkTally(t, m, before, "unanswered", `stsgate_mfa_prompts_total{shape="hold"}`)
	})
}

// askTwice has MSAL Go ask, whose message is sent twice, and holds the two
// answers to each other.
func (f *factorFleet) askTwice(t *testing.T, m *member, application, password string, r *repeater) outcome {
	t.Helper()
	user := m.person
	user.password = password
	got := askMSALGoThrough(t, f.at(t, 0, application), user, func(by http.RoundTripper) http.RoundTripper {
		r.RoundTripper = by
		return r
	})
	if len(r.answers) != 2 || len(r.answers[0]) == 0 || !bytes.Equal(r.answers[0], r.answers[1]) {
		t.Errorf("two answers: %q", r.answers)
	}
	return got
}

// What tries may count as.
var tallied = []string{
	`stsgate_guard_tries_total{outcome="wrong"}`, `stsgate_guard_tries_total{outcome="proven"}`,
	`stsgate_factor_attempts_total{kind="totp",outcome="wrong"}`, `stsgate_factor_attempts_total{kind="totp",outcome="reused"}`,
	`stsgate_factor_attempts_total{kind="totp",outcome="throttled"}`,
	`stsgate_mfa_prompts_total{shape="hold"}`, `stsgate_mfa_prompts_total{shape="challenge"}`,
	`stsgate_repeats_total{of="fault"}`, `stsgate_repeats_total{of="unanswered"}`,
}

const toFarm = "messages to the farm"

// tally is what the user's tries counted as so far.
func (f *factorFleet) tally(t *testing.T, m *member) map[string]float64 {
	t.Helper()
	n := map[string]float64{toFarm: float64(f.asked(t, m))}
	for _, series := range tallied {
		n[series] = f.count(t, series)
	}
	return n
}

// checkTally says whether two messages counted as one try with a password, that
// counts as said, and one repeat.
func (f *factorFleet) checkTally(t *testing.T, m *member, before map[string]float64, of, counts string) {
	t.Helper()
	want := map[string]float64{toFarm: 1, `stsgate_repeats_total{of="` + of + `"}`: 1}
	if counts != "" {
		want[counts] = 1
	}
	if want[tallied[0]] == 0 {
		want[tallied[1]] = 1
	}
	for what, n := range f.tally(t, m) {
		if n-before[what] != want[what] {
			t.Errorf("%s grew by %v, want %v", what, n-before[what], want[what])
		}
	}
}

// SOAP-16: the same message at another gateway is an exchange of its own there.
// What is shared sees to it that it counts and asks once.
func (f *factorFleet) repeatsElsewhere(t *testing.T) {
	m := f.signIn(t, "rita")
	t.Run("wrong password", func(t *testing.T) {
		before := f.tally(t, m)
		message := f.message(m, coded, "another")
		for gateway := range fleetSize {
			if got := f.post(t, gateway, message); !strings.Contains(got, "ID3242") {
				t.Errorf("gateway %d: %s", gateway, got)
			}
		}
		if n := f.tally(t, m)[toFarm] - before[toFarm]; n != 1 {
			t.Errorf("%v reached the farm", n)
		}
	})
	t.Run("wrong codes", func(t *testing.T) {
		// Five would close the app for five minutes.
		for i := range 3 {
			message := f.message(m, coded, m.password+","+m.at(t, m.last+1000+int64(i)))
			f.everywhere(t, message, "ID3242")
		}
		if got := f.post(t, 0, f.message(m, coded, m.password+","+m.code(t))); !strings.Contains(got, "Assertion") {
			t.Errorf("the right code after three wrong ones, each at three gateways: %s", got)
		}
	})
	t.Run("number", func(t *testing.T) {
		prompts := f.count(t, `stsgate_mfa_prompts_total{shape="challenge"}`)
		told := map[string]bool{}
		for _, got := range f.everywhere(t, f.message(m, challenged, m.password), "type ") {
			told[toldNumber.FindString(got)] = true
		}
		if n := f.count(t, `stsgate_mfa_prompts_total{shape="challenge"}`) - prompts; n != 1 || len(told) != 1 {
			t.Errorf("asked %v times, told %d numbers", n, len(told))
		}
		m.awaits("Sign in to challenged")
		m.press("Deny")
	})
	t.Run("waiting", func(t *testing.T) {
		prompts := f.count(t, `stsgate_mfa_prompts_total{shape="hold"}`)
		message := f.message(m, held, m.password)
		answers := make(chan string, fleetSize)
		for gateway := range fleetSize {
			go func() { answers <- f.post(t, gateway, message) }()
		}
		if !eventually(patience, func() bool { return f.count(t, "stsgate_mfa_held") == fleetSize }) {
			t.Error("not all wait")
		}
		m.visit("/")
		m.says(", 3 times") // they wait together, and the user sees how many (MFA-02)
		m.press("Approve")
		tokens := 0
		for range fleetSize {
			if got := <-answers; strings.Contains(got, "Assertion") {
				tokens++
			}
		}
		if n := f.count(t, `stsgate_mfa_prompts_total{shape="hold"}`) - prompts; n != 1 || tokens != fleetSize {
			t.Errorf("asked %v times, %d tokens", n, tokens)
		}
	})
}

// everywhere sends a message to all gateways at once. Every answer must have the
// text.
func (f *factorFleet) everywhere(t *testing.T, message []byte, text string) []string {
	t.Helper()
	answers := make([]string, len(f.gateways))
	var all sync.WaitGroup
	for gateway := range f.gateways {
		all.Go(func() { answers[gateway] = f.post(t, gateway, message) })
	}
	all.Wait()
	for gateway, got := range answers {
		if !strings.Contains(got, text) {
			t.Errorf("gateway %d: %s", gateway, got)
		}
	}
	return answers
}

// message asks for a token, at whichever gateway.
func (f *factorFleet) message(m *member, application, password string) []byte {
	return wstrust.AppendRequest(nil, wstrust.Query{
		SOAP: soap.V12, Version: wstrust.V13, To: "https://localhost" + path13, MessageID: "urn:fleet:" + rand.Text(),
		Username: m.name, Password: account.NewPassword([]byte(password)), AppliesTo: "urn:" + application, Now: time.Now(),
	})
}

func (f *factorFleet) post(t *testing.T, gateway int, message []byte) string {
	g := f.gateways[gateway]
	_, port, _ := net.SplitHostPort(g.listen)
	a, err := g.client.Post("https://localhost:"+port+path13, soap.V12.ContentType(), bytes.NewReader(message))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}
