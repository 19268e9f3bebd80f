package audit

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// An Act is what is written of what a user did in the portal. What changes
// something has a record before, with the outcome unknown, and one after. The
// names of its fields are formed as those of a [Record].
type Act struct {
	// When it was done, UTC.
	Time time.Time `json:"@timestamp"`
	// portal- and the act: sign-in is a password, factor a second factor, confirm one of somebody who is signed in, recovery-code one of those that was used and has another in its place. mfa.binding_mismatch is an answer for a sign-in that was not asked of the user who gave it.
	Action string `json:"event.action"`
	// unknown on the record before something is changed; then success, or failure when nothing was.
	Outcome string `json:"event.outcome"`
	// Why a password was not accepted, as the label of a refusal.
	Reason string `json:"event.reason,omitempty"`
	// The directory's GUID of the account.
	UserID string `json:"user.id,omitempty"`
	// The account's name in the directory.
	UserName string `json:"user.name,omitempty"`
	// In its place, with audit.names hashed, a keyed hash of it; also of a name that was typed and did not sign in, so that repeats are seen and a password typed as a name is not.
	UserHash string `json:"user.hash,omitempty"`
	// The address that the user came from, where it is known.
	Client netip.Addr `json:"client.ip,omitzero"`
	// What it was done to: the id of what waited, of a grant, an authenticator or a transaction, or an application.
	Object string `json:"labels.object,omitempty"`
	// The second factor that the user had proven: totp, passkey, radius, recovery, or what stands for one that is to be bound: binding, admission.
	Factor string `json:"labels.portal_factor,omitempty"`
	// The id of its authenticator.
	Authenticator string `json:"labels.portal_authenticator,omitempty"`
}

// BindingMismatch is the act of a user who answered for what was not asked of
// that user (MFA-01).
const BindingMismatch = "mfa.binding_mismatch"

// Acts are the values of Act.Action.
func Acts() []string {
	return []string{
		"portal-sign-in", "portal-factor", "portal-confirm", "portal-sign-out-everywhere", "portal-approve", "portal-deny", "portal-not-me",
		"portal-allow", "portal-disallow", "portal-binding-code", "portal-enrol", "portal-rename", "portal-remove", "portal-recovery-codes", "portal-recovery-code",
		BindingMismatch,
	}
}

// AppendAct writes a and returns when it is on the disk.
func (l *Log) AppendAct(a *Act) error {
	line, err := a.line(&l.names)
	if err != nil {
		return fmt.Errorf("encode audit record: %w", err)
	}
	return l.append(line)
}

// line encodes the record as one line of JSON.
func (a *Act) line(n *names) ([]byte, error) {
	c := *a
	if n.hashed && c.UserName != "" {
		c.UserHash, c.UserName = n.hash(c.UserName), ""
	}
	for _, s := range []*string{&c.UserName, &c.Object} {
		*s = clean(*s)
	}
	b, err := json.Marshal(&c)
	return append(b, '\n'), err
}
