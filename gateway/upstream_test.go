package gateway_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"sync"
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
	return startFarmWithin(t, time.Second)
}

// startFarmWithin starts a farm that has some time for an answer.
func startFarmWithin(t testing.TB, timeout time.Duration) (*adfstest.Farm, *adfs.Farm) {
	t.Helper()
	behind, err := adfstest.Start(adfstest.Config{Users: []adfstest.User{
		{UPN: alice.UPN, SAM: `CONTOSO\alice`, Password: password, ImmutableID: alice.ImmutableID()},
		{UPN: bob.UPN, SAM: `CONTOSO\bob`, Password: password, ImmutableID: bob.ImmutableID()},
		{UPN: dora.UPN, Password: password, Denied: true},
	}, Applications: []string{cloud, "https://cloud.contoso.example/saml/metadata"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(behind.Close)
	f, err := adfs.New(adfs.Config{
		Host: behind.Host, Nodes: behind.URLs(), CA: behind.CA, Name: "gateway1.contoso.example",
		Signers: []*x509.Certificate{behind.Signer}, AnswerTimeout: timeout, CheckInterval: time.Hour,
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
		{"denied by AD FS", adfstest.Regular, func(q *wstrust.Query) { q.Username = dora.UPN }, "farm-denied"},
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
		{"wrong-signer", adfstest.WrongSigner, nil, "answer-untrusted"},
		{"unsigned", adfstest.Unsigned, nil, "answer-untrusted"},
		{"wrapped", adfstest.Wrapped, nil, "answer-untrusted"},
		{"wrong-issuer", adfstest.WrongIssuer, nil, "answer-untrusted"},
		{"long-lived", adfstest.LongLived, nil, "answer-mismatch"},
		{"expired", adfstest.Expired, nil, "answer-mismatch"},
		{"not-yet-valid", adfstest.NotYetValid, nil, "answer-mismatch"},
		{"sender-vouches", adfstest.SenderVouches, nil, "answer-mismatch"},
		{"encrypted, which the application does not expect", adfstest.Encrypted, nil, "answer-mismatch"},
		{"encrypted, as the application expects", adfstest.Encrypted, sealed, "ok"},
		{"encrypted for any", adfstest.EncryptedForAny, sealed, "answer-mismatch"},
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
				g.alarmed(w, c.want, 1)
				if got := behind.Deliveries(message); got != 1 {
					t.Errorf("the password was delivered %d times, want 1", got)
				}
			})
		}
	}
}

// sealed asks for a token that nobody here can read.
func sealed(q *wstrust.Query) { q.AppliesTo = "https://cloud.contoso.example/saml/metadata" }

// alarmed checks that no byte of an answer of the farm's left unless the
// exchange ended well, and that the metric that alerts rest on has risen to count.
func (g *gate) alarmed(w *recorder, reason string, count float64) {
	g.t.Helper()
	for _, part := range []string{"Assertion", "Encrypted", "Cipher", "SignatureValue", "RequestSecurityTokenResponse", "DigestValue"} {
		if reason != "ok" && strings.Contains(w.Body.String(), part) {
			g.t.Errorf("refused with %s, and the client got %s", reason, w.Body)
		}
	}
	if released := strings.Contains(w.Body.String(), "RequestedSecurityToken"); released != (reason == "ok") {
		g.t.Errorf("released: %v, with reason %s", released, reason)
	}
	if got := g.value("stsgate_exchanges_total", "reason", reason); got != count {
		g.t.Errorf("stsgate_exchanges_total counts %v with reason %s, want %v", got, reason, count)
	}
}

// SIG-10, MFA-01: a farm that swaps the answers of two users who sign in at the
// same time has them dropped, both, each time. SWAPPED_PAIRS is how many times.
func TestSwappedAnswers(t *testing.T) {
	behind, f := startFarmWithin(t, time.Minute) // the machine may be busy
	g := newGate(t, func(g *gateway.Config) { g.Forwarder = f })
	pairs := 1000
	if s := os.Getenv("SWAPPED_PAIRS"); s != "" {
		var err error
		if pairs, err = strconv.Atoi(s); err != nil {
			t.Fatalf("SWAPPED_PAIRS: %v", err)
		}
	}
	pair := func(i int) (answers [2]*recorder) {
		var both sync.WaitGroup
		for k, who := range []account.Account{alice, bob} {
			both.Go(func() {
				s := shapes[(i+k)%len(shapes)]
				answers[k] = g.serve(s.post(s.query(func(q *wstrust.Query) {
					q.Username, q.MessageID = who.UPN, fmt.Sprintf("urn:uuid:%d-%d", i, k)
				})))
			})
		}
		both.Wait()
		return answers
	}
	behind.Nodes[0].Set(adfstest.Swap)
	for i := range pairs {
		for k, w := range pair(i) {
			g.alarmed(w, "answer-mismatch", float64(2*(i+1)))
			if t.Failed() {
				all := g.records()
				t.Fatalf("pair %d, user %d: %v and %v", i, k, all[len(all)-2]["error.message"], all[len(all)-1]["error.message"])
			}
		}
	}
	behind.Nodes[0].Set(adfstest.Regular)
	for k, w := range pair(pairs) {
		g.alarmed(w, "ok", 2)
		if who := []account.Account{alice, bob}[k]; !strings.Contains(w.Body.String(), ">"+who.UPN+"<") {
			t.Errorf("%s got a token of somebody else", who.UPN)
		}
	}
	counted := map[any]int{}
	for _, r := range g.records() {
		counted[r["event.reason"]]++
		if (r["labels.assertion_id"] != nil) != (r["event.reason"] == "ok") {
			t.Fatalf("got the record %v", r)
		}
	}
	if counted["answer-mismatch"] != 2*pairs || counted["ok"] != 2 {
		t.Errorf("got the records %v", counted)
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
