package refusal_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/refusal"
)

func TestEveryReasonHasARow(t *testing.T) {
	label := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, r := range refusal.Reasons() {
		row := r.Row()
		if !label.MatchString(row.Label) || seen[row.Label] {
			t.Errorf("reason %d: label %q is doubled or malformed", r, row.Label)
		}
		seen[row.Label] = true
		if row.Text == "" || row.Meaning == "" {
			t.Errorf("%s: no text or no meaning", row.Label)
		}
		if http.StatusText(row.Status) == "" || row.Status < 400 {
			t.Errorf("%s: status %d", row.Label, row.Status)
		}
		if row.Fault() && row.Status != http.StatusInternalServerError {
			t.Errorf("%s: a fault travels with 500, not %d (CLIENTS.md, rule 12)", row.Label, row.Status)
		}
		if row.Security && !row.Fault() {
			t.Errorf("%s: a namespace without a code", row.Label)
		}
	}
}

// The codes of WS-Trust 1.3, section 11, and of WS-Security 1.0, section 12.
func TestCodesAreDefined(t *testing.T) {
	trust := []string{"InvalidRequest", "FailedAuthentication", "RequestFailed", "InvalidSecurityToken", "AuthenticationBadElements",
		"BadRequest", "ExpiredData", "InvalidTimeRange", "InvalidScope", "RenewNeeded", "UnableToRenew"}
	security := []string{"UnsupportedSecurityToken", "UnsupportedAlgorithm", "InvalidSecurity", "InvalidSecurityToken",
		"FailedAuthentication", "FailedCheck", "SecurityTokenUnavailable", "MessageExpired"}
	for _, r := range refusal.Reasons() {
		row := r.Row()
		defined := trust
		if row.Security {
			defined = security
		}
		if row.Fault() && !slices.Contains(defined, row.Code) {
			t.Errorf("%s: %q is no code of its namespace", row.Label, row.Code)
		}
	}
}

// SOAP-14: what rests on who the user is looks alike, and nothing else does.
func TestUserRefusalsLookAlike(t *testing.T) {
	alike := []refusal.Reason{refusal.WrongPassword, refusal.UnknownUser, refusal.DeniedUser, refusal.ConflictUser, refusal.Banned, refusal.Throttled, refusal.Locked, refusal.WrongCode, refusal.AddressBlocked}
	for _, r := range refusal.Reasons() {
		if got, want := r.LikeWrongPassword(), slices.Contains(alike, r); got != want {
			t.Errorf("%s looks like a wrong password: %v, want %v", r, got, want)
		}
	}
}

func TestOf(t *testing.T) {
	cause := errors.New("cause")
	for _, c := range []struct {
		err  error
		want refusal.Reason
	}{
		{refusal.New(refusal.Denied, "rule %q: %w", "x", cause), refusal.Denied},
		{fmt.Errorf("wrapped: %w", &refusal.Refusal{Reason: refusal.FarmDown}), refusal.FarmDown},
		{cause, refusal.Internal},
		{nil, refusal.Internal},
	} {
		if got := refusal.Of(c.err); got != c.want {
			t.Errorf("Of(%v) = %v, want %v", c.err, got, c.want)
		}
	}
	if !errors.Is(refusal.New(refusal.Denied, "x: %w", cause), cause) {
		t.Error("a refusal hides its cause")
	}
	if got := refusal.Reason(200).Row().Label; got != "internal" {
		t.Errorf("a value that is no reason has the row of %q", got)
	}
}

// Only what a reason's text has room for is told.
func TestHolesAreFilled(t *testing.T) {
	for _, r := range refusal.Reasons() {
		text := (&refusal.Refusal{Reason: r, Portal: "https://approve.contoso.example", Number: "012345"}).Text()
		if strings.ContainsAny(text, "{}") {
			t.Errorf("%s: %q has a hole", r, text)
		}
		if got, want := strings.Contains(text, "012345"), r == refusal.SecondFactorNumber; got != want {
			t.Errorf("%s: tells the number: %v, want %v", r, got, want)
		}
	}
}
