package policy

import "slices"

// A Key is one key of the policy files. The loader knows exactly these, and
// the manual is generated from them.
type Key struct {
	// Place is the mapping in which the key stands: file, network,
	// application, name_id, claim, rule, allow, require, mfa, limit, except,
	// match or hours; in a file of tests: tests file, test or expect.
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
	inRequire     = "require"
	inMFA         = "mfa"
	inLimit       = "limit"
	inRelaxation  = "while_state_down"
	inExcept      = "except"
	inMatch       = "match"
	inNot         = "not"
	inHours       = "hours"
	inSuite       = "tests file"
	inTest        = "test"
	inExpect      = "expect"
)

// A matchKey is a key of a match that states a condition.
type matchKey uint8

const (
	users matchKey = iota
	groups
	domains
	networks
	countries
	asns
	applications
	endpoints
	versions
	requestTypes
	credentials
	tokenTypes
	keyTypes
	families
	hours
	onBehalfOf
	actAs
	familiar
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
	countries: {inMatch, "countries", "list of codes",
		"The country of the client's address, as a two-letter code of ISO 3166-1 in upper case. Of several addresses as for networks."},
	asns: {inMatch, "asns", "list of numbers",
		"The autonomous system that announces the client's address, as 64500 or AS64500. Of several addresses as for networks."},
	applications: {inMatch, "applications", "list of names",
		"The application that the request is for."},
	endpoints: {inMatch, "endpoints", "list of paths",
		"The published path that the request came to."},
	versions: {inMatch, "versions", "list of versions",
		`The WS-Trust version of the request: "1.2" (February 2005) or "1.3".`},
	requestTypes: {inMatch, "types", "list of words",
		"What is asked for: issue, renew, validate or cancel."},
	credentials: {inMatch, "credentials", "list of words",
		"What the sender proves itself with: password, digest, x509, kerberos or saml."},
	tokenTypes: {inMatch, "token_types", "list of kinds",
		"The kind of token asked for: saml1.1, saml2.0, or the URI of another, compared exactly. A request that names none is of none of them."},
	keyTypes: {inMatch, "key_types", "list of kinds",
		"The kind of proof key asked for: bearer, symmetric, public, or the URI of another, compared exactly. A request that names none is of none of them."},
	families: {inMatch, "families", "list of words",
		"The software that the shape of the message points to, from the closed list of families; unknown where it fits none or several. It is the client's own claim: an allow or an exception that rests on nothing else is a mistake, and check warns of every allow by a family."},
	hours: {inMatch, "hours", "list of spans",
		"Whether the request came within one of the spans of time."},
	onBehalfOf: {inMatch, "on_behalf_of", "list of names",
		`The name in the token of OnBehalfOf, without case. One * at the beginning or the end stands for any text, "*" alone for any token, and "?" for one that has no name. Nobody has verified it: an allow or an exception that rests on nothing else is a mistake.`},
	actAs: {inMatch, "act_as", "list of names",
		`The name in the token of ActAs, as for on_behalf_of. not: {act_as: ["*"]} is a request without one.`},
	familiar: {inMatch, "familiar", "true or false",
		"Whether this user signed in from this address before. Needs a directory."},
}

// facts are what each condition rests on.
var keyFacts = [numMatchKeys]FactSet{
	users:        1<<UserName | 1<<UserDomain,
	groups:       1 << UserGroups,
	domains:      1 << UserDomain,
	networks:     1<<ClientAddress | 1<<ClientForwarded,
	countries:    1 << ClientCountry,
	asns:         1 << ClientASN,
	applications: 1 << RequestApplication,
	endpoints:    1 << RequestEndpoint,
	versions:     1 << RequestVersion,
	requestTypes: 1 << RequestType,
	credentials:  1 << RequestCredential,
	tokenTypes:   1 << RequestTokenType,
	keyTypes:     1 << RequestKeyType,
	families:     1 << ClientFamily,
	hours:        1 << Time,
	onBehalfOf:   1 << DelegationOnBehalfOf,
	actAs:        1 << DelegationActAs,
	familiar:     1 << ClientFamiliar,
}

// aboutUser tells that the condition is on a fact about the user.
func (k matchKey) aboutUser() bool { return keyFacts[k]&UserFacts != 0 }

// String returns the key as written.
func (k matchKey) String() string { return matchKeys[k].Name }

