package factor_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"stsgate/gateway/mfa/factor"
)

// A user has several passkeys, of any kind, and signs in with each by name and
// without. What answers is another's work.
func TestPasskey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, withPasskeys)
		v, other := s.nodes[0], s.nodes[1]
		rp := virtualwebauthn.RelyingParty{Name: "Contoso", ID: rpID, Origin: origin}
		var handle string
		for i, kind := range []virtualwebauthn.KeyType{virtualwebauthn.KeyTypeEC2, virtualwebauthn.KeyTypeRSA} {
			credential := newKey(kind)
			synced := kind == virtualwebauthn.KeyTypeRSA
			a := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{BackupEligible: synced, BackupState: synced})
			c := must(v.BeginPasskey(t.Context(), user(alice), binding(alice)))(t)
			options := must(virtualwebauthn.ParseAttestationOptions(string(c.Options)))(t)
			if len(options.ExcludeCredentials) != i {
				t.Errorf("passkey %d: %d excluded", i, len(options.ExcludeCredentials))
			}
			if len(options.UserID) != 32 || strings.Contains(options.UserID, alice) || i > 0 && options.UserID != handle {
				t.Errorf("passkey %d: user handle %q", i, options.UserID)
			}
			handle = options.UserID
			bound := must(other.FinishPasskey(t.Context(), alice, c.ID, []byte(virtualwebauthn.CreateAttestationResponse(rp, a, credential, *options)), "key", home))(t)
			if bound.Kind != factor.Passkey || bound.Label != "key" || bound.Synced != synced {
				t.Errorf("passkey %d: bound %+v", i, bound)
			}
			for n, by := range []string{alice, "", alice} {
				if by == "" {
					a.Options.UserHandle = []byte(handle)
				}
				credential.Counter = uint32(n + 1)
				c := must(other.BeginSignIn(t.Context(), by))(t)
				options := must(virtualwebauthn.ParseAssertionOptions(string(c.Options)))(t)
				if by != "" && !credential.IsAllowedForAssertion(*options) || by == "" && len(options.AllowCredentials) > 0 {
					t.Errorf("passkey %d: asked for %d credentials", i, len(options.AllowCredentials))
				}
				p, err := v.FinishSignIn(t.Context(), by, c.ID, []byte(virtualwebauthn.CreateAssertionResponse(rp, a, credential, *options)), home)
				if err != nil || p.User != alice || p.Kind != factor.Passkey || !p.UV || p.Authenticator != bound.ID {
					t.Errorf("passkey %d by %q: got %+v, %v", i, by, p, err)
				}
			}
		}
		if got, want := s.whats(), "bound bound"; got != want {
			t.Errorf("the user was told %q, want %q", got, want)
		}
	})
}

