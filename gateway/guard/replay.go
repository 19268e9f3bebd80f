package guard

import (
	"context"
	"errors"
	"time"

	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
)

// replayable is for how long a message can be taken once it was: it may be 10
// minutes old, by clocks that are 5 minutes apart (security.md, SOAP-08, -09).
const replayable = 15 * time.Minute

// Spend uses up a nonce of a user's message, with the time that belongs to it:
// on all gateways one message with it is answered. The error is a
// *refusal.Refusal for Replayed, or for StateDown when nobody can tell.
//
// A mark is keyed by a hash that needs the secret: whoever has the store learns
// nothing of the message. It does not depend on report-only, which is about
// thresholds.
func (g *Guard) Spend(ctx context.Context, user, nonce, created string) error {
	key := state.Marks.Key("nonce-" + g.hash("guard: nonce", user+"\x00"+nonce+"\x00"+created))
	switch _, err := g.store.Create(ctx, key, nil, replayable); {
	case err == nil:
		return nil
	case errors.Is(err, state.ErrExists):
		return refusal.New(refusal.Replayed, "a message with its nonce was answered in the last %s", replayable)
	default:
		return stateDown(err)
	}
}
