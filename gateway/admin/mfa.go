package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stsgate/gateway/mfa/factor"
)

// A Who asks about one user or, for a list, all of them.
type Who struct {
	// Target is a user name, or a GUID.
	Target string `json:"target,omitempty"`
	// Reason is for the audit log, 1 to 200 characters; a list needs none.
	Reason string `json:"reason,omitempty"`
}

// An Authenticator is one row of a list of them. Nobody is told a secret.
type Authenticator struct {
	User string `json:"user"`
	Name string `json:"name,omitempty"`
	// Kind is totp, passkey, radius or recovery.
	Kind  string `json:"kind"`
	Label string `json:"label"`
	// Bound is when it was added, and Used when it was last used.
	Bound time.Time `json:"bound"`
	Used  time.Time `json:"used,omitzero"`
	// Disabled tells that it had too many wrong codes, and must be added anew.
	Disabled bool `json:"disabled,omitempty"`
	// Left is how many recovery codes are.
	Left int `json:"left,omitempty"`
}

// Authenticators are a list of them.
type Authenticators struct {
	Rows   []Authenticator `json:"rows"`
	More   int             `json:"more,omitempty"`
	Unread string          `json:"unread,omitempty"`
}

// A BindingCode lets one user add an authenticator, once.
type BindingCode struct {
	User  string    `json:"user"`
	Name  string    `json:"name,omitempty"`
	Code  string    `json:"code"`
	Until time.Time `json:"until"`
}

func (c *call) mfaList(ctx context.Context, in *Who) (any, error) {
	have := map[string][]factor.Authenticator{}
	var name string
	var err error
	if in.Target == "" {
		have, err = c.desk.c.Factors.Everyone(ctx)
	} else {
		var t target
		if t, err = c.findAccount(ctx, in.Target); err == nil {
			name = t.name
			have[t.user], err = c.desk.c.Factors.List(ctx, t.user)
		}
	}
	if err != nil && len(have) == 0 {
		return nil, err
	}
	l := Authenticators{Rows: []Authenticator{}}
	if err != nil {
		l.Unread, c.record.Error = err.Error(), err.Error()
	}
	for user, all := range have {
		for _, a := range all {
			l.Rows = append(l.Rows, Authenticator{
				User: user, Name: name, Kind: a.Kind.String(), Label: a.Label, Bound: a.Bound, Used: a.Used, Disabled: a.Disabled, Left: a.Left,
			})
		}
	}
	c.record.Records = len(l.Rows)
	slices.SortFunc(l.Rows, func(a, b Authenticator) int { return cmp.Or(cmp.Compare(a.User, b.User), a.Bound.Compare(b.Bound)) })
	if l.More = max(0, len(l.Rows)-MostRows); l.More > 0 {
		l.Rows = l.Rows[:MostRows]
	}
	var users []string
	for _, r := range l.Rows {
		users = append(users, r.User)
	}
	names := c.names(ctx, users)
	for i, r := range l.Rows {
		l.Rows[i].Name = cmp.Or(names[r.User], r.Name)
	}
	return l, nil
}

// findAccount finds a user who has a GUID: nobody else has authenticators.
func (c *call) findAccount(ctx context.Context, text string) (target, error) {
	if _, ok := source(text); ok {
		return target{}, errors.New("want a user: addresses have no authenticators")
	}
	t, err := c.find(ctx, text)
	if err == nil && strings.HasPrefix(t.user, "name-") {
		err = fmt.Errorf("%s has no GUID: without an account in the directory there is no authenticator", text)
	}
	return t, err
}

// changeAccount does something to one user that the operator may do, with a
// reason and a record.
func (c *call) changeAccount(ctx context.Context, in *Who, may func(context.Context, target) error, do func(target, factor.Source) (any, error)) (any, error) {
	if err := c.reason(in.Reason); err != nil {
		return nil, err
	}
	t, err := c.findAccount(ctx, in.Target)
	if err != nil {
		return nil, err
	}
	if err := may(ctx, t); err != nil {
		return nil, err
	}
	if err := c.begin(); err != nil {
		return nil, err
	}
	return do(t, factor.Source{By: c.by.String()})
}

// mfaReset takes everything away that the user has, and what was proven by it.
func (c *call) mfaReset(ctx context.Context, in *Who) (any, error) {
	return c.changeAccount(ctx, in, c.seconded, func(t target, by factor.Source) (any, error) {
		if err := c.desk.c.Factors.Reset(ctx, t.user, by); err != nil {
			return nil, err
		}
		return Done{Target: t.user, Name: t.name}, c.endAll(ctx, t.user)
	})
}

func (c *call) mfaRevoke(ctx context.Context, in *Who) (any, error) {
	if len(c.desk.c.Ends) == 0 {
		return nil, errors.New("this gateway has no second factors: there are no grants and no sessions")
	}
	return c.changeAccount(ctx, in, c.alone, func(t target, _ factor.Source) (any, error) {
		return Done{Target: t.user, Name: t.name}, c.endAll(ctx, t.user)
	})
}

// endAll ends what the user proved: grants, and sessions of the portal.
func (c *call) endAll(ctx context.Context, user string) error {
	for _, end := range c.desk.c.Ends {
		if err := end(ctx, user); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) mfaBindingCode(ctx context.Context, in *Who) (any, error) {
	return c.changeAccount(ctx, in, c.seconded, func(t target, by factor.Source) (any, error) {
		code, err := c.desk.c.Factors.NewBindingCode(ctx, t.user, by)
		if err != nil {
			return nil, err
		}
		defer code.Wipe()
		c.record.Until = time.Now().Add(factor.BindingLast).UTC()
		return BindingCode{User: t.user, Name: t.name, Code: string(code.Bytes()), Until: c.record.Until}, nil
	})
}
