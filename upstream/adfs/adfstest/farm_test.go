package adfstest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/testdata"
	"stsgate/upstream/adfs/adfstest"
)

const (
	trust2005 = "http://schemas.xmlsoap.org/ws/2005/02/trust"
	trust13   = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	soap12    = "http://www.w3.org/2003/05/soap-envelope"
	soap11    = "http://schemas.xmlsoap.org/soap/envelope/"
	office    = "urn:federation:MicrosoftOnline"
)

var users = []adfstest.User{
	{UPN: "alice@contoso.example", SAM: `CONTOSO\alice`, Password: "correct & horse", ImmutableID: "YWxpY2U="},
	{UPN: "bob@contoso.example", Password: "battery", ImmutableID: "Ym9i", Denied: true},
}

func start(t *testing.T, c adfstest.Config) *adfstest.Farm {
	t.Helper()
	c.Users = users
	f, err := adfstest.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// client asks by the host name, wherever the node is.
func client(t *testing.T, f *adfstest.Farm) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: f.CA, ServerName: f.Host},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", f.Nodes[0].Addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

type ask struct{ soap, trust, user, password, realm, tokenType string }

func (a ask) body() []byte {
	text := func(s string) string {
		var b bytes.Buffer
		_ = xml.EscapeText(&b, []byte(s))
		return b.String()
	}
	return []byte(`<s:Envelope xmlns:s="` + a.soap + `" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header><a:MessageID>urn:uuid:1</a:MessageID>` +
		`<o:Security xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><o:UsernameToken><o:Username>` + text(a.user) +
		`</o:Username><o:Password>` + text(a.password) + `</o:Password></o:UsernameToken></o:Security></s:Header><s:Body>` +
		`<t:RequestSecurityToken xmlns:t="` + a.trust + `" Context="c-1"><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy">` +
		`<a:EndpointReference><a:Address>` + text(a.realm) + `</a:Address></a:EndpointReference></p:AppliesTo><t:TokenType>` + a.tokenType +
		`</t:TokenType><t:RequestType>` + a.trust + `/Issue</t:RequestType></t:RequestSecurityToken></s:Body></s:Envelope>`)
}

func (a ask) post(t *testing.T, f *adfstest.Farm) (int, string) {
	t.Helper()
	path, media := "13", "application/soap+xml"
	if a.trust == trust2005 {
		path = "2005"
	}
	if a.soap == soap11 {
		media = "text/xml"
	}
	res, err := client(t, f).Post("https://"+f.Host+"/adfs/services/trust/"+path+"/usernamemixed", media+"; charset=utf-8", bytes.NewReader(a.body()))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestAnswers(t *testing.T) {
	f := start(t, adfstest.Config{})
	alice := ask{soap12, trust13, "alice@contoso.example", "correct & horse", office, ""}
	with := func(change func(*ask)) ask {
		a := alice
		change(&a)
		return a
	}
	for name, c := range map[string]struct {
		ask    ask
		status int
		want   []string
	}{
		"1.3":               {alice, 200, []string{"RSTRC/IssueFinal<", "<trust:RequestSecurityTokenResponseCollection ", ">YWxpY2U=<", `Context="c-1"`, "<a:RelatesTo>urn:uuid:1<", "<trust:TokenType>urn:oasis:names:tc:SAML:1.0:assertion<"}},
		"2005":              {with(func(a *ask) { a.trust = trust2005 }), 200, []string{trust2005 + "/RSTR/Issue<", "<s:Body><t:RequestSecurityTokenResponse ", "NoProofKey<"}},
		"SOAP 1.1":          {with(func(a *ask) { a.soap = soap11 }), 200, []string{`xmlns:s="` + soap11 + `"`}},
		"SAML 2.0":          {with(func(a *ask) { a.tokenType = "urn:oasis:names:tc:SAML:2.0:assertion" }), 200, []string{`<Assertion ID="_`, "#SAMLV2.0"}},
		"down-level":        {with(func(a *ask) { a.user = `contoso\ALICE` }), 200, []string{">alice@contoso.example<"}},
		"wrong password":    {with(func(a *ask) { a.password = "wrong" }), 500, []string{">a:FailedAuthentication<", "ID3242"}},
		"unknown user":      {with(func(a *ask) { a.user = "eve@contoso.example" }), 500, []string{">a:FailedAuthentication<", "ID3242"}},
		"unknown realm":     {with(func(a *ask) { a.realm = "urn:other" }), 500, []string{">a:InvalidScope<", "ID3082"}},
		"denied":            {with(func(a *ask) { a.user, a.password = "bob@contoso.example", "battery" }), 500, []string{">a:FailedAuthentication<", "MSIS7068"}},
		"fault in SOAP 1.1": {with(func(a *ask) { a.soap, a.password = soap11, "wrong" }), 500, []string{"<faultcode ", "ID3242"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := c.ask.post(t, f)
			if status != c.status {
				t.Errorf("got status %d, want %d", status, c.status)
			}
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("got %s, want %q in it", body, want)
				}
			}
			if err := xml.Unmarshal([]byte(body), new(any)); err != nil {
				t.Errorf("answer is not XML: %v", err)
			}
		})
	}
}

