package mfa

import (
	"context"
	"time"
)

// Answered returns a function that tells whether the user may have answered
// since, so that the same request would be refused otherwise now. It keeps
// nothing of the request but the key of its approval.
func (s *Service) Answered(r *Request) func(context.Context) bool {
	key := s.approvalKey(r)
	return func(ctx context.Context) bool {
		a, _, err := read[approval](ctx, s.c.Store, key)
		return err != nil || !a.live(time.Now())
	}
}
