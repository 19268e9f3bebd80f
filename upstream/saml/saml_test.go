package saml_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/saml"
	"stsgate/upstream/xmlsig"
)

const (
	entity = "http://sts.contoso.example/adfs/services/trust"
	id     = "_000102030405060708090a0b0c0d0e0f"
)

var now = time.Date(2026, 3, 1, 11, 30, 0, 123999999, time.FixedZone("CET", 3600))

// grant is what Microsoft 365 is to be told (protocol.md, section 8.2).
func grant(kind wstrust.TokenKind) *wstrust.Grant {
	user := account.Account{ID: "00112233-4455-6677-8899-aabbccddeeff", UPN: "alice@contoso.example"}
	return &wstrust.Grant{
		Audience:      "urn:federation:MicrosoftOnline",
		Kind:          kind,
		Lifetime:      wstrust.Lifetime{Created: now.Add(-5 * time.Minute), Expires: now.Add(time.Hour)},
		Authenticated: now.Add(-2 * time.Second),
		NameID:        user.ImmutableID(),
		NameFormat:    "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
		Claims: []wstrust.Claim{
			{URI: "http://schemas.xmlsoap.org/claims/UPN", Values: []string{user.UPN}},
			{URI: "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID", Values: []string{user.ImmutableID()}},
			{URI: "http://schemas.xmlsoap.org/claims/Group", Values: []string{"staff", "R&D"}},
		},
	}
}

func build(t testing.TB, g *wstrust.Grant) string {
	t.Helper()
	assertion, err := saml.Build(g, entity, id, now)
	if err != nil {
		t.Fatal(err)
	}
	return string(xmlsig.Serialize(assertion))
}

func signer(t testing.TB) *xmlsig.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s, err := xmlsig.New(key, certificate)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var signatureValues = regexp.MustCompile(`(<(ds:DigestValue|ds:SignatureValue|X509Certificate)>)[A-Za-z0-9+/=]+<`)

