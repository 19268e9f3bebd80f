package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"stsgate/gateway/refusal"
)

// AUD-05: nothing that the gateway writes of a sign-in with a second factor, to
// whomever, holds a secret but where a user is meant to see it, once. The log is
// the one that says most, with the dump of all goroutines at its end.
func TestCanariesOfSecondFactors(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := startFactorCage(t, "ann", "hal", "sid")
	c.proves(t, "ann")
	c.approves(t, "hal")
	c.misuses(t, "sid")
	c.helped(t, "sid")
	c.backedUp(t)
	for _, path := range []string{"/metrics", "/readyz"} {
		c.admin(t, path)
	}
	c.crash(t, "ann")
	c.readAll(t)
	c.checkHeard(t)
	searchAll(t, c.secrets, c.all)
}

// A factorCage is a gateway that asks for second factors, all that it writes to,
// and what must not be there.
type factorCage struct {
	*factorFleet
	heard
	secrets  []secret
	answered atomic.Int64
	begun    time.Time
}

func startFactorCage(t *testing.T, names ...string) *factorCage {
	t.Helper()
	c := &factorCage{begun: time.Now()}
	syslog, mail, chat := listenLocal(t), listenLocal(t), httptest.NewServer(&c.heard)
	t.Cleanup(chat.Close)
	c.factorFleet = newFactorFleetOf(t, c.configuration(chat.URL, mail.address(), syslog.address()), 1, func(int) string { return "{dir: state, key: ../state.key}" }, names...)
	c.tap = func(next http.RoundTripper) http.RoundTripper { return tap{next, c} }
	g := c.gateways[0]
	g.client.Transport = c.tap(g.client.Transport)
	password := c.secret("the password of the mail server")
	c.file(t, "smtp.password", []byte(password))
	c.file(t, "webhook.secret", []byte(c.secret("the key of a webhook")))
	c.keys(t)
	for _, m := range c.members {
		c.keep(secret{what: "a password", text: m.password})
	}
	syslog.serve(t, c.dir, c.takeSyslog)
	mail.serve(t, c.dir, c.takeMail(t, password))
	c.start(0)
	c.bind(t, names)
	c.addFile(t, "codes.csv")
	for _, m := range c.members {
		c.bindingCode(m.binding, "codes.csv")
	}
	return c
}

// configuration is that of all gateways with receivers. One of the webhooks reaches
// nobody; the address of each is its password, as with many messengers.
func (c *factorCage) configuration(chat, mail, syslog string) string {
	return strings.NewReplacer(
		"mfa: {", fmt.Sprintf("mfa: {webhooks: [{name: chat, url: %q, form: generic, secret: ../webhook.secret}, {name: none, url: %q, form: slack}], "+
			"smtp: {address: %q, tls: implicit, from: stsgate@contoso.example, username: stsgate, password: ../smtp.password, ca: ../ca.pem}, ",
			chat+"/"+c.secret("the address of a webhook"), "http://"+freeAddress()+"/"+c.secret("the address of a webhook"), mail),
		"audit: {", fmt.Sprintf("audit: {checkpoints: {key: ../checkpoints.key, file: ../checkpoints}, syslog: {address: %q, ca: ../ca.pem}, ", syslog),
	).Replace(factorFile) + "log: {level: debug}\n"
}