// MFA-09: the steps of WebAuthn, section 7.1, each with one thing wrong.
func TestPasskeyNotMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, withPasskeys)
		v := s.nodes[0]
		held := newDevice(t, v, alice)
		p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
		point := must(p384.PublicKey.Bytes())(t) // 4, x, y
		es384 := []byte("\xa5\x01\x02\x03\x38\x22\x20\x02\x21\x58\x30")
		es384 = append(append(append(es384, point[1:49]...), "\x22\x58\x30"...), point[49:]...)
		long := bytes.Repeat([]byte("i"), 1024)
		try := func(what string, a answer, by func(c *factor.Ceremony) (user, id string), want error) {
			t.Helper()
			before := len(must(v.List(t.Context(), alice))(t))
			d := &device{credential: newKey(virtualwebauthn.KeyTypeEC2)}
			c := must(v.BeginPasskey(t.Context(), user(alice), binding(alice)))(t)
			challenge, _ := asked(t, c)
			who, id := by(c)
			_, err := v.FinishPasskey(t.Context(), who, id, d.made(challenge, a), "key", home)
			if !errors.Is(err, want) || err == nil != (want == nil) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
			if after := len(must(v.List(t.Context(), alice))(t)); want != nil && after != before {
				t.Errorf("%s: bound all the same", what)
			}
			if want == nil {
				return
			}
			if _, err := v.FinishPasskey(t.Context(), alice, id, d.made(challenge, answer{}), "key", home); who == alice && id == c.ID && !errors.Is(err, factor.ErrOver) {
				t.Errorf("%s: what was refused can be tried again: %v", what, err)
			}
		}
		own := func(c *factor.Ceremony) (string, string) { return alice, c.ID }
		try("nothing wrong", answer{}, own, nil)
		for _, c := range []struct {
			what string
			a    answer
		}{
			{"type", answer{typ: "webauthn.get"}},
			{"challenge", answer{challenge: base64url(bytes.Repeat([]byte("c"), 32))}},
			{"origin of another host", answer{origin: "https://approve.contoso.example.evil.example"}},
			{"origin of a host below", answer{origin: "https://a.approve.contoso.example"}},
			{"origin without TLS", answer{origin: "http://approve.contoso.example"}},
			{"origin of another port", answer{origin: "https://approve.contoso.example:8443"}},
			{"origin that is equal and not the same", answer{origin: "https://APPROVE.contoso.example:443"}},
			{"cross origin", answer{crossOrigin: true}},
			{"top origin", answer{topOrigin: "https://evil.example"}},
			{"RP ID", answer{rpID: "contoso.example"}},
			{"no user present", answer{flags: flagUV | flagAT}},
			{"no user verified", answer{flags: flagUP | flagAT}},
			{"backed up, not eligible", answer{flags: flagUP | flagUV | flagAT | flagBS}},
			{"no attested data", answer{flags: flagUP | flagUV, noAttestedData: true}},
			{"data behind the data", answer{extra: []byte{0}}},
			{"algorithm", answer{key: es384}},
			{"no key", answer{key: []byte{0xa0}}},
			{"credential", answer{rawID: []byte("another")}},
			{"credential that is bound", answer{rawID: held.credential.ID, attested: held.credential.ID}},
			{"credential ID of 1,024 bytes", answer{rawID: long, attested: long}},
			{"ID", answer{id: base64url([]byte("another"))}},
			{"kind", answer{kind: "password"}},
		} {
			try(c.what, c.a, own, factor.ErrWrong)
		}
		try("user", answer{}, func(c *factor.Ceremony) (string, string) { return bob, c.ID }, factor.ErrOver)
		try("ceremony", answer{}, func(c *factor.Ceremony) (string, string) { return alice, "another" }, factor.ErrOver)
		try("a sign-in's ceremony", answer{}, func(*factor.Ceremony) (string, string) {
			return alice, must(v.BeginSignIn(t.Context(), alice))(t).ID
		}, factor.ErrOver)
		try("late", answer{}, func(c *factor.Ceremony) (string, string) {
			time.Sleep(5*time.Minute + 3*time.Second)
			return alice, c.ID
		}, factor.ErrOver)
	})
}

