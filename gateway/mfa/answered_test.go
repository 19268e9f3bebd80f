package mfa_test

import (
	"testing"

	"stsgate/gateway/mfa"
	"stsgate/policy"
)

// SOAP-16: what a request was refused with stands until its user answers, and
// where nobody was asked.
func TestAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		rule   *policy.MFA
		answer *mfa.Decision
		want   bool
	}{
		"nobody was asked": {granted, nil, false},
		"waits":            {challenge, nil, false},
		"denied":           {challenge, &mfa.Decision{Verdict: mfa.Deny}, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSite(t, 2, nil, nil)
				r := s.request(c.rule)
				if got := now(s.nodes[0], r); got.err == nil {
					t.Fatal("passed")
				}
				if c.answer != nil {
					if err := s.nodes[1].Decide(t.Context(), alice, s.only(s.nodes[1], alice).ID, *c.answer); err != nil {
						t.Fatal(err)
					}
				}
				if got := s.nodes[0].Answered(r)(t.Context()); got != c.want {
					t.Errorf("answered: %v, want %v", got, c.want)
				}
			})
		})
	}
}
