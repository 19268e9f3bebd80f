package gateway_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs"
	"stsgate/upstream/adfs/adfstest"
	"stsgate/upstream/issuer"
)

// startFarm starts a fake AD FS and puts the farm's real client in front of it.
func startFarm(t testing.TB) (*adfstest.Farm, *adfs.Farm) {
	t.Helper()
	behind, err := adfstest.Start(adfstest.Config{Users: []adfstest.User{
		{UPN: alice.UPN, SAM: `CONTOSO\alice`, Password: password, ImmutableID: alice.ImmutableID()},
		{UPN: bob.UPN, SAM: `CONTOSO\bob`, Password: password, ImmutableID: bob.ImmutableID(), Denied: true},
	}, Applications: []string{cloud}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(behind.Close)
	f, err := adfs.New(adfs.Config{
		Host: behind.Host, Nodes: behind.URLs(), CA: behind.CA, Name: "gateway1.contoso.example",
		AnswerTimeout: time.Second, CheckInterval: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return behind, f
}

// Through the real client, each refusal of AD FS and each way in which a node
// can misbehave has its reason, and no token leaves but the right one.
func TestFarmBehind(t *testing.T) {
	behind, f := startFarm(t)
	for _, c := range []struct {
		name      string
		behaviour adfstest.Behaviour
		change    func(*wstrust.Query)
		want      string
	}{
		{"right password", adfstest.Regular, nil, "ok"},
		{"other form of the name", adfstest.Regular, func(q *wstrust.Query) { q.Username = `CONTOSO\alice` }, "ok"},
		{"wrong password", adfstest.Regular, func(q *wstrust.Query) { q.Password = account.NewPassword([]byte("wrong")) }, "wrong-password"},
		{"denied by AD FS", adfstest.Regular, func(q *wstrust.Query) { q.Username = bob.UPN }, "farm-denied"},
		{"unknown to AD FS", adfstest.Regular, func(q *wstrust.Query) { q.AppliesTo = "urn:sharepoint:portal" }, "farm-unknown-application"},
		{"stall", adfstest.Stall, nil, "farm-slow"},
		{"close-on-request", adfstest.CloseOnRequest, nil, "farm-down"},
		{"truncate", adfstest.Truncate, nil, "farm-down"},
		{"unavailable", adfstest.Unavailable, nil, "farm-down"},
		{"garbage", adfstest.Garbage, nil, "answer-unreadable"},
		{"failed", adfstest.Failed, nil, "farm-failed"},
		{"wrong-user", adfstest.WrongUser, nil, "answer-mismatch"},
		{"wrong-audience", adfstest.WrongAudience, nil, "answer-mismatch"},
		{"wrong-version", adfstest.WrongVersion, nil, "answer-unreadable"},
		{"two-responses", adfstest.TwoResponses, nil, "answer-unreadable"},
	} {
		for _, s := range []shape{shapes[0], modern} {
			t.Run(s.String()+"/"+c.name, func(t *testing.T) {
				behind.Nodes[0].Set(c.behaviour)
				g := newGate(t, func(g *gateway.Config) { g.Forwarder = f })
				message := s.query(func(q *wstrust.Query) {
					q.MessageID = "urn:uuid:" + t.Name()
					if c.change != nil {
						c.change(q)
					}
				})
				w := g.serve(s.post(message))
				r := g.record()
				if r["event.reason"] != c.want || r["destination.address"] != behind.Nodes[0].Addr {
					t.Errorf("got reason %v (%v) at node %v, want %s", r["event.reason"], r["error.message"], r["destination.address"], c.want)
				}
				if released := strings.Contains(w.Body.String(), "Assertion"); released != (c.want == "ok") {
					t.Errorf("released: %v", released)
				}
				if got := behind.Deliveries(message); got != 1 {
					t.Errorf("the password was delivered %d times, want 1", got)
				}
			})
		}
	}
}

// ecdsaKey makes a key and its certificate.
func ecdsaKey(t testing.TB) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, c
}

// newIssuer is the real issuer over the fake directory.
func newIssuer(t testing.TB, d issuer.Directory) *issuer.Issuer {
	t.Helper()
	key, certificate := ecdsaKey(t)
	i, err := issuer.New(issuer.Config{
		Entity: "http://" + host + "/adfs/services/trust", Key: key, Certificate: certificate, Directory: d,
		Host: host, Endpoints: []string{path2005, path13},
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// Through the real issuer, the answer holds the token that was granted.
func TestIssuerBehind(t *testing.T) {
	for _, s := range shapes {
		for realm, want := range map[string]wstrust.TokenKind{"urn:payroll": wstrust.SAML11, "urn:archive": wstrust.SAML20} {
			t.Run(s.String()+"/"+realm, func(t *testing.T) {
				g := newGate(t, nil)
				g = newGate(t, func(c *gateway.Config) { c.Issuer = newIssuer(t, g.directory) })
				w := g.ask(s, func(q *wstrust.Query) { q.AppliesTo, q.Username = realm, "Alice" })
				a, err := wstrust.ReadAnswer(w.Body.Bytes(), s.trust)
				if err != nil {
					t.Fatalf("%v: %s", err, g.log)
				}
				r := g.record()
				if a.SOAP != s.soap || a.RelatesTo != "urn:uuid:of-the-request" || a.Assertion.Kind != want || a.Assertion.ID != r["labels.assertion_id"] {
					t.Errorf("got %+v, and the record %v", a, r)
				}
				if got := a.Assertion.NotOnOrAfter.UTC().Format(time.RFC3339); !strings.HasPrefix(r["labels.not_on_or_after"].(string), got[:len(got)-1]) {
					t.Errorf("the token ends at %s, the record says %v", got, r["labels.not_on_or_after"])
				}
				if len(a.Assertion.Audiences) != 1 || a.Assertion.Audiences[0] != realm || a.AppliesTo != realm {
					t.Errorf("got audiences %q and AppliesTo %q", a.Assertion.Audiences, a.AppliesTo)
				}
			})
		}
	}
	for name, change := range map[string]func(*wstrust.Query){
		"wrong password": func(q *wstrust.Query) { q.Password = account.NewPassword([]byte("wrong")) },
		"denied":         func(q *wstrust.Query) { q.Username = mallory.UPN },
		"unknown":        func(q *wstrust.Query) { q.Username = "nobody" },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, nil)
			g = newGate(t, func(c *gateway.Config) { c.Issuer = newIssuer(t, g.directory) })
			w := g.ask(modern, func(q *wstrust.Query) { q.AppliesTo = "urn:payroll"; change(q) })
			if w.Code != 500 || bytes.Contains(w.Body.Bytes(), []byte("Assertion")) || !strings.Contains(w.Body.String(), "ID3242") {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}
