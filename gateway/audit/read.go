package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// A Decision is what a record tells of a decision of policy.
type Decision struct {
	// Effect is allow or deny, Answer forward or issue; empty when there is none.
	Effect, Answer string
	SecondFactor   bool
	// Rule decided. It is empty when none did. Requires are the rules whose
	// obligations were owed.
	Rule     string
	Requires []string
	// User is the name of the account or, where it did not resolve, a hash.
	User string
	// Facts are those that were decided on, as policy.ParseRecorded reads them;
	// nil where policy was not asked, or the record would have been too long.
	Facts []byte
}

// ReadDecision reads a line of the log.
func ReadDecision(line []byte) (Decision, error) {
	var r struct {
		Effect       string          `json:"labels.effect"`
		Answer       string          `json:"labels.answer"`
		SecondFactor bool            `json:"labels.second_factor"`
		Rule         string          `json:"rule.name"`
		Requires     []string        `json:"labels.requires"`
		UserName     string          `json:"user.name"`
		UserHash     string          `json:"user.hash"`
		Facts        json.RawMessage `json:"labels.facts"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return Decision{}, fmt.Errorf("read audit line: %w", err)
	}
	return Decision{
		Effect: r.Effect, Answer: r.Answer, SecondFactor: r.SecondFactor, Rule: r.Rule, Requires: r.Requires,
		User: cmp.Or(r.UserName, r.UserHash, "unknown"), Facts: r.Facts,
	}, nil
}
