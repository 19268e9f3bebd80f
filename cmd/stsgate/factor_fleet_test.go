package main

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/audit"
	"stsgate/gateway/refusal"
	"stsgate/upstream/adfs/adfstest"
	"stsgate/upstream/directory"
)

// Applications, each of which takes the second factor in one shape.
const (
	held       = "held"
	coded      = "coded"
	allowed    = "granted"
	challenged = "challenged"
)

// holdFor is long enough for a machine that is busy, and short enough for some to
// wait in vain.
const holdFor = 8 * time.Second

// factorFile is the configuration of each gateway.
var factorFile = `
host: localhost
listen:
  - {address: %q, tls: {certificate: ../tls.crt, key: ../tls.key}}
admin: {address: %q, socket: admin.sock}
upstream:
  adfs: {nodes: [%q], ca: ../farm.pem, probe: tls}
directory: {file: ../users.yaml}
policy: ../policies
state: %s
portal: {host: ` + demoPortal + `, url: "` + portalAddress + `"}
mfa: {hold: {default: ` + holdFor.String() + `}}
oracle: {slot: 500ms}
guard: {spray_users: 10000, surge_users: 10000}
audit: {file: audit.jsonl}
limits: {handshakes_per_source: 1000}
`

const factorPolicy = `
applications:
  held: {realms: ["urn:held"], answer: forward}
  coded: {realms: ["urn:coded"], answer: forward}
  granted: {realms: ["urn:granted"], answer: forward}
  challenged: {realms: ["urn:challenged"], answer: forward}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: held, match: {applications: [held]}, require: {mfa: {shapes: [hold], factors: [totp]}}}
  - {name: coded, match: {applications: [coded]}, require: {mfa: {shapes: [code], factors: [totp]}}}
  - {name: granted, match: {applications: [granted]}, require: {mfa: {shapes: [grant], factors: [totp], remember: 1h}}}
  - {name: challenged, match: {applications: [challenged]}, require: {mfa: {shapes: [challenge], factors: [totp]}}}
`

// A factorFleet is gateways that ask for second factors, and their users.
type factorFleet struct {
	*fleet
	roots       *x509.CertPool
	tap         func(http.RoundTripper) http.RoundTripper // listens to browsers; may be nil
	authorities string                                    // who signed the gateways' certificates and the cloud's
	members     map[string]*member
}

// A member is a user with a browser and an app.
type member struct {
	person
	*browser
	app
	binding string
}

// memberPassword begins passwords: it has what XML escapes, and what stands before
// a code.
const memberPassword = `correct & <horse>, battery`

// newFactorFleet starts n gateways for users of these names, who are given
// binding codes.
func newFactorFleet(t *testing.T, n int, stateOf func(i int) string, names ...string) *factorFleet {
	t.Helper()
	f := newFactorFleetOf(t, factorFile, n, stateOf, names...)
	for i := range f.gateways {
		f.start(i)
	}
	f.bind(t, names)
	return f
}

// newFactorFleetOf makes that with a configuration, and starts nothing.
func newFactorFleetOf(t *testing.T, configuration string, n int, stateOf func(i int) string, names ...string) *factorFleet {
	t.Helper()
	f := &factorFleet{members: map[string]*member{}}
	var users []adfstest.User
	for i, name := range names {
		m := &member{person: person{
			name: name + "@contoso.example", password: memberPassword + rand.Text(), guid: fmt.Sprintf("12efcdab-5634-9078-abcd-%012d", i+1),
		}}
		m.immutableID = (&account.Account{ID: m.guid}).ImmutableID()
		f.members[name] = m
		// The farm knows users by their mail address too, as AD FS does with an
		// alternate login id: all of them have vera's.
		users = append(users, adfstest.User{UPN: m.name, SAM: "vera@contoso.example", Password: m.password, ImmutableID: m.immutableID})
	}
	f.fleet = newFleetOf(t, adfstest.Config{
		Host: "localhost", Users: users, Applications: []string{"urn:held", "urn:coded", "urn:granted", "urn:challenged"},
	}, configuration, n, stateOf)
	f.settle(t, names)
	return f
}

