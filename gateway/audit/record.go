package audit

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Record is what is written of one exchange. Its field names are those of
// the Elastic Common Schema, version 8, flattened; what the schema has no
// name for stands under labels. An empty field is left out.
type Record struct {
	// When the request was received, UTC.
	Time time.Time `json:"@timestamp"`
	// What the exchange was: issue-token for a request that reached a trust endpoint, request for any other.
	Action string `json:"event.action"`
	// success when a token was released, otherwise failure.
	Outcome string `json:"event.outcome"`
	// ok, or the label of the refusal's reason; framing for what was refused before there was a path.
	Reason string `json:"event.reason"`
	// From the receipt of the request to this record, in nanoseconds.
	Duration time.Duration `json:"event.duration"`
	// The requirement that the message does not meet, such as SOAP-10 or XML-06, where it could not be read.
	Requirement string `json:"labels.requirement,omitempty"`
	// For requests that were refused before there was a message to read, how many there were of the source, the reason and the requirement since event.start; the rest of the line is of the latest. The first has a line of its own, without it; then there is one line in 10 seconds.
	Count int `json:"labels.count,omitempty"`
	// When the first of labels.count was received.
	Start time.Time `json:"event.start,omitzero"`
	// true when the sources are so many that they are counted together: the address is that of one of them.
	Others bool `json:"labels.other_sources,omitempty"`
	// The transaction id, which the client finds in a fault's text.
	Transaction string `json:"transaction.id"`
	// The transaction whose answer this request got, because its client sent the same message again while that was unanswered, or within 5 seconds of its fault. Nothing was asked, counted or decided for it.
	RepeatOf string `json:"labels.repeat_of,omitempty"`

	// The address that connected: here or, where listen[].proxy_protocol is set, to the proxy that says so in its PROXY header.
	Source netip.Addr `json:"source.ip,omitzero"`
	// The client's address, after proxies that are believed.
	Client netip.Addr `json:"client.ip,omitzero"`
	// The addresses that Exchange Online says it calls for, where client.ip is one of its servers and is believed.
	Forwarded []netip.Addr `json:"labels.forwarded,omitempty"`
	// true when a peer that is believed sent a header of addresses that cannot be read, so that nobody knows who is behind client.ip; conditions on networks are then unknown.
	Doubtful bool `json:"labels.client_doubtful,omitempty"`
	// What the client calls itself: its own claim.
	UserAgent string `json:"user_agent.original,omitempty"`
	// The TLS version of the client's connection, such as 1.3.
	TLS string `json:"tls.version,omitempty"`
	// The endpoint's path, or none for a path that is not published.
	Path string `json:"url.path"`
	// The HTTP status of the answer.
	Status int `json:"http.response.status_code"`

	// The directory's GUID of the account.
	UserID string `json:"user.id,omitempty"`
	// The account's name in the directory or, without a directory, the name typed, once its password was proven.
	UserName string `json:"user.name,omitempty"`
	// A keyed hash of a name that did not resolve, so that repeats are seen and a password typed as a name is not; with audit.names hashed, of every name. The key is made of state.key, and lives as long as the process where there is none.
	UserHash string `json:"user.hash,omitempty"`
	// The length in characters of a name that did not resolve: 0, 1-8, 9-16, 17-32, 33-64 or 65+.
	UserLength string `json:"labels.user_length,omitempty"`

	// The application's name in the policy.
	Application string `json:"service.target.name,omitempty"`
	// The AppliesTo address asked for.
	AppliesTo string `json:"labels.applies_to,omitempty"`
	// The WS-Trust version, 1.2 or 1.3.
	Version string `json:"labels.wstrust_version,omitempty"`
	// The SOAP version, 1.1 or 1.2.
	SOAP string `json:"labels.soap_version,omitempty"`
	// The token type asked for, as spelled by the client.
	TokenType string `json:"labels.token_type,omitempty"`
	// The deviations from the specifications that were accepted in this message.
	Tolerated []string `json:"labels.tolerated,omitempty"`

	// What policy decided: allow or deny. Absent where it was not asked.
	Effect string `json:"labels.effect,omitempty"`
	// true when a second factor was owed.
	SecondFactor bool `json:"labels.second_factor,omitempty"`
	// The rules whose obligations were owed.
	Requires []string `json:"labels.requires,omitempty"`
	// How the second factors came that were met: hold, code, grant or challenge.
	Shapes []string `json:"labels.shapes,omitempty"`
	// What they were: passkey-uv, passkey, totp, recovery or radius, in the same order.
	Factors []string `json:"labels.factors,omitempty"`
	// What they are worth, in the same order: otp, bound, approve-only or pre-approved. None is phishing-resistant.
	Assurance []string `json:"labels.assurance,omitempty"`
	// true when one of them was proven for an earlier request.
	Remembered bool `json:"labels.remembered,omitempty"`
	// The facts that policy decided on, in the form of a file of facts. Under unknown are those that could not be read, under not_read those that cost a look-up that nobody asked for, and texts too long for a record.
	Facts json.RawMessage `json:"labels.facts,omitempty"`
	// forward or issue, once decided.
	Answer string `json:"labels.answer,omitempty"`
	// The rule that decided.
	Rule string `json:"rule.name,omitempty"`
	// The report-only rules that would have counted.
	Reported []string `json:"labels.report_only,omitempty"`
	// The requires that did not apply for an exception alone.
	Excepted []string `json:"labels.excepted,omitempty"`
	// What the password would have been refused for before it left the gateway, if guard.mode were enforce: banned, throttled, locked, wrong-password, state-down.
	GuardReported string `json:"labels.guard_report_only,omitempty"`
	// What was down while the exchange went on all the same, as its application's while_state_down allows: state.
	Degraded string `json:"labels.degraded,omitempty"`
	// The revision of the policy set that the decision rests on.
	Revision string `json:"rule.ruleset,omitempty"`
	// The farm node that was asked.
	Node string `json:"destination.address,omitempty"`
	// The id of the assertion that was released.
	AssertionID string `json:"labels.assertion_id,omitempty"`
	// The digest of that assertion: SHA-256 of its exclusive canonical form without its signature, or of that of the EncryptedData.
	AssertionHash string `json:"hash.sha256,omitempty"`
	// When that assertion expires.
	NotOnOrAfter time.Time `json:"labels.not_on_or_after,omitzero"`
	// true when the token was encrypted: nothing is known of what it says, its id included.
	Encrypted bool `json:"labels.token_encrypted,omitempty"`

	// The cause of a refusal, for the operator.
	Error string `json:"error.message,omitempty"`
	// true when the record was too long: texts and lists in it are shorter than they were, or the facts are left out.
	Clipped bool `json:"labels.clipped,omitempty"`
}

