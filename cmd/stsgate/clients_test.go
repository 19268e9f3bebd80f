package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"stsgate/gateway/refusal"
	"stsgate/testdata"
)

// An outcome is what a client made of an answer: the assertion that it has or
// has presented to the cloud, or what it shows to its user.
type outcome struct{ assertion, shown string }

// TestClients has clients that were written elsewhere ask for tokens: of the
// issuer, and through the gateway of a farm. xmlsec1 verifies what they got; a
// wrong password must come out as the gateway's fault, and crash nobody.
func TestClients(t *testing.T) {
	clients := []struct {
		name string
		user person
		ask  func(t *testing.T, s *site, user person) outcome
	}{
		{"MSAL Go", zoe, askMSALGo},
		{"MSAL Python", alice, askMSALPython},
		{"zeep 1.3", zoe, askZeep13},
		{"zeep 1.2", alice, askZeep12},
		{"curl", alice, askCurl},
	}
	for _, place := range []struct {
		name  string
		build func(t *testing.T) *site
	}{
		{"issuer", issuerSite},
		{"issuer of SAML 2.0", issuer20Site},
		{"farm", farmSite},
		{"farm of the demo", demoFarmSite},
	} {
		t.Run(place.name, func(t *testing.T) {
			s := place.build(t)
			for _, c := range clients {
				t.Run(c.name, func(t *testing.T) {
					got := c.ask(t, s, c.user)
					if got.shown != "" {
						t.Fatalf("got %s, want a token", got.shown)
					}
					s.checkToken(t, c.user, []byte(got.assertion))
				})
				t.Run(c.name+" with a wrong password", func(t *testing.T) {
					got := c.ask(t, s, person{name: c.user.name, password: "wrong & <horse>"})
					s.checkRefused(t, got, refusal.WrongPassword)
				})
			}
		})
	}
}

// TestClientsOwnMistakes has MSAL Python send what is no XML in UTF-8: it
// escapes no user name, and its passwords are in Latin-1.
func TestClientsOwnMistakes(t *testing.T) {
	for name, user := range map[string]person{
		"user name not escaped": {name: "alice&bob@contoso.example", password: "horse"},
		"password in Latin-1":   {name: alice.name, password: "Pferdestärke"},
	} {
		t.Run(name, func(t *testing.T) {
			s := issuerSite(t) // with a log of its own: the second of a kind is only counted
			s.checkRefused(t, askMSALPython(t, s, user), refusal.Malformed)
		})
	}
}

// checkRefused says whether a client shows the gateway's fault, with the id by
// which the operator finds the record.
func (s *site) checkRefused(t *testing.T, got outcome, reason refusal.Reason) {
	t.Helper()
	row, record := reason.Row(), s.lastRecord(t)
	if record.Reason != row.Label || record.Outcome != "failure" {
		t.Errorf("recorded %s, %s: %s", record.Outcome, record.Reason, record.Error)
	}
	for _, want := range []string{row.Code, row.Text, record.Transaction} {
		if want == "" || !strings.Contains(got.shown, want) {
			t.Errorf("got %q, want %q in it", got.shown, want)
		}
	}
	if got.assertion != "" || strings.Contains(got.shown, "horse") {
		t.Errorf("got the assertion %q and shown %q", got.assertion, got.shown)
	}
}

func askMSALGo(t *testing.T, s *site, user person) outcome {
	return askMSALGoThrough(t, s, user, func(r http.RoundTripper) http.RoundTripper { return r })
}

