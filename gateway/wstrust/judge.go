package wstrust

import (
	"slices"
	"time"

	"stsgate/gateway/soap"
)

// Takes says which requests an endpoint answers. The zero Takes is that of
// the endpoints for user names: Issue, with a plain password, and every
// tolerance.
type Takes struct {
	// Types may be asked for; Issue when empty.
	Types []RequestType
	// Credentials may prove the sender; CredentialUsername when empty. A digest,
	// an unknown token and several tokens are never taken.
	Credentials []Credential
	// Refuses are the tolerances that messages must not need there.
	Refuses []Tolerance
	// Pass are header blocks that are passed on unread, beside those that are
	// known to mean nothing. They count as UnreadHeader.
	Pass []soap.Name
}

func (t Takes) takesType(r RequestType) bool {
	if len(t.Types) == 0 {
		return r == Issue
	}
	return r != 0 && slices.Contains(t.Types, r)
}

func (t Takes) takesCredential(c Credential) bool {
	switch c {
	case CredentialDigest, CredentialUnknown, CredentialSeveral:
		return false
	}
	if len(t.Credentials) == 0 {
		return c == CredentialUsername
	}
	return slices.Contains(t.Credentials, c)
}

// WCF's rule of freshness: skew of the clocks, and the window in which a
// message may arrive (security.md, SOAP-08).
const (
	maxSkew = 5 * time.Minute
	maxAge  = 10 * time.Minute
)

// judge refuses what was understood and is not answered.
func (x *reader) judge() error {
	if err := x.judgeType(); err != nil {
		return err
	}
	if err := x.judgeCredential(); err != nil {
		return err
	}
	if x.judgeAsked(); x.declined != nil {
		return x.declined
	}
	if err := x.judgeKey(); err != nil {
		return err
	}
	return x.judgeTimestamp()
}

// doubt notes why the credential cannot be taken. The first one counts, and
// only where the endpoint does not take the credential.
func (x *reader) doubt(kind Kind, e *soap.Element, format string, args ...any) {
	if x.doubted == nil {
		x.doubted = x.refuse(kind, "SOAP-07", e, format, args...)
	}
}

// decline notes what the request asks for and does not get. The first one counts.
func (x *reader) decline(e *soap.Element, format string, args ...any) {
	if x.declined == nil {
		x.declined = x.refuse(Unsupported, "SOAP-10", e, format, args...)
	}
}

// judgeType judges what is asked for, and whether it has the token that it is
// asked for (WS-Trust 1.3, sections 5 to 7). In Feb 2005 a request to
// validate has the token elsewhere.
func (x *reader) judgeType() error {
	t := x.r.Type
	target := t == Renew || t == Cancel || t == Validate && x.r.Version == V13
	switch {
	case !x.in.Takes.takesType(t):
		return x.refuse(Unsupported, "SOAP-10", x.verb, "RequestType is %v, which is not answered here", t)
	case x.target == nil && target:
		return x.refuse(Malformed, "SOAP-10", x.env.Content, "a request to %v without %sTarget", t, requestTypes[t].verb)
	case x.target != nil && x.target.Name.Local != requestTypes[t].verb+"Target":
		return x.refuse(Malformed, "SOAP-10", x.target, "%s in a request to %v", name(x.target), t)
	}
	return nil
}

// judgeCredential judges who the sender says it is (security.md, SOAP-07).
func (x *reader) judgeCredential() error {
	kind := x.r.Credential
	switch {
	case x.in.Takes.takesCredential(kind):
	case x.doubted != nil:
		return x.doubted
	default:
		return x.refuse(UnsupportedCredential, "SOAP-07", x.presented,
			"the Security header holds %s, a credential of kind %v, which is not taken here", name(x.presented), kind)
	}
	binary := kind == CredentialX509 || kind == CredentialKerberos
	switch {
	case x.signature != nil && kind == CredentialUsername:
		return x.refuse(SecondCredential, "SOAP-07", x.signature, "the Security header holds Signature beside UsernameToken")
	case x.signature != nil && kind == CredentialNone:
		return x.refuse(UnsupportedCredential, "SOAP-07", x.signature, "the Security header holds Signature without the token that it is made with")
	case x.signature == nil && binary:
		return x.refuse(UnsupportedCredential, "SOAP-07", x.presented, "BinarySecurityToken without a Signature, which proves nothing")
	}
	return nil
}

// judgeKey judges the size of the key that the token is to have (protocol.md,
// section 3.1). What is right for another's public key is not known here.
func (x *reader) judgeKey() error {
	if x.keySize == 0 {
		return nil
	}
	switch x.r.KeyType {
	case x.r.Version.BearerKey():
		return x.refuse(Unsupported, "SOAP-10", x.env.Content, "KeySize of %d bits for a token without a key", x.keySize)
	case "", x.r.Version.Namespace() + "/SymmetricKey":
		if x.keySize != 128 && x.keySize != 192 && x.keySize != 256 {
			return x.refuse(Unsupported, "SOAP-10", x.env.Content, "KeySize of %d bits for a symmetric key; 128, 192 and 256 are known", x.keySize)
		}
	}
	return nil
}

// judgeTimestamp judges the freshness of the message (security.md, SOAP-08).
// There is no upper bound on Expires: age is counted from Created.
func (x *reader) judgeTimestamp() error {
	if x.timestamp == nil {
		if x.signature != nil {
			return x.refuse(Malformed, "SOAP-08", x.signature, "Signature without a Timestamp")
		}
		return nil
	}
	created, expires, now := x.r.Timestamp.Created, x.r.Timestamp.Expires, x.in.Now.UTC()
	switch {
	case !created.After(now.Add(-maxAge)), !created.Before(now.Add(maxSkew)):
		return x.expired("created", created)
	case !expires.IsZero() && !expires.After(now.Add(-maxSkew)):
		return x.expired("expires", expires)
	}
	return nil
}

// expired names both clocks, so that an operator sees which one is wrong.
func (x *reader) expired(what string, at time.Time) error {
	now := x.in.Now.UTC()
	side := "past"
	if at.After(now) {
		side = "future"
	}
	return x.refuse(Expired, "SOAP-08", x.timestamp, "the message's Timestamp says %s %s, the clock here says %s: %v in the %s",
		what, at.Format(time.RFC3339), now.Format(time.RFC3339), at.Sub(now).Abs().Round(time.Second), side)
}
