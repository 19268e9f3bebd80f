package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Claim types and formats of the defaults and of the preset for Microsoft 365
// (protocol.md, sections 1.7 and 8.2).
const (
	claimUPN         = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
	claimUPN1        = "http://schemas.xmlsoap.org/claims/UPN" // of AD FS 1.x
	claimImmutableID = "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID"
	claimIDPEmail    = "IDPEmail"

	formatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	formatPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
)

// Words of the language.
const (
	presetMicrosoft365 = "microsoft-365"

	sourceUPN         = "upn"
	sourceGUID        = "guid"
	sourceSAM         = "sam"
	sourceDomain      = "domain"
	sourceImmutableID = "immutable_id"
	sourceMail        = "mail"
	sourceDisplayName = "display_name"
	sourceGroups      = "groups"
	attributePrefix   = "attribute:"
)

// sources are the words that from takes, besides attribute:NAME.
var sources = [...]string{
	sourceUPN, sourceGUID, sourceSAM, sourceDomain, sourceImmutableID, sourceMail, sourceDisplayName, sourceGroups,
}

// reserved are the last parts of claim types and values that tell how or from
// where the user was authenticated (security.md, TOK-02). Only the issuer
// knows, so no namespace and no source makes them acceptable here.
var reserved = [...]string{
	"authnmethodsreferences", "authenticationmethod", "authenticationinstant",
	"multifactorauthenticationinstant", "multipleauthn", "wiaormultiauthn", "insidecorporatenetwork",
}

const onlyIssuer = "is for the issuer to state, from what it has seen itself"

// A NameID says how the subject of a token is named.
type NameID struct {
	// From is the source of the name: upn, guid, sam, domain, immutable_id,
	// mail, display_name, or attribute:NAME.
	From string
	// Format is the URI of the name's format.
	Format string
}

// A ClaimRule says how one claim of a token is made.
type ClaimRule struct {
	// Type is the claim type.
	Type string
	// From is the source of the values: as for a NameID, or groups. It is
	// empty for a constant, which is Value.
	From, Value string
	// Required tells that there is no token without a value.
	Required bool
}

// A Subject names whom a token is about.
type Subject struct{ NameID, Format string }

// A Claim is one statement about a user. Values is never empty.
type Claim struct {
	Type   string
	Values []string
}

// Evaluate makes subject and claims of a token of a kind, SAML11 or SAML20,
// for a user. It fails when the user has no value where one
// is required, or has several for the subject, or when a claim cannot be said
// in that kind of token. The error names sources, never values.
func (a *Application) Evaluate(u *User, token string) (Subject, []Claim, error) {
	if a.preset {
		of := *a
		of.microsoft365(token)
		a = &of
	}
	names := u.values(a.NameID.From)
	if len(names) != 1 {
		return Subject{}, nil, fmt.Errorf("name_id: the user has %d values of %s, not one", len(names), a.NameID.From)
	}
	var claims []Claim
	for _, c := range a.Claims {
		values := []string{c.Value}
		if c.From != "" {
			values = u.values(c.From)
		}
		switch {
		case token == SAML11 && !fitsSAML11(c.Type):
			return Subject{}, nil, fmt.Errorf("claim %s: SAML 1.1 needs a namespace, a slash and a name", c.Type)
		case len(values) > 0:
			claims = append(claims, Claim{c.Type, values})
		case c.Required:
			return Subject{}, nil, fmt.Errorf("claim %s: the user has no %s", c.Type, c.From)
		}
	}
	return Subject{NameID: names[0], Format: a.NameID.Format}, claims, nil
}

