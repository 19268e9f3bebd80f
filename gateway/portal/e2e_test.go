package portal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"stsgate/gateway/mfa"
	"stsgate/gateway/portal"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// A day of a user's with a phone that has a passkey, in a browser.
func TestBrowserPasskey(t *testing.T) {
	s := serve(t)
	code, err := s.factors.NewBindingCode(t.Context(), alice, office)
	if err != nil {
		t.Fatal(err)
	}
	b := s.open(true)
	b.visit("/")
	b.says("Sign in")
	b.shoot("1-sign-in")
	b.fill("name", "alice")
	b.fill("password", "wrong")
	b.press("Next", "That did not work")
	b.steps.filled, b.steps.pressed = 0, 0
	begun := time.Now()
	b.fill("name", "alice")
	b.fill("password", pw)
	b.press("Next", "you need a binding code")
	b.shoot("2-binding-code")
	b.fill("binding", string(code.Bytes()))
	b.press("Next", "Set up a passkey")
	b.shoot("3-enrol")
	b.press("Set up a passkey", "This device now proves that it is you")
	b.shoot("4-enrolled")

	// What waits appears by itself, and is approved.
	done := s.asks(alice, policy.Hold, nil)
	b.says("Sign in to payroll")
	b.shoot("5-waiting")
	b.press("Approve", "Approved")
	if err := <-done; err != nil {
		t.Errorf("approved: %v", err)
	}
	t.Logf("from the password to the first approved sign-in: %d fields, %d buttons, %s", b.steps.filled, b.steps.pressed, time.Since(begun).Round(time.Millisecond))
	if b.steps.filled > 3 || b.steps.pressed > 4 {
		t.Errorf("more than 3 fields or 4 buttons")
	}
	var number *refusal.Refusal
	if err := <-s.asks(alice, policy.Challenge, nil); !errors.As(err, &number) || number.Number == "" {
		t.Fatalf("a challenge: %v", err)
	}
	b.says("Number that your program shows")
	b.shoot("6-number")
	if strings.Contains(b.read(), number.Number) {
		t.Error("the page shows the number")
	}
	b.fill("number", number.Number)
	b.press("Approve", "sign in there once more")
	if err := <-s.asks(alice, policy.Challenge, nil); err != nil {
		t.Errorf("the retry: %v", err)
	}
	s.asks(alice, policy.Hold, func(r *mfa.Request) { r.New = true })
	b.says("New address")
	b.shoot("7-new-address")
	b.press("Deny: this was not me", "Somebody knows your password")
	b.shoot("8-not-me")

	b.visit("/allowed")
	b.says("Allow a sign-in beforehand")
	b.press("Allow", "Allowed. Sign in there within 10 minutes")
	b.shoot("9-allowed")
	b.press("End it", "Ended")

	b.visit("/devices")
	b.says("Passkey")
	b.press("Make recovery codes", "Write these down")
	b.shoot("a-recovery-codes")
	b.press("I have kept them", "You have 10 left")
	b.shoot("b-devices")

	s.history[alice] = []portal.SignIn{
		{Transaction: "0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0", Time: time.Now().Add(-time.Hour), Application: "payroll", Address: away, Place: "DE", Released: true},
		{Transaction: "1f6e6c1ab2a94b51a2f3f8f4a1d7c9e1", Time: time.Now().Add(-26 * time.Hour), Application: "mailbox", Address: home, Place: "AT", Reason: "wrong-password"},
	}
	b.visit("/history")
	b.says("Sign-ins in your name")
	b.fill("transaction", "1f6e6c1ab2a94b51a2f3f8f4a1d7c9e1")
	b.press("Explain", "It was wrong or has expired")
	b.shoot("c-history")
	b.press("This was not me", "Everything was ended")

	b.press("Sign out", "You are signed out")
	b.press("Use a passkey instead", "Nothing waits")
	b.press("Sign out", "You are signed out")
	s.rename(alice, "alice.maiden@contoso.example") // as she was called when she made it
	b.press("Use a passkey instead", "That passkey did not work here")
	b.fill("name", "alice")
	b.fill("password", pw)
	b.press("Next", "Confirm that it is you")
	b.shoot("g-passkey")
	b.press("Use a passkey", "Nothing waits") // MFA-10: a password has one behind it
	b.press("Sign out", "You are signed out")
	b.press("Use a passkey instead", "Nothing waits")
	b.visit("/devices")
	b.says("Recovery codes")
	b.press("Change", "Rename")
	b.shoot("d-change")
	b.fill("label", "My ")
	b.press("Rename", "My Passkey")
	b.press("Change", "Rename")
	b.press("Remove", "The device was removed")
}

