package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"stsgate/policy"
)

// TestRequireDefaults checks what a second factor is when little is said of it.
func TestRequireDefaults(t *testing.T) {
	for _, tt := range []struct{ require, want string }{
		{"mfa: {}", "hold,code,grant,challenge of totp,passkey,radius for 0s by address"},
		{"mfa: {factors: [passkey]}", "hold,grant,challenge of passkey for 0s by address"},
		{"mfa: {assurance: number}", "code,grant,challenge of totp,passkey,radius for 0s by address"},
		{"mfa: {assurance: number, factors: [passkey]}", "grant,challenge of passkey for 0s by address"},
		{"mfa: {assurance: any, shapes: [hold], factors: [recovery], remember: 24h, bind: network}", "hold of recovery for 24h0m0s by network"},
	} {
		m := load(t, preamble+named("m", "everyone", "require: {"+tt.require+"}")).Rules()[0].MFA
		by := map[bool]string{false: "address", true: "network"}[m.ByNetwork]
		if got := fmt.Sprintf("%s of %s for %s by %s", m.Shapes, m.Factors, m.Remember, by); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.require, got, tt.want)
		}
	}
}

// MFA-04: what travels by mail or telephone is no factor.
func TestNoMail(t *testing.T) {
	for _, factor := range []string{"email", "mail", "sms", "voice", "webhook", "push"} {
		_, err := policy.Load(fstest.MapFS{"p.yaml": {Data: []byte(preamble + named("m", "everyone", "require: {mfa: {factors: ["+factor+"]}}"))}}, vocabulary)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("unknown factor %q", factor)) {
			t.Errorf("%s: got %v", factor, err)
		}
	}
}

// TestObligations checks that the shortest of several holds, and that none of
// them is lost (MFA-15, TOK-03).
func TestObligations(t *testing.T) {
	for _, tt := range []struct {
		requires []string
		want     string
	}{
		{nil, "false 0s 0s"},
		{[]string{"mfa: {remember: 8h}"}, "true 8h0m0s 0s"},
		{[]string{"mfa: {remember: 8h}", "mfa: {remember: 1h}", "mfa: {remember: 2h}"}, "true 1h0m0s 0s"},
		{[]string{"mfa: {remember: 8h}", "mfa: {}"}, "true 0s 0s"},
		{[]string{"mfa: {}", "mfa: {remember: 8h}"}, "true 0s 0s"},
		{[]string{"limit: {lifetime: 2h}", "limit: {lifetime: 1h}", "limit: {rate: 20/1m}"}, "false 0s 1h0m0s"},
		{[]string{"mfa: {remember: 3h}", "limit: {lifetime: 1h}", "mfa: {remember: 2h}, limit: {lifetime: 30m}", "limit: {rate: 1/1h}", "limit: {rate: 2/1s}", "limit: {lifetime: 10m}"}, "true 2h0m0s 10m0s"},
	} {
		rules, names := preamble+named("a", "everyone", "allow: {}"), []string(nil)
		for i, r := range tt.requires {
			names = append(names, fmt.Sprintf("r%d", i))
			rules += named(names[i], "everyone", "require: {"+r+"}")
		}
		f := alice()
		o := load(t, rules).Decide(&f).Obligations
		if got := fmt.Sprint(o.SecondFactor, " ", o.Remember, " ", o.Lifetime); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.requires, got, tt.want)
		}
		if got := ruleNames(slices.Collect(o.Rules())); got != strings.Join(names, ",") {
			t.Errorf("%q: owes %s", tt.requires, got)
		}
	}
}

// TestHiddenApplication checks that an application which hides that a password
// was right takes only the shapes that do (MFA-20).
func TestHiddenApplication(t *testing.T) {
	s := load(t, strings.Replace(preamble, "answer: forward}", "answer: forward, oracle: hide}", 1)+named("m", "everyone", "require: {mfa: {}}"))
	m := s.Rules()[0].MFA
	if got := m.ShapesFor(s.Application("urn:travel")); got != policy.Code|policy.Grant {
		t.Errorf("got %s for the one that hides", got)
	}
	if got := m.ShapesFor(s.Application("urn:payroll")); got != m.Shapes || !got.Has(policy.Hold|policy.Challenge) {
		t.Errorf("got %s for the one that shows", got)
	}
}

// TestExceptionLength checks that an exception from a second factor has its end
// within 90 days (MFA-18), and that one from a deny may last longer.
func TestExceptionLength(t *testing.T) {
	rule := func(effect string, end time.Time) string {
		return preamble + named("m", "everyone", effect+", except: "+except("{groups: [staff]}", end.Format(time.RFC3339)))
	}
	last := noon.Add(90 * 24 * time.Hour)
	for _, tt := range []struct {
		effect string
		end    time.Time
		wrong  bool
	}{
		{"require: {mfa: {}}", last, false},
		{"require: {mfa: {}}", last.Add(time.Second), true},
		{"require: {limit: {lifetime: 10m}}", last.Add(time.Second), false},
		{"deny: {}", last.Add(time.Second), false},
	} {
		got := strings.Join(mistakesOf(t, rule(tt.effect, tt.end), vocabulary), "\n")
		if strings.Contains(got, "an exception from mfa lasts at most 90 days: until 2027-03-01") != tt.wrong || (got != "") != tt.wrong {
			t.Errorf("%s until %s: got %q", tt.effect, tt.end, got)
		}
	}
	timeless := vocabulary
	timeless.Now = time.Time{}
	if got := mistakesOf(t, rule("require: {mfa: {}}", last.Add(time.Hour)), timeless); got != nil {
		t.Errorf("without a time: %q", got)
	}
}
