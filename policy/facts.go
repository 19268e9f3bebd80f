package policy

import (
	"net/netip"
	"slices"
	"time"
)

// Facts are what a policy can ask about one request. A fact has a value, is
// empty (the zero value of its field, and listed in Known), or is unknown
// (not in Known), which counts against the request. Nothing is known of the
// zero Facts.
type Facts struct {
	// Known are the facts that could be read, empty ones included.
	Known FactSet

	// Time is when the request arrived. The zero time is unknown: no request
	// came then.
	Time time.Time
	// User is the account that the request says it is from. It is zero, and
	// known, when there is no directory, or no such account in it: the user is
	// then in no group and has no name.
	User User
	// Client is what asks, and from where.
	Client Client
	// Source counts what came from the client's addresses before.
	Source Source
	// Request is what the message asks for.
	Request Request
	// Delegation is whom the sender stands for.
	Delegation Delegation
}

// A User is an account as the directory knows it.
type User struct {
	// Name is the user principal name, user@domain.
	Name string
	// GUID is the directory's identifier.
	GUID string
	// SAM and Domain are the two parts of DOMAIN\user.
	SAM, Domain string
	// ImmutableID is the identifier in Microsoft 365.
	ImmutableID string
	// Groups are the names of all groups, nested ones included.
	Groups []string
	// Attributes are further values by lower-case name, such as mail and
	// display_name.
	Attributes map[string][]string
}

// A Client is what asks, and from where.
type Client struct {
	// Address is who connected, behind the proxies that are believed. An
	// IPv4-mapped address is its IPv4 address, and zones are ignored.
	Address netip.Addr
	// Forwarded are the addresses that Exchange Online names in its place,
	// where it is believed: then the client may be at any of them, and
	// Address is not its own. A rule must hold for all.
	Forwarded []netip.Addr
	// Places are where these addresses are: one for each of Forwarded or,
	// when there is none, one for Address. An address without one is in no
	// country and no autonomous system.
	Places []Place
	// Family is the software that the shape of the message points to, from a
	// closed list, or UnknownFamily.
	Family string
	// UserAgent is the header as sent.
	UserAgent string
	// Familiar tells that this user has signed in from this address before.
	Familiar bool
}

// clients returns the addresses that the client may be at, and whether they
// are known.
func (f *Facts) clients() ([]netip.Addr, bool) {
	switch {
	case !f.Known.Has(ClientForwarded):
		return nil, false
	case len(f.Client.Forwarded) > 0:
		return f.Client.Forwarded, true
	default:
		return []netip.Addr{f.Client.Address}, f.Known.Has(ClientAddress)
	}
}

// timed tells whether the time is known.
func (f *Facts) timed() bool { return f.Known.Has(Time) && !f.Time.IsZero() }

// A Place is where an address is.
type Place struct {
	// Country is the two-letter code of ISO 3166-1, in upper case; empty for an
	// address in no country.
	Country string
	// ASN is the number of the autonomous system, 0 for none.
	ASN uint32
}

// A Source tells of the attempts that came from the client's network before,
// within the guard's window.
type Source struct {
	// FailedUsers is how many different users failed to sign in, Failures how
	// often any did.
	FailedUsers, Failures int
}

// A Request is what the message asks for.
type Request struct {
	// AppliesTo is the realm asked for, as in the message. An empty one is no
	// application's.
	AppliesTo string
	// Endpoint is the published path that the request came to.
	Endpoint string
	// Version is the WS-Trust version, "1.2" or "1.3".
	Version string
	// Type is issue, renew, validate or cancel.
	Type string
	// Credential is what the sender proves itself with: password, digest, x509,
	// kerberos or saml; empty for none.
	Credential string
	// TokenType is saml1.1 or saml2.0 where it is one of their URIs, and
	// otherwise as in the message; empty for none.
	TokenType string
	// KeyType is bearer, symmetric or public where it is one of their URIs, and
	// otherwise as in the message; empty for none.
	KeyType string
	// SOAP is the version of the envelope, "1.1" or "1.2".
	SOAP string
}

// A Delegation is whom the sender stands for: the name in the token that the
// message holds, or "?" for a token that has none; empty when the sender
// speaks for itself.
type Delegation struct{ OnBehalfOf, ActAs string }

// A Fact is one thing that policy can ask about, by its name in conditions,
// files of facts, tests and audit.
type Fact uint8

// The facts, in the order of the manual.
const (
	UserName Fact = iota
	UserGUID
	UserDomain
	UserGroups
	ClientAddress
	ClientForwarded
	ClientCountry
	ClientASN
	ClientFamily
	ClientUserAgent
	ClientFamiliar
	SourceFailedUsers
	SourceFailures
	RequestAppliesTo
	RequestApplication
	RequestEndpoint
	RequestVersion
	RequestType
	RequestCredential
	RequestTokenType
	RequestKeyType
	RequestSOAP
	DelegationOnBehalfOf
	DelegationActAs
	Time
	NumFacts
)

