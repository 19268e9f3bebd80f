package mfa

import (
	"context"
	"time"
)

// Answered returns a function that tells whether the user may have answered
// since, so that the same request would be refused otherwise now. Where nobody
// was asked, as for a grant alone, nobody has answered. It keeps nothing of the
// request but the key of its approval.
func (s *Service) Answered(r *Request) func(context.Context) bool {
	key := s.approvalKey(r)
	return func(ctx context.Context) bool {
		a, revision, err := read[approval](ctx, s.c.Store, key)
		return err != nil || revision != 0 && !a.live(time.Now())
	}
}
