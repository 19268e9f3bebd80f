package guard

import (
	"errors"
	"fmt"
	"time"
)

// Limits are the thresholds of a Guard. Those of one Guard are the same on all
// gateways.
type Limits struct {
	// Failures is how many wrong passwords of a user lock: those from familiar
	// addresses and those from others are counted apart, and lock apart. Keep it
	// below what AD FS and the directory lock at: the directory counts both.
	Failures int
	// Window is how long a failure is remembered: all are forgotten when none
	// followed for so long, as Active Directory forgets its own. It is also how
	// long a wrong password is known to be one and, but for a minute, the first lock.
	Window time.Duration
	// LongestLock bounds a lock: each that follows another within a day is twice
	// as long.
	LongestLock time.Duration
	// Probe is how often a password that is known to be wrong is sent on all the
	// same, since it may have become right, while failures are few.
	Probe time.Duration

	// UserTries and SourceTries are how many passwords of one user, and from one
	// address, may leave each gateway in a minute, right ones included; after a
	// pause that many at once.
	UserTries, SourceTries int

	// SprayUsers is how many users must fail from one source within SprayWindow,
	// and be at least half of the users seen from there, for a block.
	SprayUsers  int
	SprayWindow time.Duration
	// Block is the first block of a source. LongestBlock bounds those that
	// follow within a day, each twice as long as the one before.
	Block, LongestBlock time.Duration
	// SurgeUsers is how many users must fail anywhere within SprayWindow, and be
	// more than five times as many as usual, for a quarter of SprayUsers to be
	// enough where nearly all fail.
	SurgeUsers int
}

// Defaults are those of security.md, section 9.
func Defaults() Limits {
	return Limits{
		Failures: 6, Window: 30 * time.Minute, LongestLock: 4 * time.Hour, Probe: 5 * time.Minute,
		UserTries: 6000, SourceTries: 60_000,
		SprayUsers: 10, SprayWindow: 10 * time.Minute, Block: time.Hour, LongestBlock: 24 * time.Hour,
		SurgeUsers: 50,
	}
}

// Check reports limits that do not fit together.
func (l Limits) Check() error {
	switch {
	case l.UserTries < 1 || l.SourceTries < 1:
		return errors.New("guard: a number of tries is less than 1")
	case l.Failures < 2 || l.SprayUsers < 2 || l.SurgeUsers < 2:
		return errors.New("guard: a number of failures or users is less than 2")
	case min(l.Window, l.Probe, l.SprayWindow, l.Block) < time.Second:
		return errors.New("guard: a time is less than a second")
	case l.LongestLock < l.Window+slack || l.LongestBlock < l.Block:
		return errors.New("guard: the longest lock or block is shorter than the first")
	}
	return nil
}

// CheckChain reports what lets the directory lock an account before or for
// longer than the guard does: it counts failures from familiar addresses and
// from others together, and forgets them after a window of its own. A threshold
// of 0 locks nobody.
func (l Limits) CheckChain(threshold int, window time.Duration) error {
	switch {
	case threshold == 0:
		return nil
	case threshold <= 2*l.Failures:
		return fmt.Errorf("the directory locks an account at %d wrong passwords, and must do so above twice of guard.failures, %d", threshold, 2*l.Failures)
	case window > l.Window:
		return fmt.Errorf("the directory remembers wrong passwords for %s, longer than guard.window, %s", window, l.Window)
	}
	return nil
}

// memory is for how long after its end a lock or a block makes the next one
// longer.
const memory = 24 * time.Hour

// grown is the length of a lock or block that follows n others.
func grown(first, longest time.Duration, n int) time.Duration {
	d := first
	for ; n > 0 && d < longest; n-- {
		d *= 2
	}
	return min(d, longest)
}