// keys keeps those that the gateway works with.
func (c *factorCage) keys(t *testing.T) {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(nil)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c.file(t, "checkpoints.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	c.keep(secret{what: "the key of checkpoints", text: string(key.Seed())})
	text, err := os.ReadFile(filepath.Join(c.dir, "state.key"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	c.keep(secret{what: "the state key", text: string(raw)})
	if text, err = os.ReadFile(filepath.Join(c.dir, "tls.key")); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	raw, err = private.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	c.keep(secret{what: "the key of the certificate", text: string(raw)})
}

func (c *factorCage) keep(s secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets = append(c.secrets, s)
}

// secret makes one that nobody may write down.
func (c *factorCage) secret(what string) string {
	s := secret{what: what, text: rand.Text() + rand.Text()[:6]}
	c.keep(s)
	return s.text
}

func (c *factorCage) bindingCode(code, shownIn string) {
	c.keep(secret{what: "a binding code", text: strings.ReplaceAll(code, "-", ""), also: []string{code}, shownIn: shownIn, times: 1})
}

var (
	tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)
	// sealedValue is what a line of a backup has of the store.
	sealedValue = regexp.MustCompile(`"value":"([^"]*)"`)
	newCode     = regexp.MustCompile(`<code>([^<]+)</code>`)
	signature   = regexp.MustCompile(`SignatureValue>([^<]+)<`)
)

// gather keeps what an answer shows for the first time.
func (c *factorCage) gather(name string, answer *http.Response, body []byte) {
	page, each := "page, "+name, func(r *regexp.Regexp) (all []string) {
		for _, m := range r.FindAllSubmatch(body, -1) {
			all = append(all, string(m[1]))
		}
		return all
	}
	for _, cookie := range answer.Cookies() {
		if len(cookie.Value) > 2*pieceLength {
			c.keep(secret{what: "a cookie", text: cookie.Value, shownIn: "cookies, " + name, times: 1})
		}
	}
	for _, text := range each(tokenField) { // every form of the session's pages has it
		c.keep(secret{what: "a token of forms", text: text, shownIn: "page, "})
	}
	for _, text := range each(signature) {
		c.keep(secret{what: "a token", text: text, shownIn: page, times: 1})
	}
	for _, text := range each(newCode) {
		c.keep(secret{what: "a recovery code", text: strings.ReplaceAll(text, "-", ""), also: []string{text}, shownIn: page, times: 1})
	}
	for _, text := range each(secretOf) {
		plain := strings.ReplaceAll(text, " ", "")
		raw, _ := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(plain)
		// Once to read, and once in the address that the picture is of.
		c.keep(secret{what: "the secret of an app", text: plain, also: []string{text}, shownIn: page, times: 2})
		c.keep(secret{what: "the secret of an app, as bytes", text: string(raw)})
	}
}

// typed keeps the codes that an app shows while the test runs, as they come
// behind a password and in forms: six digits alone are found by chance.
func (c *factorCage) typed(t *testing.T, m *member) {
	if m.app.secret == "" {
		return
	}
	for step := c.begun.Unix()/appStep - 2; step <= time.Now().Unix()/appStep+2; step++ {
		code := m.at(t, step)
		for _, text := range []string{m.password + "," + code, "code=" + code, `"code":"` + code + `"`} {
			c.keep(secret{what: "a code", text: text})
		}
	}
}

// proves has a user enrol, make recovery codes and use one, and type passwords
// and codes that are right, wrong and used.
func (c *factorCage) proves(t *testing.T, name string) {
	m := c.signIn(t, name)
	m.visit("/devices")
	m.press("Make recovery codes")
	codes := shownCodes.FindAllStringSubmatch(m.page, -1)
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes:\n%s", len(codes), m.main())
	}
	m.visit("/")
	m.press("Sign out")
	m.press("Next", "name", m.name, "password", c.secret("a wrong password"))
	m.says("Sign in")
	m.press("Next", "name", m.name, "password", m.password)
	m.press("Sign in", "code", c.secret("a wrong code")[:19])
	m.says("Code from your app")
	m.press("Sign in", "code", codes[0][1])
	m.says("You used a recovery code.")

	code := "," + m.code(t)
	for behind, token := range map[string]bool{code: true, "," + m.wrong(t): false, "," + c.secret("behind a password"): false} {
		if isToken(c.ask(m, coded, behind)) != token {
			t.Errorf("a token for the code %q: %v", behind, !token)
		}
	}
	if isToken(c.ask(m, coded, code)) {
		t.Error("a second token for a code")
	}
	other := *m
	other.password = c.secret("a wrong password")
	if isToken(c.ask(&other, coded, code)) {
		t.Error("a token for a wrong password")
	}
}

// approves has a user approve and deny, type numbers, and allow beforehand.
func (c *factorCage) approves(t *testing.T, name string) {
	m := c.signIn(t, name)
	for _, decision := range []string{"Approve", "Deny"} {
		answer := make(chan string, 1)
		go func() { answer <- c.ask(m, held, "") }()
		m.awaits("Sign in to held")
		m.press(decision)
		if isToken(<-answer) != (decision == "Approve") {
			t.Errorf("%s: no token, or one too many", decision)
		}
	}
	told := number(c.ask(m, challenged, ""))
	m.awaits("Sign in to challenged")
	m.press("Approve", "number", otherDigit(told[0])+told[1:])
	m.press("Approve", "number", told)
	m.says("sign in there once more")
	c.redeems(m)
	c.ask(m, allowed, "")
	m.visit("/allowed")
	m.press("Allow", "application", allowed, "address", "127.0.0.1")
	if text := c.ask(m, allowed, ""); !isToken(text) {
		t.Errorf("what was allowed is refused: %s", text)
	}
	m.visit("/history")
}

// fields are what a form of the portal can have, but for its token and for what is
// no secret and is shown or written down: ids, numbers, applications and addresses.
var fields = []string{"asked", "assertion", "attestation", "binding", "challenge", "code", "label", "me", "name", "password"}

var portalPath = regexp.MustCompile(`stsgate_portal_requests_total\{class="2",path="(/[^"]*)"\}`)

// misuses has a user put a secret into everything that a request to the portal
// can have, at every path, signed in and not.
func (c *factorCage) misuses(t *testing.T, name string) {
	m := c.signIn(t, name)
	paths := portalPath.FindAllStringSubmatch(c.admin(t, "/metrics"), -1)
	if len(paths) < 20 {
		t.Fatalf("%d paths of the portal", len(paths))
	}
	form := url.Values{"token": tokenField.FindStringSubmatch(m.page)[1:]}
	stranger := c.browser(t, 0)
	for _, p := range append(paths, []string{"", "/nowhere"}) {
		for _, b := range []*browser{stranger, m.browser} {
			for _, field := range fields {
				form.Set(field, c.secret("the field "+field))
			}
			c.attempt(t, b, http.MethodGet, p[1], nil)
			if !strings.HasPrefix(p[1], "/sign-out") {
				c.attempt(t, b, http.MethodPost, p[1], form)
			}
		}
	}
	m.visit("/")
	m.says("Nothing waits for you") // whoever was signed out has tried little
}

// attempt sends a request with a secret in its query and headers.
func (c *factorCage) attempt(t *testing.T, b *browser, method, path string, form url.Values) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), patience)
	if method == http.MethodGet && path == "/events" {
		done()
		ctx, done = context.WithTimeout(t.Context(), 100*time.Millisecond) // it has no end
	}
	defer done()
	r := b.post(path, form)
	r.Method = method
	if method == http.MethodGet {
		r.Body, r.ContentLength, r.GetBody = nil, 0, nil
		r.Header.Del("Content-Type")
	}
	r.Header.Set("Authorization", "Bearer "+c.secret("a header"))
	r.Header.Set("User-Agent", "Mozilla/5.0")
	r.AddCookie(&http.Cookie{Name: "x", Value: c.secret("a cookie of another")})
	if err := b.try(r.WithContext(ctx)); err != nil && ctx.Err() == nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	r = r.Clone(ctx)
	r.Method, r.Body, r.ContentLength, r.URL.RawQuery = http.MethodGet, nil, 0, "code="+c.secret("a query")
	if err := b.try(r); err != nil && ctx.Err() == nil {
		t.Errorf("%s?: %v", path, err)
	}
}

