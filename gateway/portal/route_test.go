package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/portal"
)

// PORT-03: what changes something is a POST, and no GET changes anything.
func TestEveryPostMutates(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		n := 0
		for _, r := range s.portal.Declared() {
			if r.Mutates != (r.Method == http.MethodPost) {
				t.Errorf("%s %s: mutates is %v", r.Method, r.Path, r.Mutates)
			}
			if r.Fresh && !r.Factor {
				t.Errorf("%s %s: fresh, but of nobody who is signed in", r.Method, r.Path)
			}
			n++
		}
		if n < 25 {
			t.Errorf("the table has %d routes", n)
		}
	})
}

// PORT-03: no route that changes something takes a request that is not from a
// form of this session, whatever is wrong with it.
func TestForgedForms(t *testing.T) {
	form := func(r *http.Request, change func(url.Values)) *http.Request {
		f := url.Values{}
		_ = r.ParseForm()
		for k, v := range r.PostForm {
			f[k] = v
		}
		change(f)
		n, _ := http.NewRequest(r.Method, r.URL.String(), strings.NewReader(f.Encode()))
		n.Header, n.RemoteAddr = r.Header, r.RemoteAddr
		return n
	}
	forgeries := map[string]func(r *http.Request, other *browser) *http.Request{
		"no token": func(r *http.Request, _ *browser) *http.Request {
			return form(r, func(f url.Values) { f.Del("token") })
		},
		"another session's token": func(r *http.Request, o *browser) *http.Request {
			return form(r, func(f url.Values) { f.Set("token", o.token) })
		},
		"two tokens": func(r *http.Request, o *browser) *http.Request {
			return form(r, func(f url.Values) { f.Add("token", o.token) })
		},
		"another site": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Set("Origin", "https://evil.example")
			return r
		},
		"another site that hides": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			return r
		},
		"another site with our origin": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Set("Origin", origin)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			return r
		},
		"a sister site": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Set("Sec-Fetch-Site", "same-site")
			return r
		},
		"no page": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Set("Sec-Fetch-Site", "none")
			return r
		},
		"an old browser on a nameless page": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Del("Sec-Fetch-Site")
			return r
		},
		"neither header": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Del("Origin")
			return r
		},
		"this site without TLS": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Set("Origin", "http://approve.contoso.example")
			return r
		},
		"no form": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Set("Content-Type", "text/plain")
			return r
		},
		"no cookie": func(r *http.Request, _ *browser) *http.Request {
			r.Header.Del("Cookie")
			return r
		},
	}
	bubble(t, nil, func(t *testing.T, s *site) {
		b, other := s.signedIn("alice", alice), s.signedIn("bob", bob)
		tried := 0
		for _, route := range s.portal.Declared() {
			if !route.Mutates {
				continue
			}
			for name, forge := range forgeries {
				before := s.acted()
				r := forge(b.request(http.MethodPost, route.Path, url.Values{"token": {b.token}}), other)
				if a := b.send(r); a.status < 400 {
					t.Errorf("%s, %s: %d to %s", route.Path, name, a.status, a.location)
				}
				if s.acted() != before {
					t.Errorf("%s, %s: something was done", route.Path, name)
				}
				tried++
			}
			r := b.request(http.MethodPost, route.Path, url.Values{"token": {b.token}})
			r.Header.Set("Origin", origin)
			r.Header.Del("Sec-Fetch-Site")
			if a := b.send(r); strings.Contains(a.text(), "Not from here") || strings.Contains(a.text(), "This page was too old") {
				t.Errorf("%s: its own form is refused: %s", route.Path, a.text())
			}
			if b.get("/"); b.get("/").status != http.StatusOK { // signed out by that
				s.secrets[alice] = secretOf(s, alice)
				b = s.browser()
				b.signIn("alice", alice)
			}
		}
		if tried < 200 {
			t.Errorf("%d forgeries", tried)
		}
	})
}

func secretOf(s *site, user string) string { return s.secrets[user] }

// A form's limits (DOS-09).
func TestLargeForms(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		many := []string{}
		for range 101 {
			many = append(many, strings.Repeat("x", len(many)+1), "")
		}
		for name, fields := range map[string][]string{"fields": many, "bytes": {"number", strings.Repeat("1", 33<<10)}} {
			if a := b.post("/deny", fields...); a.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: %d", name, a.status)
			}
		}
	})
}

// PORT-01, PORT-02: who may go where.
func TestLevels(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		stranger, half := s.browser(), s.browser()
		stranger.get("/sign-in")
		half.password("alice")
		for _, r := range s.portal.Declared() {
			for b, want := range map[*browser]string{stranger: "/sign-in", half: "/sign-in/factor"} {
				if b == stranger && !r.Password || b == half && !r.Factor || r.Path == "/sign-out" {
					continue
				}
				a := b.send(b.request(r.Method, r.Path, url.Values{"token": {b.token}}))
				if a.status != http.StatusSeeOther || a.location != want {
					t.Errorf("%s %s: %d to %q, want to %q", r.Method, r.Path, a.status, a.location, want)
				}
			}
		}
	})
}