// browser is one that shows the portal on a gateway.
func (f *factorFleet) browser(t *testing.T, gateway int) *browser {
	t.Helper()
	b := newBrowser(t, f.gateways[gateway%len(f.gateways)].listen, f.roots)
	if f.tap != nil {
		b.c.Transport = f.tap(b.c.Transport)
	}
	return b
}

// settle writes what the gateways share.
func (f *factorFleet) settle(t *testing.T, names []string) {
	t.Helper()
	for _, name := range names {
		m := f.members[name]
		u := directory.User{Name: m.name, GUID: m.guid, Domain: "CONTOSO", Groups: []string{"staff"}, Attributes: map[string][]string{"mail": {"vera@contoso.example"}}}
		if err := directory.AddUser(filepath.Join(f.dir, "users.yaml"), u, account.NewPassword([]byte(m.password))); err != nil {
			t.Fatal(err)
		}
	}
	ca, err := os.ReadFile(filepath.Join(f.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	f.authorities = filepath.Join(f.dir, "authorities.pem")
	f.file(t, "authorities.pem", slices.Concat(ca, newCloud(t, "", "").authority()))
	f.file(t, "policies/policy.yaml", []byte(factorPolicy))
	if f.roots, err = readPool(f.authorities); err != nil {
		t.Fatal(err)
	}
}

func (f *factorFleet) file(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// bind has the help desk make binding codes at the first gateway, with which
// the users enrol their apps at the second.
func (f *factorFleet) bind(t *testing.T, names []string) {
	t.Helper()
	var list strings.Builder
	for _, name := range names {
		fmt.Fprintln(&list, f.members[name].name)
	}
	f.file(t, "users.txt", []byte(list.String()))
	c := exec.CommandContext(t.Context(), "stsgate", "mfa", "binding-code", "--file", "users.txt", "--out", "codes.csv", "--reason", "course",
		"--socket", filepath.Join(f.gateways[0].dir, "admin.sock"))
	c.Dir = f.dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("binding codes: %v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(f.dir, "codes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) != len(names)+1 {
		t.Fatalf("binding codes: %v: %q", err, rows)
	}
	for i, name := range names {
		f.members[name].binding = rows[i+1][1]
	}
}

// signIn has a user enrol an app with the binding code, sign out, and sign in
// with the password and a code.
func (f *factorFleet) signIn(t *testing.T, name string) *member {
	t.Helper()
	m := f.members[name]
	m.browser = f.browser(t, 1)
	m.visit("/")
	m.press("Next", "name", m.name, "password", m.password)
	m.says("you need a binding code")
	m.press("Next", "binding", m.binding)
	m.press("Set up an app")
	secret := secretOf.FindStringSubmatch(m.page)
	if secret == nil {
		m.says(`class="secret"`)
	}
	m.app.secret = strings.ReplaceAll(secret[1], " ", "")
	m.says("issuer=" + demoPortal) // by which the app names it
	m.press("Finish", "code", m.code(t))
	m.says("This device now proves that it is you")
	m.press("Sign out")
	m.press("Next", "name", m.name, "password", m.password)
	m.says("Code from your app")
	m.press("Sign in", "code", m.code(t))
	m.says("Nothing waits for you")
	return m
}

// at is a gateway as its clients meet it, for one application.
func (f *factorFleet) at(t *testing.T, gateway int, application string) *site {
	t.Helper()
	_, port, _ := net.SplitHostPort(f.gateways[gateway%len(f.gateways)].listen)
	s := &site{base: "https://localhost:" + port, realm: "urn:" + application, authorities: f.authorities}
	s.cloud = newCloud(t, s.base+mexPath, s.realm)
	return s
}

// line is the audit line with a text, of whichever gateway.
func (f *factorFleet) line(t *testing.T, text string) audit.Record {
	t.Helper()
	all := f.lines(t, text)
	if len(all) != 1 {
		t.Fatalf("%d audit lines with %s", len(all), text)
	}
	return all[0]
}

func (f *factorFleet) lines(t *testing.T, text string) []audit.Record {
	t.Helper()
	var all []audit.Record
	for _, g := range f.gateways {
		log, err := os.ReadFile(filepath.Join(g.dir, "audit.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(log) {
			if !bytes.Contains(line, []byte(text)) {
				continue
			}
			var r audit.Record
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			all = append(all, r)
		}
	}
	return all
}

// checkToken holds a client's token to its user, and its line to how its second
// factor came.
func (f *factorFleet) checkToken(t *testing.T, got outcome, m *member, shape, assurance string) {
	t.Helper()
	id := assertionID.FindStringSubmatch(got.assertion)
	if got.shown != "" || id == nil {
		t.Fatalf("got %s, want a token", got.shown)
	}
	if !strings.Contains(got.assertion, ">"+m.immutableID+"<") {
		t.Errorf("the token is not for %s: %s", m.name, got.assertion)
	}
	r := f.line(t, `"labels.assertion_id":"`+id[1]+`"`)
	if r.Outcome != "success" || r.UserID != m.guid || !r.SecondFactor ||
		!slices.Equal(r.Shapes, []string{shape}) || !slices.Equal(r.Factors, []string{"totp"}) || !slices.Equal(r.Assurance, []string{assurance}) {
		t.Errorf("recorded %s for %s by %v, %v, worth %v; want %s, totp, %s", r.Outcome, r.UserName, r.Shapes, r.Factors, r.Assurance, shape, assurance)
	}
}

// checkRefused holds what a client shows to the fault, and the line to the
// reason.
func (f *factorFleet) checkRefused(t *testing.T, got outcome, reason refusal.Reason) audit.Record {
	t.Helper()
	id := transactionID.FindStringSubmatch(got.shown)
	if got.assertion != "" || id == nil {
		t.Fatalf("got the assertion %q and shown %q, want %s", got.assertion, got.shown, reason)
	}
	row := reason.Row()
	text, _, _ := strings.Cut(strings.ReplaceAll(row.Text, "{portal}", portalAddress), "{number}")
	if !strings.Contains(got.shown, row.Code) || !strings.Contains(got.shown, text) || strings.Contains(got.shown, "horse") {
		t.Errorf("shown %q, want %s: %s", got.shown, row.Code, text)
	}
	r := f.line(t, `"transaction.id":"`+id[1]+`"`)
	if r.Outcome != "failure" || r.Reason != row.Label || r.AssertionID != "" || len(r.Shapes) != 0 {
		t.Errorf("recorded %s, %s by %v; want %s: %s", r.Outcome, r.Reason, r.Shapes, row.Label, r.Error)
	}
	return r
}

var typedCode = regexp.MustCompile(`,\d{6}<`)

// asked is how many messages of a user reached the farm. None has a code.
func (f *factorFleet) asked(t *testing.T, m *member) (n int) {
	t.Helper()
	for _, r := range f.farm.Nodes[0].Seen() {
		if typedCode.Match(r.Body) {
			t.Errorf("the farm saw a code: %s", typedCode.Find(r.Body))
		}
		if name := typedName.FindSubmatch(r.Body); name != nil && string(name[1]) == m.name {
			n++
		}
	}
	return n
}

// count is what metrics of all gateways add up to.
func (f *factorFleet) count(t *testing.T, series ...string) (total float64) {
	t.Helper()
	for _, g := range f.gateways {
		r, err := operator.Get("http://" + g.admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		total += sum(r.Body, series...)
		r.Body.Close()
	}
	return total
}
