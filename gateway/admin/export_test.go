package admin

import "context"

// CalledBy is the context of a call by a user of the machine.
func CalledBy(ctx context.Context, uid int, name string) context.Context {
	return context.WithValue(ctx, peerKey{}, peer{uid: uid, name: name})
}
