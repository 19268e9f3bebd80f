package portal_test

import (
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"stsgate/gateway/mfa"
	"stsgate/gateway/portal"
	"stsgate/gateway/refusal"
	"stsgate/policy"
)

// evil are texts that want to be markup, script, or something else than they
// are.
func evil() []string {
	all := []string{
		"\u202egnp.exe", "a\u200bb", "a\u2066b\u2069", "line\nbreak", "tab\tbed", "\x00", "\x1b[2J", "\x7f", "\u0085", "\u2028", "\ufeff", "\xff\xfe",
		strings.Repeat("A", 10<<10), strings.Repeat("\u0336a", 5000), strings.Repeat("😈", 3000), "{{.Token}}", "{{template \"token\" .}}", "${7*7}",
	}
	for _, tag := range []string{"script", "img", "svg", "iframe", "body", "input", "a", "style", "math", "object", "video", "details", "form"} {
		for _, how := range []string{
			"<%s onload=alert(1)>", "<%s src=x onerror=alert(1)>", "</h2><%s>alert(1)</%[1]s>", "\"><%s autofocus onfocus=alert(1)>", "'><%s>",
			"<%s/onmouseover=alert(1)//", "<%s style=position:fixed>", "<%[1]s><%[1]s>", "&lt;%s&gt;", "<%s href=javascript:alert(1)>x", "<!--<%s>", "]]><%s>",
			"<%s\x00 onload=alert(1)>", "\u202e<%s>", "`<%s>`",
		} {
			all = append(all, fmt.Sprintf(how, tag))
		}
	}
	return all
}

// PORT-05: whatever a stranger chose is plain text of at most 64 characters,
// without controls and marks that turn it, wherever it is shown.
func TestEvilTexts(t *testing.T) {
	texts := evil()
	if len(texts) < 200 {
		t.Fatalf("%d texts", len(texts))
	}
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		for i, text := range texts {
			s.history[alice] = []portal.SignIn{{Transaction: "0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0", Time: time.Now(), Application: text, Address: away, Place: text, Reason: text, Rule: text}}
			a := b.get("/history")
			checkPage(t, fmt.Sprintf("history %d", i), a)
			if !strings.Contains(a.text(), "Refused") {
				t.Errorf("%d: %s", a.status, a.text())
			}
			checkPage(t, fmt.Sprintf("unknown %d", i), b.post("/history/explain", "transaction", text))
			checkPage(t, fmt.Sprintf("explained %d", i), b.post("/history/explain", "transaction", "0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0"))
			if i%20 == 0 {
				checkPage(t, fmt.Sprintf("failed sign-in %d", i), s.stranger(text))
			}
		}
	})
	for i, text := range texts {
		bubble(t, nil, func(t *testing.T, s *site) {
			if i%8 != 0 { // each has a whole sign-in
				return
			}
			b := s.signedIn("alice", alice)
			s.asks(alice, policy.Hold, func(r *mfa.Request) {
				r.Application, r.Place, r.Family = &policy.Application{Name: text}, text, text
			})
			a := b.get("/")
			checkPage(t, fmt.Sprintf("waiting %d", i), a)
			if !strings.Contains(a.text(), "A sign-in waits for you") {
				t.Errorf("%d: %s", a.status, a.text())
			}
		})
	}
}

func (s *site) stranger(name string) answer {
	b := s.browser()
	b.get("/sign-in")
	return b.post("/sign-in", "name", name, "password", name)
}

