// Package saml builds SAML 1.1 and 2.0 assertions in the form that AD FS
// gives them, which WS-Trust clients know by prefix, attribute and order
// (messages/CLIENTS.md, section 1), and has them signed.
//
// It says what a Grant says and decides nothing: it must never add a claim,
// stretch a lifetime, or put a value into XML other than through a tree.
package saml

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"

	"stsgate/gateway/wstrust"
	"stsgate/upstream/xmlsig"
)

// The ways of authentication and confirmation that are stated (SAML 1.1 core,
// section 7.1.1; SAML 2.0 authentication context, section 3.4.2).
const (
	password11 = "urn:oasis:names:tc:SAML:1.0:am:password"
	password20 = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
	bearer11   = "urn:oasis:names:tc:SAML:1.0:cm:bearer"
	bearer20   = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
)

// delivery is how long a SAML 2.0 bearer may take to present the assertion.
const delivery = 5 * time.Minute

// NewID returns an assertion's id: an underscore and 32 hex digits, 128 bits
// from crypto/rand (security.md, TOK-04).
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	return "_" + hex.EncodeToString(b[:])
}

// Build returns the unsigned assertion of a grant, issued at now. A grant
// that names no subject or audience, or a claim that the kind of token cannot
// carry, is an error.
func Build(g *wstrust.Grant, issuer, id string, now time.Time) (*etree.Element, error) {
	if g.NameID == "" || g.Audience == "" {
		return nil, errors.New("build assertion: grant without name identifier or audience")
	}
	for i, c := range g.Claims {
		if c.URI == "" || len(c.Values) == 0 {
			return nil, fmt.Errorf("build assertion: claim %q at %d has no type or no value", c.URI, i)
		}
		// Of two attributes with one name, some readers take the first and some the last.
		for _, other := range g.Claims[:i] {
			if other.URI == c.URI {
				return nil, fmt.Errorf("build assertion: claim %q is there twice", c.URI)
			}
		}
	}
	switch g.Kind {
	case wstrust.SAML11:
		return build11(g, issuer, id, now)
	case wstrust.SAML20:
		return build20(g, issuer, id, now), nil
	default:
		return nil, fmt.Errorf("build assertion: unknown kind of token %d", g.Kind)
	}
}

// Sign signs an assertion that Build returned, and places the signature where
// its schema has it: last in SAML 1.1, after the Issuer in SAML 2.0.
func Sign(assertion *etree.Element, signer *xmlsig.Signer) error {
	if assertion.Space == prefix11 {
		signature, err := signer.Sign(assertion, "AssertionID")
		if err != nil {
			return err
		}
		assertion.AddChild(signature)
		return nil
	}
	signature, err := signer.Sign(assertion, "ID")
	if err != nil {
		return err
	}
	assertion.InsertChildAt(1, signature)
	return nil
}

// instant writes t as assertions do: UTC, with milliseconds, which are cut off
// and not rounded.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// add appends an element with attributes, given as names and values in turn.
func add(parent *etree.Element, tag string, attrs ...string) *etree.Element {
	el := parent.CreateElement(tag)
	for i := 0; i < len(attrs); i += 2 {
		el.CreateAttr(attrs[i], attrs[i+1])
	}
	return el
}
