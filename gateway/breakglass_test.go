package gateway_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stsgate/gateway/mfa"
	"stsgate/gateway/mfa/factor"
)

// FAIL-07: the example of a break-glass account opens with a passkey from its
// named network, and neither with the password alone, nor with another factor,
// nor from elsewhere; while the directory is down it does for as long as the
// account is remembered. Its rule in report-only counts every use.
func TestBreakGlass(t *testing.T) {
	text, err := os.ReadFile("../deploy/policies/break-glass/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	of := func(network string) string {
		return strings.NewReplacer("break-glass@contoso.example", alice.UPN, "198.51.100.240/29", network).Replace(string(text))
	}
	const here, elsewhere = "192.0.2.0/24", "198.51.100.240/29"
	for _, c := range []struct {
		name, network string
		remembered    bool
		factor        factor.Kind
		decided       error
		want          string
	}{
		{"with the key", here, false, factor.Passkey, nil, "ok"},
		{"the directory is down", here, true, factor.Passkey, nil, "ok"},
		{"with an app", here, false, factor.TOTP, mfa.ErrFactor, "second-factor-approve"},
		{"the password alone", here, false, 0, nil, "second-factor-approve"},
		{"elsewhere", elsewhere, false, 0, nil, "denied-user"},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			f := newFactored(t, of(c.network), nil)
			if c.remembered {
				a := alice
				a.Remembered, a.Groups = true, nil
				f.directory.byName[alice.UPN] = a
			}
			answer := f.start(modern.post(modern.query(typed(cloud, password))))
			if c.factor != 0 {
				time.Sleep(time.Second)
				all, err := f.mfa.Pending(t.Context(), alice.ID)
				if err != nil || len(all) != 1 {
					t.Fatalf("%d things wait, %v", len(all), err)
				}
				proof := f.proof()
				proof.Kind = c.factor
				if err := f.mfa.Decide(t.Context(), alice.ID, all[0].ID, mfa.Decision{Verdict: mfa.Approve, Factor: proof}); !errors.Is(err, c.decided) {
					t.Errorf("the answer: %v, want %v", err, c.decided)
				}
				synctest.Wait()
			}
			<-answer
			if got := f.last()["event.reason"]; got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if got := f.last()["labels.report_only"]; got == nil || list(got) != "break-glass in use" {
				t.Errorf("the record says that these rules would have applied: %v", got)
			}
		})
	}
}
