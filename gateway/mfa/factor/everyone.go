package factor

import (
	"context"
	"errors"

	"stsgate/gateway/state"
)

// Everyone returns what each user has, by user, without those who have nothing.
// Records that cannot be read are an error, beside the others.
func (v *Verifier) Everyone(ctx context.Context) (map[string][]Authenticator, error) {
	records, err := v.store.List(ctx, state.Enrolments.Key())
	all := map[string][]Authenticator{}
	for _, r := range records {
		parts := r.Key.Parts()
		if len(parts) != 1 { // what is found by something else than its user
			continue
		}
		e, e2 := parse(r.Value)
		if e2 != nil {
			err = errors.Join(err, down(r.Key, e2))
		} else if list := e.list(); len(list) > 0 {
			all[parts[0]] = list
		}
	}
	return all, err
}
