package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/audit"
	"stsgate/gateway/clientip"
	"stsgate/gateway/guard"
	"stsgate/gateway/soap"
	"stsgate/gateway/state"
	"stsgate/gateway/wstrust"
	"stsgate/policy"
)

const (
	host     = "sts.contoso.example"
	path13   = "/adfs/services/trust/13/usernamemixed"
	path2005 = "/adfs/services/trust/2005/usernamemixed"
	cloud    = "urn:federation:MicrosoftOnline"
	password = "Str0ng&<password>"
	maxBody  = 64 << 10
)

var endpoints = []gateway.Endpoint{{Path: path2005, Version: wstrust.V2005}, {Path: path13, Version: wstrust.V13}}

// rules is the policy of the tests.
const rules = `
networks:
  everywhere: [0.0.0.0/0]
applications:
  microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}
  cloud: {realms: ["https://cloud.contoso.example/saml/metadata"], answer: forward, answer_encrypted: true}
  portal: {realms: ["urn:sharepoint:portal"], answer: forward}
  payroll: {realms: ["urn:payroll", "https://payroll.contoso.example/"], answer: issue}
  archive:
    realms: ["urn:archive"]
    answer: issue
    token: saml2.0
    lifetime: 8h
    name_id: {from: sam, format: "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName"}
    claims:
      - {type: "http://contoso.example/claims/group", from: groups}
      - {type: "http://contoso.example/claims/tier", value: gold}
  badge:
    realms: ["urn:badge"]
    answer: issue
    claims: [{type: "http://contoso.example/claims/badge", from: "attribute:badge", required: true}]
  closed: {realms: ["urn:closed"], answer: forward}
  split: {realms: ["urn:split"], answer: issue}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: never mallory, match: {users: [mallory@contoso.example]}, deny: {}}
  - {name: closed for good, match: {applications: [closed]}, deny: {}}
  - {name: split here, match: {applications: [split]}, allow: {answer: issue}}
  - {name: split there, match: {applications: [split], networks: [everywhere]}, allow: {answer: forward}}
  - {name: old version, match: {versions: ["1.2"]}, deny: {}, mode: report-only}
`

// The users of the tests: alice, bob and dora may sign in, though AD FS gives
// dora no token, mallory is denied, and no rule allows carol.
var (
	alice   = person("alice", "12efcdab-5634-9078-abcd-ef1234567890", "staff", "payroll & travel")
	bob     = person("bob", "0f8fad5b-d9cb-469f-a165-70867728950e", "staff")
	mallory = person("mallory", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "staff")
	carol   = person("carol", "7d444840-9dc0-11d1-b245-5ffdce74fad2")
	dora    = person("dora", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "staff")
)

func person(sam, id string, groups ...string) account.Account {
	return account.Account{ID: id, UPN: sam + "@contoso.example", SAM: sam, Domain: "CONTOSO", Groups: groups}
}

// A gate is a gateway with everything around it.
type gate struct {
	*gateway.Gateway
	t         testing.TB
	live      *policy.Live
	farm      *farm
	sts       *sts
	directory *directory
	guard     *guard.Guard
	state     *readonly
	clients   chan context.Context // of requests that came over a socket
	audited   string               // the audit log's file
	log       *lines
	metrics   *prometheus.Registry
}

// newGate returns a gateway between fakes; change, which may be nil, has the
// last word on its configuration.
func newGate(t testing.TB, change func(*gateway.Config)) *gate {
	t.Helper()
	d := newDirectory(alice, bob, mallory, carol, dora)
	g := &gate{
		t: t, live: live(t, rules), farm: &farm{t: t}, sts: &sts{directory: d}, directory: d,
		audited: filepath.Join(t.TempDir(), "audit.jsonl"), log: new(lines), metrics: prometheus.NewRegistry(),
	}
	c := gateway.Config{
		Host: host, URL: "https://" + host + ":8443", Policy: g.live, Forwarder: g.farm, Issuer: g.sts, Directory: d,
		Clients: clientip.New(clientip.Config{}), MaxBody: maxBody, BodyTimeout: time.Minute, Slot: time.Second,
		Metrics: g.metrics, Log: slog.New(slog.NewJSONHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&c)
	}
	g.live = c.Policy
	if c.Guard == nil {
		g.state = &readonly{Store: state.NewMemory(nil)}
		g.guard = newGuard(t, g.state, false)
		c.Guard = g.guard
	}
	if c.Audit == nil {
		c.Audit = openAudit(t, g.audited)
	}
	var err error
	if g.Gateway, err = gateway.New(c, endpoints); err != nil {
		t.Fatal(err)
	}
	return g
}

