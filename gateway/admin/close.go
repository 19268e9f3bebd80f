package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"stsgate/gateway/guard"
)

func (c *call) lockList(ctx context.Context, _ *Nothing) (any, error) {
	all, err := c.desk.c.Guard.Locks(ctx)
	if c.desk.c.Disowned != nil {
		closed, e := c.desk.c.Disowned(ctx)
		all, err = append(all, closed...), errors.Join(err, e)
	}
	return c.list(ctx, all, err)
}

func (c *call) banList(ctx context.Context, _ *Nothing) (any, error) {
	all, err := c.desk.c.Guard.Bans(ctx)
	return c.list(ctx, all, err)
}

// list makes a List of what the guard has. Something that cannot be read hides
// nothing else.
func (c *call) list(ctx context.Context, all []guard.Closed, err error) (any, error) {
	if err != nil && len(all) == 0 {
		return nil, err
	}
	c.record.Records = len(all)
	l := List{Rows: []Closed{}}
	if err != nil {
		l.Unread, c.record.Error = err.Error(), err.Error()
	}
	for _, g := range all {
		r := Closed{Target: g.User, Name: g.Name, Addresses: g.Addresses, Until: g.Until.UTC(), By: g.By, Reason: g.Why}
		if g.Source.IsValid() {
			r.Target = g.Source.String()
		}
		l.Rows = append(l.Rows, r)
	}
	slices.SortFunc(l.Rows, func(a, b Closed) int { return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Target, b.Target)) })
	if l.More = len(l.Rows) - MostRows; l.More > 0 {
		l.Rows = l.Rows[:MostRows]
	}
	l.More = max(l.More, 0)
	var users []string
	for _, r := range l.Rows {
		if r.Name == "" {
			users = append(users, r.Target)
		}
	}
	names := c.names(ctx, users)
	for i, r := range l.Rows {
		l.Rows[i].Name = cmp.Or(r.Name, names[r.Target])
	}
	return l, nil
}

const (
	// mostNames is of how many users the directory is asked for the name, and
	// namesTime for how long: a list is of use without.
	mostNames = 1000
	namesTime = 3 * time.Second
)

// names asks the directory who users are.
func (c *call) names(ctx context.Context, users []string) map[string]string {
	slices.Sort(users)
	users = slices.Compact(users)
	if c.desk.c.Names == nil || len(users) == 0 {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, namesTime)
	defer done()
	names, err := c.desk.c.Names(ctx, users[:min(len(users), mostNames)])
	if err != nil {
		c.desk.c.Log.Warn("the directory does not name the users of a list", "err", err)
	}
	return names
}

func (c *call) lockAdd(ctx context.Context, in *Close) (any, error) {
	return c.close(ctx, in, func(t target, h guard.Hold) error {
		switch {
		case t.user == "":
			return errors.New("users are locked; a source is banned: stsgate ban add")
		case h.Until.IsZero():
			return errors.New("a lock needs an end: --for")
		}
		if err := c.begin(); err != nil {
			return err
		}
		return c.desk.c.Guard.LockUser(ctx, t.user, h)
	})
}

func (c *call) banAdd(ctx context.Context, in *Close) (any, error) {
	return c.close(ctx, in, func(t target, h guard.Hold) error {
		if err := c.begin(); err != nil {
			return err
		}
		if t.user != "" {
			return c.desk.c.Guard.BanUser(ctx, t.user, h)
		}
		return c.desk.c.Guard.BanSource(ctx, t.source, h)
	})
}

// close locks or bans.
func (c *call) close(ctx context.Context, in *Close, do func(target, guard.Hold) error) (any, error) {
	if err := c.reason(in.Reason); err != nil {
		return nil, err
	}
	t, err := c.find(ctx, in.Target)
	if err != nil {
		return nil, err
	}
	h := guard.Hold{Name: t.name, By: c.by.String(), Why: in.Reason}
	if in.Seconds < 0 || in.Seconds > int64(longestBan/time.Second) {
		return nil, fmt.Errorf("want a time of up to %s", longestBan)
	}
	if in.Seconds > 0 {
		h.Until = time.Now().Add(time.Duration(in.Seconds) * time.Second).UTC()
	}
	c.record.Until = h.Until
	if err := do(t, h); err != nil {
		return nil, err
	}
	return Done{Target: t.String(), Name: t.name, Until: h.Until}, nil
}

// longestBan bounds a ban that ends by itself.
const longestBan = 10 * 365 * 24 * time.Hour

func (c *call) lockClear(ctx context.Context, in *Close) (any, error) {
	return c.open(ctx, in, func(t target) error {
		if t.user != "" {
			return c.unlock(ctx, t.user)
		}
		return c.desk.c.Guard.UnblockSource(ctx, counted(t.source))
	})
}

// unlock ends the locks of a user, and opens the addresses that are closed to the
// user alone.
func (c *call) unlock(ctx context.Context, user string) error {
	err := c.desk.c.Guard.UnlockUser(ctx, user)
	if c.desk.c.Reopen == nil || err != nil && !errors.Is(err, guard.ErrNothing) {
		return err
	}
	if e := c.desk.c.Reopen(ctx, user); !errors.Is(e, guard.ErrNothing) {
		return e
	}
	return err
}

// counted is the prefix by which an address is counted: 64 bits of IPv6.
func counted(p netip.Prefix) netip.Prefix {
	if p.Bits() == 128 {
		return netip.PrefixFrom(p.Addr(), 64).Masked()
	}
	return p
}

func (c *call) banRemove(ctx context.Context, in *Close) (any, error) {
	return c.open(ctx, in, func(t target) error {
		g := c.desk.c.Guard
		if t.user != "" {
			return g.UnbanUser(ctx, t.user)
		}
		return g.UnbanSource(ctx, t.source)
	})
}

// open ends what was closed, of one user or one source.
func (c *call) open(ctx context.Context, in *Close, do func(target) error) (any, error) {
	if err := c.reason(in.Reason); err != nil {
		return nil, err
	}
	if in.Seconds != 0 {
		return nil, &wrongCall{errors.New("a time is for what is closed")}
	}
	t, err := c.find(ctx, in.Target)
	if err != nil {
		return nil, err
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	if err := do(t); err != nil {
		if errors.Is(err, guard.ErrNothing) {
			return nil, fmt.Errorf("%s: there is nothing to end; the list says what there is", cmp.Or(t.name, t.String()))
		}
		return nil, err
	}
	return Done{Target: t.String(), Name: t.name}, nil
}