func TestSeesWhatCame(t *testing.T) {
	f := start(t, adfstest.Config{})
	a := ask{soap12, trust13, "alice@contoso.example", "wrong", office, ""}
	a.post(t, f)
	a.post(t, f)
	if got := f.Deliveries(a.body()); got != 2 {
		t.Errorf("got %d deliveries, want 2", got)
	}
	seen := f.Nodes[0].Seen()
	if len(seen) != 2 || seen[0].ServerName != f.Host || !bytes.Equal(seen[0].Body, a.body()) ||
		!strings.HasPrefix(seen[0].Head, "POST /adfs/services/trust/13/usernamemixed HTTP/1.1\r\nHost: "+f.Host) {
		t.Errorf("got %q, want two messages", seen)
	}
}

func TestRefusesOtherNames(t *testing.T) {
	f := start(t, adfstest.Config{})
	c, err := tls.Dial("tcp", f.Nodes[0].Addr, &tls.Config{RootCAs: f.CA, ServerName: "other.example"})
	if err == nil {
		_ = c.Close()
		t.Error("got a handshake for another name, want none")
	}
	req, err := http.NewRequest(http.MethodGet, "https://"+f.Host+"/adfs/services/trust/mex", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "other.example"
	res, err := client(t, f).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("got status %d for another Host, want 400", res.StatusCode)
	}
}

func TestDocuments(t *testing.T) {
	f := start(t, adfstest.Config{})
	for path, wants := range map[string][]string{
		"/adfs/services/trust/mex": {`location="https://` + f.Host + `/adfs/services/trust/13/usernamemixed"`,
			`soapAction="` + trust2005 + `/RST/Issue"`, `soapAction="` + trust13 + `/RST/Issue"`},
		"/FederationMetadata/2007-06/FederationMetadata.xml": {`entityID="http://` + f.Host + `/adfs/services/trust"`},
	} {
		res, err := client(t, f).Get("https://" + f.Host + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		for _, want := range wants {
			if err != nil || res.StatusCode != 200 || !strings.Contains(string(body), want) {
				t.Errorf("%s: got status %d, %v, %s, want %q in it", path, res.StatusCode, err, body, want)
			}
		}
		if err := xml.Unmarshal(body, new(any)); err != nil {
			t.Errorf("%s is not XML: %v", path, err)
		}
	}
}

// TestSignature has an independent program verify the signatures.
func TestSignature(t *testing.T) {
	xmlsec1 := testdata.Program(t, "xmlsec1")
	f := start(t, adfstest.Config{})
	dir := t.TempDir()
	key := filepath.Join(dir, "signer.pem")
	if err := os.WriteFile(key, f.SignerPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ tokenType, from, until, id string }{
		"SAML 1.1": {"", "<saml:Assertion", "</saml:Assertion>", "AssertionID"},
		"SAML 2.0": {"urn:oasis:names:tc:SAML:2.0:assertion", "<Assertion", "</Assertion>", "ID"},
	} {
		t.Run(name, func(t *testing.T) {
			_, body := ask{soap12, trust13, "alice@contoso.example", "correct & horse", office, c.tokenType}.post(t, f)
			from, until := strings.Index(body, c.from), strings.Index(body, c.until)
			if from < 0 || until < 0 {
				t.Fatalf("no assertion in %s", body)
			}
			for _, forged := range []bool{false, true} {
				assertion := body[from : until+len(c.until)]
				if forged {
					assertion = strings.ReplaceAll(assertion, "alice@", "bobby@")
				}
				file := filepath.Join(dir, "assertion.xml")
				if err := os.WriteFile(file, []byte(assertion), 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.Command(xmlsec1, "--verify", "--id-attr:"+c.id, "Assertion", "--pubkey-cert-pem", key, "--enabled-key-data", "rsa", file).CombinedOutput()
				if (err != nil) != forged {
					t.Errorf("forged %v: got %v: %s", forged, err, out)
				}
			}
		})
	}
}

func TestNamesOfBehaviours(t *testing.T) {
	for _, b := range adfstest.Behaviours() {
		if got, err := adfstest.ParseBehaviour(b.String()); err != nil || got != b {
			t.Errorf("got %v, %v, want %v", got, err, b)
		}
	}
	if _, err := adfstest.ParseBehaviour("polite"); err == nil {
		t.Error("got no error for an unknown behaviour")
	}
}

// A request that does not say that it came by a proxy came from the intranet,
// for the relying party that says so.
func TestInsideCorporateNetwork(t *testing.T) {
	f := start(t, adfstest.Config{Applications: []string{office, "urn:payroll"}})
	alice := ask{soap12, trust13, "alice@contoso.example", "correct & horse", office, ""}
	if _, body := alice.post(t, f); !strings.Contains(body, `AttributeNamespace="http://schemas.microsoft.com/ws/2012/01"><saml:AttributeValue>true<`) {
		t.Errorf("got %s, want that it came from the intranet", body)
	}
	alice.realm = "urn:payroll"
	if _, body := alice.post(t, f); strings.Contains(body, "insidecorporatenetwork") {
		t.Errorf("got %s, want nothing of where it came from", body)
	}
}