// MFA-09: the steps of WebAuthn, section 7.2, each with one thing wrong.
func TestPasskeyNotAccepted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, withPasskeys)
		v := s.nodes[0]
		d, others := newDevice(t, v, alice), newDevice(t, v, bob)
		synced := &device{credential: newKey(virtualwebauthn.KeyTypeEC2)}
		c := must(v.BeginPasskey(t.Context(), user(alice), binding(alice)))(t)
		challenge, _ := asked(t, c)
		must(v.FinishPasskey(t.Context(), alice, c.ID, synced.made(challenge, answer{flags: flagUP | flagUV | flagAT | flagBE}), "", home))(t)
		flip := func(b []byte) []byte {
			b = bytes.Clone(b)
			b[len(b)-1] ^= 1
			return b
		}
		for _, c := range []struct {
			what string
			d    *device
			by   string
			a    answer
			want error
		}{
			{"nothing wrong", d, alice, answer{}, nil},
			{"nothing wrong, with a handle", d, alice, answer{handle: d.handle}, nil},
			{"nothing wrong, no name", d, "", answer{handle: d.handle}, nil},
			{"type", d, alice, answer{typ: "webauthn.create"}, factor.ErrWrong},
			{"challenge", d, alice, answer{challenge: base64url(bytes.Repeat([]byte("c"), 32))}, factor.ErrWrong},
			{"origin", d, alice, answer{origin: "https://evil.example"}, factor.ErrWrong},
			{"origin without TLS", d, alice, answer{origin: "http://approve.contoso.example"}, factor.ErrWrong},
			{"origin that is equal and not the same", d, alice, answer{origin: "https://approve.contoso.example:443"}, factor.ErrWrong},
			{"cross origin", d, alice, answer{crossOrigin: true}, factor.ErrWrong},
			{"top origin", d, alice, answer{topOrigin: "https://evil.example"}, factor.ErrWrong},
			{"token binding without a status", d, alice, answer{token: map[string]string{"status": ""}}, factor.ErrWrong},
			{"RP ID", d, alice, answer{rpID: "contoso.example"}, factor.ErrWrong},
			{"no user present", d, alice, answer{flags: flagUV}, factor.ErrWrong},
			{"no user verified", d, alice, answer{flags: flagUP}, factor.ErrWrong},
			{"eligible for backup at once", d, alice, answer{flags: flagUP | flagUV | flagBE}, factor.ErrWrong},
			{"eligible for backup no more", synced, alice, answer{}, factor.ErrWrong},
			{"backed up, not eligible", d, alice, answer{flags: flagUP | flagUV | flagBS}, factor.ErrWrong},
			{"data behind the data", d, alice, answer{extra: []byte{0}}, factor.ErrWrong},
			{"client data after signing", d, alice, answer{clientAfter: func(b []byte) []byte { return append(b, ' ') }}, factor.ErrWrong},
			{"authenticator data after signing", d, alice, answer{dataAfter: flip}, factor.ErrWrong},
			{"signature", d, alice, answer{signatureChanges: flip}, factor.ErrWrong},
			{"no signature", d, alice, answer{signatureChanges: func([]byte) []byte { return nil }}, factor.ErrWrong},
			{"key", d, alice, answer{signer: others.credential.Key}, factor.ErrWrong},
			{"credential", d, alice, answer{rawID: []byte("another")}, factor.ErrWrong},
			{"ID", d, alice, answer{id: base64url([]byte("another"))}, factor.ErrWrong},
			{"kind", d, alice, answer{kind: "password"}, factor.ErrWrong},
			{"device of another user", others, alice, answer{}, factor.ErrWrong},
			{"handle of another user", d, alice, answer{handle: others.handle}, factor.ErrWrong},
			{"handle of another user, no name", d, "", answer{handle: others.handle}, factor.ErrWrong},
			{"no handle, no name", d, "", answer{}, factor.ErrWrong},
			{"nobody's handle, no name", d, "", answer{handle: make([]byte, 32)}, factor.ErrWrong},
		} {
			p, err := c.d.signIn(t, v, c.by, c.a)
			if !errors.Is(err, c.want) || err == nil != (c.want == nil) || err == nil && p.User != alice || err != nil && p != (factor.Proof{}) {
				t.Errorf("%s: got %+v, %v; want %v", c.what, p, err, c.want)
			}
		}
	})
}

