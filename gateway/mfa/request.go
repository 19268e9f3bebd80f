package mfa

import (
	"net/netip"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// A Request is an exchange whose password is proven and whose answer is
// checked, and the second factor that it owes.
type Request struct {
	// User is whom the password proved (MFA-26), and Mail the address that the
	// directory has, for knocks.
	User factor.User
	Mail string
	// Transaction is the id of the exchange.
	Transaction string
	// Start is when the exchange began: the client waits from then on.
	Start time.Time
	// Application is what the token is for.
	Application *policy.Application
	// Requires are the second factors of all rules that apply. Each must be met.
	Requires []*policy.MFA
	// Address is where the client is. The zero Addr is one behind which are
	// many and that binds nothing (MFA-23).
	Address netip.Addr
	// New tells that the address is not familiar to the user, and Place where it
	// is, for the portal to show.
	New   bool
	Place string
	// Family names the client's software, one of Config.Families.
	Family string
	// Password is the one that was proven, and Code what was cut from behind
	// it, the zero Password when nothing was.
	Password, Code account.Password
	// Answer is the kept answer of the farm, nil when the token is issued here.
	// An approval is for it alone (MFA-16).
	Answer []byte

	approval state.Key // where its approval is, once that was asked
}

// A Proof is a second factor that was met for a request.
type Proof struct {
	// Shape is how it came, one shape.
	Shape policy.Shapes
	// Factor is what was proven: the code, or what the user approved with in
	// the portal.
	Factor factor.Proof
	// Remembered tells that it was proven for an earlier request.
	Remembered bool
}

// The labels of what proofs are worth, a closed list (MFA-25). None is
// phishing-resistant.
const (
	OTP         = "otp"          // a code behind the password
	Bound       = "bound"        // a number of the fault, typed in the portal
	ApproveOnly = "approve-only" // approved while the request waited
	PreApproved = "pre-approved" // approved before the request
)

// Assurance is the label of what the proof is worth.
func (p *Proof) Assurance() string {
	switch p.Shape {
	case policy.Code:
		return OTP
	case policy.Challenge:
		return Bound
	case policy.Grant:
		return PreApproved
	default:
		return ApproveOnly
	}
}

// Method names the factor beside the label: passkey-uv, passkey, totp, recovery
// or radius (MFA-25).
func (p *Proof) Method() string {
	if p.Factor.Kind == factor.Passkey && p.Factor.UV {
		return "passkey-uv"
	}
	return p.Factor.Kind.String()
}
