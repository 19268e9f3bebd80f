package directorytest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"
)

// AdministratorPassword is that of the account Administrator.
const AdministratorPassword = "Adm1n-Passw0rd!"

// Administrator is the DN of who may change everything.
const Administrator = "CN=Administrator,CN=Users," + Base

// An Admin is a connection of the administrator's.
type Admin struct{ conn *ldap.Conn }

// Admin connects as the administrator. The connection must be closed.
func (c *Controller) Admin() (*Admin, error) {
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := ldap.DialURL(c.URL, ldap.DialWithTLSConfig(&tls.Config{RootCAs: roots, ServerName: Host}))
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(Administrator, AdministratorPassword); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Admin{conn}, nil
}

// Close ends the connection.
func (a *Admin) Close() error { return a.conn.Close() }

// Add adds an object of a class with attributes, as pairs of name and value.
func (a *Admin) Add(dn, class string, attributes ...string) error {
	r := ldap.NewAddRequest(dn, nil)
	r.Attribute("objectClass", []string{class})
	for i := 0; i+1 < len(attributes); i += 2 {
		r.Attribute(attributes[i], []string{attributes[i+1]})
	}
	if err := a.conn.Add(r); err != nil {
		return fmt.Errorf("add %s: %w", dn, err)
	}
	return nil
}

// Set replaces the values of an attribute; none removes it.
func (a *Admin) Set(dn, attribute string, values ...string) error {
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(attribute, values)
	if err := a.conn.Modify(r); err != nil {
		return fmt.Errorf("set %s of %s: %w", attribute, dn, err)
	}
	return nil
}

// Join makes the object at member a member of the group.
func (a *Admin) Join(group, member string) error {
	r := ldap.NewModifyRequest(group, nil)
	r.Add("member", []string{member})
	if err := a.conn.Modify(r); err != nil {
		return fmt.Errorf("join %s to %s: %w", member, group, err)
	}
	return nil
}

// Rename gives an object another relative name.
func (a *Admin) Rename(dn, rdn string) error {
	return a.conn.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, ""))
}

// Delete removes an object.
func (a *Admin) Delete(dn string) error { return a.conn.Del(ldap.NewDelRequest(dn, nil)) }

// Get returns the first value of an attribute, as it is.
func (a *Admin) Get(dn, attribute string) ([]byte, error) {
	r, err := a.conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 5, false, "(objectClass=*)", []string{attribute}, nil))
	if err != nil {
		return nil, err
	}
	return r.Entries[0].GetRawAttributeValue(attribute), nil
}

// User adds an account that can sign in, below CN=Users, with further
// attributes as of Add. It returns its DN. An empty upn is none.
func (a *Admin) User(sam, upn, password string, attributes ...string) (dn string, err error) {
	dn = "CN=" + ldap.EscapeDN(sam) + ",CN=Users," + Base
	all := append([]string{"sAMAccountName", sam, "unicodePwd", quoted(password), "userAccountControl", "512"}, attributes...)
	if upn != "" {
		all = append(all, "userPrincipalName", upn)
	}
	return dn, a.Add(dn, "user", all...)
}

// SetPassword resets a password.
func (a *Admin) SetPassword(dn, password string) error {
	return a.Set(dn, "unicodePwd", quoted(password))
}

// Group adds a global security group below CN=Users, and returns its DN.
func (a *Admin) Group(name string) (dn string, err error) {
	dn = "CN=" + ldap.EscapeDN(name) + ",CN=Users," + Base
	return dn, a.Add(dn, "group", "sAMAccountName", name, "groupType", "-2147483646")
}

// Loosen lets passwords be short, simple and changed at any time, and locks
// accounts after a number of wrong ones for half an hour.
func (a *Admin) Loosen(threshold string) error {
	return errors.Join(
		a.Set(Base, "pwdProperties", "0"), a.Set(Base, "minPwdLength", "1"), a.Set(Base, "minPwdAge", "0"), a.Set(Base, "pwdHistoryLength", "0"),
		a.Set(Base, "lockoutThreshold", threshold))
}

// quoted is a password as unicodePwd takes it: in quotes, in UTF-16.
func quoted(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}
