package portal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/account"
	"stsgate/gateway/clientip"
	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/portal"
	"stsgate/gateway/state"
	"stsgate/policy"
)

const (
	alice  = "0f8fad5b-d9cb-469f-a165-70867728950e"
	bob    = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	origin = "https://approve.contoso.example"
	pw     = "right horse"
)

var (
	home    = netip.MustParseAddr("203.0.113.7")
	away    = netip.MustParseAddr("198.51.100.9")
	office  = factor.Source{By: "uid 1000"}
	payroll = &policy.Application{Name: "payroll"}
)

var errWrong = errors.New("wrong password")

// A site is the portal with what it stands on, in memory.
type site struct {
	t         *testing.T
	config    portal.Config
	portal    *portal.Portal
	factors   *factor.Verifier
	mfa       *mfa.Service
	store     state.Store
	log       *bytes.Buffer
	simulated bool // the time

	mu      sync.Mutex
	down    error // of the directory
	acts    []portal.Act
	history map[string][]portal.SignIn // by user
	secrets map[string]string          // of apps, by user
	number  int
}

// bubble runs a test with a site, in simulated time; change, which may be nil,
// has the last word on its configuration.
func bubble(t *testing.T, change func(*portal.Config), test func(*testing.T, *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, origin, change)
		s.simulated = true
		test(t, s)
	})
}

func newSite(t *testing.T, origin string, change func(*portal.Config)) *site {
	t.Helper()
	return newSiteWith(t, origin, nil, change)
}

// newSiteWith has an MFA server, which may be nil.
func newSiteWith(t *testing.T, origin string, radius *factor.RADIUSServers, change func(*portal.Config)) *site {
	t.Helper()
	s := &site{t: t, store: state.NewMemory(nil), log: &bytes.Buffer{}, history: map[string][]portal.SignIn{}, secrets: map[string]string{}}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	metrics := prometheus.NewRegistry()
	var err error
	if s.factors, err = factor.New(factor.Config{Store: s.store, Issuer: "Contoso", RPID: portal.Host(origin), Origin: origin, RADIUS: radius, Metrics: metrics, Log: log}); err != nil {
		t.Fatal(err)
	}
	s.mfa, err = mfa.New(mfa.Config{
		Store: s.store, Portal: origin, Separator: ",", DefaultHold: mfa.DefaultHold, Factors: s.factors,
		Families: []string{"unknown", "msal-net"}, Metrics: metrics, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.config = portal.Config{
		URL: origin, Store: s.store, CheckPassword: s.checkPassword, Down: func(err error) bool { return !errors.Is(err, errWrong) },
		Factors: s.factors, MFA: s.mfa, Clients: clientip.New(clientip.Config{}), Place: func(netip.Addr) string { return "AT" },
		Applications: func() []string { return []string{"mailbox", "payroll"} }, History: s.signIns, Explain: s.explain, Record: s.record,
		PasskeyAlone: true, Account: s.account,
		Metrics: metrics, Log: log,
	}
	if change != nil {
		change(&s.config)
	}
	if s.portal, err = portal.New(s.config); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context){s.factors.Run, s.mfa.Run, s.portal.Run} {
		running.Go(func() { run(ctx) })
	}
	t.Cleanup(func() { stop(); running.Wait() })
	for _, wait := range []func(context.Context) error{s.factors.Wait, s.mfa.Wait, s.portal.Wait} {
		if err := wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) checkPassword(_ context.Context, name string, p account.Password, _ []netip.Addr) (account.Account, error) {
	switch {
	case s.down != nil:
		return account.Account{}, s.down
	case string(p.Bytes()) != pw:
		return account.Account{}, errWrong
	}
	a, err := s.account(context.Background(), name, nil)
	if err != nil {
		return a, errWrong
	}
	return a, nil
}

func (s *site) account(_ context.Context, name string, _ []netip.Addr) (account.Account, error) {
	name = strings.TrimSuffix(name, "@contoso.example")
	id, known := map[string]string{"alice": alice, "bob": bob}[name]
	if !known {
		return account.Account{}, account.ErrUnknown
	}
	return account.Account{ID: id, UPN: name + "@contoso.example", SAM: name, Attributes: map[string][]string{"mail": {name + "@mail.example"}}}, nil
}

func (s *site) signIns(_ context.Context, user string, most int) ([]portal.SignIn, bool, error) {
	all := s.history[user]
	return all[:min(len(all), most)], true, nil
}

func (s *site) explain(_ context.Context, user, transaction string) (*portal.SignIn, bool, error) {
	for _, o := range s.history[user] {
		if o.Transaction == transaction {
			return &o, true, nil
		}
	}
	return nil, true, nil
}

func (s *site) record(a portal.Act) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts = append(s.acts, a)
	return nil
}

// acted are the names and outcomes of acts, in order.
func (s *site) acted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, a := range s.acts {
		all = append(all, a.Name+" "+a.Outcome)
	}
	return strings.Join(all, ", ")
}

// enrolTOTP gives a user an app.
func (s *site) enrolTOTP(user string) {
	s.t.Helper()
	s.enrolBy(user, factor.Admission, factor.Source{})
}