// MFA-09: a challenge is the user's, good once and for five minutes, and does
// not reach what was bound after it.
func TestPasskeyChallenge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 2, nil, withPasskeys)
		v, other := s.nodes[0], s.nodes[1]
		d := newDevice(t, v, alice)
		newDevice(t, v, bob)
		finish := func(what, user string, c *factor.Ceremony, d *device, want error) {
			t.Helper()
			challenge, _ := asked(t, c)
			if _, err := other.FinishSignIn(t.Context(), user, c.ID, d.signed(challenge, answer{handle: d.handle}), home); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		c := must(v.BeginSignIn(t.Context(), alice))(t)
		finish("another user's", bob, c, d, factor.ErrOver)
		finish("as if nobody's", "", c, d, factor.ErrOver)
		finish("right", alice, c, d, nil)
		finish("again", alice, c, d, factor.ErrOver)
		c = must(v.BeginSignIn(t.Context(), ""))(t)
		finish("nobody's, as if the user's", alice, c, d, factor.ErrOver)
		time.Sleep(5*time.Minute + 3*time.Second)
		finish("late", "", c, d, factor.ErrOver)
		c = must(v.BeginSignIn(t.Context(), alice))(t)
		finish("bound after", alice, c, newDevice(t, v, alice), factor.ErrWrong)
		c = must(v.BeginSignIn(t.Context(), alice))(t)
		if err := v.Unbind(t.Context(), alice, d.id, binding(alice), home); err != nil {
			t.Fatal(err)
		}
		finish("unbound after", alice, c, d, factor.ErrWrong)
	})
}

// MFA-09: a passkey that counts fewer uses than were seen is refused, and its
// user is told.
func TestPasskeyCloned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newSite(t, 1, nil, func(c *factor.Config) {
			withPasskeys(c)
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		v := s.nodes[0]
		d := newDevice(t, v, alice)
		for _, c := range []struct {
			count uint32
			want  error
		}{{0, nil}, {0, nil}, {7, nil}, {7, factor.ErrCloned}, {6, factor.ErrCloned}, {0, factor.ErrCloned}, {8, nil}} {
			if _, err := d.signIn(t, v, alice, answer{count: c.count}); !errors.Is(err, c.want) {
				t.Errorf("count %d: got %v, want %v", c.count, err, c.want)
			}
		}
		if got := strings.Count(log.String(), "a passkey may have been copied"); got != 3 || !strings.Contains(log.String(), "user="+alice+" authenticator="+d.id) {
			t.Errorf("%d lines in the log: %s", got, log.String())
		}
		if got, want := s.whats(), "bound cloned cloned cloned"; got != want {
			t.Errorf("the user was told %q, want %q", got, want)
		}
		if got := s.events()[1]; got.Authenticator != d.id || got.Source != home || got.User != alice {
			t.Errorf("told %+v", got)
		}
	})
}

// A user has ten passkeys and no more.
func TestPasskeysFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, 1, nil, withPasskeys)
		v := s.nodes[0]
		var last *factor.Ceremony
		for i := range 10 {
			if i == 9 {
				last = must(v.BeginPasskey(t.Context(), user(alice), binding(alice)))(t)
			}
			newDevice(t, v, alice)
		}
		if _, err := v.BeginPasskey(t.Context(), user(alice), binding(alice)); !errors.Is(err, factor.ErrFull) {
			t.Errorf("the eleventh: %v", err)
		}
		challenge, _ := asked(t, last)
		d := &device{credential: newKey(virtualwebauthn.KeyTypeEC2)}
		if _, err := v.FinishPasskey(t.Context(), alice, last.ID, d.made(challenge, answer{}), "", home); !errors.Is(err, factor.ErrFull) {
			t.Errorf("the eleventh, begun before: %v", err)
		}
	})
}

// Without an origin there are no passkeys.
func TestNoPasskeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newSite(t, 1, nil, nil).nodes[0]
		_, begin := v.BeginPasskey(t.Context(), user(alice), binding(alice))
		_, finish := v.FinishPasskey(t.Context(), alice, "", nil, "", home)
		_, ask := v.BeginSignIn(t.Context(), "")
		_, signIn := v.FinishSignIn(t.Context(), "", "", nil, home)
		for _, err := range []error{begin, finish, ask, signIn} {
			if !errors.Is(err, factor.ErrMissing) {
				t.Errorf("got %v", err)
			}
		}
	})
}
