package mfa

import (
	"context"
	"encoding/json"
	"time"

	"stsgate/gateway/state"
)

// rewatch is how soon after a watch ended another is begun.
const rewatch = time.Second

// follow wakes who waits on this gateway for what is written on any, until ctx
// ends. A watch that ends is begun anew, and tells everything again.
func (s *Service) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.watch(ctx); err != nil && ctx.Err() == nil {
			s.c.Log.Warn("approvals are not heard of at once", "err", err)
		}
		_ = pause(ctx, rewatch)
	}
}

func (s *Service) watch(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	late := time.AfterFunc(state.Silence, stop)
	defer late.Stop()
	for e, err := range s.c.Store.Watch(ctx, state.Approvals.Key()) {
		if err != nil {
			return err
		}
		switch e.Kind {
		case state.Current:
			late.Reset(state.Silence)
		case state.Put, state.Gone:
			s.rooms.tell(e.Record.Key, func() (*approval, error) {
				a := &approval{}
				return a, json.Unmarshal(e.Record.Value, a)
			})
		}
	}
	return nil
}

// Changes returns a channel that holds a token when what Pending returns for
// the user may have changed, on any gateway. stop must be called.
func (s *Service) Changes(user string) (changed <-chan struct{}, stop func()) {
	head := approvalsKey(user).Parts()[0]
	w := s.rooms.listen(head)
	return w, func() { s.rooms.unlisten(head, w) }
}
