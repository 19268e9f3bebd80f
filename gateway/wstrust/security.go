package wstrust

import (
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
)

// Password types of the UsernameToken profile 1.0.
const (
	passwordText   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
	passwordDigest = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
)

// WCF's rule of freshness: skew of the clocks, and the window in which a
// message may arrive (security.md, SOAP-08).
const (
	maxSkew = 5 * time.Minute
	maxAge  = 10 * time.Minute
)

// security reads the Security header: one user name with a plain password,
// at most one Timestamp, and nothing else (security.md, SOAP-07).
func (x *reader) security(header *soap.Element) error {
	if x.doc.HasText(header) {
		return x.refuse(Malformed, "SOAP-07", header, "text in the Security header")
	}
	var token, timestamp, other *soap.Element
	for c := range x.doc.Children(header) {
		switch {
		case c.Name == soap.Name{Space: soap.NSUtility, Local: "Timestamp"}:
			if timestamp != nil {
				return x.refuse(Malformed, "SOAP-08", c, "two Timestamps")
			}
			timestamp = c
		case c.Name == soap.Name{Space: soap.NSSecurity, Local: "UsernameToken"} && token == nil:
			token = c
		default:
			other = c
		}
	}
	switch {
	case token == nil && other == nil:
		return x.refuse(UnsupportedCredential, "SOAP-07", header, "the Security header holds no UsernameToken")
	case token == nil:
		return x.refuse(UnsupportedCredential, "SOAP-07", other, "the Security header holds %s instead of a UsernameToken", name(other))
	case other != nil:
		return x.refuse(SecondCredential, "SOAP-07", other, "the Security header holds %s beside a UsernameToken", name(other))
	}
	if err := x.usernameToken(token); err != nil {
		return err
	}
	if timestamp == nil {
		x.tolerate(NoTimestamp)
		return nil
	}
	return x.timestamp(timestamp)
}

// usernameToken reads the credential. Nonce and Created mean nothing beside a
// plain password.
func (x *reader) usernameToken(token *soap.Element) error {
	if err := x.container(token, "SOAP-07"); err != nil {
		return err
	}
	var username, password *soap.Element
	for c := range x.doc.Children(token) {
		var err error
		switch c.Name {
		case soap.Name{Space: soap.NSSecurity, Local: "Username"}:
			username = c
		case soap.Name{Space: soap.NSSecurity, Local: "Password"}:
			password = c
			err = x.passwordType(c)
		case soap.Name{Space: soap.NSSecurity, Local: "Nonce"}, soap.Name{Space: soap.NSUtility, Local: "Created"}:
			err = x.leaf(c)
		default:
			err = x.refuse(Malformed, "SOAP-07", c, "%s in UsernameToken", name(c))
		}
		if err != nil {
			return err
		}
	}
	if username == nil || password == nil {
		return x.refuse(UnsupportedCredential, "SOAP-07", token, "UsernameToken without Username and Password")
	}
	user, err := x.take(username)
	if err != nil {
		return err
	}
	// The room is exact: growing would leave parts of the secret behind.
	secret, err := x.doc.AppendText(make([]byte, 0, password.ContentEnd-password.ContentStart), password)
	if err != nil {
		clear(secret)
		return err
	}
	if user.empty() || len(secret) == 0 {
		return x.refuse(UnsupportedCredential, "SOAP-07", token, "Username or Password is empty")
	}
	x.user, x.r.Password = user, account.NewPassword(secret)
	return nil
}

// passwordType accepts a plain password. An attribute of the WS-Security
// namespace is none of the profile's; WCF overlooks it.
func (x *reader) passwordType(password *soap.Element) error {
	seen := false
	for attr, value := range x.doc.Attrs(password) {
		if attr.Local != "Type" {
			continue
		}
		switch {
		case seen:
			return x.refuse(Malformed, "SOAP-07", password, "Password has two Types")
		case value == passwordDigest:
			return x.refuse(UnsupportedCredential, "SOAP-07", password, "Password is a digest, which can be compared with stored plain passwords only")
		case value != passwordText:
			return x.refuse(UnsupportedCredential, "SOAP-07", password, "Password is of a Type that is not known")
		}
		seen = true
		if attr.Space != "" {
			x.tolerate(NamespacedPasswordType)
		}
	}
	return nil
}

// timestamp judges the freshness of the message (security.md, SOAP-08).
// There is no upper bound on Expires: age is counted from Created.
func (x *reader) timestamp(e *soap.Element) error {
	span, err := x.span(e, "SOAP-08")
	if err != nil {
		return err
	}
	created, expires, now := span.Created, span.Expires, x.in.Now.UTC()
	switch {
	case created.IsZero():
		return x.refuse(Malformed, "SOAP-08", e, "Timestamp without Created")
	case !created.After(now.Add(-maxAge)):
		return x.expired(e, "created", created)
	case !created.Before(now.Add(maxSkew)):
		return x.expired(e, "created", created)
	case !expires.IsZero() && !expires.After(now.Add(-maxSkew)):
		return x.expired(e, "expires", expires)
	}
	return nil
}

// expired names both clocks, so that an operator sees which one is wrong.
func (x *reader) expired(e *soap.Element, what string, at time.Time) error {
	now := x.in.Now.UTC()
	side := "past"
	if at.After(now) {
		side = "future"
	}
	return x.refuse(Expired, "SOAP-08", e, "the message's Timestamp says %s %s, the clock here says %s: %v in the %s",
		what, at.Format(time.RFC3339), now.Format(time.RFC3339), at.Sub(now).Abs().Round(time.Second), side)
}