// helped has the help desk do what it can do.
func (c *factorCage) helped(t *testing.T, name string) {
	m := c.members[name]
	for _, verb := range [][]string{
		{"mfa", "list", "--json"}, {"mfa", "revoke", m.name, "--reason", "test"}, {"mfa", "reset", m.name, "--reason", "test"},
		{"mfa", "binding-code", m.name, "--reason", "test"}, {"lock", "list", "--json"},
	} {
		out := c.verb(t, verb...)
		if verb[1] == "binding-code" {
			code, _, _ := strings.Cut(out, "\n")
			c.bindingCode(code, "stsgate mfa binding-code")
		}
	}
}

// verb runs one that asks the gateway, and keeps what it says.
func (c *factorCage) verb(t *testing.T, words ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "stsgate", append(words, "--socket", filepath.Join(c.gateways[0].dir, "admin.sock"))...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%q: %v: %s", words, err, out)
	}
	c.add("stsgate "+strings.Join(words, " "), out)
	return string(out)
}

// backedUp keeps a backup, and what whoever can decrypt it sees.
func (c *factorCage) backedUp(t *testing.T) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	c.verb(t, "backup", "--to", identity.Recipient().String(), "backup.age")
	plain, err := age.Decrypt(bytes.NewReader(c.addFile(t, "backup.age")), identity)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil || !bytes.Contains(text, []byte("enrol")) {
		t.Fatalf("the backup has no enrolments: %v: %.300q", err, text)
	}
	c.add("decrypted backup", text)
	values := sealedValue.FindAllSubmatch(text, -1)
	if len(values) < 5 {
		t.Errorf("%d values in the backup", len(values))
	}
	for _, v := range values {
		raw, err := base64.StdEncoding.AppendDecode(nil, v[1])
		if err != nil {
			t.Fatal(err)
		}
		c.add("value in the backup", raw)
	}
}