// The goldens are the whole assertion in AD FS's order, without the values
// that differ from run to run. UPDATE=1 writes them anew.
func TestAssertionGolden(t *testing.T) {
	for name, g := range map[string]*wstrust.Grant{"saml11.xml": grant(wstrust.SAML11), "saml20.xml": grant(wstrust.SAML20)} {
		t.Run(name, func(t *testing.T) {
			assertion, err := saml.Build(g, entity, id, now)
			if err != nil {
				t.Fatal(err)
			}
			if err := saml.Sign(assertion, signer(t)); err != nil {
				t.Fatal(err)
			}
			got := append(signatureValues.ReplaceAll(xmlsig.Serialize(assertion), []byte("${1}V<")), '\n')
			golden := "testdata/" + name
			if os.Getenv("UPDATE") == "1" {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// Each line is a fact of protocol.md, section 8.2, in the bytes that Entra reads.
func TestMicrosoft365Form(t *testing.T) {
	const immutable = "MyIRAFVEd2aImaq7zN3u/w=="
	got := build(t, grant(wstrust.SAML11))
	for _, tt := range []struct {
		want string
		n    int
	}{
		{`<saml:Audience>urn:federation:MicrosoftOnline</saml:Audience>`, 1},
		{`<saml:NameIdentifier Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">` + immutable + `</saml:NameIdentifier>`, 2},
		{`<saml:Attribute AttributeName="UPN" AttributeNamespace="http://schemas.xmlsoap.org/claims"><saml:AttributeValue>alice@contoso.example</saml:AttributeValue></saml:Attribute>`, 1},
		{`<saml:Attribute AttributeName="ImmutableID" AttributeNamespace="http://schemas.microsoft.com/LiveID/Federation/2008/05"><saml:AttributeValue>` + immutable + `</saml:AttributeValue></saml:Attribute>`, 1},
		{`AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password"`, 1},
		{`<saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:bearer</saml:ConfirmationMethod>`, 2},
	} {
		if n := strings.Count(got, tt.want); n != tt.n {
			t.Errorf("got %d of %s, want %d, in\n%s", n, tt.want, tt.n, got)
		}
	}
}

// messages/CLIENTS.md, section 1, rules 2, 6, 7 and 11, as clients look at it: as text.
func TestClientsFindWhatTheyLookFor(t *testing.T) {
	for kind, tags := range map[wstrust.TokenKind][2]string{
		wstrust.SAML11: {`<saml:Assertion `, ` xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion">`},
		wstrust.SAML20: {`<Assertion `, ` xmlns="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">`},
	} {
		got := build(t, grant(kind))
		start, _, _ := strings.Cut(got, ">")
		start += ">"
		if !strings.HasPrefix(start, tags[0]) || !strings.HasSuffix(start, tags[1]) {
			t.Errorf("%v: got start tag %s, want %s ... %s", kind, start, tags[0], tags[1])
		}
		if strings.ContainsAny(got, "'\r\n") || strings.Contains(got, "> ") || strings.Contains(got, "<?") {
			t.Errorf("%v: not compact: %s", kind, got)
		}
	}
}

func TestBuildWithoutClaims(t *testing.T) {
	for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
		g := grant(kind)
		g.Claims, g.NameFormat = nil, ""
		// The schemas want at least one attribute in a statement.
		if got := build(t, g); strings.Contains(got, "AttributeStatement") || strings.Contains(got, "Format=") {
			t.Errorf("%v: got %s", kind, got)
		}
	}
}

// The bearer's time to present a SAML 2.0 assertion never outlives it.
func TestDeliveryEndsWithToken(t *testing.T) {
	for _, tt := range []struct {
		life time.Duration
		want string
	}{
		{time.Hour, `NotOnOrAfter="2026-03-01T10:35:00.123Z"/>`},
		{time.Minute, `NotOnOrAfter="2026-03-01T10:31:00.123Z"/>`},
	} {
		g := grant(wstrust.SAML20)
		g.Lifetime.Expires = now.Add(tt.life)
		if got := build(t, g); !strings.Contains(got, `<SubjectConfirmationData `+tt.want) {
			t.Errorf("life of %v: got %s, want %s", tt.life, got, tt.want)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	tests := []struct {
		name   string
		kind   wstrust.TokenKind
		change func(*wstrust.Grant)
		want   string
	}{
		{"no name identifier", wstrust.SAML11, func(g *wstrust.Grant) { g.NameID = "" }, "name identifier"},
		{"no audience", wstrust.SAML20, func(g *wstrust.Grant) { g.Audience = "" }, "audience"},
		{"unknown kind", 7, func(*wstrust.Grant) {}, "unknown kind of token 7"},
		{"claim without type", wstrust.SAML20, func(g *wstrust.Grant) { g.Claims[1].URI = "" }, "has no type"},
		{"claim without value", wstrust.SAML20, func(g *wstrust.Grant) { g.Claims[1].Values = nil }, "no value"},
		{"claim twice", wstrust.SAML20, func(g *wstrust.Grant) { g.Claims[2].URI = g.Claims[0].URI }, "there twice"},
		{"URN in SAML 1.1", wstrust.SAML11, func(g *wstrust.Grant) { g.Claims[0].URI = "urn:oid:1.2.3" }, "SAML 1.1 needs"},
		{"no name in SAML 1.1", wstrust.SAML11, func(g *wstrust.Grant) { g.Claims[0].URI = "http://a/" }, "SAML 1.1 needs"},
		{"no namespace in SAML 1.1", wstrust.SAML11, func(g *wstrust.Grant) { g.Claims[0].URI = "/a" }, "SAML 1.1 needs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := grant(tt.kind)
			tt.change(g)
			if _, err := saml.Build(g, entity, id, now); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	g := grant(wstrust.SAML20)
	g.Claims[0].URI = "urn:oid:1.2.3"
	if got := build(t, g); !strings.Contains(got, `<Attribute Name="urn:oid:1.2.3">`) {
		t.Errorf("SAML 2.0 takes any claim type, got %s", got)
	}
}

// TOK-04
func TestNewID(t *testing.T) {
	const n = 100_000
	form := regexp.MustCompile(`^_[0-9a-f]{32}$`)
	seen := make(map[string]bool, n)
	for range n {
		id := saml.NewID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("got %q after %d others, want a new one of the form %v", id, len(seen), form)
		}
		seen[id] = true
	}
}
