package factor_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/descope/virtualwebauthn"

	"stsgate/gateway/mfa/factor"
)

const (
	rpID   = "approve.contoso.example"
	origin = "https://approve.contoso.example"
)

// withPasskeys lets gateways have passkeys.
func withPasskeys(c *factor.Config) { c.RPID, c.Origin = rpID, origin }

// Flags of authenticator data (WebAuthn, section 6.1).
const (
	flagUP, flagUV, flagBE, flagBS, flagAT = 1, 4, 8, 16, 64
)

// A device is an authenticator, and the browser that it is plugged into.
type device struct {
	credential virtualwebauthn.Credential
	handle     []byte
	id         string // of the factor
}

// An answer is all that a browser says and an authenticator signs. Its zero
// fields are filled with what is right.
type answer struct {
	kind, id         string // of the credential, and its ID
	typ, challenge   string
	origin           string
	crossOrigin      bool
	topOrigin        string
	token            map[string]string // tokenBinding
	rpID             string
	flags            byte
	count            uint32
	rawID, attested  []byte // the credential's ID outside of and in what is attested
	key              []byte // COSE
	handle           []byte
	extra            []byte // behind authenticator data
	noAttestedData   bool
	signer           *virtualwebauthn.Key
	clientAfter      func([]byte) []byte // what becomes of client data after it is signed
	dataAfter        func([]byte) []byte // and of authenticator data
	signatureChanges func([]byte) []byte
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// asked reads a ceremony's options.
func asked(t testing.TB, c *factor.Ceremony) (challenge string, handle []byte) {
	t.Helper()
	var o struct {
		PublicKey struct {
			Challenge string
			User      struct{ ID string }
		}
	}
	if err := json.Unmarshal(c.Options, &o); err != nil {
		t.Fatal(err)
	}
	handle, err := base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID)
	if err != nil {
		t.Fatal(err)
	}
	return o.PublicKey.Challenge, handle
}

func or[T any](given, right T, absent bool) T {
	if absent {
		return right
	}
	return given
}

// clientData is what the browser says.
func (a *answer) clientData(typ, challenge string) []byte {
	m := map[string]any{
		"type": or(a.typ, typ, a.typ == ""), "challenge": or(a.challenge, challenge, a.challenge == ""),
		"origin": or(a.origin, origin, a.origin == ""), "crossOrigin": a.crossOrigin,
	}
	if a.topOrigin != "" {
		m["topOrigin"] = a.topOrigin
	}
	if a.token != nil {
		m["tokenBinding"] = a.token
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return text
}

// data is authenticator data.
func (a *answer) data(flags byte) []byte {
	hash := sha256.Sum256([]byte(or(a.rpID, rpID, a.rpID == "")))
	return binary.BigEndian.AppendUint32(append(hash[:], or(a.flags, flags, a.flags == 0)), a.count)
}

func (d *device) whole(a answer, response map[string]any) []byte {
	raw := or(a.rawID, d.credential.ID, a.rawID == nil)
	text, err := json.Marshal(map[string]any{
		"type": or(a.kind, "public-key", a.kind == ""), "id": or(a.id, base64url(raw), a.id == ""), "rawId": base64url(raw), "response": response,
	})
	if err != nil {
		panic(err)
	}
	return text
}

// made answers to the making of a passkey, without an attestation.
func (d *device) made(challenge string, a answer) []byte {
	data := a.data(flagUP | flagUV | flagAT)
	if !a.noAttestedData {
		id := or(a.attested, d.credential.ID, a.attested == nil)
		data = append(data, make([]byte, 16)...) // AAGUID
		data = binary.BigEndian.AppendUint16(data, uint16(len(id)))
		data = append(append(data, id...), or(a.key, d.credential.Key.AttestationData(), a.key == nil)...)
	}
	data = append(data, a.extra...)
	object := []byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59")
	object = append(binary.BigEndian.AppendUint16(object, uint16(len(data))), data...)
	return d.whole(a, map[string]any{
		"clientDataJSON": base64url(a.clientData("webauthn.create", challenge)), "attestationObject": base64url(object),
	})
}

// signed answers to a sign-in.
func (d *device) signed(challenge string, a answer) []byte {
	client, data := a.clientData("webauthn.get", challenge), append(a.data(flagUP|flagUV), a.extra...)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte(nil), data...), hash[:]...))
	signature, err := or(a.signer, d.credential.Key, a.signer == nil).Sign(digest[:])
	if err != nil {
		panic(err)
	}
	for _, change := range []struct {
		what *[]byte
		f    func([]byte) []byte
	}{{&client, a.clientAfter}, {&data, a.dataAfter}, {&signature, a.signatureChanges}} {
		if change.f != nil {
			*change.what = change.f(*change.what)
		}
	}
	return d.whole(a, map[string]any{
		"clientDataJSON": base64url(client), "authenticatorData": base64url(data), "signature": base64url(signature), "userHandle": base64url(a.handle),
	})
}

// newDevice gives the user a passkey on a device of its own.
func newDevice(t testing.TB, v *factor.Verifier, id string) *device {
	t.Helper()
	d := &device{credential: newKey(virtualwebauthn.KeyTypeEC2)}
	c := must(v.BeginPasskey(t.Context(), user(id), binding(id)))(t)
	challenge, handle := asked(t, c)
	d.handle = handle
	d.id = must(v.FinishPasskey(t.Context(), id, c.ID, d.made(challenge, answer{}), "key", home))(t).ID
	return d
}

// signIn signs in with the device, by the name of a user or without.
func (d *device) signIn(t testing.TB, v *factor.Verifier, id string, a answer) (factor.Proof, error) {
	t.Helper()
	c := must(v.BeginSignIn(t.Context(), id))(t)
	challenge, _ := asked(t, c)
	return v.FinishSignIn(t.Context(), id, c.ID, d.signed(challenge, a), home)
}

// newKey returns a credential as devices have: the library drops zeros at the
// front of a coordinate, one key in 128.
func newKey(kind virtualwebauthn.KeyType) virtualwebauthn.Credential {
	const whole = 77 // bytes of a COSE key of two coordinates of 32
	for {
		c := virtualwebauthn.NewCredential(kind)
		if kind != virtualwebauthn.KeyTypeEC2 || len(c.Key.AttestationData()) == whole {
			return c
		}
	}
}