// checkPage looks for what a page must not have.
func checkPage(t *testing.T, what string, a answer) {
	t.Helper()
	if n := strings.Count(a.body, "<script"); n != 1 {
		t.Errorf("%s: %d scripts", what, n)
	}
	bare := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(a.body, `""`) // quotes of a text are escaped
	if m := regexp.MustCompile(`(?i)<[^>]*\s(on[a-z]+|style)\s*=`).FindString(bare); m != "" {
		t.Errorf("%s: an attribute that acts: %q", what, m)
	}
	for _, r := range a.body {
		if unicode.IsControl(r) && r != '\n' || unicode.Is(unicode.Cf, r) || r == '\u2028' {
			t.Errorf("%s: the page has %U", what, r)
		}
	}
	if strings.Contains(a.body, strings.Repeat("A", 65)) || strings.Contains(a.body, "alert(1)</") {
		t.Errorf("%s: a text is not clipped or not plain", what)
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"payroll": "payroll", "Jürgen": "Jürgen", "हिन्दी": "हिन्दी", "a\u202eb": `a\u202eb`, "a\nb": `a\u000ab`, "\xff": `\xff`, "a\ufffd": "a\ufffd",
		"\u200b": `\u200b`, "e\u0301": "e\u0301", "e" + strings.Repeat("\u0336", 5): `e` + strings.Repeat("\u0336", 2) + strings.Repeat(`\u0336`, 3),
		strings.Repeat("x", 64): strings.Repeat("x", 64), strings.Repeat("x", 65): strings.Repeat("x", 64) + "…",
	} {
		if got := portal.Plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

// PORT-06, MFA-01: whatever of alice's bob names is not there, and she keeps it.
func TestOthersThings(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		a, b := s.signedIn("alice", alice), s.signedIn("bob", bob)
		a.password("alice")
		a.follow("/sign-in/factor", "code", s.code(alice)) // fresh again
		waiting := s.asks(alice, policy.Hold, nil)
		pending := a.get("/").hidden("id")
		a.post("/allowed/add", "application", "payroll", "address", home.String())
		synctest.Wait() // the mirror follows
		grant := a.get("/allowed").hidden("id")
		device := a.get("/devices").hidden("id")
		half := a.post("/enrol/totp").hidden("id")
		s.history[alice] = []portal.SignIn{{Transaction: "0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0", Time: time.Now(), Address: home}}
		if pending == "" || grant == "" || device == "" || half == "" {
			t.Fatalf("alice has %q, %q, %q, %q", pending, grant, device, half)
		}
		for _, c := range []struct{ path, id string }{
			{"/approve", pending}, {"/deny", pending}, {"/allowed/remove", grant}, {"/devices/rename", device}, {"/devices/remove", device},
			{"/history/not-me", "0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0"},
		} {
			mine := b.post(c.path, "id", c.id, "label", "x", "me", "")
			none := b.post(c.path, "id", strings.Repeat("0", len(c.id)), "label", "x", "me", "")
			if mine.status != http.StatusNotFound || mine.text() != none.text() {
				t.Errorf("%s of another's: %d %s, of none: %d %s", c.path, mine.status, mine.text(), none.status, none.text())
			}
		}
		if n := strings.Count(s.acted(), portal.Mismatch+" failure"); n != 4 { // MFA-01: those of what waits
			t.Errorf("%d answers for what was not asked are recorded, want 4: %s", n, s.acted())
		}
		if m := b.post("/enrol/totp/confirm", "id", half, "code", s.code(alice)); m.status != http.StatusForbidden || strings.Contains(m.body, "<svg") {
			t.Errorf("another's half of an app: %d %s", m.status, m.text())
		}
		explained, unknown := b.post("/history/explain", "transaction", "0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0"), b.post("/history/explain", "transaction", "ffffffffffffffffffffffffffffffff")
		if e, u := strings.ReplaceAll(explained.body, "0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0", "X"), strings.ReplaceAll(unknown.body, "ffffffffffffffffffffffffffffffff", "X"); e != u {
			t.Errorf("another's transaction is told apart: %s", explained.text())
		}
		if got := a.get("/").hidden("id"); got != pending {
			t.Error("what waits for alice is gone")
		}
		if !strings.Contains(a.get("/devices").text(), "Phone") || a.get("/allowed").hidden("id") != grant {
			t.Error("alice has lost something")
		}
		select {
		case err := <-waiting:
			t.Errorf("it was answered: %v", err)
		default:
		}
	})
}

// MFA-01: of two users who sign in at the same time, cookie, token and handle of
// one do not go with those of the other, in any mixture; each answers only what
// waits for whose cookie it is. MFA_PAIRS is how many are mixed, 12 of each two
// users, and 10,000 in make campaign.
func TestSwappedCookies(t *testing.T) {
	pairs := 12
	if n, err := strconv.Atoi(os.Getenv("MFA_PAIRS")); err == nil {
		pairs = n
	}
	for range (pairs + 11) / 12 {
		swapCookies(t)
	}
}

