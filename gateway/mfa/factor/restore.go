package factor

import (
	"fmt"
	"time"

	"stsgate/gateway/state"
)

// Restored returns what a record of state.Enrolments from a backup is to be when it
// is put back (STATE-09). What was used since is not known: no code is of use that
// an app showed until now, and recovery codes are taken away, of which the user
// hears. Apps and passkeys stay; a passkey that counts is ahead of its count.
// Whoever waits after wrong codes waits on.
func Restored(k state.Key, value []byte, now time.Time) ([]byte, error) {
	if len(k.Parts()) != 1 { // whose user handle it is
		return value, nil
	}
	e, err := parse(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	if e.TOTP != nil {
		e.TOTP.Last = max(e.TOTP.Last, step(now)+totpWindow)
	}
	if e.Recovery != nil {
		old, by := e.Recovery.bound, Source{By: "restore"}
		e.unbind(old.ID, by, now)
		if told, err := e.tell(Unbound, &old, by, now); !told {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
	}
	return e.encode()
}
