package mfa

import (
	"cmp"
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
	"stsgate/policy"
)

// A Pending is what waits for a user's answer, as the portal shows it. It never
// holds the number (MFA-08).
type Pending struct {
	// ID names the prompt to Decide, for this user alone.
	ID          string
	Application string
	// Family is the software of the first that asked.
	Family string
	// Address is where it asked from, the zero Prefix when nobody can know, and
	// Place where that is. New tells that the address is not familiar.
	Address netip.Prefix
	Place   string
	New     bool
	// Waiting is how many requests the answer is for; 0 when it is for the
	// client's next one.
	Waiting int
	// Number tells that the user must type the number of the client's fault.
	Number bool
	// Factors are those that may approve.
	Factors policy.Factors
	// Opened is when the user was asked, and Until when nobody is any more.
	Opened, Until time.Time
}

// Pending returns what waits for a user's answer, the newest first.
func (s *Service) Pending(ctx context.Context, user string) ([]Pending, error) {
	all, err := s.approvals(ctx, user)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var shown []Pending
	for _, k := range all {
		if a := k.approval; a.live(now) {
			a.Waiting = slices.DeleteFunc(a.Waiting, func(w waiting) bool { return w.over(now) })
			shown = append(shown, Pending{
				ID: s.promptID(user, a.Prompt), Application: a.Application, Family: a.Family, Address: a.Address, Place: a.Place, New: a.New,
				Waiting: len(a.Waiting), Number: a.Way == policy.Challenge, Factors: a.Factors, Opened: a.Opened, Until: a.Until,
			})
		}
	}
	slices.SortFunc(shown, func(a, b Pending) int { return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(a.ID, b.ID)) })
	return shown, nil
}

type keptApproval struct {
	key      state.Key
	approval approval
}

// approvals reads a user's from the store.
func (s *Service) approvals(ctx context.Context, user string) ([]keptApproval, error) {
	ctx, done := context.WithTimeout(ctx, state.Deadline)
	defer done()
	records, err := s.c.Store.List(ctx, approvalsKey(user))
	if err != nil {
		return nil, fmt.Errorf("approvals of %s: %w", user, err)
	}
	all := make([]keptApproval, len(records))
	for i, r := range records {
		all[i].key = r.Key
		if err := json.Unmarshal(r.Value, &all[i].approval); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", r.Key, state.ErrCorrupt, err)
		}
	}
	return all, nil
}

// promptID names a prompt so that it is worth nothing to another user (MFA-01).
func (s *Service) promptID(user string, prompt []byte) string {
	return hex.EncodeToString(prompt) + s.name("prompt", []byte(user), prompt)
}

// prompt reads what promptID wrote.
func (s *Service) prompt(user, id string) ([]byte, error) {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != 32 || !hmac.Equal(b[16:], s.mac("prompt", []byte(user), b[:16])) {
		return nil, ErrMismatch
	}
	return b[:16], nil
}

// A Verdict is what a user says about what waits.
type Verdict uint8

// The verdicts. The zero Verdict denies.
const (
	// Deny refuses all that wait.
	Deny Verdict = iota
	// Approve releases all that wait, or the client's next try when none does.
	Approve
	// NotMe denies, closes the address to the user for an hour, ends all grants
	// and alarms.
	NotMe
)

// A Decision is a user's answer.
type Decision struct {
	Verdict Verdict
	// Number is what the user typed, where Pending.Number asks for it.
	Number string
	// Factor is what the user has proven in the portal, at most 5 minutes ago.
	// Only Approve needs it.
	Factor factor.Proof
	// To is who is told of what NotMe does.
	To knock.Recipient
}

// What Decide fails with, beside the store's errors; after state.ErrUnknown
// nobody knows whether the answer counts.
var (
	// ErrOver says that nothing waits for this answer any more: it was given, or
	// came too late.
	ErrOver = errors.New("nothing waits for this answer")
	// ErrMismatch says that the id is none of this user's.
	ErrMismatch = errors.New("the id is of another user, or of nobody")
	// ErrNumber says that the number is wrong; the next wrong one denies.
	ErrNumber = errors.New("wrong number")
	// ErrNumbers says that it was the second one, so that the request is denied.
	ErrNumbers = errors.New("two wrong numbers")
	// ErrFactor says that the rules take another factor.
	ErrFactor = errors.New("the rules take another factor for this")
)