func swapCookies(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		a, b := s.signedIn("alice", alice), s.signedIn("bob", bob)
		for _, o := range []struct {
			b    *browser
			name string
			user string
		}{{a, "alice", alice}, {b, "bob", bob}} { // fresh again
			o.b.password(o.name)
			o.b.follow("/sign-in/factor", "code", s.code(o.user))
		}
		waits := []<-chan error{s.asks(alice, policy.Hold, nil), s.asks(bob, policy.Hold, nil)}
		both := []*browser{a, b}
		ids := []string{a.get("/").hidden("id"), b.get("/").hidden("id")}
		cookies, tokens := []string{a.cookies[portal.CookieName], b.cookies[portal.CookieName]}, []string{a.token, b.token}
		for mixture := range 8 {
			cookie, token, id := mixture&1, mixture>>1&1, mixture>>2
			if cookie == token && token == id {
				continue // its own
			}
			for _, path := range []string{"/approve", "/deny"} {
				thief := s.browser() // anew: an answer tells it its own token
				thief.cookies[portal.CookieName], thief.token = cookies[cookie], tokens[token]
				if got := thief.post(path, "id", ids[id]); got.status < 400 {
					t.Errorf("%s with the cookie of %d, the token of %d, the handle of %d: %d", path, cookie, token, id, got.status)
				}
			}
		}
		for i, w := range waits {
			select {
			case err := <-w:
				t.Fatalf("%d was answered: %v", i, err)
			default:
			}
			if got := both[i].follow("/approve", "id", ids[i]); !strings.Contains(got.text(), "Approved") {
				t.Fatalf("%d answers itself: %d %s", i, got.status, got.text())
			}
			if err := <-w; err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

// PORT-11: who fails to sign in cannot tell why, byte by byte.
func TestSignInFailuresLookAlike(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		page := func(name, password string) string {
			b := s.browser()
			b.get("/sign-in")
			a := b.post("/sign-in", "name", name, "password", password)
			return fmt.Sprint(a.status, strings.ReplaceAll(a.body, a.hidden("token"), ""))
		}
		want := page("alice", "wrong")
		for _, c := range [][2]string{{"bob", "wrong"}, {"nobody", pw}, {"nobody", "x"}, {"", ""}, {" alice", pw}, {strings.Repeat("x", 2000), pw}} {
			if got := page(c[0], c[1]); got != want {
				t.Errorf("%.20q: got %s, want %s", c[0], got, want)
			}
		}
	})
}

// MFA-11: a password alone enrols nothing, unless the configuration says so:
// there, until then, and for a user who never had anything.
func TestFirstEnrolment(t *testing.T) {
	begins := func(b *browser) bool { return strings.Contains(b.post("/enrol/totp").body, "<svg") }
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.browser()
		b.password("alice")
		if begins(b) || b.post("/enrol/passkey/options").status == http.StatusOK {
			t.Error("a password alone began to enrol")
		}
		code, err := s.factors.NewBindingCode(t.Context(), bob, office)
		if err != nil {
			t.Fatal(err)
		}
		if a := b.post("/enrol/code", "binding", string(code.Bytes())); a.status != http.StatusForbidden || begins(b) {
			t.Errorf("bob's binding code: %d %s", a.status, a.text())
		}
		if code, err = s.factors.NewBindingCode(t.Context(), alice, office); err != nil {
			t.Fatal(err)
		}
		b.follow("/enrol/code", "binding", string(code.Bytes()))
		if !begins(b) {
			t.Error("her own binding code does not do")
		}
		again := s.browser()
		again.password("alice")
		if a := again.post("/enrol/code", "binding", string(code.Bytes())); a.status != http.StatusForbidden || begins(again) {
			t.Errorf("the same code again: %d %s", a.status, a.text())
		}
	})
	from := func(c *portal.Config) {
		c.Enrol = append(c.Enrol, prefix(home))
		c.EnrolUntil = time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC) // the bubble begins on the first
	}
	bubble(t, from, func(t *testing.T, s *site) {
		b, outside := s.browser(), s.browser()
		outside.from = away
		for _, o := range []*browser{b, outside} {
			o.password("alice")
		}
		if !begins(b) || begins(outside) {
			t.Error("want it from the network alone")
		}
		time.Sleep(48 * time.Hour)
		b.password("alice")
		if begins(b) {
			t.Error("it goes on after the last day")
		}
	})
	bubble(t, from, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		b := s.browser()
		b.password("alice")
		b.get("/enrol")
		if begins(b) {
			t.Error("a user with an app adds another by password")
		}
	})
}

// MFA-07, MFA-20: what is new is said first, and denying is then the large
// button; a plain sign-in has the other order.
func TestNewAddressFirst(t *testing.T) {
	for from, isNew := range map[netip.Addr]bool{away: true, home: false} { // the page is looked at from home
		bubble(t, nil, func(t *testing.T, s *site) {
			b := s.signedIn("alice", alice)
			s.asks(alice, policy.Hold, func(r *mfa.Request) { r.New, r.Address = true, from })
			body := b.get("/").body
			first, stop, approve := strings.Index(body, "New address."), strings.Index(body, `class="stop"`), strings.Index(body, `action="/approve"`)
			if told := first >= 0 && first < stop && stop < approve; told != isNew {
				t.Errorf("new: %v; warned at %d, stopped at %d, approved at %d", isNew, first, stop, approve)
			}
		})
	}
}