func load(t testing.TB, text string) *policy.Set {
	t.Helper()
	set, err := policy.Load(fstest.MapFS{"policy.yaml": {Data: []byte(text)}},
		policy.Vocabulary{Endpoints: []string{path2005, path13}, Families: []string{"msal-net", "adal", "zeep"}, Directory: true})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func live(t testing.TB, text string) *policy.Live { return policy.NewLive(load(t, text)) }

func openAudit(t testing.TB, file string) *audit.Log {
	t.Helper()
	l, err := audit.Open(audit.Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// fresh is when the messages of testdata are.
var fresh = time.Date(2026, 3, 2, 8, 0, 30, 0, time.UTC)

// atFresh runs a test at that time, as a subtest unless name is empty.
func atFresh(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	bubble := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(fresh))
			test(t)
		})
	}
	if name == "" {
		bubble(t)
		return
	}
	t.Run(name, bubble)
}

// A shape is a pair of versions that a client may speak.
type shape struct {
	soap  soap.Version
	trust wstrust.Version
}

var (
	modern = shape{soap.V12, wstrust.V13}
	shapes = []shape{{soap.V11, wstrust.V2005}, {soap.V11, wstrust.V13}, {soap.V12, wstrust.V2005}, modern}
)

func (s shape) String() string { return "SOAP " + s.soap.String() + " WS-Trust " + s.trust.String() }

func (s shape) path() string {
	if s.trust == wstrust.V2005 {
		return path2005
	}
	return path13
}

// query asks for a token for Microsoft 365 for alice; change, which may be
// nil, makes it another one.
func (s shape) query(change func(*wstrust.Query)) []byte {
	q := wstrust.Query{
		SOAP: s.soap, Version: s.trust, To: "https://" + host + s.path(), MessageID: "urn:uuid:of-the-request",
		Username: alice.UPN, Password: account.NewPassword([]byte(password)), AppliesTo: cloud, Now: time.Now(),
	}
	if change != nil {
		change(&q)
	}
	return wstrust.AppendRequest(nil, q)
}

// post is the HTTP request that carries a message.
func (s shape) post(message []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://"+host+s.path(), bytes.NewReader(message))
	r.Header.Set("Content-Type", s.soap.ContentType())
	r.Header.Set("User-Agent", "tests")
	return r
}

// A recorder is a client. Before it hears anything, heard is called.
type recorder struct {
	*httptest.ResponseRecorder
	heard func()
}

func (r *recorder) SetReadDeadline(time.Time) error { return nil }

func (r *recorder) WriteHeader(status int) {
	r.hear()
	r.ResponseRecorder.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.hear()
	return r.ResponseRecorder.Write(b)
}

func (r *recorder) hear() {
	if r.heard != nil {
		r.heard()
		r.heard = nil
	}
}

// serve answers a request at the endpoint of its path.
func (g *gate) serve(r *http.Request) *recorder {
	w := &recorder{ResponseRecorder: httptest.NewRecorder()}
	g.serveTo(w, r)
	return w
}

func (g *gate) serveTo(w http.ResponseWriter, r *http.Request) {
	e := endpoints[1]
	if r.URL.Path == path2005 {
		e = endpoints[0]
	}
	g.Endpoint(e).ServeHTTP(w, r)
}

// ask sends one message and returns the answer.
func (g *gate) ask(s shape, change func(*wstrust.Query)) *recorder {
	return g.serve(s.post(s.query(change)))
}

// records returns what the audit log holds.
func (g *gate) records() []map[string]any {
	g.t.Helper()
	b, err := os.ReadFile(g.audited)
	if err != nil {
		g.t.Fatal(err)
	}
	var all []map[string]any
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		var r map[string]any
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			g.t.Fatalf("the audit log holds %q: %v", b, err)
		}
		all = append(all, r)
	}
}

// record returns the one record that there is.
func (g *gate) record() map[string]any {
	g.t.Helper()
	all := g.records()
	if len(all) != 1 {
		g.t.Fatalf("got %d audit records, want 1", len(all))
	}
	return all[0]
}

// lines is a log in memory.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A directory knows some accounts, all with the same password.
type directory struct {
	mu       sync.Mutex
	byName   map[string]account.Account
	err      error  // what Lookup returns instead
	before   func() // called by Lookup, unless nil
	verified int    // passwords that were tried
	tried    int    // of them, those of a user
}

func newDirectory(all ...account.Account) *directory {
	d := &directory{byName: map[string]account.Account{}}
	for _, a := range all {
		for _, name := range []string{a.UPN, a.Domain + `\` + a.SAM, a.SAM} {
			d.byName[strings.ToLower(name)] = a
		}
	}
	return d
}

func (d *directory) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *directory) Lookup(ctx context.Context, name account.Name) (account.Account, error) {
	if err := ctx.Err(); err != nil {
		return account.Account{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before != nil {
		d.before()
	}
	if d.err != nil {
		return account.Account{}, d.err
	}
	a, ok := d.byName[name.Key()]
	if !ok {
		return account.Account{}, account.ErrUnknown
	}
	return a, nil
}

func (d *directory) Verify(_ context.Context, a account.Account, p account.Password) error {
	d.mu.Lock()
	d.verified++
	if a.ID != "" {
		d.tried++
	}
	d.mu.Unlock()
	// The messages of testdata have several passwords, which begin alike.
	if a.ID == "" || !strings.HasPrefix(string(p.Bytes()), "Str0ng&<") {
		return account.ErrDenied
	}
	return nil
}
