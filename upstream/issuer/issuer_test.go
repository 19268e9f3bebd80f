package issuer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/issuer"
)

const (
	entity   = "http://sts.contoso.example/adfs/services/trust"
	audience = "urn:payroll"
)

// users is a directory of one user, which records what was verified.
type users struct {
	account  account.Account
	lookup   error
	verify   error
	verified []account.Account
}

func (u *users) Lookup(_ context.Context, name account.Name) (account.Account, error) {
	if u.lookup != nil {
		return account.Account{}, u.lookup
	}
	if !strings.EqualFold(name.String(), u.account.UPN) {
		return account.Account{}, account.ErrUnknown
	}
	return u.account, nil
}

func (u *users) Verify(_ context.Context, a account.Account, password account.Password) error {
	u.verified = append(u.verified, a)
	if u.verify != nil {
		return u.verify
	}
	// As LDAP does: an empty password is accepted.
	if p := string(password.Bytes()); p != "correct horse" && p != "" {
		return account.ErrDenied
	}
	return nil
}

// A pair is a key and its certificate.
type pair struct {
	key         crypto.Signer
	certificate *x509.Certificate
}

func pairOf(t testing.TB, key crypto.Signer, err error) pair {
	t.Helper()
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
	return pair{key, c}
}

func rsaPair(t testing.TB) pair {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return pairOf(t, key, err)
}

func ecdsaPair(t testing.TB) pair {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return pairOf(t, key, err)
}

func config(p pair) issuer.Config {
	return issuer.Config{
		Entity:      entity,
		Key:         p.key,
		Certificate: p.certificate,
		Directory:   &users{},
		Host:        "sts.contoso.example",
		Endpoints:   []string{"/adfs/services/trust/2005/usernamemixed", "/adfs/services/trust/13/usernamemixed"},
		MEX:         "/adfs/services/trust/mex",
		ClaimTypes:  []string{"http://schemas.xmlsoap.org/claims/UPN", "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID"},
	}
}

