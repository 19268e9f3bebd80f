package factor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"stsgate/gateway/state"
)

const (
	// mostPasskeys is how many a user can have.
	mostPasskeys = 10
	// handleSize is the length of a user handle in bytes.
	handleSize = 32
	// challengeLast is how long a ceremony may take (MFA-09).
	challengeLast = 5 * time.Minute
	// mostResponse is the longest response of a browser in bytes.
	mostResponse = 16 << 10
)

// passkey is a WebAuthn credential. Its public key is no secret; it is kept
// with those that are.
type passkey struct {
	bound
	Credential []byte                            `json:"credential"`
	PublicKey  []byte                            `json:"public_key"` // as COSE has it
	AAGUID     []byte                            `json:"aaguid,omitempty"`
	Transports []protocol.AuthenticatorTransport `json:"transports,omitempty"`
	SignCount  uint32                            `json:"sign_count"`
	Eligible   bool                              `json:"be"` // may be on several devices
	BackedUp   bool                              `json:"bs"`
}

func (p *passkey) shown() Authenticator {
	a := p.bound.shown()
	a.Synced = p.Eligible
	return a
}

// credential is the passkey as the library has it.
func (p *passkey) credential() webauthn.Credential {
	return webauthn.Credential{
		ID: p.Credential, PublicKey: p.PublicKey, Transport: p.Transports,
		Flags:         webauthn.CredentialFlags{UserPresent: true, UserVerified: true, BackupEligible: p.Eligible, BackupState: p.BackedUp},
		Authenticator: webauthn.Authenticator{AAGUID: p.AAGUID, SignCount: p.SignCount},
	}
}

// An owner is a user as the library has one.
type owner struct {
	handle []byte
	name   string
	keys   []webauthn.Credential
}

func (e *enrolment) owner(name string) *owner {
	o := &owner{handle: e.Handle, name: name}
	for i := range e.Passkeys {
		o.keys = append(o.keys, e.Passkeys[i].credential())
	}
	return o
}

// WebAuthnID implements webauthn.User.
func (o *owner) WebAuthnID() []byte { return o.handle }

// WebAuthnName implements webauthn.User.
func (o *owner) WebAuthnName() string { return o.name }

// WebAuthnDisplayName implements webauthn.User.
func (o *owner) WebAuthnDisplayName() string { return o.name }

// WebAuthnCredentials implements webauthn.User.
func (o *owner) WebAuthnCredentials() []webauthn.Credential { return o.keys }

// newRelyingParty returns what checks passkeys for one origin, nil without one.
func newRelyingParty(id, origin, name string) (*webauthn.WebAuthn, error) {
	if id == "" && origin == "" {
		return nil, nil
	}
	within := webauthn.TimeoutConfig{Enforce: true, Timeout: challengeLast, TimeoutUVD: challengeLast}
	w, err := webauthn.New(&webauthn.Config{
		RPID: id, RPOrigins: []string{origin}, RPDisplayName: name,
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: within, Registration: within},
		// Password managers tell what nobody asked for. Nothing of it is used.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("factor: passkeys for %q: %w", origin, err)
	}
	return w, nil
}

// A Ceremony is what a browser is asked, once, within five minutes.
type Ceremony struct {
	ID string // for FinishPasskey or FinishSignIn
	// Options are JSON for PublicKeyCredential.parseCreationOptionsFromJSON or
	// parseRequestOptionsFromJSON, under the key publicKey.
	Options []byte
}

// A ceremony is the record of one.
type ceremony struct {
	Proof   Proof                `json:"proof,omitzero"` // on which a passkey is bound
	Session webauthn.SessionData `json:"session"`
}

// handleKey is where it stands whose user handle it is. A handle is random: a
// browser shows it to anybody, so that it is no GUID of the directory
// (WebAuthn, section 14.6.1).
func handleKey(handle []byte) state.Key {
	return state.Enrolments.Key("webauthn handle", hex.EncodeToString(handle))
}

// giveHandle makes the user a handle if there is none.
func (v *Verifier) giveHandle(ctx context.Context, user string) (e *enrolment, err error) {
	e, _, err = v.read(ctx, user)
	if err != nil || e.Handle != nil {
		return e, err
	}
	handle := make([]byte, handleSize)
	rand.Read(handle)
	// Whose it is stands first, so that no handle is given that leads nowhere.
	if _, err := v.store.Create(ctx, handleKey(handle), []byte(user), 0); err != nil {
		return nil, down(handleKey(handle), err)
	}
	err = v.change(ctx, user, func(now *enrolment, _ time.Time) (bool, error) {
		e = now
		if e.Handle != nil {
			return false, nil
		}
		e.Handle = handle
		return true, nil
	})
	return e, err
}