// otherKeys describes all keys but the conditions.
var otherKeys = [...]Key{
	{inFile, "networks", "mapping by name", "Named sets of addresses: each a list of prefixes and single addresses, or a file."},
	{inFile, "applications", "mapping by name", "The applications (relying parties) that tokens are for."},
	{inFile, "rules", "list of rules", "What is allowed, denied and required. Order never matters."},

	{inNetwork, "file", "file name", "A file in the policy directory or below, with one prefix or address a line, # comments and empty lines; or, called *.json, the list of endpoints that Microsoft publishes for Microsoft 365, as it is."},
	{inNetwork, "service", "text", "Of such a list only the entries of this serviceArea, such as Exchange. Default all."},

	{inApplication, "realms", "list of texts", `The AppliesTo addresses that name the application, compared exactly. Required. ["*"] stands for every realm that no other application has, and is forwarded only.`},
	{inApplication, "answer", "forward or issue", "Whether the farm answers or the built-in issuer. Required. An allow may name another."},
	{inApplication, "token", "saml1.1 or saml2.0", "The kind of token that is issued when the request names none. Default saml1.1."},
	{inApplication, "lifetime", "duration", "How long an issued token is valid, 1m to 8h. Default 60m."},
	{inApplication, "name_id", "mapping", "The subject of an issued token. Default: upn, with the format unspecified."},
	{inApplication, "claims", "list of claims, or microsoft-365", "The claims of an issued token. Default: the UPN. microsoft-365 is the preset that Microsoft 365 needs, and sets the subject too."},
	{inApplication, "oracle", "hide or show", "Whether every refusal looks alike, so that a client never learns from one that its password was right. With hide a second factor can only be a code or a grant. Default show."},
	{inApplication, "answer_encrypted", "true or false", "Whether the farm encrypts its tokens for this application, so that nothing in them can be checked. Default false: an encrypted token is refused."},
	{inApplication, "extensions", "list of words", "What a request may ask the farm for beyond a token, as elements of its RequestSecurityToken: AdditionalContext, Claims, Encryption, Issuer, Participants, ProofEncryption, SecondaryParameters, UseKey. They are forwarded unread; the answer is checked as any other. Default: none, such a request is refused. The built-in issuer refuses them all."},
	{inApplication, "trust_farm_mfa", "true or false", "Whether a token of the farm may say that its user proved a second factor (multipleauthn) where an issued token would not: see assurance. Default false: such a token is refused."},
	{inApplication, "assurance", "number or accept-approve", "When an issued token says that its user proved a second factor: after a code, or a number that was typed in the portal; with accept-approve also where the user approved while the request was held. What was proven before the request, a grant or a remembered proof, never says it. Default number."},
	{inApplication, "while_state_down", "mapping", "For some hours: requests that an allow on networks lets pass, and that owe no second factor, go on while the store cannot be reached, with failures counted in the memory of one gateway. They are labelled in metrics and records. Default: absent, they are refused with state-down."},
	{inApplication, "issuers", "list of texts", "The issuers that a token of the farm for this application may name, compared exactly. One * at the beginning or the end stands for any text; {domain} stands for what follows the @ in the token's UPN, or a domain above it, as in http://{domain}/adfs/services/trust/, which AD FS writes for several domains in Entra ID. Default: the farm's own name, which is the entityID of its metadata or, where upstream.adfs.signing is a file, http://HOST/adfs/services/trust."},

	{inNameID, "from", "source", "Where the subject's name comes from: upn, guid, sam, domain, immutable_id, mail, display_name, or attribute:NAME. It must have one value. Required."},
	{inNameID, "format", "URI", "The name's format. Default urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified."},

	{inClaim, "type", "URI", "The claim's type. In SAML 1.1 its last slash divides namespace and name. Types that tell how the user was authenticated, or from where, are the issuer's own. Required."},
	{inClaim, "from", "source", "Where the values come from: upn, guid, sam, domain, immutable_id, mail, display_name, groups, or attribute:NAME for another attribute of the directory. A claim without a value is left out."},
	{inClaim, "value", "text", "The value itself, in place of from."},
	{inClaim, "required", "true or false", "Whether no token is issued when the source is empty. Default false."},

	{inRule, "name", "text", "The rule's name in audit and reports, unique in all files. Required."},
	{inRule, "match", "mapping, or everyone", "The conditions, which must all hold. A rule for every request says everyone. Where a rule has match and when, both must hold; it has at least one of them."},
	{inRule, "when", "expression", "A condition that match cannot say, as an expression of CEL over the facts."},
	{inRule, "allow", "mapping, may be empty", "Lets the requests pass that match, unless a deny applies. A rule has one of allow, deny and require."},
	{inRule, "deny", "empty mapping", "Refuses the requests that match."},
	{inRule, "require", "mapping", "What the requests that match owe before they get a token. It grants nothing."},
	{inRule, "except", "list of exceptions", "For a deny or a require: the requests to which it does not apply. An exception that cannot be judged is none."},
	{inRule, "owner", "text", "Who answers for the rule. Not evaluated."},
	{inRule, "expires", "date or time", "For an allow: the second from which it no longer matches, as 2027-02-01 (midnight UTC) or 2027-02-01T18:00:00+01:00."},
	{inRule, "mode", "enforce or report-only", "A rule in report-only is evaluated and recorded, and does not count. Default enforce."},

	{inAllow, "answer", "forward or issue", "How the requests that match are answered, in place of the application's answer. Rules that name different answers refuse the request."},

	{inRequire, "mfa", "mapping, may be empty", "A second factor. One proof may meet several rules."},
	{inRequire, "limit", "mapping", "Caps on tokens and on requests."},

	{inMFA, "shapes", "list of words", "How the second factor may come: hold, code, grant, challenge. Default: all that the other keys leave. An application with oracle: hide takes only code and grant."},
	{inMFA, "factors", "list of words", "What may be the second factor: totp, passkey, radius, recovery. Default totp, passkey and radius: a recovery code only where it is named. A code can be totp, radius or recovery."},
	{inMFA, "remember", "duration", "How long a proof stands for later requests, up to 24h. Default 0s: each request needs its own. Of several rules the shortest holds."},
	{inMFA, "bind", "address or network", "Whether a proof that is remembered stands for the client's address or for its network. Default address."},
	{inMFA, "assurance", "any or number", "number leaves out hold, where the user approves without a number or code that ties the approval to this request. Default any. No shape is phishing-resistant, so that is refused."},

	{inLimit, "lifetime", "duration", "The longest that a token may be valid, 1m to 8h. A forwarded answer that is valid longer is refused. Of several rules the shortest holds."},
	{inLimit, "rate", "number/duration", "How many requests of one user may pass, such as 20/1m. Each rule's is held."},

	{inRelaxation, "until", "date or time", "When it ends by itself, at most 4 hours ahead. Required."},
	{inRelaxation, "owner", "text", "Who answers for it. Required."},
	{inRelaxation, "reason", "text", "Why. Required."},

	{inExcept, "match", "mapping, or everyone", "The conditions, as of a rule."},
	{inExcept, "when", "expression", "Another condition, as of a rule."},
	{inExcept, "owner", "text", "Who answers for the exception. Required."},
	{inExcept, "reason", "text", "Why there is one. Required."},
	{inExcept, "expires", "date or time", "The second from which it excepts nothing. Required; from an mfa, at most 90 days ahead."},

	{inMatch, "not", "mapping", "Conditions that must not hold, each key by itself; the keys are those of match."},

	{inHours, "days", "list of days", "The days on which the span begins, as mon, or mon-fri. Default every day."},
	{inHours, "from", "time of day", "When it begins, as 08:00. Required."},
	{inHours, "to", "time of day", "When it has ended, as 18:00, or 24:00. One before from is on the next day. Required."},
	{inHours, "zone", "time zone", "Whose clocks tell the time, as Europe/Berlin or UTC. An hour that the clocks repeat counts twice, one that they leave out not at all. Required."},
}

