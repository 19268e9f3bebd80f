package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/account"
	"stsgate/gateway/audit"
	"stsgate/gateway/config"
	"stsgate/testdata"
	"stsgate/upstream/adfs/adfstest"
	"stsgate/upstream/directory"
)

const (
	mexPath    = "/adfs/services/trust/mex"
	cloudRealm = "urn:federation:MicrosoftOnline"
)

// A person is a user, with the GUID and how Microsoft 365 writes it.
type person struct{ name, password, guid, immutableID string }

// The passwords have in them what must be escaped, and what takes more than
// one byte.
var (
	alice = person{"alice@contoso.example", `correct & <horse> "battery" 'staple'`, "12efcdab-5634-9078-abcd-ef1234567890", "q83vEjRWeJCrze8SNFZ4kA=="}
	zoe   = person{"zoe@contoso.example", `Pferdestärke & <€> "🐎"`, "0f8fad5b-d9cb-469f-a165-70867728950e", "W62PD8vZn0ahZXCGdyiVDg=="}
)

// A site is a running gateway with all that its clients meet, and what is to
// be expected of its tokens.
type site struct {
	dir         string
	index       *demoIndex
	base        string // https://localhost:port
	authorities string // a PEM file: who signed the gateway's certificate and the cloud's
	cloud       *cloud

	realm  string // what is asked for
	answer string // issue or forward
	issuer string
	signer string // a PEM file
	saml   string // version
	byName bool   // the subject is the user's name, not the immutable ID
}

// newSite writes the demo into a folder, with users of ours. Nothing runs yet.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), saml: "1.1"}
	var earlier demoIndex
	for _, p := range []person{alice, zoe} {
		user := directory.User{Name: p.name, GUID: p.guid, Domain: "CONTOSO", Groups: []string{"staff"}}
		if err := directory.AddUser(filepath.Join(s.dir, "users.yaml"), user, account.NewPassword([]byte(p.password))); err != nil {
			t.Fatal(err)
		}
		earlier.Users = append(earlier.Users, demoUser{p.name, p.password})
	}
	text, err := json.Marshal(earlier)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "demo.json", text) // the demo keeps users that it finds
	if s.index, err = (&demo{Listen: "127.0.0.1:0"}).prepare(s.dir); err != nil {
		t.Fatal(err)
	}
	s.base = strings.TrimSuffix(s.index.URL, "/adfs/services/trust/13/usernamemixed")
	return s
}

// issuerSite is the demo as it ships, asked for tokens of Microsoft 365.
func issuerSite(t *testing.T) *site {
	s := newSite(t)
	s.realm, s.answer = cloudRealm, "issue"
	s.issuer, s.signer = "http://localhost/adfs/services/trust", filepath.Join(s.dir, "sign.crt")
	s.run(t, "stsgate.yaml")
	return s
}

// issuer20Site is the same, but for the kind of its tokens.
func issuer20Site(t *testing.T) *site {
	s := newSite(t)
	s.realm, s.answer, s.saml = cloudRealm, "issue", "2.0"
	s.issuer, s.signer = "http://localhost/adfs/services/trust", filepath.Join(s.dir, "sign.crt")
	applications := filepath.Join("policies", "applications.yaml")
	text, err := os.ReadFile(filepath.Join(s.dir, applications))
	if err != nil {
		t.Fatal(err)
	}
	const claims = "    claims: microsoft-365\n"
	if bytes.Count(text, []byte(claims)) != 1 {
		t.Fatalf("no single %q in %s", claims, text)
	}
	s.write(t, applications, bytes.ReplaceAll(text, []byte(claims), []byte(claims+"    token: saml2.0\n")))
	s.run(t, "stsgate.yaml")
	return s
}

// demoFarmSite is the demo as it ships, asked for what it has its stand-in for
// AD FS answer.
func demoFarmSite(t *testing.T) *site {
	s := newSite(t)
	s.realm, s.answer, s.byName = demoForwarded, "forward", true
	s.issuer, s.signer = "http://farm.stsgate.example/adfs/services/trust", filepath.Join(s.dir, "farm", "sign.crt")
	s.run(t, "farm/stsgate.yaml", "stsgate.yaml")
	return s
}

// farmSite is a gateway that only forwards, to the farm of adfstest.
func farmSite(t *testing.T) *site {
	s := newSite(t)
	s.realm, s.answer = cloudRealm, "forward"
	var users []adfstest.User
	for _, p := range []person{alice, zoe} {
		users = append(users, adfstest.User{UPN: p.name, Password: p.password, ImmutableID: p.immutableID})
	}
	farm, err := adfstest.Start(adfstest.Config{Host: "localhost", Users: users})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(farm.Close)
	s.issuer, s.signer = "http://localhost/adfs/services/trust", filepath.Join(s.dir, "farm.crt")
	s.write(t, "farm.crt", farm.SignerPEM())
	s.write(t, "farm.pem", farm.CAPEM())
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.base, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "forward.yaml", fmt.Appendf(nil, `
host: localhost
listen:
  - {address: "127.0.0.1:%s", tls: {certificate: tls.crt, key: tls.key}}
admin: {address: "127.0.0.1:0"}
upstream:
  adfs: {nodes: [%q], ca: farm.pem, probe: tls}
directory: {file: users.yaml}
policy: forward
audit: {file: audit.jsonl}
`, port, farm.URLs()[0]))
	s.write(t, "forward/policy.yaml", []byte(`
applications:
  microsoft-365: {realms: ["`+cloudRealm+`"], answer: forward}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
`))
	s.run(t, "forward.yaml")
	return s
}