// Where programs can be allowed beforehand, a user whom one sent here and who finds
// nothing is told where.
func TestNothingWaits(t *testing.T) {
	for _, applications := range [][]string{nil, {"mailbox"}} {
		bubble(t, func(c *portal.Config) { c.Applications = func() []string { return applications } }, func(t *testing.T, s *site) {
			b := s.signedIn("alice", alice)
			if told := strings.Contains(between(b.get("/").body, "<main", "</main>"), `href="/allowed"`); told != (len(applications) > 0) {
				t.Errorf("with %d applications that take a grant it is said: %v", len(applications), told)
			}
			s.asks(alice, policy.Hold, nil)
			if strings.Contains(between(b.get("/").body, "<main", "</main>"), `href="/allowed"`) {
				t.Error("it is said beside what waits")
			}
		})
	}
}

// MFA-23: what is chosen at first is where the user is, and not where somebody else
// may have tried the password; of another address it is said where that is.
func TestOwnAddressFirst(t *testing.T) {
	for from, want := range map[netip.Addr][]string{
		away: {home.String() + " – where you are now", away.String() + ", DE – tried payroll a second ago"},
		home: {home.String() + " – where you are now"},
	} {
		bubble(t, nil, func(t *testing.T, s *site) {
			b := s.signedIn("alice", alice)
			s.asks(alice, policy.Hold|policy.Grant, func(r *mfa.Request) { r.Address = from })
			var got []string
			for _, o := range strings.Split(between(b.get("/allowed").body, `name="address"`, "</select>"), "<option")[1:] {
				got = append(got, html.UnescapeString(between(o, ">", "<")))
			}
			if !slices.Equal(got, want) {
				t.Errorf("tried from %s: got %q, want %q", from, got, want)
			}
		})
	}
}

// MFA-08: the number is nowhere before it is typed, and two wrong ones end it.
func TestNumber(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		err := <-s.asks(alice, policy.Challenge, nil)
		r, ok := err.(*refusal.Refusal)
		if !ok || len(r.Number) < 6 {
			t.Fatalf("got %v", err)
		}
		a := b.get("/")
		if strings.Contains(a.body, r.Number) || !strings.Contains(a.body, `name="number"`) {
			t.Errorf("the page has the number or no field for it")
		}
		id := a.hidden("id")
		wrong := strings.Map(func(c rune) rune { return '0' + (c-'0'+1)%10 }, r.Number)
		if a := b.post("/approve", "id", id, "number", wrong); a.status != http.StatusForbidden || strings.Contains(a.body, r.Number) || !strings.Contains(a.text(), "One more") {
			t.Errorf("a wrong number: %d %s", a.status, a.text())
		}
		if a := b.post("/approve", "id", id, "number", wrong); a.status != http.StatusForbidden || !strings.Contains(a.text(), "denied") {
			t.Errorf("another one: %d %s", a.status, a.text())
		}
		if a := b.post("/approve", "id", id, "number", r.Number); a.status != http.StatusNotFound {
			t.Errorf("the right one then: %d %s", a.status, a.text())
		}
	})
}

// "This was not me" ends grants and all other sessions and closes the address.
func TestNotMe(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		thief := s.browser()
		thief.signIn("alice", alice)
		b.post("/allowed/add", "application", "payroll", "address", home.String())
		synctest.Wait() // the mirror follows
		if a := b.get("/allowed"); a.hidden("id") == "" {
			t.Fatalf("%d %s", a.status, a.text())
		}
		s.history[alice] = []portal.SignIn{{Transaction: "0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0", Time: time.Now(), Application: "payroll", Address: away, Released: true}}
		if a := b.follow("/history/not-me", "id", "0f6e6c1ab2a94b51a2f3f8f4a1d7c9e0"); !strings.Contains(a.text(), "Everything was ended") {
			t.Fatalf("%d %s", a.status, a.text())
		}
		time.Sleep(time.Second)
		if a := thief.get("/"); a.location != "/sign-in" {
			t.Errorf("the other session: %d", a.status)
		}
		if a := b.get("/allowed"); a.status != http.StatusOK || strings.Contains(a.body, "/allowed/remove") {
			t.Errorf("the grants: %d %s", a.status, a.text())
		}
		if err := s.mfa.Blocked(alice, away); refusal.Of(err) != refusal.AddressBlocked {
			t.Errorf("the address: %v", err)
		}
		if got := s.acted(); !strings.HasSuffix(got, "not-me unknown, not-me success") {
			t.Errorf("recorded: %s", got)
		}
	})
}

