package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a client that is registered with the cloud asks it for.
const (
	cloudClient = "9c1a7f0e-6d9f-4f86-8ac1-6a3f43b3d8a5"
	cloudScope  = "https://graph.contoso.example/.default"
)

// A cloud stands in for the place where MSAL turns assertions into access
// tokens: discovery, the user's realm, and the token endpoint (protocol.md,
// section 8.5).
type cloud struct {
	*httptest.Server
	mex   string // where it sends clients for the metadata of the federation
	realm string // what it has them ask for

	mu        sync.Mutex
	presented map[string]outcome // by the access token that it was redeemed for
}

func newCloud(t *testing.T, mex, realm string) *cloud {
	t.Helper()
	c := &cloud{mex: mex, realm: realm, presented: map[string]outcome{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /common/v2.0/.well-known/openid-configuration", c.discovery)
	mux.HandleFunc("GET /common/userrealm/{user}", c.userRealm) // Python
	mux.HandleFunc("GET /common/UserRealm/{user}", c.userRealm) // Go
	mux.HandleFunc("POST /common/oauth2/v2.0/token", c.token)
	c.Server = httptest.NewTLSServer(mux)
	t.Cleanup(c.Close)
	return c
}

// authority is the certificate that the cloud's TLS is to be trusted by.
func (c *cloud) authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})
}

// redeemed is what was presented for an access token.
func (c *cloud) redeemed(t *testing.T, accessToken string) outcome {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.presented[accessToken]
	if !ok {
		t.Fatalf("got access token %q, which nobody gave", accessToken)
	}
	return o
}

func (c *cloud) discovery(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, map[string]any{
		"issuer":                 c.URL + "/common/v2.0",
		"authorization_endpoint": c.URL + "/common/oauth2/v2.0/authorize",
		"token_endpoint":         c.URL + "/common/oauth2/v2.0/token",
	})
}

func (c *cloud) userRealm(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, map[string]any{
		"ver": "1.0", "account_type": "Federated", "domain_name": "contoso.example", "federation_protocol": "WSTrust",
		"federation_metadata_url": c.mex, "cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": c.realm,
	})
}

// token takes an assertion under the grant type of its kind. Whether it is a
// good one the test says.
func (c *cloud) token(w http.ResponseWriter, r *http.Request) {
	// Python writes base64url, as RFC 7522 has it, and Go the other alphabet.
	encoded := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(r.PostFormValue("assertion"))
	assertion, err := base64.RawURLEncoding.DecodeString(encoded)
	kind := map[string]string{
		"urn:ietf:params:oauth:grant-type:saml1_1-bearer": `="urn:oasis:names:tc:SAML:1.0:assertion"`,
		"urn:ietf:params:oauth:grant-type:saml2-bearer":   `="urn:oasis:names:tc:SAML:2.0:assertion"`,
	}[r.PostFormValue("grant_type")]
	if err != nil || kind == "" || !strings.Contains(string(assertion), kind) || r.PostFormValue("client_id") != cloudClient {
		w.WriteHeader(http.StatusBadRequest)
		answerJSON(w, map[string]any{"error": "invalid_grant", "error_description": "the assertion is not one of grant type " + r.PostFormValue("grant_type")})
		return
	}
	now := time.Now()
	claims, _ := json.Marshal(map[string]any{
		"iss": c.URL + "/common/v2.0", "aud": cloudClient, "sub": "somebody", "tid": "contoso",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	accessToken := rand.Text()
	c.mu.Lock()
	c.presented[accessToken] = outcome{assertion: string(assertion)}
	c.mu.Unlock()
	answerJSON(w, map[string]any{
		"token_type": "Bearer", "access_token": accessToken, "expires_in": 3600, "scope": r.PostFormValue("scope"),
		"id_token": "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".",
	})
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that is gone fails its own test
}
