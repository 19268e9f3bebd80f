package factor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"stsgate/policy"
)

// A Kind is a kind of proof: of an authenticator, or of what stands for one
// that is to be bound.
type Kind uint8

// The kinds.
const (
	TOTP     Kind = iota + 1 // a code of an app
	Passkey                  // WebAuthn
	RADIUS                   // a code that an MFA server checked
	Recovery                 // a recovery code
	// Binding is a code of an administrator, and Admission a first enrolment
	// that the configuration allows. They permit to enrol and nothing else.
	Binding
	Admission

	numKinds
)

var kindNames = [numKinds]string{TOTP: "totp", Passkey: "passkey", RADIUS: "radius", Recovery: "recovery", Binding: "binding", Admission: "admission"}

// String returns the kind as policy, audit and metrics name it.
func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Kind) UnmarshalText(text []byte) error {
	for i := TOTP; i < numKinds; i++ {
		if kindNames[i] == string(text) {
			*k = i
			return nil
		}
	}
	return fmt.Errorf("%q is no kind of authenticator", text)
}

// Factors is the kind as a set of policy's, empty for what is no factor.
func (k Kind) Factors() policy.Factors {
	switch k {
	case TOTP:
		return policy.TOTP
	case Passkey:
		return policy.Passkey
	case RADIUS:
		return policy.RADIUS
	case Recovery:
		return policy.Recovery
	}
	return 0
}

// A User is whose authenticators they are: the subject that a password proved,
// never a name that was typed (MFA-26).
type User struct {
	// ID is the directory's GUID, under which everything is kept.
	ID string
	// UPN and SAM are the user's names. Apps show the first, and RADIUS sends
	// one of them.
	UPN, SAM string
}

// A Source is who did something and from where.
type Source struct {
	// By is the operator as audit names one, empty for the user.
	By string `json:"by,omitempty"`
	// Address is where the user was, zero for an operator.
	Address netip.Addr `json:"address,omitzero"`
}

// An Authenticator is what a user has. It holds no secret.
type Authenticator struct {
	// ID is unique among the user's, and never used again.
	ID    string
	Kind  Kind
	Label string // as the user named it, cleaned
	Bound time.Time
	From  Source // who bound it
	// Used is the last time that it was proven, zero for never.
	Used time.Time
	// Disabled tells that it had too many wrong codes and must be bound anew,
	// and Until how long it waits for wrong ones meanwhile.
	Disabled bool
	Until    time.Time
	// Left is how many recovery codes are.
	Left int
	// Unbound is when it was taken away, zero for one that the user has, and By
	// is who did.
	Unbound time.Time
	By      Source
	// Synced tells that a passkey may be on several devices (its flag BE).
	Synced bool
}

// A Proof is evidence that a user has an authenticator. It is given once for a
// use. It may be kept on the server, as in a session, and is never to be
// believed from elsewhere.
type Proof struct {
	User          string    `json:"user"`
	Kind          Kind      `json:"kind"`
	Authenticator string    `json:"authenticator,omitempty"`
	UV            bool      `json:"uv,omitempty"` // the authenticator verified its user
	At            time.Time `json:"at"`
}

// Fresh is how old a proof may be that changes what a user has (PORT-02).
const Fresh = 5 * time.Minute

// List returns what the user has, the oldest first.
func (v *Verifier) List(ctx context.Context, user string) ([]Authenticator, error) {
	e, _, err := v.read(ctx, user)
	if err != nil {
		return nil, err
	}
	return e.list(), nil
}

// Past returns what the user had, the latest hundred at most (MFA-12). Audit has all.
func (v *Verifier) Past(ctx context.Context, user string) ([]Authenticator, error) {
	e, _, err := v.read(ctx, user)
	if err != nil {
		return nil, err
	}
	var all []Authenticator
	for i := range e.Past {
		a := e.Past[i].shown()
		a.Unbound, a.By = e.Past[i].Unbound, e.Past[i].By
		all = append(all, a)
	}
	return all, nil
}

// Stands tells whether what a proof proved still does: not after a reset, nor
// once its authenticator was taken away or disabled, on all gateways within a
// second. New recovery codes are as good as the old ones were.
func (v *Verifier) Stands(ctx context.Context, p Proof) (bool, error) {
	e, err := v.known(p.User)
	if err != nil || e.stands(p) {
		return err == nil, err
	}
	e, _, err = v.read(ctx, p.User) // what was bound a moment ago is not known yet
	return err == nil && e.stands(p), err
}

// Accepts returns those of the factors that the user can type behind a
// password, whatever becomes of it. It asks no store, and has an error when
// what is known is too old.
func (v *Verifier) Accepts(user string, f policy.Factors) (policy.Factors, error) {
	e, err := v.known(user)
	if err != nil {
		return 0, err
	}
	var has policy.Factors
	if e.TOTP != nil {
		has |= policy.TOTP
	}
	if e.Recovery != nil && len(e.Recovery.Hashes) > 0 {
		has |= policy.Recovery
	}
	if v.radius != nil {
		has |= policy.RADIUS
	}
	return has & f, nil
}

// CodeFactors returns the factors that a text can be a code of: six digits are
// one of TOTP, six to eight of RADIUS; sixteen letters and digits, with hyphens
// or without, are a recovery code.
func CodeFactors(text []byte) policy.Factors {
	switch n := len(text); {
	case n == totpDigits && digits(text):
		return policy.TOTP | policy.RADIUS
	case n >= fewestDigits && n <= mostDigits && digits(text):
		return policy.RADIUS
	case plain(text, recoveryChars) != nil:
		return policy.Recovery
	}
	return 0
}

func digits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// mostLabel is the longest label in characters.
const mostLabel = 64

// label makes what a user typed fit to be shown: no characters that nobody
// sees, at most 64 of the others.
func label(typed, otherwise string) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.TrimSpace(typed) {
		if n == mostLabel {
			break
		}
		if unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r) && r != unicode.ReplacementChar {
			b.WriteRune(r)
			n++
		}
	}
	if s := strings.TrimSpace(b.String()); s != "" {
		return s
	}
	return otherwise
}

// Rename names an authenticator anew.
func (v *Verifier) Rename(ctx context.Context, user, id, name string) error {
	return v.change(ctx, user, func(e *enrolment, _ time.Time) (bool, error) {
		b := e.find(id)
		if b == nil {
			return false, ErrMissing
		}
		b.Label = label(name, b.Label)
		return true, nil
	})
}

// Unbind takes an authenticator away. The proof is the user's, at most [Fresh] old.
func (v *Verifier) Unbind(ctx context.Context, user, id string, p Proof, from Source) error {
	return v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		if err := e.permits(p, user, now); err != nil {
			return false, err
		}
		b := e.find(id)
		if b == nil {
			return false, ErrMissing
		}
		old := *b
		e.unbind(id, from, now)
		return e.tell(Unbound, &old, from, now)
	})
}

// Reset takes everything away that the user has. It is for administrators, and
// gives nobody anything: the user binds anew with a binding code.
func (v *Verifier) Reset(ctx context.Context, user string, from Source) error {
	return v.change(ctx, user, func(e *enrolment, now time.Time) (bool, error) {
		for _, a := range e.list() {
			e.unbind(a.ID, from, now)
		}
		e.Reset = now.UTC()
		return e.tell(Reset, nil, from, now)
	})
}