// So does the same said of what waits.
func TestDeniedAsNotMe(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		thief := s.browser()
		thief.signIn("alice", alice)
		done := s.asks(alice, policy.Hold, nil)
		if a := b.follow("/deny", "id", b.get("/").hidden("id"), "me", "no"); a.status != http.StatusOK || !strings.Contains(a.text(), "Somebody knows your password") {
			t.Fatalf("%d %s", a.status, a.text())
		}
		time.Sleep(time.Second)
		if err := <-done; refusal.Of(err) != refusal.SecondFactorDenied {
			t.Errorf("the program got %v", err)
		}
		if a := thief.get("/"); a.location != "/sign-in" {
			t.Errorf("the other session: %d", a.status)
		}
		if err := s.mfa.Blocked(alice, away); refusal.Of(err) != refusal.AddressBlocked {
			t.Errorf("the address: %v", err)
		}
	})
}

// Every reason that a user may meet has words of its own.
func TestReasonsAreExplained(t *testing.T) {
	ours := map[refusal.Reason]bool{}
	for _, r := range []refusal.Reason{
		refusal.Internal, refusal.StateDown, refusal.DirectoryDown, refusal.FarmDown, refusal.FarmSlow, refusal.FarmFailed, refusal.AnswerUnreadable,
		refusal.AnswerUntrusted, refusal.AnswerMismatch, refusal.IssuerFailed, refusal.AuditFailed, refusal.SecondFactorDown, refusal.ClientGone, refusal.Draining,
	} {
		ours[r] = true // our fault, and not more to say
	}
	for _, r := range refusal.Reasons() {
		if row := r.Row(); row.Fault() && !ours[r] && !portal.Explained(row.Label) {
			t.Errorf("%s is not explained", row.Label)
		}
	}
}

// PORT-10: an open page hears at once of what waits, something every half
// minute, and nothing any more within 5 s of the end of its session.
func TestEvents(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		e := b.listen()
		e.want("waiting")
		s.asks(alice, policy.Hold, nil)
		e.want("waiting")
		if e.after > 100*time.Millisecond {
			t.Errorf("heard of it after %s", e.after)
		}
		e.want("waiting")
		if e.after > 30*time.Second {
			t.Errorf("silent for %s", e.after)
		}
		second := b.listen()
		second.want("waiting")
		if a := b.get("/events"); a.status != http.StatusNoContent {
			t.Errorf("a third one: %d", a.status)
		}
		other := s.browser()
		other.signIn("alice", alice)
		other.post("/sign-out/everywhere")
		ended := time.Now()
		e.want("end")
		<-e.done
		if d := time.Since(ended); d > 5*time.Second {
			t.Errorf("ended after %s", d)
		}
		<-second.done
		synctest.Wait()
	})
}

// A page that is open does not keep its session from ending.
func TestEventsAreNoUse(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		e, begun := b.listen(), time.Now()
		<-e.done
		if d := time.Since(begun); d > 31*time.Minute || d < 29*time.Minute {
			t.Errorf("ended after %s", d)
		}
	})
}

// AUD-05, PORT-02: a page that asks for a fresh factor has what the form needs
// that is sent again, and nothing else of what came.
func TestFreshCarriesNoSecret(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		time.Sleep(6 * time.Minute)
		fields := []string{"id", "an-id", "number", "271828", "application", "payroll", "address", "192.0.2.1"}
		for _, secret := range []string{"password", "binding", "attestation", "name", "label", "me", "another"} {
			fields = append(fields, secret, "canary-"+secret)
		}
		a := b.post("/approve", fields...)
		if a.status != http.StatusForbidden || strings.Contains(a.body, "canary") {
			t.Errorf("answered %d: %s", a.status, a.body)
		}
		for _, carried := range []string{`name="id" value="an-id"`, `name="number" value="271828"`, `name="application" value="payroll"`, `name="address" value="192.0.2.1"`} {
			if !strings.Contains(a.body, carried) {
				t.Errorf("no %s", carried)
			}
		}
	})
}

// AUD-05: no password, code, cookie or token is logged.
func TestNothingSecretIsLogged(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		code := s.code(alice)
		b.post("/devices/recovery-codes", "code", code)
		b.get("/")
		b.post("/approve", "id", "none", "number", "271828")
		s.down = fmt.Errorf("directory down")
		s.stranger("canary-name")
		for _, secret := range []string{pw, code, b.cookies[portal.CookieName], b.token, s.secrets[alice], "271828", "canary-name"} {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("the log has %q", secret)
			}
		}
		if !strings.Contains(s.log.String(), "directory down") {
			t.Error("the log does not say what is down")
		}
	})
}
