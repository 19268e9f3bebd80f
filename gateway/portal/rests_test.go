package portal_test

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/portal"
)

// PORT-02: a session ends within a second when what it rests on is taken away,
// disabled or reset, and no other does.
func TestSessionRestsOnItsFactor(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(*testing.T, *site)
		ends bool
	}{
		"reset": {func(t *testing.T, s *site) {
			if err := s.factors.Reset(t.Context(), alice, office); err != nil {
				t.Fatal(err)
			}
		}, true},
		"replaced": {func(t *testing.T, s *site) { s.enrolAgain(alice) }, true},
		"new recovery codes": {func(t *testing.T, s *site) {
			p := factor.Proof{User: alice, Kind: factor.Binding, At: time.Now()}
			if _, err := s.factors.NewRecoveryCodes(t.Context(), alice, p, factor.Source{}); err != nil {
				t.Fatal(err)
			}
		}, false},
		"nothing": {func(*testing.T, *site) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, s *site) {
				b, other := s.signedIn("alice", alice), s.signedIn("bob", bob)
				c.harm(t, s)
				time.Sleep(time.Second)
				if a := b.get("/"); (a.location == "/sign-in") != c.ends {
					t.Errorf("got %d to %q", a.status, a.location)
				}
				if a := other.get("/"); a.status != http.StatusOK {
					t.Errorf("another user: %d", a.status)
				}
			})
		})
	}
}

// A user whom an operator bans, or who is where nobody may be, is signed in no more,
// and neither is an open page; what is down is not taken for that.
func TestBannedSession(t *testing.T) {
	var banned error
	change := func(c *portal.Config) {
		c.Banned = func(user string, from []netip.Addr) error {
			if user == alice && slices.Equal(from, []netip.Addr{home}) {
				return banned
			}
			return nil
		}
	}
	bubble(t, change, func(t *testing.T, s *site) {
		b, other := s.signedIn("alice", alice), s.signedIn("bob", bob)
		e := b.listen()
		e.want("waiting")
		banned = errors.New("the store does not answer")
		if a := b.get("/"); a.status != http.StatusServiceUnavailable {
			t.Errorf("not known: %d to %q", a.status, a.location)
		}
		banned = errWrong // as Down of these tests has it
		if a := b.get("/"); a.location != "/sign-in" {
			t.Errorf("banned: %d to %q", a.status, a.location)
		}
		<-e.done
		if a := other.get("/"); a.status != http.StatusOK {
			t.Errorf("another user: %d", a.status)
		}
		banned = nil
		if a := b.get("/"); a.status != http.StatusOK {
			t.Errorf("no more: %d to %q", a.status, a.location)
		}
	})
}

// A phone shows digits for a code of digits, and letters once there are codes with
// letters.
func TestKeysOfAPhone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		digits := func() bool {
			o := s.browser()
			return strings.Contains(between(o.password("alice").body, `name="code"`, ">"), `inputmode="numeric"`)
		}
		if !digits() {
			t.Error("letters for the code of an app")
		}
		if a := b.post("/devices/recovery-codes"); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.text())
		}
		if digits() {
			t.Error("digits for a recovery code")
		}
	})
}

// MFA-13: who signs in with a recovery code is shown the one that takes its place,
// once, and led to devices; the used one is not taken again. Each change is written
// down, before and after.
func TestAfterARecoveryCode(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		used := between(b.post("/devices/recovery-codes").body, "<code>", "<")
		signIn := func(code string) answer {
			t.Helper()
			b.follow("/sign-out")
			b.password("alice")
			return b.post("/sign-in/factor", "code", code)
		}
		a := signIn(used)
		next := between(a.body, "<code>", "<")
		if a.status != http.StatusOK || strings.Count(a.body, "<code>") != 1 || len(next) != len(used) || next == used || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("after a recovery code: %d %s", a.status, a.text())
		}
		if !strings.Contains(a.text(), "You used a recovery code") || !strings.Contains(a.body, `href="/devices"`) {
			t.Errorf("the page says %s", a.text())
		}
		if got, want := s.acted(), "recovery-code unknown, recovery-code success, factor success"; !strings.HasSuffix(got, want) {
			t.Errorf("written down: %s, want %s", got, want)
		}
		if a = b.get("/devices"); !strings.Contains(a.text(), "You have 10 left") || strings.Contains(a.body, next) {
			t.Errorf("then: %d %s", a.status, a.text())
		}
		if a = signIn(used); a.status != http.StatusForbidden || strings.Contains(a.body, "<code>") {
			t.Errorf("the used code: %d %s", a.status, a.text())
		}
		if got, want := s.acted(), "recovery-code unknown, recovery-code failure, factor failure"; !strings.HasSuffix(got, want) {
			t.Errorf("written down: %s, want %s", got, want)
		}
		if a = b.post("/sign-in/factor", "code", next); strings.Count(a.body, "<code>") != 1 {
			t.Errorf("the new code: %d %s", a.status, a.text())
		}
		if a = b.post("/devices/recovery-codes"); strings.Count(a.body, "<code>") != 10 {
			t.Fatalf("new codes: %d %s", a.status, a.text())
		}
		time.Sleep(2 * time.Second)
		if a = b.get("/devices"); !strings.Contains(a.text(), "You have 10 left") {
			t.Errorf("after new codes: %d to %q", a.status, a.location)
		}
	})
}

// MFA-13: where a recovery code came along with a form, what takes its place is
// shown first, and then the form goes on with what it had.
func TestRecoveryCodeWithForm(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		used := between(b.post("/devices/recovery-codes").body, "<code>", "<")
		id := between(b.get("/devices").body, `name="id" value="`, `"`)
		time.Sleep(6 * time.Minute)
		a := b.post("/devices/remove", "id", id, "code", used)
		if a.status != http.StatusOK || strings.Count(a.body, "<code>") != 1 || !strings.Contains(a.body, `action="/devices/remove"`) || a.hidden("id") != id || strings.Contains(a.body, used) {
			t.Fatalf("with a recovery code: %d %s", a.status, a.text())
		}
		if got := s.acted(); strings.Contains(got, "remove") {
			t.Errorf("done already: %s", got)
		}
		if a = b.follow("/devices/remove", "id", a.hidden("id")); !strings.Contains(a.text(), "The device was removed") {
			t.Errorf("went on: %d %s", a.status, a.text())
		}
	})
}

// MFA-12: what the user had is on the page, with when and by whom it was taken
// away.
func TestPastDevices(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		if err := s.factors.Reset(t.Context(), alice, office); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s.enrolAgain(alice)
		b := s.browser()
		b.signIn("alice", alice)
		s.enrolAgain(alice)
		b.signIn("alice", alice)
		text := b.get("/devices").text()
		_, text, _ = strings.Cut(text, "What you had before")
		first, then, _ := strings.Cut(text, "removed")
		if !strings.Contains(first, "Phone (Authenticator app)") || !strings.Contains(then, "from "+home.String()) || !strings.Contains(then, "by your help desk") || strings.Contains(text, "uid") {
			t.Errorf("shown: %s", text)
		}
	})
}

// enrolAgain gives a user another app in place of the one there may be.
func (s *site) enrolAgain(user string) {
	s.t.Helper()
	s.enrolBy(user, factor.Binding, factor.Source{Address: home})
}