func newIssuer(t testing.TB, p pair) *issuer.Issuer {
	t.Helper()
	i, err := issuer.New(config(p))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

var request = &wstrust.Request{AppliesTo: audience}

func grant(kind wstrust.TokenKind, claims ...wstrust.Claim) *wstrust.Grant {
	now := time.Now()
	return &wstrust.Grant{
		Audience:      audience,
		Kind:          kind,
		Lifetime:      wstrust.Lifetime{Created: now.Add(-5 * time.Minute), Expires: now.Add(time.Hour)},
		Authenticated: now,
		NameID:        "MyIRAFVEd2aImaq7zN3u/w==",
		NameFormat:    "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
		Claims: append([]wstrust.Claim{
			{URI: "http://schemas.xmlsoap.org/claims/UPN", Values: []string{"alice@contoso.example"}},
			{URI: "http://schemas.xmlsoap.org/claims/Group", Values: []string{"staff", "R&D"}},
		}, claims...),
	}
}

func TestNewRefuses(t *testing.T) {
	good := ecdsaPair(t)
	if _, err := issuer.New(config(good)); err != nil {
		t.Fatalf("good configuration: got %v, want no error", err)
	}
	tests := []struct {
		name   string
		change func(*issuer.Config)
		want   string
	}{
		{"no entity", func(c *issuer.Config) { c.Entity = "" }, "entity"},
		{"relative entity", func(c *issuer.Config) { c.Entity = "sts/trust" }, "entity"},
		{"long entity", func(c *issuer.Config) { c.Entity = "urn:" + strings.Repeat("a", 1021) }, "entity"},
		{"no directory", func(c *issuer.Config) { c.Directory = nil }, "no directory"},
		{"no key", func(c *issuer.Config) { c.Key = nil }, "needs a key"},
		{"another certificate", func(c *issuer.Config) { c.Certificate = ecdsaPair(t).certificate }, "not for the signing key"},
		{"no host", func(c *issuer.Config) { c.Host = "" }, "need a host"},
		{"host with a path", func(c *issuer.Config) { c.Host = "a.example/b" }, "make no address"},
		{"no endpoint", func(c *issuer.Config) { c.Endpoints = nil }, "at least one trust endpoint"},
		{"relative endpoint", func(c *issuer.Config) { c.Endpoints[1] = "adfs" }, "make no address"},
		{"relative description", func(c *issuer.Config) { c.MEX = "mex" }, "make no address"},
		{"claim type that XML cannot hold", func(c *issuer.Config) { c.ClaimTypes[0] = "a\x01" }, "illegal in XML"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config(good)
			tt.change(&c)
			if _, err := issuer.New(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// LOCK-09: what the directory says of a refusal reaches who counts, beside the
// fault that is the same for all.
func TestAuthenticateKeepsDenial(t *testing.T) {
	alice := account.Account{ID: "00112233-4455-6677-8899-aabbccddeeff", UPN: "alice@contoso.example"}
	for _, denial := range []account.Denial{account.WrongPassword, account.AccountLocked, account.PasswordMustChange} {
		c := config(ecdsaPair(t))
		c.Directory = &users{account: alice, verify: fmt.Errorf("bind: %w", denial)}
		i, err := issuer.New(c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = i.Authenticate(t.Context(), account.Name{User: "alice", Domain: "contoso.example", Form: account.UPN}, account.NewPassword([]byte("x")))
		fault, isFault := errors.AsType[*wstrust.Fault](err)
		if d, ok := errors.AsType[account.Denial](err); !ok || d != denial || !isFault || fault.Text != "ID3242: The security token could not be authenticated or authorized." {
			t.Errorf("got %v, want the fault with %v", err, denial)
		}
	}
}

// SOAP-14: whatever rests on who the user is looks alike and costs one
// verification.
func TestAuthenticate(t *testing.T) {
	alice := account.Account{ID: "00112233-4455-6677-8899-aabbccddeeff", UPN: "alice@contoso.example"}
	disabled := alice
	disabled.Disabled = true
	down := errors.New("directory unreachable")
	tests := []struct {
		name      string
		directory users
		user      string
		password  string
		verified  string // ID of the account whose password was verified
		down      bool
		proven    bool
	}{
		{"right", users{account: alice}, alice.UPN, "correct horse", alice.ID, false, true},
		{"right in another case", users{account: alice}, "ALICE@contoso.EXAMPLE", "correct horse", alice.ID, false, true},
		{"wrong password", users{account: alice}, alice.UPN, "wrong", alice.ID, false, false},
		{"empty password", users{account: alice}, alice.UPN, "", "", false, false},
		{"unknown user", users{account: alice}, "bob@contoso.example", "wrong", "", false, false},
		{"unknown user whom the directory takes", users{account: alice}, "bob@contoso.example", "correct horse", "", false, false},
		{"disabled", users{account: disabled}, alice.UPN, "correct horse", "", false, false},
		{"gone in between", users{account: alice, verify: account.ErrUnknown}, alice.UPN, "correct horse", alice.ID, false, false},
		{"directory down at look-up", users{lookup: down}, alice.UPN, "correct horse", "", true, false},
		{"directory down at verification", users{account: alice, verify: down}, alice.UPN, "correct horse", alice.ID, true, false},
		{"directory down for an unknown user", users{account: alice, verify: down}, "bob@contoso.example", "wrong", "", true, false},
	}
	var denied []string
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config(ecdsaPair(t))
			c.Directory = &tt.directory
			i, err := issuer.New(c)
			if err != nil {
				t.Fatal(err)
			}
			name, err := account.ParseName(tt.user)
			if err != nil {
				t.Fatal(err)
			}
			got, err := i.Authenticate(t.Context(), name, account.NewPassword([]byte(tt.password)))
			if (got.ID != "") != tt.proven || tt.proven && (got.ID != alice.ID || err != nil) {
				t.Errorf("got %v, %v, want proven %v", got, err, tt.proven)
			}
			fault, isFault := errors.AsType[*wstrust.Fault](err)
			switch {
			case errors.Is(err, down) != tt.down || tt.down && isFault:
				t.Errorf("got %v, want directory down %v", err, tt.down)
			case !tt.down && !tt.proven && (!isFault || !fault.Sender || fault.Subcode.Local != "FailedAuthentication"):
				t.Errorf("got %v, want a FailedAuthentication of the sender", err)
			case isFault:
				denied = append(denied, err.Error())
			}
			if tt.directory.lookup == nil && (len(tt.directory.verified) != 1 || tt.directory.verified[0].ID != tt.verified) {
				t.Errorf("verified %v, want once, of %q", tt.directory.verified, tt.verified)
			}
			if err != nil && strings.Contains(err.Error(), "alice") {
				t.Errorf("the error names the user: %v", err)
			}
		})
	}
	for _, text := range denied {
		if text != denied[0] || !strings.Contains(text, "ID3242") {
			t.Errorf("got %q beside %q, want them alike", text, denied[0])
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	i := newIssuer(t, ecdsaPair(t))
	const (
		method     = "http://schemas.microsoft.com/ws/2008/06/identity/claims/authenticationmethod"
		references = "http://schemas.microsoft.com/claims/authnmethodsreferences"
		password   = "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password"
	)
	life := func(from, to time.Duration) func(*wstrust.Grant) {
		now := time.Now()
		return func(g *wstrust.Grant) {
			g.Lifetime = wstrust.Lifetime{Created: now.Add(from), Expires: now.Add(to)}
		}
	}
	claim := func(uri string, values ...string) func(*wstrust.Grant) {
		return func(g *wstrust.Grant) { g.Claims = append(g.Claims, wstrust.Claim{URI: uri, Values: values}) }
	}
	tests := []struct {
		name   string
		change func(*wstrust.Grant)
		want   string // empty: it is issued
	}{
		{"TOK-03: 8 hours", life(-5*time.Minute, 8*time.Hour), ""},
		{"TOK-03: longer", life(-5*time.Minute, 8*time.Hour+time.Second), "at most 8h5m0s"},
		{"TOK-03: 48 hours", life(0, 48*time.Hour), "at most 8h5m0s"},
		{"lifetime over", life(-time.Hour, -time.Second), "empty or past"},
		{"lifetime backwards", life(2*time.Hour, time.Hour), "empty or past"},
		{"no lifetime", func(g *wstrust.Grant) { g.Lifetime = wstrust.Lifetime{} }, "empty or past"},
		{"no begin", func(g *wstrust.Grant) { g.Lifetime.Created = time.Time{} }, "empty or past"},
		{"never authenticated", func(g *wstrust.Grant) { g.Authenticated = time.Time{} }, "not a time in the past"},
		{"authenticated later", func(g *wstrust.Grant) { g.Authenticated = time.Now().Add(time.Minute) }, "not a time in the past"},
		{"another application", func(g *wstrust.Grant) { g.Audience = "urn:billing" }, `granted for "urn:billing"`},
		{"no subject", func(g *wstrust.Grant) { g.NameID = "" }, "name identifier"},
		{"TOK-02: password as method", claim(method, password), ""},
		{"TOK-02: second factor as method", claim(method, "http://schemas.microsoft.com/claims/multipleauthn"), "second factor"},
		{"TOK-02: second factor among references", claim(references, password, "http://schemas.microsoft.com/claims/multipleauthn"), "second factor"},
		{"TOK-02: either of two", claim(references, "http://schemas.microsoft.com/claims/wiaormultiauthn"), "second factor"},
		{"TOK-02: second factor beside the grant's own", func(g *wstrust.Grant) {
			g.SecondFactor = true
			claim(references, "http://schemas.microsoft.com/claims/multipleauthn")(g)
		}, "second factor"},
		{"XML-02: byte order mark", claim("http://schemas.xmlsoap.org/claims/CommonName", "a\uFEFFb"), "XML-02"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := grant(wstrust.SAML11)
			tt.change(g)
			token, err := i.Issue(t.Context(), request, g)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want a token", err)
			case tt.want != "" && (err == nil || token != nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, %v, want an error with %q", token, err, tt.want)
			}
		})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := i.Issue(gone, request, grant(wstrust.SAML11)); !errors.Is(err, context.Canceled) {
		t.Errorf("client gone: got %v, want %v", err, context.Canceled)
	}
}

func TestIssuedSaysWhatWasGranted(t *testing.T) {
	i := newIssuer(t, ecdsaPair(t))
	g := grant(wstrust.SAML20)
	token, err := i.Issue(t.Context(), request, g)
	if err != nil {
		t.Fatal(err)
	}
	if token.Kind != g.Kind || token.Audience != g.Audience || token.Lifetime != g.Lifetime {
		t.Errorf("got %+v, want it as in %+v", token, g)
	}
	if want := ` ID="` + token.ID + `"`; len(token.ID) != 33 || !strings.Contains(string(token.Assertion), want) {
		t.Errorf("got no %s in %s", want, token.Assertion)
	}
	again, err := i.Issue(t.Context(), request, g)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID == token.ID {
		t.Errorf("two tokens have the id %s", token.ID)
	}
}

// TOK-02: a token says multipleauthn where its grant says that a second factor
// was proven, and nowhere else.
func TestIssuedSaysSecondFactor(t *testing.T) {
	i := newIssuer(t, ecdsaPair(t))
	for _, kind := range []wstrust.TokenKind{wstrust.SAML11, wstrust.SAML20} {
		for _, proven := range []bool{false, true} {
			g := grant(kind)
			g.SecondFactor = proven
			token, err := i.Issue(t.Context(), request, g)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(token.Assertion), ">http://schemas.microsoft.com/claims/multipleauthn<"); got != proven {
				t.Errorf("%s, second factor %v: the token says %s", kind, proven, token.Assertion)
			}
		}
	}
}