// A Line is a record as it stands in the log.
type Line struct {
	Record
	Stamp
}

// A Stamp is what every line ends with: who wrote it, and its place in the chain.
type Stamp struct {
	// The name of this gateway's machine.
	Host string `json:"host.name"`
	// What keeps the machine's clock right: synchronized when its kernel says that something does, unsynchronized when it says that nothing does, unknown when it does not say.
	Clock string `json:"labels.clock"`
	// By how much the clock was stepped since the start, in milliseconds; forward is positive.
	ClockOffset int64 `json:"labels.clock_offset_ms"`
	// The number of the line in the chain, from 1. Files that follow each other by rotation are one chain.
	Sequence uint64 `json:"event.sequence"`
	// The event.hash of the line before, or zeros before the first.
	Previous string `json:"labels.previous_hash"`
	// SHA-256 of this line, in hex: of its bytes before ,"event.hash".
	Hash string `json:"event.hash"`
}

const (
	// maxText is the longest text of a field, and maxLine the longest line
	// without its place in the chain, in bytes (security.md, AUD-06).
	maxText = 512
	maxLine = 7600
)

// line encodes the record as one line of JSON. Texts that a client chose are
// clipped, and characters that a terminal or a reader could take for markup
// of its own are shown as escapes.
func (r *Record) line(n *names) ([]byte, error) {
	c := *r
	if n.hashed && c.UserName != "" {
		c.UserHash, c.UserName = n.hash(c.UserName), ""
	}
	for _, s := range []*string{&c.UserAgent, &c.UserName, &c.AppliesTo, &c.TokenType, &c.Error} {
		*s = clean(*s)
	}
	c.Facts = nil
	facts := r.Facts
	b, err := json.Marshal(&c)
	if err == nil && len(b)+len(facts) > maxLine {
		c.clip()
		b, err = json.Marshal(&c)
	}
	if err != nil {
		return nil, err
	}
	if len(facts) == 0 || len(b)+len(facts) > maxLine {
		return append(b, '\n'), nil
	}
	// They are a line of JSON already; Marshal would read them once more.
	const key = `,"labels.facts":`
	b = slices.Grow(b, len(key)+len(facts)+1)
	b = append(append(b[:len(b)-1], key...), facts...)
	return append(b, "}\n"...), nil
}

// clip takes from a record what made it too long: lists, and texts that were
// chosen to grow when they are written.
func (r *Record) clip() {
	const texts, entries = 128, 16
	for _, s := range []*string{&r.UserAgent, &r.UserName, &r.AppliesTo, &r.TokenType, &r.Error, &r.AssertionID} {
		*s = cut(*s, texts)
	}
	r.Forwarded = r.Forwarded[:min(len(r.Forwarded), entries)]
	r.Reported = r.Reported[:min(len(r.Reported), entries)]
	r.Excepted = r.Excepted[:min(len(r.Excepted), entries)]
	r.Requires = r.Requires[:min(len(r.Requires), entries)]
	r.Clipped = true
}

// clean replaces control, format (bidi) and invalid characters by U+FFFD and
// clips the text at maxText bytes.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return utf8.RuneError
		}
		return r
	}, cut(s, maxText))
}

// cut returns the start of s, at most n bytes and whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
