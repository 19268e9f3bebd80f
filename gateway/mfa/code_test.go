package mfa_test

import (
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// A code is cut at the last separator, in one reading (MFA-24).
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		text, separator string
		factors         policy.Factors
		password, code  string // no code: the text is the password
	}{
		{"hunter2,123456", ",", policy.TOTP, "hunter2", "123456"},
		{"a,b,123456", ",", policy.TOTP, "a,b", "123456"},
		{"a,654321,123456", ",", policy.TOTP, "a,654321", "123456"},
		{"hunter2;123456", ",", policy.TOTP, "", ""},
		{"hunter2123456", ",", policy.TOTP, "", ""},
		{"hunter2,12345", ",", policy.TOTP, "", ""},
		{"hunter2,1234567890", ",", policy.TOTP | policy.RADIUS, "", ""},
		{"hunter2,12345a", ",", policy.TOTP, "", ""},
		{"hunter2,１２３４５６", ",", policy.TOTP, "", ""},
		{"hunter2, 123456", ",", policy.TOTP, "", ""},
		{"hunter2,123456 ", ",", policy.TOTP, "", ""},
		{",123456", ",", policy.TOTP, "", ""}, // no password
		{"123456", ",", policy.TOTP, "", ""},
		{"", ",", policy.TOTP, "", ""},
		{"hunter2,123456", ",", policy.Passkey, "", ""},
		{"hunter2,123456", ",", 0, "", ""},
		{"hunter2,123456", "", policy.TOTP, "", ""},
		{"hunter2::123456", "::", policy.TOTP, "hunter2", "123456"},
	} {
		password, code, ok := mfa.Split([]byte(c.text), c.separator, c.factors)
		want := c.password
		if c.code == "" {
			want = c.text
		}
		if ok != (c.code != "") || string(password) != want || string(code) != c.code {
			t.Errorf("Split(%q, %q, %v) = %q, %q, %v", c.text, c.separator, c.factors, password, code, ok)
		}
	}
}

// What follows a password is cut only where a rule takes codes and the user has
// an app for them.
func TestCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		s.enrol(alice)
		time.Sleep(time.Second)
		hidden := &policy.Application{Name: "hidden", Hide: true}
		passkeys := rule(policy.Grant)
		passkeys.Factors = policy.Passkey
		for what, c := range map[string]struct {
			user  string
			app   *policy.Application
			rules []*policy.MFA
			cut   bool
		}{
			"a rule takes codes":          {alice, payroll, []*policy.MFA{hold, code}, true},
			"where all looks alike":       {alice, hidden, []*policy.MFA{anything}, true},
			"no rule takes codes":         {alice, payroll, []*policy.MFA{hold, granted}, false},
			"no rule":                     {alice, payroll, nil, false},
			"a rule takes other factors":  {alice, payroll, []*policy.MFA{passkeys}, false},
			"the user has no such factor": {bob, payroll, []*policy.MFA{code}, false},
		} {
			password, _, ok, err := s.nodes[0].Cut(c.user, c.app, c.rules, []byte("hunter2,123456"))
			if err != nil || ok != c.cut || (string(password) == "hunter2") != c.cut {
				t.Errorf("%s: %q, %v, %v, want cut: %v", what, password, ok, err, c.cut)
			}
		}
	})
}

// A code is a proof once, and no request is asked for beside a wrong one.
func TestCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, nil)
		app := s.enrol(alice)
		time.Sleep(time.Minute)
		request := func(c account.Password) *mfa.Request {
			r := s.request(anything)
			r.Code = c
			return r
		}
		first := app.code(t)
		r := now(s.nodes[0], request(first))
		want(t, "a code", r, passed)
		if r.String() != "otp totp" {
			t.Errorf("proof %v", r)
		}
		want(t, "the same code", now(s.nodes[1], request(app.code(t))), refusal.WrongCode)
		want(t, "a wrong code", now(s.nodes[1], request(account.NewPassword([]byte("000000")))), refusal.WrongCode)
		other := request(app.code(t))
		other.User.ID = bob
		want(t, "another user's code", now(s.nodes[1], other), refusal.WrongCode)
		if knocks, _ := s.told(); knocks != 0 {
			t.Error("the user was asked beside a code")
		}
		// MFA-17: all of them look like a wrong password.
		if got, want := refusal.WrongCode.Row().Text, refusal.WrongPassword.Row().Text; got != want {
			t.Errorf("a wrong code reads %q", got)
		}
	})
}

// Several rules may need several proofs; one may meet several rules.
func TestSeveralRules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, nil)
		node := s.nodes[0]
		app := s.enrol(alice)
		time.Sleep(time.Minute)
		both := s.request(code, hold)
		both.Code = app.code(t)
		waits := start(node, both)
		time.Sleep(time.Second)
		s.answer(node, alice, approve(alice))
		r := <-waits
		want(t, "code and hold", r, passed)
		if r.String() != "otp totp, approve-only passkey-uv" {
			t.Errorf("proofs %v", r)
		}
		time.Sleep(time.Minute)
		one := s.request(code, anything)
		one.Code = app.code(t)
		if r := now(node, one); r.String() != "otp totp" {
			t.Errorf("one for both: %v", r)
		}
		want(t, "a rule that nothing meets", now(node, s.request(rule(0))), refusal.SecondFactor)
		want(t, "no rule at all", now(node, s.request()), refusal.Internal)
		want(t, "rules of which no way meets all", now(node, s.request(hold, challenge)), refusal.SecondFactor)
		want(t, "hold where all looks alike", now(node, s.hidden(s.request(hold))), refusal.SecondFactor)
	})
}

func (s *site) hidden(r *mfa.Request) *mfa.Request {
	r.Application = &policy.Application{Name: "hidden", Hide: true}
	return r
}

// Without a portal only codes are taken.
func TestNoPortal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, func(c *mfa.Config) { c.Portal = "" })
		app := s.enrol(alice)
		time.Sleep(time.Minute)
		want(t, "nothing", now(s.nodes[0], s.request(anything)), refusal.SecondFactor)
		r := s.request(anything)
		r.Code = app.code(t)
		want(t, "a code", now(s.nodes[0], r), passed)
	})
}
