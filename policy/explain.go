package policy

// An Explanation is a decision with what each rule had to do with it.
type Explanation struct {
	Decision Decision
	// Rules are all rules, by name.
	Rules []RuleResult
}

// A RuleResult tells whether a rule's conditions hold.
type RuleResult struct {
	Rule *Rule
	// Result is "matched", "not matched", "unknown" or "excepted".
	Result string
	// Conditions are the rule's, in the order of the manual; when is the last.
	Conditions []ConditionResult
	Exceptions []ExceptionResult
}

// An ExceptionResult tells whether an entry of except holds.
type ExceptionResult struct {
	// Owner and Reason are the entry's.
	Owner, Reason string
	// Result is "matched", "not matched", "unknown" or "expired".
	Result     string
	Conditions []ConditionResult
}

// A ConditionResult tells what one condition made of the facts.
type ConditionResult struct {
	// Key is the key of the match, or when; Negated tells that it stands under
	// not.
	Key     string
	Negated bool
	// Want are the condition's values, or its expression.
	Want string
	// Got is the value of the fact, "unknown" or "empty".
	Got string
	// Result is "true", "false" or "unknown", with not applied.
	Result string
}
