package factor

import (
	"errors"
	"fmt"
	"time"
)

// What calls fail with, told apart with errors.Is. None is for a client's eyes.
var (
	// ErrWrong says that the proof is not right. Codes are counted.
	ErrWrong = errors.New("wrong code")
	// ErrReused says that a code was right once, and is not counted: it was
	// accepted before, or a later one was.
	ErrReused = errors.New("the code was used before")
	// ErrThrottled says that nothing was checked, because too many codes were
	// wrong; it is a [Throttle].
	ErrThrottled = errors.New("too many wrong codes")
	// ErrDisabled says that so many were wrong that the authenticator must be
	// bound anew.
	ErrDisabled = errors.New("the authenticator is disabled")
	// ErrCloned says that a passkey counts fewer uses than were seen of it:
	// somebody may have a copy.
	ErrCloned = errors.New("the passkey may have been copied")
	// ErrChallenge says that the MFA server asks for more; it is a [*Challenge].
	ErrChallenge = errors.New("the MFA server asks for more")
	// ErrMissing says that the user has no such authenticator, or none of the
	// factors that were asked for.
	ErrMissing = errors.New("no such authenticator")
	// ErrOver says that what was begun is over: unknown, too old, spent, or
	// another user's.
	ErrOver = errors.New("begun too long ago, or ended")
	// ErrUnproven says that the user must prove a factor first, or anew.
	ErrUnproven = errors.New("no fresh proof")
	// ErrFull says that the user has as many as can be.
	ErrFull = errors.New("too many authenticators")
	// ErrDown says that what must be asked does not answer: nothing is
	// accepted, and what may have been spent is.
	ErrDown = errors.New("second factor cannot be checked")
)

// A Throttle is an ErrThrottled that says how long.
type Throttle struct{ Until time.Time }

// Error implements error.
func (t Throttle) Error() string {
	return fmt.Sprintf("%s: none is checked before %s", ErrThrottled, t.Until.UTC().Format(time.RFC3339))
}

// Is makes a Throttle an ErrThrottled.
func (t Throttle) Is(target error) bool { return target == ErrThrottled }