// rename has the portal know a user by a name that the directory has no more.
func (s *site) rename(user, name string) {
	s.t.Helper()
	key := state.Enrolments.Key("portal account", user)
	r, err := s.store.Get(s.t.Context(), key)
	if err == nil {
		_, err = s.store.CompareAndSwap(s.t.Context(), key, r.Revision, fmt.Appendf(nil, `{"name":%q}`, name), 0)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// The same without scripts: an app, and recovery on another day.
func TestBrowserWithoutScripts(t *testing.T) {
	s := serve(t)
	code, err := s.factors.NewBindingCode(t.Context(), alice, office)
	if err != nil {
		t.Fatal(err)
	}
	b := s.open(false)
	b.visit("/")
	b.says("Sign in")
	b.fill("name", "alice")
	b.fill("password", pw)
	b.press("Next", "you need a binding code")
	b.fill("binding", string(code.Bytes()))
	b.press("Next", "Passkeys need JavaScript")
	b.press("Set up an app", "Type the code that the app shows")
	b.shoot("e-app")
	b.fill("code", s.appCode(b))
	b.press("Finish", "This device now proves that it is you")
	done := s.asks(alice, policy.Hold, nil)
	waits(t, s, alice)
	b.press("Look again", "Sign in to payroll")
	b.press("Approve", "Approved")
	if err := <-done; err != nil {
		t.Errorf("approved: %v", err)
	}
	done = s.asks(alice, policy.Hold, func(r *mfa.Request) { r.Application = &policy.Application{Name: "mailbox"} })
	waits(t, s, alice)
	b.press("Look again", "Sign in to mailbox")
	b.press("Deny", "Denied")
	if err := <-done; refusal.Of(err) != refusal.SecondFactorDenied {
		t.Errorf("denied: %v", err)
	}
	b.visit("/devices")
	b.says("Recovery codes")
	b.press("Make recovery codes", "Write these down")
	recovery := b.text("//ol//code")
	b.press("I have kept them", "You have 10 left")
	b.press("Sign out", "You are signed out")
	b.fill("name", "alice")
	b.fill("password", pw)
	b.press("Next", "Code from your app, or a recovery code")
	b.shoot("f-factor")
	b.fill("code", recovery)
	b.press("Sign in", "this one takes its place")
	b.shoot("h-recovery-code")
	if next := b.text("//main//code"); len(next) != len(recovery) || next == recovery {
		t.Errorf("in place of %q came %q", recovery, next)
	}
	b.press("I have kept it", "You have 10 left")
}

// A page that follows what waits, and says what was wrong with a form, is shown
// anew and the form not sent again.
func TestBrowserNews(t *testing.T) {
	s := serve(t)
	code, err := s.factors.NewBindingCode(t.Context(), alice, office)
	if err != nil {
		t.Fatal(err)
	}
	b := s.open(true)
	b.visit("/")
	b.says("Sign in")
	b.fill("name", "alice")
	b.fill("password", pw)
	b.press("Next", "you need a binding code")
	b.fill("binding", string(code.Bytes()))
	b.press("Next", "Set up a passkey")
	b.press("Set up a passkey", "This device now proves that it is you")
	// Who presses twice has answered once.
	done := s.asks(alice, policy.Hold, nil)
	b.says("Sign in to payroll")
	b.do(chromedp.Evaluate(`{ const b = document.querySelector("form.approve button"); b.click(); setTimeout(() => b.click(), 3); }`, nil))
	b.says("Approved. Your program signs in now.")
	if err := <-done; err != nil {
		t.Errorf("approved: %v", err)
	}
	var number *refusal.Refusal
	if err := <-s.asks(alice, policy.Challenge, nil); !errors.As(err, &number) {
		t.Fatalf("a challenge: %v", err)
	}
	b.says("Number that your program shows")
	b.fill("number", strings.Map(func(c rune) rune { return '0' + (c-'0'+1)%10 }, number.Number))
	b.press("Approve", "One more wrong number")
	all, err := s.mfa.Pending(t.Context(), alice)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d wait, %v", len(all), err)
	}
	if err := s.mfa.Decide(t.Context(), alice, all[0].ID, mfa.Decision{}); err != nil { // in another browser
		t.Fatal(err)
	}
	b.says("Nothing waits for you")
	if n := strings.Count(s.acted(), "approve"); n != 4 {
		t.Errorf("forms were sent %d times: %s", n/2, s.acted())
	}
}

// A passkey does not send a form whose number is missing, which would count as a
// wrong one.
func TestBrowserNumberIsDue(t *testing.T) {
	s := serve(t)
	code, err := s.factors.NewBindingCode(t.Context(), alice, office)
	if err != nil {
		t.Fatal(err)
	}
	b := s.open(true)
	b.visit("/")
	b.says("Sign in")
	b.fill("name", "alice")
	b.fill("password", pw)
	b.press("Next", "you need a binding code")
	b.fill("binding", string(code.Bytes()))
	b.press("Next", "Set up a passkey")
	b.press("Set up a passkey", "This device now proves that it is you")
	b.visit("/enrol")
	b.says("Choose what to add")
	b.press("Set up an app", "Type the code that the app shows")
	b.fill("code", s.appCode(b))
	b.press("Finish", "This device now proves that it is you") // with the app, and not the passkey
	b.visit("/")
	b.says("Nothing waits for you")
	asks := func() error {
		return <-s.asks(alice, policy.Challenge, func(r *mfa.Request) { r.Requires[0].Factors = policy.Passkey })
	}
	var number *refusal.Refusal
	if err := asks(); !errors.As(err, &number) {
		t.Fatalf("a challenge: %v", err)
	}
	b.says("Approve with a passkey")
	b.press("Approve with a passkey", "Number that your program shows")
	b.fill("number", number.Number)
	b.press("Approve with a passkey", "sign in there once more")
	if n := strings.Count(s.acted(), "approve"); n != 2 {
		t.Errorf("the form was sent %d times: %s", n/2, s.acted())
	}
}

// A browser that does not know what passkeys need says so, and takes an app.
func TestBrowserTooOld(t *testing.T) {
	s := serve(t)
	code, err := s.factors.NewBindingCode(t.Context(), alice, office)
	if err != nil {
		t.Fatal(err)
	}
	b := s.open(true)
	b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument("delete PublicKeyCredential.parseRequestOptionsFromJSON").Do(ctx)
		return err
	}))
	b.visit("/")
	b.says("Sign in")
	b.fill("name", "alice")
	b.fill("password", pw)
	b.press("Next", "you need a binding code")
	b.fill("binding", string(code.Bytes()))
	b.press("Next", "This browser is too old for passkeys")
	b.press("Set up an app", "Type the code that the app shows")
}

// waits returns when something waits for the user.
func waits(t *testing.T, s *site, user string) {
	t.Helper()
	for range 200 {
		if all, err := s.mfa.Pending(t.Context(), user); err == nil && len(all) > 0 {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatal("nothing waits")
}

// appCode is what an app shows that has read the page.
func (s *site) appCode(b *tab) string {
	s.t.Helper()
	secret := strings.ReplaceAll(b.text(`//code[@class="secret"]`), " ", "")
	c, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		s.t.Fatalf("%v of %q", err, secret)
	}
	return c
}