// testKeys describes the keys of the files of tests.
var testKeys = [...]Key{
	{inSuite, "defaults", "mapping of facts", "Facts for all tests of the file, where a test does not give them itself or say that they are unknown."},
	{inSuite, "tests", "list of tests", "What the policy must decide. Required."},

	{inTest, "name", "text", "The test's name, unique in the file. Required."},
	{inTest, "facts", "mapping of facts", "The facts of one request, as in a file of facts. What neither they nor defaults give is empty, but a time is unknown. Required; may be empty: {}."},
	{inTest, "unknown", "list of facts", "Facts that could not be read, or the first parts of their names for all of them: user."},
	{inTest, "expect", "mapping", "The decision. Required."},

	{inExpect, "effect", "allow or deny", "What is decided. Required."},
	{inExpect, "cause", "word", "Why: allow, deny (by a rule), no-allow, conflict or unknown-application."},
	{inExpect, "rules", "list of rule names", "Rules that must apply, whatever is decided; others may."},
	{inExpect, "reported", "list of rule names", "Rules in report-only that would apply; others may."},
	{inExpect, "not_rules", "list of rule names", "Rules that must not apply."},
	{inExpect, "not_reported", "list of rule names", "Rules in report-only that would not apply."},
	{inExpect, "mfa", "required or none", "Whether an allowed request owes a second factor."},
	{inExpect, "answer", "forward or issue", "How an allowed request is answered."},
	{inExpect, "application", "name", "The application that the realm names."},
}

// Keys returns every key of the policy files, by place.
func Keys() []Key { return append(slices.Clone(otherKeys[:]), matchKeys[:]...) }

// TestKeys returns every key of the files of tests but the facts, by place.
func TestKeys() []Key { return slices.Clone(testKeys[:]) }

// MatchKeys returns the keys of a match that state a condition.
func MatchKeys() []Key { return slices.Clone(matchKeys[:]) }

// keysOf returns the names of the keys of a place.
func keysOf(place string) []string {
	var names []string
	for _, k := range slices.Concat(Keys(), TestKeys()) {
		if k.Place == place || place == inNot && k.Place == inMatch && k.Name != inNot {
			names = append(names, k.Name)
		}
	}
	return names
}
