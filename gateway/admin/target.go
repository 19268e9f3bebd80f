package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"stsgate/gateway/account"
)

// A target is whom or what a call is about: a user, or a source.
type target struct {
	user   string       // a UserKey; empty for a source
	name   string       // of the user in the directory, or as it was written
	source netip.Prefix // as written; of an address all its bits
}

func (t target) String() string {
	if t.user != "" {
		return t.user
	}
	return t.source.String()
}

// hashed is how a user is kept whose name does not resolve.
var hashed = regexp.MustCompile(`^name-[0-9a-f]{32}$`)

// find reads what an operator wrote. A name that the directory does not know is
// an error, unless something is kept of it: nobody is to think that somebody is
// locked whose name was mistyped.
func (c *call) find(ctx context.Context, text string) (target, error) {
	if p, ok := source(text); ok {
		c.record.Source = p.String()
		return target{source: p}, nil
	}
	t, err := c.findUser(ctx, text)
	c.record.TargetID, c.record.TargetName = t.user, t.name
	return t, err
}

func (c *call) findUser(ctx context.Context, text string) (target, error) {
	if id, ok := account.GUID(text); ok {
		return target{user: id}, nil
	}
	if hashed.MatchString(text) {
		return target{user: text}, nil
	}
	name, err := account.ParseName(text)
	if err != nil {
		return target{}, fmt.Errorf("%w: want user@domain, DOMAIN\\user, a GUID, or an address or prefix where the verb takes one", err)
	}
	g := c.desk.c.Guard
	unknown := target{user: g.UserKey("", name), name: text}
	if c.desk.c.Lookup == nil {
		return unknown, nil
	}
	a, err := c.desk.c.Lookup(ctx, name)
	switch {
	case err == nil:
		if c.desk.c.Know != nil {
			c.desk.c.Know(ctx, a)
		}
		return target{user: g.UserKey(a.ID, name), name: a.UPN}, nil
	case !errors.Is(err, account.ErrUnknown):
		return target{name: text}, fmt.Errorf("the directory does not say who %s is, the GUID does without it: %w", text, err)
	}
	known, err := g.Knows(ctx, unknown.user)
	if err == nil && !known {
		err = fmt.Errorf("the directory does not know %s, and nothing is kept of that name", text)
	}
	return unknown, err
}

// source reads an address or a prefix.
func source(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p, err == nil
}

// reason holds an operator to saying why.
func (c *call) reason(text string) error {
	c.record.Reason = text
	if n := utf8.RuneCountInString(text); n == 0 || n > 200 || strings.TrimSpace(text) == "" {
		return errors.New("want a reason of 1 to 200 characters")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError }) {
		return errors.New("the reason has characters that do not show")
	}
	return nil
}
