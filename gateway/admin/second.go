package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"stsgate/gateway/account"
)

// secondWithin is for how long what one operator asked for waits for another.
const secondWithin = 10 * time.Minute

// firsts are what one operator asked for that takes two (security.md, MFA-14).
// They are forgotten with the process, and then asked for anew.
type firsts struct {
	mu    sync.Mutex
	asked map[string]first
}

type first struct {
	by    peer
	until time.Time
}

// second returns who asked for the same before, unless that was nobody or the
// same user of this machine: then it is remembered, and takes another.
func (f *firsts) second(what string, by peer, now time.Time) (peer, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, a := range f.asked {
		if !now.Before(a.until) {
			delete(f.asked, k)
		}
	}
	if a, ok := f.asked[what]; ok && a.by.uid != by.uid {
		delete(f.asked, what)
		return a.by, true
	}
	if f.asked == nil {
		f.asked = map[string]first{}
	}
	f.asked[what] = first{by, now.Add(secondWithin)}
	return peer{}, false
}

// seconded refuses what takes a second operator, until that one asks for it.
func (c *call) seconded(ctx context.Context, t target) error {
	why := c.protected(ctx, t)
	if why == "" {
		return nil
	}
	before, ok := c.desk.firsts.second(c.record.Action+" "+t.user, c.by, time.Now())
	if !ok {
		return fmt.Errorf("nothing was done yet: it takes two operators, since %s; another user of this machine than %s has to ask for the same within 10 minutes", why, c.by)
	}
	c.record.First = before.String()
	return nil
}

// alone is for what one operator may do.
func (*call) alone(context.Context, target) error { return nil }

// protected says why two operators are needed for a user, nothing where one is
// enough. Of whom nobody knows the groups may be in any.
func (c *call) protected(ctx context.Context, t target) (why string) {
	if len(c.desk.c.Protected) == 0 {
		return ""
	}
	a, err := c.accountOf(ctx, t)
	if err != nil {
		return fmt.Sprintf("the directory does not say in which groups the user is: %v", err)
	}
	for _, g := range a.Groups {
		if slices.ContainsFunc(c.desk.c.Protected, func(p string) bool { return strings.EqualFold(p, g) }) {
			return "the user is in the group " + g
		}
	}
	return ""
}

// accountOf asks the directory about a user, by the name that goes with the GUID.
func (c *call) accountOf(ctx context.Context, t target) (account.Account, error) {
	if c.desk.c.Lookup == nil || c.desk.c.Names == nil {
		return account.Account{}, errors.New("there is no directory")
	}
	text := t.name
	if text == "" {
		names, err := c.desk.c.Names(ctx, []string{t.user})
		if err != nil {
			return account.Account{}, err
		}
		text = names[t.user]
	}
	name, err := account.ParseName(text)
	if err != nil {
		return account.Account{}, err
	}
	a, err := c.desk.c.Lookup(ctx, name)
	switch {
	case err != nil:
		return account.Account{}, err
	case a.ID != t.user:
		return account.Account{}, errors.New("the name is another user's now")
	case a.Remembered:
		return account.Account{}, errors.New("it does not answer")
	}
	return a, nil
}