// PORT-02: every sensitive act at every age of the factor.
func TestFreshness(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.enrolTOTP(alice)
		sensitive := []string{"/enrol/totp", "/enrol/totp/confirm", "/enrol/passkey", "/enrol/passkey/options"}
		for _, r := range s.portal.Declared() {
			if r.Fresh {
				sensitive = append(sensitive, r.Path)
			}
		}
		for _, act := range []string{"/approve", "/devices/remove", "/devices/recovery-codes", "/sign-out/everywhere", "/allowed/add", "/history/not-me"} {
			if !contains(sensitive, act) {
				t.Errorf("%s needs no fresh factor", act)
			}
		}
		for _, path := range sensitive {
			for _, age := range []time.Duration{0, portal.Fresh - time.Second, portal.Fresh + time.Second, 29 * time.Minute} {
				b := s.browser()
				b.password("alice")
				b.follow("/sign-in/factor", "code", s.code(alice))
				b.get("/")
				time.Sleep(age)
				before := s.acted()
				a := b.post(path, "id", "none")
				asked := strings.Contains(a.text(), "within the last five minutes that it is you")
				if stale := age > portal.Fresh; asked != stale || stale && a.status != http.StatusForbidden {
					t.Errorf("%s at %s: %d, asked for a factor: %v", path, age, a.status, asked)
				} else if stale && s.acted() != before {
					t.Errorf("%s at %s: something was done", path, age)
				}
				time.Sleep(30 * time.Second) // the code is spent
			}
		}
	})
}

func contains(all []string, s string) bool {
	for _, o := range all {
		if o == s {
			return true
		}
	}
	return false
}

// A factor that comes along with a form is as good as a fresh one, once, and
// the session has another id then (PORT-01).
func TestFactorWithForm(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		time.Sleep(6 * time.Minute)
		old := b.cookies[portal.CookieName]
		a := b.post("/devices/recovery-codes")
		if a.status != http.StatusForbidden || !strings.Contains(a.body, `action="/devices/recovery-codes"`) {
			t.Fatalf("%d %s", a.status, a.text())
		}
		if a = b.post("/devices/recovery-codes", "code", "000000"); a.status != http.StatusForbidden || !strings.Contains(a.text(), "That code is not right") {
			t.Errorf("a wrong code: %d %s", a.status, a.text())
		}
		if a = b.post("/devices/recovery-codes", "code", s.code(alice)); a.status != http.StatusOK || strings.Count(a.body, "<code>") != 10 {
			t.Errorf("a right code: %d %s", a.status, a.text())
		}
		if b.cookies[portal.CookieName] == old {
			t.Error("the id is the old one")
		}
		if o := s.browser(); true {
			o.cookies[portal.CookieName] = old
			if a := o.get("/"); a.location != "/sign-in" {
				t.Errorf("the old id: %d to %q", a.status, a.location)
			}
		}
		if again := b.post("/devices/recovery-codes", "code", s.code(alice)); again.status != http.StatusForbidden || !strings.Contains(again.text(), "used before") {
			t.Errorf("the same code again: %d %s", again.status, again.text())
		}
	})
}

// PORT-04, TLS-02: every answer has the headers, whatever became of it.
func TestHeaders(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		b := s.signedIn("alice", alice)
		var answers []answer
		for _, r := range s.portal.Declared() {
			if r.Path != "/events" {
				answers = append(answers, s.browser().send(b.request(r.Method, r.Path, nil)), s.browser().send(b.request("PUT", r.Path, nil)))
			}
		}
		answers = append(answers, b.get("/none"))
		for _, a := range answers {
			for name, want := range map[string]string{
				"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
				"Strict-Transport-Security":    "max-age=63072000",
				"X-Content-Type-Options":       "nosniff",
				"Referrer-Policy":              "no-referrer",
				"Cross-Origin-Opener-Policy":   "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%d: %s is %q", a.status, name, got)
				}
			}
			if c := a.header.Get("Cache-Control"); c != "no-store" && !strings.Contains(a.header.Get("Content-Type"), "text/css") &&
				!strings.Contains(a.header.Get("Content-Type"), "javascript") && !strings.Contains(a.header.Get("Content-Type"), "svg") {
				t.Errorf("%d: Cache-Control is %q", a.status, c)
			}
			for _, inline := range []string{" style=", "<script>", " onclick", "javascript:", "http://", "<style"} {
				if strings.Contains(a.body, inline) && strings.Contains(a.header.Get("Content-Type"), "html") {
					t.Errorf("a page has %q", inline)
				}
			}
		}
	})
}
