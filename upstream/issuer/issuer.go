// Package issuer is the built-in security token service: it proves a user's
// password in a directory, and builds and signs SAML tokens as it is told.
//
// It decides nothing and logs nothing. It must never release a token that
// says more than its grant, that the strict scanner reads differently, or that
// claims a second factor which the grant does not prove.
package issuer

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/saml"
	"stsgate/upstream/xmlsig"
)

// maxLifetime bounds what a token may span: 8 hours, and the 5 minutes that
// it begins before it is issued (security.md, TOK-03).
const maxLifetime = 8*time.Hour + 5*time.Minute

// maxEntity is the longest entity identifier, in characters (SAML 2.0
// metadata, section 2.2.1).
const maxEntity = 1024

// A Directory knows the users.
type Directory interface {
	// Lookup returns the account of a name, or account.ErrUnknown. Any other
	// error means that the directory could not tell.
	Lookup(context.Context, account.Name) (account.Account, error)
	// Verify returns nil if the password is the account's and the account may
	// sign in, and account.ErrDenied or an account.Denial if not. For the zero Account it costs what
	// it costs for a real one, and returns account.ErrDenied.
	Verify(context.Context, account.Account, account.Password) error
}

// Config is what an Issuer is made of. Everything but ClaimTypes and MEX is needed.
type Config struct {
	// Entity is the absolute URI that tokens name as their issuer.
	Entity string
	// Key signs tokens and metadata: RSA of at least 2,048 bits or ECDSA on
	// P-256. It may live in hardware. Certificate is the key's.
	Key         crypto.Signer
	Certificate *x509.Certificate
	Directory   Directory

	// Host is the name, with a port unless that is 443, under which the
	// endpoints are published.
	Host string
	// Endpoints are the paths of the trust endpoints, in the order of the
	// metadata, and MEX is that of their description, empty for none.
	Endpoints []string
	MEX       string
	// ClaimTypes are the claims that the metadata offers.
	ClaimTypes []string
}

// An Issuer proves passwords and issues tokens. It is safe for concurrent use
// if its key and directory are.
type Issuer struct {
	entity    string
	signer    *xmlsig.Signer
	directory Directory
	metadata  []byte
}

// New returns an Issuer, and makes and signs its metadata.
func New(c Config) (*Issuer, error) {
	if u, err := url.Parse(c.Entity); err != nil || !u.IsAbs() || len(c.Entity) > maxEntity {
		return nil, fmt.Errorf("issuer: entity %q: need an absolute URI of at most %d characters", c.Entity, maxEntity)
	}
	if c.Directory == nil {
		return nil, errors.New("issuer: no directory")
	}
	signer, err := xmlsig.New(c.Key, c.Certificate)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	metadata, err := buildMetadata(&c, signer)
	if err != nil {
		return nil, fmt.Errorf("issuer: metadata: %w", err)
	}
	return &Issuer{entity: c.Entity, signer: signer, directory: c.Directory, metadata: metadata}, nil
}

// Authenticate proves that the password belongs to the name, and returns the
// account. A wrong password, an unknown name and a disabled account are the
// same *wstrust.Fault and take the same work (security.md, SOAP-14). Any other
// error means that the directory could not tell.
func (i *Issuer) Authenticate(ctx context.Context, name account.Name, password account.Password) (account.Account, error) {
	a, err := i.directory.Lookup(ctx, name)
	known := err == nil
	if err != nil && !errors.Is(err, account.ErrUnknown) {
		return account.Account{}, fmt.Errorf("look up account: %w", err)
	}
	// LDAP takes a bind without a password for an anonymous one, and accepts
	// it (RFC 4513, section 5.1.2).
	if !known || a.Disabled || len(password.Bytes()) == 0 {
		known, a = false, account.Account{}
	}
	err = i.directory.Verify(ctx, a, password)
	switch {
	case err == nil && known:
		return a, nil
	case err == nil, errors.Is(err, account.ErrDenied), errors.Is(err, account.ErrUnknown):
		return account.Account{}, refused(err)
	default:
		return account.Account{}, fmt.Errorf("prove password: %w", err)
	}
}

// refused is the fault for whoever may not sign in. Why, where the directory
// says so, is wrapped beside it: for a guard and for operators.
func refused(why error) error {
	fault := &wstrust.Fault{
		Sender:  true,
		Subcode: soap.Name{Space: wstrust.NS13, Local: "FailedAuthentication"},
		Text:    "ID3242: The security token could not be authenticated or authorized.",
	}
	if d, ok := errors.AsType[account.Denial](why); ok {
		return fmt.Errorf("%w: %w", fault, d)
	}
	return fault
}

// Issue builds and signs the token of a grant, for the request that it was
// granted to. What the token says was read back by the strict scanner and
// compared with the grant (security.md, TOK-01).
func (i *Issuer) Issue(ctx context.Context, r *wstrust.Request, g *wstrust.Grant) (*wstrust.Issued, error) {
	now := time.Now()
	if err := checkGrant(r, g, now); err != nil {
		return nil, fmt.Errorf("issue token: %w", err)
	}
	id := saml.NewID()
	assertion, err := saml.Build(withMethods(g), i.entity, id, now)
	if err != nil {
		return nil, fmt.Errorf("issue token: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("issue token: %w", err)
	}
	if err := saml.Sign(assertion, i.signer); err != nil {
		return nil, fmt.Errorf("issue token: %w", err)
	}
	token := &wstrust.Issued{
		Assertion: xmlsig.Serialize(assertion),
		ID:        id,
		Kind:      g.Kind,
		Audience:  g.Audience,
		Lifetime:  g.Lifetime,
	}
	if token.Digest, err = reread(token.Assertion, assertion); err != nil {
		return nil, fmt.Errorf("issue token: read it back: %w", err)
	}
	return token, nil
}

// Metadata returns the federation metadata, made and signed when the Issuer
// was. It must not be changed.
func (i *Issuer) Metadata() []byte { return i.metadata }
