package main

import (
	"context"
	"fmt"
	"log/slog"

	"stsgate/gateway"
	"stsgate/gateway/config"
	"stsgate/upstream/directory"
)

// A userDirectory is what a file of users and Active Directory have in common.
type userDirectory interface {
	gateway.Directory
	// Names returns the names of accounts by their GUIDs.
	Names(ctx context.Context, ids []string) (map[string]string, error)
	// Prepare reads its files again and returns what puts them in force.
	Prepare() (replace func(), err error)
}

// openDirectory reads what the configuration names. Nobody is connected to.
func (p *parts) openDirectory(c *config.Directory, log *slog.Logger) error {
	if c.LDAP == nil {
		f, err := directory.OpenFile(c.File)
		if err != nil {
			return err
		}
		p.directory = f
		return nil
	}
	l, err := directory.OpenLDAP(directory.LDAPConfig{
		URL:         c.LDAP.URL,
		CA:          c.LDAP.CA,
		User:        c.LDAP.User,
		Password:    c.LDAP.Password,
		Base:        c.LDAP.Base,
		UPNSuffixes: c.LDAP.UPNSuffixes,
		Timeout:     c.LDAP.Timeout,
		Log:         log,
	})
	if err != nil {
		return err
	}
	p.directory, p.ldap = l, l
	return nil
}

// askDirectory says what is wrong with Active Directory as a whole, and what
// operators should know of it; both are empty without one.
func (p *parts) askDirectory(ctx context.Context) (wrong, right string) {
	if p.ldap == nil {
		return "", ""
	}
	lockouts, err := p.ldap.Thresholds(ctx)
	switch {
	case err != nil:
		return fmt.Sprintf("directory: %v", err), ""
	case lockouts[0].Threshold == 0:
		return "directory: the domain locks no account, so passwords can be guessed without end: set its lockout threshold", ""
	}
	return "", fmt.Sprintf("the domain locks accounts after %d wrong passwords in %v", lockouts[0].Threshold, lockouts[0].Window)
}

// watchDirectory keeps an eye on Active Directory until ctx ends.
func (d *daemon) watchDirectory(ctx context.Context) {
	if d.parts.ldap == nil {
		return
	}
	go d.parts.ldap.Watch(ctx)
	if wrong, right := d.parts.askDirectory(ctx); wrong != "" {
		d.log.Warn(wrong)
	} else {
		d.log.Info("directory lockout", "lockout", right)
	}
}