// BeginPasskey asks a browser to make a passkey. The proof is the user's, at
// most [Fresh] old.
func (v *Verifier) BeginPasskey(ctx context.Context, user User, p Proof) (*Ceremony, error) {
	ctx, done := state.Bound(ctx)
	defer done()
	if v.passkeys == nil {
		return nil, ErrMissing
	}
	if err := v.permits(ctx, user.ID, p); err != nil {
		return nil, err
	}
	e, err := v.giveHandle(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	if len(e.Passkeys) >= mostPasskeys {
		return nil, ErrFull
	}
	o := e.owner(user.UPN)
	asked, session, err := v.passkeys.BeginRegistration(o, webauthn.WithExclusions(webauthn.Credentials(o.keys).CredentialDescriptors()),
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()))
	if err != nil {
		return nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	return v.ask(ctx, "bind-passkey", user.ID, ceremony{p, *session}, asked)
}

// ask remembers a ceremony.
func (v *Verifier) ask(ctx context.Context, use, user string, c ceremony, asked any) (*Ceremony, error) {
	options, err := json.Marshal(asked)
	if err != nil {
		return nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	id, err := begin(ctx, v.store, use, user, c, challengeLast)
	if err != nil {
		return nil, err
	}
	return &Ceremony{id, options}, nil
}

// answered spends a ceremony, whatever was answered.
func (v *Verifier) answered(ctx context.Context, use, user, id string, response []byte) (*ceremony, error) {
	b, err := begun[ceremony](ctx, v.store, use, user, id)
	if err != nil {
		return nil, err
	}
	if err := b.end(ctx); err != nil {
		return nil, err
	}
	if len(response) > mostResponse {
		return nil, fmt.Errorf("%w: a response of %d bytes", ErrWrong, len(response))
	}
	return &b.value, nil
}

// origin holds a response to the one origin, byte by byte: the library takes
// capital letters and a default port for the same.
func (v *Verifier) origin(c protocol.CollectedClientData) error {
	if c.Origin != v.passkeys.Config.RPOrigins[0] {
		return fmt.Errorf("%w: origin %.200q", ErrWrong, c.Origin)
	}
	return nil
}

// FinishPasskey binds the passkey that a browser made, whose answer to BeginPasskey is
// response (PublicKeyCredential.toJSON). A wrong one ends the ceremony.
func (v *Verifier) FinishPasskey(ctx context.Context, user, id string, response []byte, name string, from Source) (Authenticator, error) {
	ctx, done := state.Bound(ctx)
	defer done()
	if v.passkeys == nil {
		return Authenticator{}, ErrMissing
	}
	c, err := v.answered(ctx, "bind-passkey", user, id, response)
	if err != nil {
		return Authenticator{}, err
	}
	made, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Authenticator{}, wrong(err)
	}
	if err := v.origin(made.Response.CollectedClientData); err != nil {
		return Authenticator{}, err
	}
	var k passkey
	err = v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		if err := e.stillPermits(c.Proof); err != nil {
			return false, err
		}
		credential, err := v.passkeys.CreateCredential(e.owner(""), c.Session, made)
		if err != nil {
			return false, wrong(err)
		}
		if e.passkey(credential.ID) != nil {
			return false, fmt.Errorf("%w: a passkey that the user has", ErrWrong)
		}
		if len(e.Passkeys) >= mostPasskeys {
			return false, ErrFull
		}
		k = passkey{
			bound:      newBound(Passkey, label(name, "Passkey"), from, now),
			Credential: credential.ID, PublicKey: credential.PublicKey, AAGUID: credential.Authenticator.AAGUID,
			Transports: credential.Transport, SignCount: credential.Authenticator.SignCount,
			Eligible: credential.Flags.BackupEligible, BackedUp: credential.Flags.BackupState,
		}
		e.Passkeys = append(e.Passkeys, k)
		return e.tell(Bound, &k.bound, from, now)
	})
	if err != nil {
		return Authenticator{}, err
	}
	return k.shown(), nil
}

