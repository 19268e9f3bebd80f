package main

import (
	"testing"

	"stsgate/gateway/refusal"
)

// MFA-26: mallory's mail address, with which the farm lets her sign in, is vera's
// name. Whatever she types, no factor of vera's is taken for her, nobody asks
// vera, and nothing of vera's is spent.
func (f *factorFleet) anothersName(t *testing.T) {
	vera, mallory := f.signIn(t, "vera"), f.signIn(t, "mallory")
	ask := func(name, password, application string) outcome {
		return askMSALGo(t, f.at(t, 0, application), person{name: name, password: password})
	}
	vera.visit("/allowed")
	vera.press("Allow", "application", allowed, "address", "127.0.0.1")
	vera.says("Allowed.")
	code := vera.code(t)
	prompts := f.count(t, `stsgate_mfa_prompts_total{shape="hold"}`, `stsgate_mfa_prompts_total{shape="challenge"}`)

	for application, behind := range map[string]string{held: "", coded: "," + code, allowed: "", challenged: ""} {
		// Vera's name, and the password that the farm takes for mallory's.
		f.checkRefused(t, ask(vera.name, mallory.password+behind, application), refusal.AnswerMismatch)
	}
	if got := f.count(t, `stsgate_mfa_prompts_total{shape="hold"}`, `stsgate_mfa_prompts_total{shape="challenge"}`); got != prompts {
		t.Errorf("%v were asked", got-prompts)
	}
	// Her own name and password, and vera's code.
	f.checkRefused(t, ask(mallory.name, mallory.password+","+code, coded), refusal.WrongCode)
	f.checkRefused(t, ask(mallory.name, mallory.password, allowed), refusal.SecondFactorApprove)
	// What waits for mallory is shown to her alone.
	f.checkRefused(t, ask(mallory.name, mallory.password, challenged), refusal.SecondFactorNumber)
	mallory.awaits("Sign in to challenged")
	vera.visit("/")
	vera.says("Nothing waits for you")

	f.checkToken(t, ask(vera.name, vera.password+","+code, coded), vera, "code", "otp")
	f.checkToken(t, ask(vera.name, vera.password, allowed), vera, "grant", "pre-approved")
}