// admin asks the operators' listener.
func (c *factorCage) admin(t *testing.T, path string) string {
	t.Helper()
	r, err := operator.Get("http://" + c.gateways[0].admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	c.add("admin "+path, text)
	return string(text)
}

// crash has the gateway write down what its goroutines do, while one waits for a
// user. By then the log has been rotated, for a checkpoint, and the receiver of
// syslog has all lines.
func (c *factorCage) crash(t *testing.T, name string) {
	g, m := c.gateways[0], c.members[name]
	go c.ask(m, held, "")
	m.awaits("Sign in to held")
	file := filepath.Join(g.dir, "audit.jsonl")
	if err := errors.Join(os.Rename(file, file+".1"), g.cmd.Process.Signal(syscall.SIGHUP)); err != nil {
		t.Fatal(err)
	}
	eventually(patience, func() bool {
		text, _ := os.ReadFile(filepath.Join(c.dir, "checkpoints"))
		return len(text) > 0
	})
	if !eventually(patience, func() bool {
		return strings.Contains(c.admin(t, "/metrics"), "\nstsgate_audit_syslog_waiting_lines 0\n")
	}) {
		t.Error("syslog has not got all")
	}
	if err := g.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Wait(); err == nil || g.cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("the gateway ended with %v, want exit code 2", err)
	}
}

// addFile keeps a file beside the gateway's folder.
func (c *factorCage) addFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	c.add(name, text)
	return text
}

// readAll keeps every file of the gateway's folder, in which it has written all
// but its configuration.
func (c *factorCage) readAll(t *testing.T) {
	t.Helper()
	for _, m := range c.members {
		c.typed(t, m)
	}
	c.addFile(t, "checkpoints")
	err := fs.WalkDir(os.DirFS(c.gateways[0].dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || path == "stsgate.yaml" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(c.gateways[0].dir, path))
		c.add("file "+path, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkHeard holds that there was something to search everywhere.
func (c *factorCage) checkHeard(t *testing.T) {
	for name, has := range map[string][]string{
		"file log": {"\ngoroutine ", "connection refused", "gateway/mfa", `"level":"INFO"`}, "file state/": {"stsgate-enrolments"}, "syslog": {"issue-token"}, "checkpoints": {"checkpoint"},
		"webhook": {"Stsgate-Signature"}, "mail envelope": {"RCPT TO:<vera@contoso.example>"}, "text of a mail": {portalAddress},
		"file audit.jsonl": {refusal.WrongCode.Row().Label, refusal.WrongPassword.Row().Label, refusal.SecondFactorDenied.Row().Label, "mfa-reset"},
		"page, ":           {"<main"}, "cookies, ": {"__Host-stsgate"}, "header, ": {"Content-Security-Policy"}, "admin /readyz": {`"ready":true`},
	} {
		text := []byte(nil)
		for _, o := range c.begin(name) {
			text = append(text, o.text...)
		}
		for _, want := range has {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s: no %s in %d bytes", name, want, len(text))
			}
		}
	}
	kinds, size := map[string]int{}, 0
	for _, s := range c.secrets {
		kinds[s.what]++
	}
	for _, o := range c.all {
		size += len(o.text)
	}
	for _, what := range []string{"a cookie", "a token of forms", "a token", "a recovery code", "the secret of an app", "a code"} {
		if kinds[what] < 2 {
			t.Errorf("%d times %s", kinds[what], what)
		}
	}
	t.Logf("%d secrets in %d outputs of %d bytes", len(c.secrets), len(c.all), size)
}
