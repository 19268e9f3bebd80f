package portal

import "context"

// EndSessions ends all sessions of a user, on all gateways within a second. It is
// for administrators.
func (p *Portal) EndSessions(ctx context.Context, user string) error { return p.endAll(ctx, user) }
