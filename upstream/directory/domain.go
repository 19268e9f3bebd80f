package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"stsgate/gateway/account"
)

// A domain is what a controller says of its own, which never changes.
type domain struct {
	head    string // distinguished name
	base    string // below which accounts are
	netBIOS string
	dns     string
}

// learn asks the controller once for what never changes.
func (l *LDAP) learn(ctx context.Context, s *session) (*domain, error) {
	if d := l.domain.Load(); d != nil {
		return d, nil
	}
	root, err := s.one(ctx, "", "defaultNamingContext", "configurationNamingContext")
	if err != nil {
		return nil, fmt.Errorf("read the domain's name: %w", err)
	}
	d := &domain{head: root.GetAttributeValue("defaultNamingContext"), base: l.c.Base}
	if d.base == "" {
		d.base = d.head
	}
	if !below(d.base, d.head) {
		return nil, fmt.Errorf("the domain is %q, and the base %q is not in it", d.head, d.base)
	}
	partitions := "CN=Partitions," + root.GetAttributeValue("configurationNamingContext")
	cross, err := s.search(ctx, partitions, ldap.ScopeSingleLevel, "(&(objectClass=crossRef)(nCName="+ldap.EscapeFilter(d.head)+"))", "nETBIOSName", "dnsRoot")
	if err != nil {
		return nil, fmt.Errorf("read the domain's names: %w", err)
	}
	if len(cross) == 1 {
		d.netBIOS, d.dns = cross[0].GetAttributeValue("nETBIOSName"), cross[0].GetAttributeValue("dnsRoot")
	}
	if d.netBIOS == "" || d.dns == "" {
		return nil, errors.New("the controller tells no NetBIOS name of its domain: it must be Active Directory, and not the global catalog")
	}
	l.domain.Store(d)
	return d, nil
}

// below tells that one distinguished name is another, or below it.
func below(base, head string) bool {
	b, err := ldap.ParseDN(base)
	if err != nil {
		return false
	}
	h, err := ldap.ParseDN(head)
	return err == nil && len(h.RDNs) > 0 && (h.EqualFold(b) || h.AncestorOfFold(b))
}

// one reads an object that is there.
func (s *session) one(ctx context.Context, dn string, attributes ...string) (*ldap.Entry, error) {
	entries, err := s.search(ctx, dn, ldap.ScopeBaseObject, "(objectClass=*)", attributes...)
	if err != nil {
		return nil, err
	}
	if len(entries) != 1 {
		return nil, fmt.Errorf("got %d objects, want one", len(entries))
	}
	return entries[0], nil
}

// names tells that a name of a domain is one of this one's.
func (d *domain) names(name string) bool {
	return strings.EqualFold(name, d.dns) || strings.EqualFold(name, d.netBIOS)
}

// filter matches the accounts with a name. There is
// none for a name of another domain.
func (d *domain) filter(n account.Name, suffixes []string) (filter string, ok bool) {
	sam := "(sAMAccountName=" + ldap.EscapeFilter(n.User) + ")"
	switch {
	case n.Form == account.Bare, n.Form == account.DownLevel && d.names(n.Domain):
		return people(sam), true
	case n.Form == account.DownLevel:
		return "", false
	}
	upn := "(userPrincipalName=" + ldap.EscapeFilter(n.String()) + ")"
	// In a name of the domain an account has its SAM name as well.
	if d.names(n.Domain) || slices.ContainsFunc(suffixes, func(s string) bool { return strings.EqualFold(s, n.Domain) }) {
		upn = "(|" + upn + sam + ")"
	}
	return people(upn), true
}

// people leaves out computers, trusts and groups: 805306368 is
// SAM_NORMAL_USER_ACCOUNT (MS-SAMR, section 2.2.1.9).
func people(filter string) string { return "(&(sAMAccountType=805306368)" + filter + ")" }
