package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	// groupNamesFor is how long a group keeps a name: they are rarely given
	// another.
	groupNamesFor = 10 * time.Minute
	// maxGroups bounds how many group names are held, maxAsked how many are
	// asked for at a time.
	maxGroups, maxAsked = 50_000, 100
)

// A groupCache has the names of groups by their security identifiers, as the
// bytes they are.
type groupCache struct {
	mu    sync.Mutex
	names map[string]groupName
}

type groupName struct {
	name string
	read time.Time
}

// groupsOf returns the SAM names of all groups of an account, nested ones and
// the primary one included: the controller computes them for one account at a
// time. A group that is not of this domain is given as S-1-....
func (l *LDAP) groupsOf(ctx context.Context, s *session, d *domain, id string) ([]string, error) {
	e, err := s.one(ctx, "<GUID="+id+">", "tokenGroups")
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	sids := e.GetRawAttributeValues("tokenGroups")
	if len(sids) == 0 { // there is always the primary group
		return nil, errors.New("tokenGroups is not told: the bind account may not read it")
	}
	now := time.Now()
	names, unknown := l.groups.known(sids, now)
	for chunk := range slices.Chunk(unknown, maxAsked) {
		asked, err := nameGroups(ctx, s, d, chunk)
		if err != nil {
			return nil, fmt.Errorf("read names of groups: %w", err)
		}
		l.groups.put(asked, now)
		names = slices.AppendSeq(names, maps.Values(asked))
	}
	slices.Sort(names)
	return names, nil
}

// nameGroups asks for the names of groups by their security identifiers. Each
// gets one.
func nameGroups(ctx context.Context, s *session, d *domain, sids []string) (map[string]string, error) {
	names := make(map[string]string, len(sids))
	var filter strings.Builder
	for _, raw := range sids {
		text, ok := sid([]byte(raw))
		if !ok {
			return nil, errors.New("tokenGroups has what is no security identifier")
		}
		names[raw] = text
		filter.WriteString("(objectSid=" + octets(raw) + ")")
	}
	entries, err := s.search(ctx, d.head, ldap.ScopeWholeSubtree, "(|"+filter.String()+")", "objectSid", "sAMAccountName")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		raw := string(e.GetRawAttributeValue("objectSid"))
		if name := e.GetAttributeValue("sAMAccountName"); name != "" && names[raw] != "" {
			names[raw] = name
		}
	}
	return names, nil
}

// octets writes bytes as they stand in a filter.
func octets(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\%02x`, s[i])
	}
	return b.String()
}

// known returns the names that are held, and the identifiers that have none,
// or an old one.
func (c *groupCache) known(sids [][]byte, now time.Time) (names, unknown []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range sids {
		if g, ok := c.names[string(s)]; ok && now.Sub(g.read) < groupNamesFor {
			names = append(names, g.name)
		} else {
			unknown = append(unknown, string(s))
		}
	}
	return names, unknown
}

func (c *groupCache) put(names map[string]string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.names == nil || len(c.names) > maxGroups {
		c.names = make(map[string]groupName)
	}
	for s, name := range names {
		c.names[s] = groupName{name, now}
	}
}