func (s *site) write(t *testing.T, name string, text []byte) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs gateways until the test ends, and a cloud that sends clients there.
func (s *site) run(t *testing.T, files ...string) {
	t.Helper()
	for _, file := range files {
		cfg, err := config.Load(filepath.Join(s.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		d, err := newDaemon(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		stopped := make(chan error, 1)
		go func() { stopped <- d.run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-stopped; err != nil {
				t.Errorf("run %s: %v", file, err)
			}
		})
	}
	s.cloud = newCloud(t, s.base+mexPath, s.realm)
	ca, err := os.ReadFile(s.index.CA)
	if err != nil {
		t.Fatal(err)
	}
	s.authorities = filepath.Join(s.dir, "authorities.pem")
	s.write(t, "authorities.pem", slices.Concat(ca, s.cloud.authority()))
}

// lastRecord is the audit line of the last request for a token.
func (s *site) lastRecord(t *testing.T) audit.Record {
	t.Helper()
	text, err := os.ReadFile(s.index.Audit)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var r audit.Record
	if err := json.Unmarshal(lines[len(lines)-1], &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return r
}

// An assertion is what its two versions name differently, and both SAML
// namespaces at once: which it is follows from the root's.
type assertion struct {
	XMLName xml.Name

	ID11       string `xml:"AssertionID,attr"`
	Issuer11   string `xml:"Issuer,attr"`
	Audience11 string `xml:"Conditions>AudienceRestrictionCondition>Audience"`
	Subject11  string `xml:"AttributeStatement>Subject>NameIdentifier"`

	ID20       string `xml:"ID,attr"`
	Issuer20   string `xml:"Issuer"`
	Audience20 string `xml:"Conditions>AudienceRestriction>Audience"`
	Subject20  string `xml:"Subject>NameID"`
}

// checkToken says whether an assertion is as the client should have it, is
// signed as the receiver expects, and is the one on record.
func (s *site) checkToken(t *testing.T, user person, text []byte) {
	t.Helper()
	subject := user.immutableID
	if s.byName {
		subject = user.name
	}
	var a assertion
	if err := xml.Unmarshal(text, &a); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	namespace, idAttr := "urn:oasis:names:tc:SAML:1.0:assertion", "AssertionID"
	id, got := a.ID11, []string{a.Issuer11, a.Audience11, a.Subject11}
	if s.saml == "2.0" {
		namespace, idAttr = "urn:oasis:names:tc:SAML:2.0:assertion", "ID"
		id, got = a.ID20, []string{a.Issuer20, a.Audience20, a.Subject20}
	}
	if want := []string{s.issuer, s.realm, subject}; a.XMLName.Space != namespace || !slices.Equal(got, want) {
		t.Errorf("got %s with %q, want SAML %s with %q", a.XMLName.Space, got, s.saml, want)
	}
	r := s.lastRecord(t)
	if r.Outcome != "success" || r.Answer != s.answer || r.AssertionID != id || id == "" || r.UserName != user.name || r.AppliesTo != s.realm {
		t.Errorf("got assertion %q, recorded %+v", id, r)
	}
	s.checkSignature(t, text, idAttr, namespace+":Assertion", subject)
}

// checkSignature has xmlsec1 verify a document by the one key that signs here,
// whatever the document says, and find out a change of what is signed.
func (s *site) checkSignature(t *testing.T, document []byte, idAttr, element, signed string) {
	t.Helper()
	xmlsec1 := testdata.Program(t, "xmlsec1")
	if !bytes.Contains(document, []byte(signed)) {
		t.Fatalf("no %q in %s", signed, document)
	}
	for _, forged := range []bool{false, true} {
		if forged {
			document = bytes.Replace(document, []byte(signed), []byte("x"+signed), 1)
		}
		file := filepath.Join(t.TempDir(), "signed.xml")
		if err := os.WriteFile(file, document, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), xmlsec1, "--verify", "--id-attr:"+idAttr, element,
			"--pubkey-cert-pem", s.signer, "--enabled-key-data", "rsa", file).CombinedOutput()
		if (err != nil) != forged {
			t.Errorf("forged %v: got %v: %s%s", forged, err, out, document)
		}
	}
}

// signerBase64 is the signer's certificate as documents have it.
func (s *site) signerBase64(t *testing.T) string {
	t.Helper()
	c, err := readCertificate(s.signer)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(c.Raw)
}