// values returns what a user has of a source, without empty values.
func (u *User) values(source string) []string {
	var all []string
	switch source {
	case sourceUPN:
		all = []string{u.Name}
	case sourceGUID:
		all = []string{u.GUID}
	case sourceSAM:
		all = []string{u.SAM}
	case sourceDomain:
		all = []string{u.Domain}
	case sourceImmutableID:
		all = []string{u.ImmutableID}
	case sourceGroups:
		all = slices.Clone(u.Groups)
	default:
		all = slices.Clone(u.Attributes[strings.TrimPrefix(source, attributePrefix)])
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// tokenContent reads name_id and claims of an application, or sets what holds
// without them.
func (r *reader) tokenContent(fields map[string]field, a *Application) {
	a.NameID = NameID{From: sourceUPN, Format: formatUnspecified}
	a.Claims = []ClaimRule{{Type: claimUPN, From: sourceUPN}}
	claims, hasClaims := fields["claims"]
	nameID, hasNameID := fields["name_id"]
	if hasNameID {
		a.NameID = r.nameID(nameID.value)
	}
	if !hasClaims {
		return
	}
	switch n := claims.value; {
	case n.Kind == yaml.ScalarNode && n.Value == presetMicrosoft365:
		if hasNameID {
			r.fail(nameID.key, "claims: %s sets name_id: leave it out", presetMicrosoft365)
		}
		a.preset = true
		a.microsoft365(a.Token)
	case n.Kind == yaml.ScalarNode:
		r.word(n, "a list of claims", presetMicrosoft365)
	default:
		a.Claims = nil
		for _, c := range r.list(n, "a list of claims or "+presetMicrosoft365) {
			a.Claims = append(a.Claims, r.claim(c, a.Token))
		}
	}
}

// microsoft365 sets what Microsoft 365 needs in a kind of token (protocol.md,
// section 8.2).
func (a *Application) microsoft365(token string) {
	a.NameID = NameID{From: sourceImmutableID, Format: formatUnspecified}
	a.Claims = []ClaimRule{
		{Type: claimUPN1, From: sourceUPN, Required: true},
		{Type: claimImmutableID, From: sourceImmutableID, Required: true},
	}
	if token == SAML20 {
		a.NameID.Format = formatPersistent
		a.Claims = append(a.Claims, ClaimRule{Type: claimIDPEmail, From: sourceUPN, Required: true})
	}
}

func (r *reader) nameID(n *yaml.Node) NameID {
	id := NameID{Format: formatUnspecified}
	fields := r.fields(n, inNameID, "a mapping with from")
	if fields == nil {
		return id
	}
	if from, ok := fields["from"]; !ok {
		r.fail(n, "name_id needs from")
	} else if id.From = r.source(from.value); id.From == sourceGroups {
		r.fail(from.value, "a user has several groups, and a subject has one name")
	}
	if format, ok := fields["format"]; ok {
		id.Format, _ = r.text(format.value, "a format URI")
		if strings.ContainsAny(id.Format, " ") || id.Format != "" && !strings.Contains(id.Format, ":") {
			r.fail(format.value, "%q is not a URI", id.Format)
		}
	}
	return id
}

func (r *reader) claim(n *yaml.Node, token string) ClaimRule {
	var c ClaimRule
	fields := r.fields(n, inClaim, "a claim: {type: URI, from: SOURCE}")
	if fields == nil {
		return c
	}
	if f, ok := fields["type"]; ok {
		c.Type = r.claimType(f.value, token)
	} else {
		r.fail(n, "a claim needs a type")
	}
	from, hasFrom := fields["from"]
	value, hasValue := fields["value"]
	switch {
	case hasFrom && hasValue:
		r.fail(value.key, "a claim has from or value, not both")
	case hasFrom:
		c.From = r.source(from.value)
	case hasValue:
		if c.Value, _ = r.text(value.value, "a value"); isReserved(c.Value) {
			r.fail(value.value, "value %q %s", c.Value, onlyIssuer)
		}
	default:
		r.fail(n, "a claim needs from or value")
	}
	if f, ok := fields["required"]; ok {
		c.Required = r.truth(f.value)
		if hasValue {
			r.fail(f.key, "a constant is never empty: required has no meaning here")
		}
	}
	return c
}

func (r *reader) claimType(n *yaml.Node, token string) string {
	s, ok := r.text(n, "a claim type")
	if !ok {
		return ""
	}
	switch {
	case strings.Contains(s, " "):
		r.fail(n, "claim type %q: a URI has no spaces", s)
	case isReserved(s):
		r.fail(n, "claim type %q %s", s, onlyIssuer)
	case token != SAML20 && !fitsSAML11(s):
		r.fail(n, "claim type %q: SAML 1.1 needs a namespace, a slash and a name", s)
	}
	return s
}

// fitsSAML11 tells that a claim type can be split into the namespace and the
// name that an attribute of SAML 1.1 has.
func fitsSAML11(claimType string) bool {
	slash := strings.LastIndexByte(claimType, '/')
	return slash > 0 && slash < len(claimType)-1
}

// isReserved compares without case: an application may be lax about it.
func isReserved(s string) bool {
	s = strings.ToLower(strings.TrimRight(s, "/"))
	return slices.Contains(reserved[:], s[strings.LastIndexByte(s, '/')+1:])
}

// source reads where a value comes from.
func (r *reader) source(n *yaml.Node) string {
	s, ok := r.text(n, "a source such as upn")
	if !ok {
		return ""
	}
	if name, ok := strings.CutPrefix(s, attributePrefix); ok {
		if name == "" || strings.ContainsAny(name, " :*") {
			r.fail(n, "%q: want attribute:NAME", s)
		}
		return attributePrefix + strings.ToLower(name)
	}
	if slices.Contains(sources[:], s) {
		return s
	}
	hint := "want " + strings.Join(sources[:], ", ") + " or attribute:NAME"
	if near := nearest(s, sources[:]); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	r.fail(n, "unknown source %q: %s", s, hint)
	return s
}
