package policy

import "slices"

// A Key is one key of the policy files. The loader knows exactly these, and
// the manual is generated from them.
type Key struct {
	// Place is the mapping in which the key stands: file, network,
	// application, name_id, claim, rule, allow or match.
	Place string
	// Name is the key as written.
	Name string
	// Type is the kind of its value.
	Type string
	// Meaning tells what it does, its default and its bounds.
	Meaning string
}

// The places of keys. A deny and a not are places too: the first has no keys,
// and the second those of a match but itself.
const (
	inFile        = "file"
	inNetwork     = "network"
	inApplication = "application"
	inNameID      = "name_id"
	inClaim       = "claim"
	inRule        = "rule"
	inAllow       = "allow"
	inDeny        = "deny"
	inMatch       = "match"
	inNot         = "not"
)

// A matchKey is a key of a match that states a condition.
type matchKey uint8

const (
	users matchKey = iota
	groups
	domains
	networks
	applications
	endpoints
	versions
	numMatchKeys
)

// matchKeys describes the conditions.
var matchKeys = [numMatchKeys]Key{
	users: {inMatch, "users", "list of names",
		`The user's names in the directory, user@domain or DOMAIN\user, without case. One * at the beginning or the end stands for any text. Needs a directory.`},
	groups: {inMatch, "groups", "list of names",
		"The user's groups in the directory, nested ones included, without case. Needs a directory."},
	domains: {inMatch, "domains", "list of names",
		"The user's domain in the directory, without case. Needs a directory."},
	networks: {inMatch, "networks", "list of names",
		"The networks that hold the client's address: that of who connected, behind the proxies that are believed, or all those that Exchange Online names in its place, where it is believed. It is unknown when they fall on both sides, or when a header that is believed cannot be read."},
	applications: {inMatch, "applications", "list of names",
		"The application that the request is for."},
	endpoints: {inMatch, "endpoints", "list of paths",
		"The published path that the request came to."},
	versions: {inMatch, "versions", "list of versions",
		`The WS-Trust version of the request: "1.2" (February 2005) or "1.3".`},
}

// aboutUser tells that the condition is on a fact about the user.
func (k matchKey) aboutUser() bool { return k <= domains }

// otherKeys describes all keys but the conditions.
var otherKeys = [...]Key{
	{inFile, "networks", "mapping by name", "Named sets of addresses: each a list of prefixes and single addresses, or a file."},
	{inFile, "applications", "mapping by name", "The applications (relying parties) that tokens are for."},
	{inFile, "rules", "list of rules", "What is allowed and denied. Order never matters."},

	{inNetwork, "file", "file name", "A file in the policy directory or below, with one prefix or address a line, # comments and empty lines."},

	{inApplication, "realms", "list of texts", `The AppliesTo addresses that name the application, compared exactly. Required. ["*"] stands for every realm that no other application has, and is forwarded only.`},
	{inApplication, "answer", "forward or issue", "Whether the farm answers or the built-in issuer. Required. An allow may name another."},
	{inApplication, "token", "saml1.1 or saml2.0", "The kind of token that is issued when the request names none. Default saml1.1."},
	{inApplication, "lifetime", "duration", "How long an issued token is valid, 1m to 8h. Default 60m."},
	{inApplication, "name_id", "mapping", "The subject of an issued token. Default: upn, with the format unspecified."},
	{inApplication, "claims", "list of claims, or microsoft-365", "The claims of an issued token. Default: the UPN. microsoft-365 is the preset that Microsoft 365 needs, and sets the subject too."},
	{inApplication, "answer_encrypted", "true or false", "Whether the farm encrypts its tokens for this application, so that nothing in them can be checked. Default false: an encrypted token is refused."},
	{inApplication, "issuers", "list of texts", "The issuers that a token of the farm for this application may name, compared exactly. One * at the beginning or the end stands for any text; {domain} stands for what follows the @ in the token's UPN, or a domain above it, as in http://{domain}/adfs/services/trust/, which AD FS writes for several domains in Entra ID. Default: the farm's own name, which is the entityID of its metadata or, where upstream.adfs.signing is a file, http://HOST/adfs/services/trust."},

	{inNameID, "from", "source", "Where the subject's name comes from: upn, guid, sam, domain, immutable_id, mail, display_name, or attribute:NAME. It must have one value. Required."},
	{inNameID, "format", "URI", "The name's format. Default urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified."},

	{inClaim, "type", "URI", "The claim's type. In SAML 1.1 its last slash divides namespace and name. Types that tell how the user was authenticated, or from where, are the issuer's own. Required."},
	{inClaim, "from", "source", "Where the values come from: upn, guid, sam, domain, immutable_id, mail, display_name, groups, or attribute:NAME for another attribute of the directory. A claim without a value is left out."},
	{inClaim, "value", "text", "The value itself, in place of from."},
	{inClaim, "required", "true or false", "Whether no token is issued when the source is empty. Default false."},

	{inRule, "name", "text", "The rule's name in audit and reports, unique in all files. Required."},
	{inRule, "match", "mapping, or everyone", "The conditions, which must all hold. Required: a rule for every request says everyone."},
	{inRule, "allow", "mapping, may be empty", "Lets the requests pass that match, unless a deny applies. A rule has either allow or deny."},
	{inRule, "deny", "empty mapping", "Refuses the requests that match."},
	{inRule, "owner", "text", "Who answers for the rule. Not evaluated."},
	{inRule, "expires", "date or time", "For an allow: the second from which it no longer matches, as 2027-02-01 (midnight UTC) or 2027-02-01T18:00:00+01:00."},
	{inRule, "mode", "enforce or report-only", "A rule in report-only is evaluated and recorded, and does not count. Default enforce."},

	{inAllow, "answer", "forward or issue", "How the requests that match are answered, in place of the application's answer. Rules that name different answers refuse the request."},

	{inMatch, "not", "mapping", "Conditions that must not hold, each key by itself; the keys are those of match."},
}

// Keys returns every key of the policy files, by place.
func Keys() []Key { return append(slices.Clone(otherKeys[:]), matchKeys[:]...) }

// MatchKeys returns the keys of a match that state a condition.
func MatchKeys() []Key { return slices.Clone(matchKeys[:]) }

// keysOf returns the names of the keys of a place.
func keysOf(place string) []string {
	var names []string
	for _, k := range Keys() {
		if k.Place == place || place == inNot && k.Place == inMatch && k.Name != inNot {
			names = append(names, k.Name)
		}
	}
	return names
}