// askMSALGoThrough has its messages go through what wrap makes of the transport.
func askMSALGoThrough(t *testing.T, s *site, user person, wrap func(http.RoundTripper) http.RoundTripper) outcome {
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(s.authorities)
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("read authorities: %v", err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	app, err := public.New(cloudClient, public.WithAuthority(s.cloud.URL+"/common"), public.WithInstanceDiscovery(false),
		public.WithHTTPClient(&http.Client{Transport: wrap(transport)}))
	if err != nil {
		t.Fatal(err)
	}
	r, err := app.AcquireTokenByUsernamePassword(t.Context(), []string{cloudScope}, user.name, user.password) //lint:ignore SA1019 the flow of old clients is what is served
	if err != nil {
		return outcome{shown: err.Error()}
	}
	return s.cloud.redeemed(t, r.AccessToken)
}

func askMSALPython(t *testing.T, s *site, user person) outcome {
	got := drive[said](t, testdata.Python(t, "msal"), "msal_token.py", map[string]string{
		"authority": s.cloud.URL + "/common", "ca": s.authorities, "client": cloudClient, "scope": cloudScope,
		"user": user.name, "password": user.password,
	})
	if got.Shown != "" {
		return outcome{shown: got.Shown}
	}
	return s.cloud.redeemed(t, got.AccessToken)
}

func askZeep13(t *testing.T, s *site, user person) outcome { return askZeep(t, s, user, "1.3") }

func askZeep12(t *testing.T, s *site, user person) outcome { return askZeep(t, s, user, "1.2") }

func askZeep(t *testing.T, s *site, user person, version string) outcome {
	got := drive[said](t, testdata.Python(t, "zeep"), "zeep_token.py", map[string]string{
		"mex": s.base + mexPath, "ca": s.authorities, "version": version, "user": user.name, "password": user.password, "realm": s.realm,
	})
	return outcome{got.Assertion, got.Shown}
}

// askCurl runs the command that the demo prints.
func askCurl(t *testing.T, s *site, user person) outcome {
	testdata.Program(t, "curl")
	index := *s.index
	index.Application = s.realm
	index.Users = []demoUser{{Name: user.name, Password: user.password}}
	if err := index.writeMessage(s.dir); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(index.introduction("stsgate", s.dir), "\n")
	at := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, "--data-binary") })
	if at < 0 {
		t.Fatalf("the demo prints no command for curl: %q", lines)
	}
	c := exec.CommandContext(t.Context(), "sh", "-c", lines[at])
	c.Env = append(os.Environ(), "no_proxy=*")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", lines[at], err, out)
	}
	_, rest, found := strings.Cut(string(out), "RequestedSecurityToken>")
	assertion, _, _ := strings.Cut(rest, "</trust:RequestedSecurityToken>")
	if !found {
		return outcome{shown: string(out)}
	}
	return outcome{assertion: assertion}
}

// said is what a driver in Python writes.
type said struct {
	Shown       string
	AccessToken string `json:"access_token"`
	Assertion   string
}

// drive runs a driver of testdata/clients. A client that crashes fails the test.
func drive[T any](t *testing.T, python, script string, asked map[string]string) (got T) {
	t.Helper()
	in, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	var complaint strings.Builder
	c := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "clients", script))
	c.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+asked["ca"], "PYTHONDONTWRITEBYTECODE=1")
	c.Stdin, c.Stderr = strings.NewReader(string(in)), &complaint
	out, err := c.Output()
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s%s", script, err, out, complaint.String())
	}
	return got
}

// TestClientsReadDocuments has libxml2 read what the running gateway publishes,
// and xmlsec1 verify the federation metadata as served.
func TestClientsReadDocuments(t *testing.T) {
	python := testdata.Python(t, "lxml")
	for name, build := range map[string]func(*testing.T) *site{"issuer": issuerSite, "farm": farmSite} {
		t.Run(name, func(t *testing.T) {
			s := build(t)
			file := filepath.Join(t.TempDir(), "metadata.xml")
			got := drive[documents](t, python, "documents.py", map[string]string{"base": s.base, "ca": s.authorities, "metadata": file})

			path2005, path13 := s.base+"/adfs/services/trust/2005/usernamemixed", s.base+"/adfs/services/trust/13/usernamemixed"
			want := map[string][]string{
				"UserNameWSTrustBinding_IWSTrustFeb2005Async": {path2005, path2005},
				"UserNameWSTrustBinding_IWSTrust13Async":      {path13, path13},
			}
			for how, ports := range map[string]map[string][]string{"GET": got.Get, "SOAP 1.1": got.Post11, "SOAP 1.2": got.Post12} {
				if !maps.EqualFunc(ports, want, slices.Equal) {
					t.Errorf("MEX by %s: got %v, want %v", how, ports, want)
				}
			}
			if signer := s.signerBase64(t); got.Entity != s.issuer || !slices.Equal(got.Certificates, []string{signer}) {
				t.Errorf("metadata: got %s with %d certificates %s, want %s with %s", got.Entity, len(got.Certificates), got.Certificates, s.issuer, signer)
			}
			if name == "farm" {
				return // the farm's document as it is, which is not signed here and names no endpoint
			}
			if !slices.Equal(got.Endpoints, []string{path2005, path13}) || !slices.Equal(got.Exchanges, []string{s.base + mexPath, s.base + mexPath}) {
				t.Errorf("metadata: got endpoints %s, described at %s", got.Endpoints, got.Exchanges)
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s.checkSignature(t, raw, "ID", "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor", "usernamemixed")
		})
	}
}

// documents are what documents.py reads.
type documents struct {
	Get, Post11, Post12  map[string][]string
	Entity               string
	Certificates         []string
	Endpoints, Exchanges []string
}