// A FactSet is a set of facts.
type FactSet uint32

// AllFacts is the set of all facts.
const AllFacts FactSet = 1<<NumFacts - 1

// UserFacts are the facts about the user, which may not show before the
// password is proven (security.md, POL-09).
const UserFacts FactSet = 1<<UserName | 1<<UserGUID | 1<<UserDomain | 1<<UserGroups | 1<<ClientFamiliar

// Has reports that the fact is in the set.
func (s FactSet) Has(f Fact) bool { return s>>f&1 == 1 }

// With returns the set with these facts.
func (s FactSet) With(facts ...Fact) FactSet {
	for _, f := range facts {
		s |= 1 << f
	}
	return s
}

// Without returns the set without these facts.
func (s FactSet) Without(facts ...Fact) FactSet {
	for _, f := range facts {
		s &^= 1 << f
	}
	return s
}

// A FactInfo describes a fact. The manual, the schema and the conditions of
// when are made from it.
type FactInfo struct {
	Fact Fact
	// Name is how conditions and files spell it, such as user.name.
	Name string
	// Type is text, texts, number, truth, address, addresses or time.
	Type string
	// Claim tells that the client chooses it freely, so that it never grants
	// (security.md, POL-08).
	Claim bool
	// LookUp tells that it costs a look-up, which is made only when a rule
	// asks for it.
	LookUp bool
	// Meaning is one sentence or two.
	Meaning string
}

var factInfos = [NumFacts]FactInfo{
	{UserName, "user.name", "text", false, true, "The user principal name in the directory, user@domain; empty for a user that it does not have."},
	{UserGUID, "user.guid", "text", false, true, "The directory's identifier of the account."},
	{UserDomain, "user.domain", "text", false, true, `The domain in DOMAIN\user, as the directory writes it.`},
	{UserGroups, "user.groups", "texts", false, true, "The names of the user's groups in the directory, nested ones included."},
	{ClientAddress, "client.address", "address", false, false, "Who connected, behind the proxies that are believed. Where Exchange Online names others in its place, a condition must hold for each of those."},
	{ClientForwarded, "client.forwarded", "addresses", true, false, "The addresses that Exchange Online, where it is believed, names in place of its own."},
	{ClientCountry, "client.country", "text", false, true, "The country of the address, as a two-letter code of ISO 3166-1; empty for an address in none."},
	{ClientASN, "client.asn", "number", false, true, "The number of the autonomous system that announces the address; 0 for none."},
	{ClientFamily, "client.family", "text", true, false, `The software that the shape of the message points to, from a closed list; "unknown" where it fits none or several.`},
	{ClientUserAgent, "client.user_agent", "text", true, false, "The User-Agent header as sent."},
	{ClientFamiliar, "client.familiar", "truth", false, true, "Whether this user signed in from this address before."},
	{SourceFailedUsers, "source.failed_users", "number", false, true, "How many different users failed to sign in from the client's network within the guard's window."},
	{SourceFailures, "source.failures", "number", false, true, "How many attempts to sign in failed from there within the guard's window."},
	{RequestAppliesTo, "request.applies_to", "text", false, false, "The realm asked for, as in the message."},
	{RequestApplication, "request.application", "text", false, false, "The application that has this realm."},
	{RequestEndpoint, "request.endpoint", "text", false, false, "The published path that the request came to."},
	{RequestVersion, "request.version", "text", false, false, `The WS-Trust version: "1.2" (February 2005) or "1.3".`},
	{RequestType, "request.type", "text", false, false, "What is asked for: issue, renew, validate or cancel."},
	{RequestCredential, "request.credential", "text", false, false, "What the sender proves itself with: password, digest, x509, kerberos or saml; empty for none."},
	{RequestTokenType, "request.token_type", "text", false, false, "The kind of token asked for: saml1.1, saml2.0, or the URI of another; empty for none."},
	{RequestKeyType, "request.key_type", "text", false, false, "The kind of proof key asked for: bearer, symmetric, public, or the URI of another; empty for none."},
	{RequestSOAP, "request.soap", "text", true, false, `The version of the envelope: "1.1" or "1.2".`},
	{DelegationOnBehalfOf, "delegation.on_behalf_of", "text", true, false, `The name in the token of OnBehalfOf, "?" for a token without one; empty when there is none.`},
	{DelegationActAs, "delegation.act_as", "text", true, false, `The name in the token of ActAs, "?" for a token without one; empty when there is none.`},
	{Time, "time", "time", false, false, "When the request arrived. It is never empty: where a test or a file of facts does not give it, it is unknown."},
}

// FactInfos describes all facts, in the order of the manual.
func FactInfos() []FactInfo { return slices.Clone(factInfos[:]) }

// String returns the fact's name.
func (f Fact) String() string { return factInfos[f].Name }
