package factor

import (
	"time"

	"stsgate/gateway/state"
)

// Restored returns what a user's record of a backup becomes when it is restored
// (STATE-09). What was used since is not known: codes of the time until now are
// spent, and recovery codes are taken away, of which the user hears. Whoever
// waits after wrong codes waits on.
func (v *Verifier) Restored(r state.Record, by Source) ([]byte, error) {
	e, err := parse(r.Value)
	if err != nil {
		return nil, down(r.Key, err)
	}
	now := time.Now()
	if e.TOTP != nil {
		e.TOTP.Last = max(e.TOTP.Last, step(now)+totpWindow)
	}
	if e.Recovery != nil {
		old := e.Recovery.bound
		e.unbind(old.ID, by, now)
		if told, err := e.tell(v, Unbound, &old, by, now); !told {
			return nil, err
		}
	}
	return e.encode()
}
