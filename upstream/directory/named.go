package directory

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"stsgate/gateway/account"
)

// Names returns the user principal names of accounts by their GUIDs, for whoever
// reads a list. Those that are not there are left out.
func (f *File) Names(_ context.Context, ids []string) (map[string]string, error) {
	users, names := f.current.Load(), map[string]string{}
	for _, id := range ids {
		if e := users.byID[id]; e != nil {
			names[id] = e.account.UPN
		}
	}
	return names, nil
}

// namesAtOnce is how many accounts are asked for in one search.
const namesAtOnce = 100

// Names returns the user principal names of accounts by their GUIDs, for whoever
// reads a list. Those that are not there are left out. Of an error the names that
// were found before are returned all the same.
func (l *LDAP) Names(ctx context.Context, ids []string) (map[string]string, error) {
	names := map[string]string{}
	for some := range slices.Chunk(ids, namesAtOnce) {
		err := l.ask(ctx, operationLookup, func(ctx context.Context, s *session, d *domain) error {
			return nameAccounts(ctx, s, d, some, names)
		})
		if err != nil {
			return names, err
		}
	}
	return names, nil
}

func nameAccounts(ctx context.Context, s *session, d *domain, ids []string, names map[string]string) error {
	var filter strings.Builder
	for _, id := range ids {
		if raw, ok := rawGUID(id); ok {
			filter.WriteString("(objectGUID=" + octets(raw) + ")")
		}
	}
	if filter.Len() == 0 {
		return nil
	}
	entries, err := s.search(ctx, d.head, ldap.ScopeWholeSubtree, "(|"+filter.String()+")", "objectGUID", "sAMAccountName", "userPrincipalName")
	if err != nil {
		return fmt.Errorf("search accounts: %w", err)
	}
	for _, e := range entries {
		id, err := guid(e.GetRawAttributeValue("objectGUID"))
		if err != nil {
			return err
		}
		name := e.GetAttributeValue("userPrincipalName")
		if n, err := account.ParseName(name); err != nil || n.Form != account.UPN {
			name = e.GetAttributeValue("sAMAccountName") + "@" + d.dns
		}
		names[id] = name
	}
	return nil
}

// rawGUID undoes guid.
func rawGUID(id string) (string, bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(b) != 16 {
		return "", false
	}
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return string(b), true
}