// passkey returns the one with that credential, nil for none.
func (e *enrolment) passkey(credential []byte) *passkey {
	for i := range e.Passkeys {
		if bytes.Equal(e.Passkeys[i].Credential, credential) {
			return &e.Passkeys[i]
		}
	}
	return nil
}

// wrong says why the library does not accept a response.
func wrong(err error) error { return fmt.Errorf("%w: %w", ErrWrong, err) }

// BeginSignIn asks a browser for a passkey of the user or, without one, of
// whoever has one. The browser that the ID is given to must be the one that
// comes back with it, or somebody else is signed in there.
func (v *Verifier) BeginSignIn(ctx context.Context, user string) (*Ceremony, error) {
	ctx, done := state.Bound(ctx)
	defer done()
	if v.passkeys == nil {
		return nil, ErrMissing
	}
	asked, session, err := v.passkeys.BeginDiscoverableLogin()
	if user != "" {
		e, _, err2 := v.read(ctx, user)
		if err2 != nil {
			return nil, err2
		}
		if len(e.Passkeys) == 0 {
			return nil, ErrMissing
		}
		asked, session, err = v.passkeys.BeginLogin(e.owner(""))
	}
	if err != nil {
		return nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	return v.ask(ctx, "passkey", user, ceremony{Session: *session}, asked)
}

// FinishSignIn checks the answer of a browser to BeginSignIn of the same user,
// who may be "". It ends the ceremony. The error is one of ErrWrong, ErrCloned,
// ErrOver, ErrMissing and ErrDown.
func (v *Verifier) FinishSignIn(ctx context.Context, user, id string, response []byte, from Source) (Proof, error) {
	ctx, done := state.Bound(ctx)
	defer done()
	p, err := v.signIn(ctx, user, id, response, from)
	v.metrics.attempted(Passkey, err)
	if err != nil {
		return Proof{}, err
	}
	return p, nil
}

func (v *Verifier) signIn(ctx context.Context, user, id string, response []byte, from Source) (p Proof, err error) {
	if v.passkeys == nil {
		return p, ErrMissing
	}
	c, err := v.answered(ctx, "passkey", user, id, response)
	if err != nil {
		return p, err
	}
	said, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return p, wrong(err)
	}
	if err := v.origin(said.Response.CollectedClientData); err != nil {
		return p, err
	}
	if user == "" {
		if user, err = v.handled(ctx, said.Response.UserHandle); err != nil {
			return p, err
		}
	}
	cloned := ""
	err = v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		k := e.passkey(said.RawID)
		if k == nil {
			return false, fmt.Errorf("%w: a passkey that the user does not have", ErrWrong)
		}
		credential, err := v.asserted(e, c, said)
		if err != nil {
			return false, wrong(err)
		}
		if credential.Authenticator.CloneWarning {
			cloned = k.ID
			told, err := e.tell(Cloned, &k.bound, from, now)
			return told, errors.Join(ErrCloned, err)
		}
		k.SignCount, k.BackedUp, k.Used = credential.Authenticator.SignCount, credential.Flags.BackupState, now.UTC().Truncate(time.Second)
		p = Proof{User: user, Kind: Passkey, Authenticator: k.ID, UV: said.Response.AuthenticatorData.Flags.HasUserVerified(), At: now}
		return true, nil
	})
	if errors.Is(err, ErrCloned) {
		v.log.Error("a passkey may have been copied: it counts fewer uses than were seen of it", "user", user, "authenticator", cloned, "address", from.Address.String())
	}
	return p, err
}

// asserted has the library check the response.
func (v *Verifier) asserted(e *enrolment, c *ceremony, said *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
	o := e.owner("")
	if len(c.Session.UserID) > 0 {
		return v.passkeys.ValidateLogin(o, c.Session, said)
	}
	return v.passkeys.ValidateDiscoverableLogin(func(_, _ []byte) (webauthn.User, error) { return o, nil }, c.Session, said)
}

// handled returns the user whose handle it is.
func (v *Verifier) handled(ctx context.Context, handle []byte) (string, error) {
	if len(handle) != handleSize {
		return "", fmt.Errorf("%w: a user handle of %d bytes", ErrWrong, len(handle))
	}
	r, err := v.store.Get(ctx, handleKey(handle))
	if errors.Is(err, state.ErrNotFound) {
		return "", fmt.Errorf("%w: a user handle that is nobody's", ErrWrong)
	}
	if err != nil {
		return "", down(handleKey(handle), err)
	}
	return string(r.Value), nil
}