func (s *site) enrolBy(user string, proof factor.Kind, from factor.Source) {
	s.t.Helper()
	ctx := context.Background()
	u := factor.User{ID: user, UPN: user}
	h, err := s.factors.BeginTOTP(ctx, u, factor.Proof{User: user, Kind: proof, At: time.Now()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.secrets[user] = strings.ReplaceAll(h.Secret(), " ", "")
	code := account.NewPassword([]byte(s.code(user)))
	if _, err := s.factors.ConfirmTOTP(ctx, user, h.ID, code, "Phone", from); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(30 * time.Second) // its code is spent
}

// code is what the user's app shows now.
func (s *site) code(user string) string {
	s.t.Helper()
	c, err := totp.GenerateCode(s.secrets[user], time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// A browser visits the portal as one does.
type browser struct {
	s       *site
	cookies map[string]string
	token   string // of the page that it shows
	from    netip.Addr
}

func (s *site) browser() *browser {
	return &browser{s: s, cookies: map[string]string{}, from: home}
}

// An answer is what a browser got.
type answer struct {
	status   int
	header   http.Header
	body     string
	location string
}

// text is the page without its tags.
func (a answer) text() string {
	s := regexp.MustCompile(`(?s)<script.*?</script>|<[^>]*>`).ReplaceAllString(a.body, " ")
	return strings.Join(strings.Fields(html.UnescapeString(s)), " ")
}

// hidden returns the value of the first field of that name.
func (a answer) hidden(name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(a.body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

func (b *browser) request(method, path string, form url.Values) *http.Request {
	r := httptest.NewRequest(method, origin+path, strings.NewReader(form.Encode()))
	r.RemoteAddr = netip.AddrPortFrom(b.from, 40000).String()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "null")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

// send sends a request and keeps the cookies of its answer.
func (b *browser) send(r *http.Request) answer {
	w := httptest.NewRecorder()
	b.s.portal.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	a := answer{w.Code, w.Header(), w.Body.String(), w.Header().Get("Location")}
	if t := a.hidden("token"); t != "" {
		b.token = t
	}
	return a
}

func (b *browser) get(path string) answer { return b.send(b.request(http.MethodGet, path, nil)) }

// post sends a form of the page that is shown.
func (b *browser) post(path string, fields ...string) answer {
	form := url.Values{"token": {b.token}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.send(b.request(http.MethodPost, path, form))
}

// follow is post, and then the page where it leads.
func (b *browser) follow(path string, fields ...string) answer {
	b.s.t.Helper()
	a := b.post(path, fields...)
	for range 3 {
		if a.status != http.StatusSeeOther {
			return a
		}
		a = b.get(a.location)
	}
	return a
}

func (b *browser) password(name string) answer {
	b.get("/sign-in")
	return b.follow("/sign-in", "name", name, "password", pw)
}

// signIn signs a user in whose app enrolTOTP made.
func (b *browser) signIn(name, user string) answer {
	b.s.t.Helper()
	b.password(name)
	a := b.follow("/sign-in/factor", "code", b.s.code(user))
	if a.status != http.StatusOK || b.get("/").status != http.StatusOK {
		b.s.t.Fatalf("signing in: %d %s", a.status, a.text())
	}
	time.Sleep(30 * time.Second) // the code is spent
	return b.get("/")
}

// signedIn returns a browser of a user with an app, signed in.
func (s *site) signedIn(name, user string) *browser {
	s.t.Helper()
	s.enrolTOTP(user)
	b := s.browser()
	b.signIn(name, user)
	return b
}

// asks has a program ask for a second factor of a user, until the test ends.
func (s *site) asks(user string, shapes policy.Shapes, change func(*mfa.Request)) <-chan error {
	s.number++
	r := &mfa.Request{
		User: factor.User{ID: user, UPN: user}, Transaction: fmt.Sprintf("%032x", s.number), Start: time.Now(), Application: payroll,
		Requires: []*policy.MFA{{Shapes: shapes, Factors: policy.TOTP | policy.Passkey}}, Address: away, Place: "DE", Family: "msal-net",
		Password: account.NewPassword([]byte(pw)), Answer: []byte("answer"),
	}
	if change != nil {
		change(r)
	}
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { done <- s.satisfy(ctx, r) })
	s.t.Cleanup(func() { stop(); running.Wait() })
	if s.simulated {
		synctest.Wait()
	}
	return done
}

// satisfy waits for a second factor as long as ctx lasts.
func (s *site) satisfy(ctx context.Context, r *mfa.Request) error {
	answer := r.Answer
	_, h, err := s.mfa.Satisfy(ctx, r)
	if h == nil {
		return err
	}
	woken := make(chan struct{}, 1)
	wake := func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
	defer context.AfterFunc(ctx, wake)()
	h.Wake(wake)
	for over := false; !over; {
		<-woken
		_, over, err = h.Settle(ctx, answer)
	}
	return err
}

// An ear listens to the events of a page.
type ear struct {
	t     *testing.T
	words chan string
	done  chan struct{}
	after time.Duration // that want waited
}

// listen opens the events of a browser's session.
func (b *browser) listen() *ear {
	e := &ear{t: b.s.t, words: make(chan string, 1000), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	r := b.request(http.MethodGet, "/events", nil).WithContext(ctx)
	go func() {
		defer close(e.done)
		b.s.portal.ServeHTTP(e, r)
	}()
	b.s.t.Cleanup(func() { stop(); <-e.done })
	return e
}

func (e *ear) Header() http.Header { return http.Header{} }
func (e *ear) WriteHeader(int)     {}
func (e *ear) Flush()              {}

func (e *ear) Write(p []byte) (int, error) {
	e.words <- between(string(p), "event: ", "\n")
	return len(p), nil
}

// want waits for the next event.
func (e *ear) want(event string) {
	e.t.Helper()
	begun := time.Now()
	for {
		select {
		case got := <-e.words:
			if e.after = time.Since(begun); got == event {
				return
			}
		case <-time.After(time.Minute):
			e.t.Fatalf("no event %q", event)
		}
	}
}

func prefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
