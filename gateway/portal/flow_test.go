package portal_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"stsgate/gateway/portal"
	"stsgate/policy"
)

// From a binding code to the first approved sign-in, by pages alone.
func TestFirstDay(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		code, err := s.factors.NewBindingCode(t.Context(), alice, office)
		if err != nil {
			t.Fatal(err)
		}
		b := s.browser()
		if a := b.password("alice"); !strings.Contains(a.text(), "you need a binding code") {
			t.Fatalf("after the password: %d %s", a.status, a.text())
		}
		if a := b.follow("/enrol/code", "binding", string(code.Bytes())); !strings.Contains(a.text(), "Authenticator app") {
			t.Fatalf("after the binding code: %d %s", a.status, a.text())
		}
		a := b.post("/enrol/totp")
		s.secrets[alice] = between(a.body, `class="secret">`, "<")
		if s.secrets[alice] == "" || !strings.Contains(a.body, "<svg") || !strings.Contains(a.body, `href="otpauth://totp/`) {
			t.Fatalf("setting up an app: %d %s", a.status, a.body)
		}
		s.secrets[alice] = strings.ReplaceAll(s.secrets[alice], " ", "")
		if a := b.post("/enrol/totp/confirm", "id", a.hidden("id"), "code", "000000"); a.status != 403 || !strings.Contains(a.body, "<svg") {
			t.Fatalf("a wrong code: %d %s", a.status, a.text())
		}
		a = b.follow("/enrol/totp/confirm", "id", a.hidden("id"), "code", s.code(alice))
		if !strings.Contains(a.text(), "This device now proves that it is you") || !strings.Contains(a.text(), "Nothing waits") {
			t.Fatalf("after the code: %d %s", a.status, a.text())
		}
		done := s.asks(alice, policy.Hold, nil)
		a = b.get("/")
		for _, want := range []string{"Sign in to payroll", "msal-net", away.String(), "DE"} {
			if !strings.Contains(a.text(), want) {
				t.Errorf("what waits does not say %q: %s", want, a.text())
			}
		}
		if a := b.follow("/approve", "id", a.hidden("id")); !strings.Contains(a.text(), "Approved") {
			t.Errorf("after the approval: %d %s", a.status, a.text())
		}
		synctest.Wait()
		if err := <-done; err != nil {
			t.Errorf("the program got %v", err)
		}
		if got, want := s.acted(), "enrol success, factor success, approve unknown, approve success"; !strings.HasSuffix(got, want) {
			t.Errorf("recorded: %s", got)
		}
		// MFA-12: what was bound is named.
		has, err := s.factors.List(t.Context(), alice)
		if i := slices.IndexFunc(s.acts, func(a portal.Act) bool { return a.Name == "enrol" && a.Outcome == "success" }); err != nil || i < 0 || s.acts[i].Object != has[0].ID {
			t.Errorf("recorded: %+v, %v", s.acts, err)
		}
	})
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}
