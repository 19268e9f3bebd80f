package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// A browser shows a user the portal, on one gateway, without JavaScript: it
// keeps cookies, reads pages and sends their forms.
type browser struct {
	t      *testing.T
	c      *http.Client
	page   string // what it shows
	status int    // with which it came
}

// portalAddress is where the portal is on every gateway, as behind a balancer.
const portalAddress = "https://" + demoPortal

func newBrowser(t *testing.T, gateway string, roots *x509.CertPool) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", gateway)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, c: &http.Client{Jar: jar, Transport: transport, Timeout: patience}}
}

// visit opens a page.
func (b *browser) visit(path string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, portalAddress+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.load(r)
}

// load sends a request, and once more where the gateway could do nothing for the
// moment: its store has half a second, which a busy machine may need.
func (b *browser) load(r *http.Request) {
	b.t.Helper()
	err := b.try(r)
	if err == nil && b.status == http.StatusServiceUnavailable {
		b.t.Logf("%s %s is tried again: %s", r.Method, r.URL.Path, b.main())
		again := r.Clone(b.t.Context())
		if r.GetBody != nil {
			again.Body, _ = r.GetBody() // of a string: there is no error
		}
		err = b.try(again)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// try loads a page that perhaps does not come.
func (b *browser) try(r *http.Request) error {
	answer, err := b.c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil {
		b.page, b.status = string(text), answer.StatusCode
	}
	return err
}

// says fails unless the page has a text.
func (b *browser) says(text string) {
	b.t.Helper()
	if !strings.Contains(b.page, text) {
		b.t.Fatalf("no %q on the page:\n%s", text, b.main())
	}
}

// main is what is particular to the page.
func (b *browser) main() string {
	_, text, _ := strings.Cut(b.page, "<main")
	text, _, _ = strings.Cut(text, "</main>")
	return text
}

var (
	formTag  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`)
	fieldTag = regexp.MustCompile(`<(?:input|select)[^>]* name="([^"]*)"[^>]*>`)
	valueOf  = regexp.MustCompile(` value="([^"]*)"`)
	secretOf = regexp.MustCompile(`<code class="secret">([^<]*)<`)
)

// press sends the first form that has a button of that name, with names and
// values of what is filled in.
func (b *browser) press(button string, filled ...string) {
	b.t.Helper()
	b.load(b.form(button, filled...))
}

// form is what press sends.
func (b *browser) form(button string, filled ...string) *http.Request {
	b.t.Helper()
	for _, form := range formTag.FindAllStringSubmatch(b.page, -1) {
		if strings.Contains(form[0], ">"+button+"<") {
			return b.post(html.UnescapeString(form[1]), b.fill(form[0], filled))
		}
	}
	b.t.Fatalf("no form with the button %q on the page:\n%s", button, b.main())
	return nil
}

// fill returns what a form sends.
func (b *browser) fill(form string, filled []string) url.Values {
	b.t.Helper()
	values := url.Values{}
	for _, field := range fieldTag.FindAllStringSubmatch(form, -1) {
		values.Set(field[1], "")
		if v := valueOf.FindStringSubmatch(field[0]); v != nil {
			values.Set(field[1], html.UnescapeString(v[1]))
		}
	}
	for i := 0; i < len(filled); i += 2 {
		if !values.Has(filled[i]) {
			b.t.Fatalf("no field %q in %s", filled[i], form)
		}
		values.Set(filled[i], filled[i+1])
	}
	return values
}

// post is a form as browsers send it from a page whose referrer policy is no-referrer.
func (b *browser) post(path string, values url.Values) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, portalAddress+path, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "null")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// awaits looks at what waits until the page has a text.
func (b *browser) awaits(text string) {
	b.t.Helper()
	if !eventually(patience, func() bool { b.visit("/"); return strings.Contains(b.page, text) }) {
		b.says(text)
	}
}

// An app is one on a user's phone. Each of its codes is typed once.
type app struct {
	secret string
	last   int64 // step
}

const appStep = 30 // seconds

// code is the next one that is accepted.
func (a *app) code(t *testing.T) string {
	t.Helper()
	now := time.Now().Unix() / appStep
	a.last = max(a.last+1, now-1)
	if early := time.Until(time.Unix((a.last-1)*appStep, 0)); early > 0 {
		<-time.After(early)
	}
	return a.at(t, a.last)
}

func (a *app) at(t *testing.T, step int64) string {
	t.Helper()
	c, err := totp.GenerateCode(a.secret, time.Unix(step*appStep, 0))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wrong is a code of no time around now.
func (a *app) wrong(t *testing.T) string {
	t.Helper()
	return a.at(t, time.Now().Unix()/appStep+1000)
}
