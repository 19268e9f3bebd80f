package factor

import (
	"fmt"
	"time"

	"stsgate/gateway/state"
)

// Restored returns what a record of state.Enrolments from a backup is to be
// when it is put back: no code is of use that was made before now, and no
// recovery code, since any may have been used after the backup (STATE-09). Apps
// and passkeys stay; a passkey that counts is ahead of its count.
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
		e.Recovery.Hashes = nil
	}
	return e.encode()
}
