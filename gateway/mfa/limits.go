package mfa

import "time"

const (
	// MaxHold is the longest that a request waits: a drain lasts longer.
	MaxHold = 70 * time.Second
	// DefaultHold is less than the 60 s of WCF and of common load balancers.
	DefaultHold = 45 * time.Second
	// promptFor is for how long a user can answer a prompt (MFA-03).
	promptFor = 5 * time.Minute
	// redeemFor is for how long after an approval the client's retry redeems
	// it, where nobody waited (MFA-02).
	redeemFor = 5 * time.Minute
	// freshFor is how old the factor may be that approves (MFA-20).
	freshFor = 5 * time.Minute
	// MaxWaiting is how many requests wait for one approval.
	MaxWaiting = 20
	// wrongNumbers end a transaction (MFA-08).
	wrongNumbers = 2

	// firstUse is for how long a grant waits for its first use (MFA-23).
	firstUse = 10 * time.Minute
	// standsFor and idleFor bound a proof that is remembered (MFA-15).
	standsFor = 24 * time.Hour
	idleFor   = time.Hour
	// noteUse is how exactly the last use of it is known: each later note is a
	// write.
	noteUse = 5 * time.Minute

	// Fatigue (MFA-07): prompts in a time, and without one that was approved,
	// after which there are none for a time.
	mostPrompts    = 3
	promptsWithin  = 10 * time.Minute
	mostUnanswered = 5
	stopFor        = time.Hour

	// blockFor is for how long an address is closed to a user who said that it
	// was somebody else's (MFA-07).
	blockFor = time.Hour
	// seenFor is for how long an address that was refused can be granted.
	seenFor = time.Hour
	// mostSeen bounds what is remembered as seen of one user.
	mostSeen = 20

	// skew is how far apart the clocks of gateways may be.
	skew = 2 * time.Second
)
