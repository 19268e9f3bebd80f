package mex_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"stsgate/gateway/mex"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// python runs a script with Debian's interpreter.
func python(t *testing.T, module, script string, args ...string) string {
	t.Helper()
	interpreter := testdata.Python(t, module)
	out, err := exec.CommandContext(t.Context(), interpreter, append([]string{"-c", script}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestMSALPythonSelects13(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mex.wsdl")
	if err := os.WriteFile(file, build(t, "https://localhost:8443", both()...).Document(), 0o600); err != nil {
		t.Fatal(err)
	}
	got := python(t, "msal", `
import sys
from msal.mex import Mex
e = Mex(open(sys.argv[1]).read()).get_wstrust_username_password_endpoint()
print(e["address"], e["action"])
`, file)
	if want := "https://localhost:8443" + path13 + " " + wstrust.V13.Action(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestZeepAsksForAToken has zeep fetch the document and send what it tells to
// send, which must be a request that can be read here.
func TestZeepAsksForAToken(t *testing.T) {
	for _, tt := range []struct {
		port    string
		path    string
		version wstrust.Version
	}{
		{"UserNameWSTrustBinding_IWSTrust13Async", path13, wstrust.V13},
		{"UserNameWSTrustBinding_IWSTrustFeb2005Async", path2005, wstrust.V2005},
	} {
		t.Run(tt.version.String(), func(t *testing.T) {
			s := newSTS(t)
			operation := map[wstrust.Version]string{wstrust.V13: "Trust13IssueAsync", wstrust.V2005: "TrustFeb2005IssueAsync"}[tt.version]
			out := python(t, "zeep", `
import sys, requests, zeep
from lxml import etree
from zeep.wsse.username import UsernameToken
from zeep.transports import Transport
url, ca, port, operation, ns = sys.argv[1:]
session = requests.Session()
session.trust_env = False
session.verify = ca
client = zeep.Client(url, transport=Transport(session=session), wsse=UsernameToken("alice@contoso.example", "secret"))
rst = []
for name, text in ("RequestType", ns + "/Issue"), :
    e = etree.Element("{%s}%s" % (ns, name)); e.text = text; rst.append(e)
try:
    client.bind("SecurityTokenService", port)[operation](_value_1=rst)
except zeep.exceptions.TransportError as e:
    print(e.status_code)
`, s.URL+"/adfs/services/trust/mex", s.ca, tt.port, operation, tt.version.Namespace())
			if out != "418" {
				t.Fatalf("got %s", out)
			}
			s.check(t, tt.path, tt.version)
		})
	}
}

// TestMSALGoSelects13 goes as far as MSAL Go's request for a token.
func TestMSALGoSelects13(t *testing.T) {
	s := newSTS(t)
	app, err := public.New("client-id", public.WithAuthority(s.URL+"/common"), public.WithInstanceDiscovery(false), public.WithHTTPClient(s.Client()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = app.AcquireTokenByUsernamePassword(t.Context(), []string{"scope"}, "alice@contoso.example", "secret") //lint:ignore SA1019 the flow of old clients is what is served
	if err == nil {
		t.Fatal("got a token from nobody")
	}
	s.check(t, path13, wstrust.V13)
}

// An sts publishes metadata and takes requests for tokens, of which it reads
// the first and grants none.
type sts struct {
	*httptest.Server
	ca      string
	path    string
	request *wstrust.Request
	err     error
}

// take reads a request and answers with a status that nobody takes for a fault.
func (s *sts) take(w http.ResponseWriter, r *http.Request, e mex.Endpoint) {
	s.path = e.Path
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.err = err
		return
	}
	s.request, s.err = wstrust.ReadRequest(wstrust.Inbound{Body: body, SOAP: soap.V12, Version: e.Version, Now: time.Now()})
	w.WriteHeader(http.StatusTeapot)
}

// check says what the client should have done.
func (s *sts) check(t *testing.T, path string, version wstrust.Version) {
	t.Helper()
	if s.path != path || s.err != nil {
		t.Fatalf("got a request to %q, %v, want %q", s.path, s.err, path)
	}
	r := s.request
	if r.Version != version || r.Action != version.Action() || r.Username != "alice@contoso.example" || string(r.Password.Bytes()) != "secret" {
		t.Errorf("got version %s, action %s, user %s", r.Version, r.Action, r.Username)
	}
	if want := s.URL + path; r.To != want {
		t.Errorf("got To %s, want %s", r.To, want)
	}
}

func newSTS(t *testing.T) *sts {
	t.Helper()
	s := &sts{ca: filepath.Join(t.TempDir(), "ca.pem")}
	mux := http.NewServeMux()
	s.Server = httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	m, err := mex.New(mex.Config{URL: s.URL, Endpoints: both()})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("GET /adfs/services/trust/mex", m)
	mux.HandleFunc("GET /common/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"authorization_endpoint":"%[1]s/a","token_endpoint":"%[1]s/t","issuer":"%[1]s/common/v2.0"}`, s.URL)
	})
	mux.HandleFunc("GET /common/UserRealm/{user}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"ver":"1.0","account_type":"Federated","domain_name":"contoso.example","federation_protocol":"WSTrust",`+
			`"federation_metadata_url":"%[1]s/adfs/services/trust/mex","cloud_instance_name":"microsoftonline.com","cloud_audience_urn":"urn:federation:MicrosoftOnline"}`, s.URL)
	})
	for _, e := range both() {
		mux.HandleFunc("POST "+e.Path, func(w http.ResponseWriter, r *http.Request) { s.take(w, r, e) })
	}
	block := &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}
	if err := os.WriteFile(s.ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}