// Decide gives a user's answer to what waits under an id, once. It reaches
// whoever waits, on all gateways, within a second.
func (s *Service) Decide(ctx context.Context, user, id string, d Decision) error {
	k, err := s.find(ctx, user, id)
	if err != nil {
		return err
	}
	if d.Verdict == NotMe { // first what protects, whatever becomes of the rest
		if err := s.NotMe(ctx, d.To, user, k.approval.Address.Addr(), k.approval.Application, k.approval.Place); err != nil {
			return err
		}
	}
	var o outcome
	var a approval
	err = update(ctx, s.c.Store, k.key, func(v *approval, _ bool) (time.Duration, error) {
		now := time.Now()
		if !v.live(now) || !hmac.Equal(v.Prompt, k.approval.Prompt) {
			return 0, ErrOver
		}
		var err error
		o, err = s.judge(v, user, d, now)
		a = *v
		return v.keep(now), err
	})
	if err != nil {
		return err
	}
	s.rooms.tell(k.key, func() (*approval, error) { return &a, nil })
	s.metrics.decided(o, a.Decided.Sub(a.Opened))
	switch o {
	case approvedNow:
		s.rested(ctx, user)
	case wrongOnce:
		return ErrNumber
	default:
		s.answered(ctx, user)
	}
	if o == wrongTwice {
		return ErrNumbers
	}
	return nil
}

// find returns what waits under an id.
func (s *Service) find(ctx context.Context, user, id string) (keptApproval, error) {
	prompt, err := s.prompt(user, id)
	if err != nil {
		s.metrics.mismatches.Inc()
		s.c.Log.Error("mfa.binding_mismatch: an answer for what was not asked of this user", "user", user)
		return keptApproval{}, err
	}
	all, err := s.approvals(ctx, user)
	if err != nil {
		return keptApproval{}, err
	}
	i := slices.IndexFunc(all, func(k keptApproval) bool { return hmac.Equal(k.approval.Prompt, prompt) })
	if i < 0 {
		return keptApproval{}, ErrOver
	}
	return all[i], nil
}

// An outcome is what an answer did.
type outcome uint8

const (
	approvedNow outcome = iota
	deniedNow
	disowned
	wrongOnce
	wrongTwice

	numOutcomes
)

// judge changes an approval by an answer.
func (s *Service) judge(a *approval, user string, d Decision, now time.Time) (outcome, error) {
	switch {
	case d.Verdict == NotMe:
		a.decide(denied, factor.Proof{}, now)
		return disowned, nil
	case d.Verdict != Approve:
		a.decide(denied, factor.Proof{}, now)
		return deniedNow, nil
	case !fresh(d.Factor, user, now):
		return 0, ErrOldFactor
	case a.Factors&d.Factor.Kind.Factors() == 0:
		return 0, ErrFactor
	case a.Way == policy.Challenge && !hmac.Equal([]byte(d.Number), []byte(s.number(a.Seed))):
		a.Wrong++
		if a.Wrong < wrongNumbers {
			return wrongOnce, nil
		}
		a.decide(denied, factor.Proof{}, now)
		return wrongTwice, nil
	}
	a.decide(approved, d.Factor, now)
	return approvedNow, nil
}

// NotMe closes an address to a user who says that a sign-in from there was
// somebody else's: for an hour, on all gateways within a second. It is familiar no
// more. It ends all grants of the user, alarms, and tells the user. The zero Addr
// closes none.
func (s *Service) NotMe(ctx context.Context, to knock.Recipient, user string, address netip.Addr, application, place string) error {
	s.metrics.alarms.Inc()
	s.c.Log.Error("a user says that a sign-in with the right password was somebody else's", "user", user, "address", address.String(), "application", application)
	if address.IsValid() {
		err := update(ctx, s.c.Store, blockKey(user, bound(address)), func(b *block, _ bool) (time.Duration, error) {
			b.At = time.Now()
			return blockFor, nil
		})
		if err != nil {
			return fmt.Errorf("close the address: %w", err)
		}
		if s.c.Forget != nil {
			if err := s.c.Forget(ctx, user, address); err != nil {
				return fmt.Errorf("forget the address: %w", err)
			}
		}
	}
	if err := s.RevokeAll(ctx, user); err != nil {
		return err
	}
	s.notify(ctx, knock.Notice{What: knock.Disowned, To: to, Application: application, Place: place, At: time.Now()})
	return nil
}

// A block closes an address to a user while its record lasts.
type block struct {
	At time.Time `json:"at"`
}
