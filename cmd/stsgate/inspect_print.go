package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// The verdicts.
const (
	accepted = "accept"
	refused  = "refuse"
)

// A report is what was found, in the form that --json prints.
type report struct {
	Verdict string `json:"verdict"`
	defect
	// Also is what else is wrong, as far as one can tell: it does not count, as
	// the first defect ends an exchange.
	Also []defect `json:"also,omitempty"`

	Kind        string `json:"kind"`
	Root        string `json:"root"`
	SOAP        string `json:"soap"`
	Version     string `json:"version"`
	RequestType string `json:"request_type"`
	User        string `json:"user"`
	AppliesTo   string `json:"applies_to"`
	Credential  string `json:"credential"`
	Action      string `json:"action"`
	To          string `json:"to"`
	MessageID   string `json:"message_id"`
	RelatesTo   string `json:"relates_to"`
	TokenType   string `json:"token_type"`
	KeyType     string `json:"key_type"`

	HTTP       *httpFacts  `json:"http,omitempty"`
	Timestamp  *span       `json:"timestamp,omitempty"`
	Lifetime   *span       `json:"lifetime,omitempty"`
	OnBehalfOf *party      `json:"on_behalf_of,omitempty"`
	ActAs      *party      `json:"act_as,omitempty"`
	Target     *party      `json:"target,omitempty"`
	Fault      *faultFacts `json:"fault,omitempty"`
	Token      *token      `json:"token,omitempty"`
	Signer     string      `json:"signer,omitempty"`
	Signature  string      `json:"signature,omitempty"` // of a request
	// The signature of an assertion that is the credential, and by whom it is.
	CredentialSignature string `json:"credential_signature,omitempty"`
	CredentialSigner    string `json:"credential_signer,omitempty"`
	Verified            bool   `json:"verified,omitempty"`
	ProofKey            string `json:"proof_key,omitempty"`
	Forward             string `json:"forward,omitempty"`
	Issue               string `json:"issue,omitempty"`

	Clock      time.Time `json:"clock"`
	Tolerances []string  `json:"tolerances"`
	NotJudged  []string  `json:"not_judged"`
}

// A defect is why a message is refused, and where in the file: line and column
// from 1, both 0 for no place. Reason is the label that audit and metrics have.
type defect struct {
	Rule    string `json:"rule"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
}

// refuse notes a defect.
func (f *report) refuse(d defect) {
	if f.Verdict == refused {
		f.Also = append(f.Also, d)
		return
	}
	f.Verdict, f.defect = refused, d
}

// at returns the place of a defect as editors read it.
func (d *defect) at(file string) string {
	if d.Line == 0 {
		return visible(file)
	}
	return fmt.Sprintf("%s:%d:%d", visible(file), d.Line, d.Column)
}

type httpFacts struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Host   string `json:"host"`
}

type span struct {
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Skew is by how many seconds Created lies before the clock.
	Skew float64 `json:"skew_seconds"`
}

type party struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject,omitempty"`
}

type faultFacts struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Sender bool   `json:"sender"`
	Says   string `json:"says"`
	// Reason is the one for which an exchange is refused that gets this answer.
	Reason string `json:"reason"`
}

func (f *report) span(l wstrust.Lifetime) *span {
	if l.Created.IsZero() && l.Expires.IsZero() {
		return nil
	}
	s := &span{Created: l.Created, Expires: l.Expires}
	if !l.Created.IsZero() {
		s.Skew = f.Clock.Sub(l.Created).Seconds()
	}
	return s
}

// userInformation is the part of a URL that may hold a password.
var userInformation = regexp.MustCompile(`//[^/?#@\s]*@`)

// shown is a text of a message as it may be printed: at most 512 characters
// (security.md, CLI-01), without the user information of a URL, and nothing of
// it where it repeats a password that is known.
func (x *inspection) shown(s string) string {
	for _, secret := range x.secrets {
		if s == secret || len(secret) >= shortest && strings.Contains(s, secret) {
			return "withheld, it repeats the password"
		}
	}
	return clipped(userInformation.ReplaceAllString(s, "//…@"))
}

// shortest is the fewest bytes of a password that is looked for within texts:
// shorter ones stand in many by chance.
const shortest = 4

// learn notes the passwords of a message.
func (x *inspection) learn(d *soap.Document) {
	all := d.Elements()
	for i := range all {
		if all[i].Name.Local != "Password" {
			continue
		}
		if secret, err := d.Text(&all[i]); err == nil && secret != "" {
			x.secrets = append(x.secrets, secret)
		}
	}
}

// shown returns a token with texts that may be printed.
func (t *token) shown(shown func(string) string) *token {
	for _, s := range []*string{&t.Type, &t.ID, &t.Subject, &t.Issuer, &t.Signer} {
		*s = shown(*s)
	}
	all := func(texts []string) (short []string) { // the Answer has the same slice
		for _, s := range texts {
			short = append(short, shown(s))
		}
		return short
	}
	t.Audience = all(t.Audience)
	for i := range t.Claims {
		t.Claims[i] = claim{Type: shown(t.Claims[i].Type), Values: all(t.Claims[i].Values)}
	}
	return t
}

// print writes the report.
func (f *report) print(c *console, v *inspect) error {
	if v.JSON {
		return writeJSON(c.out, f)
	}
	_, err := io.WriteString(c.out, f.text(v.File))
	return err
}

// writeJSON writes JSON of printable ASCII only: whatever else a text of a
// message holds is escaped (security.md, CLI-01).
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	var plain []byte
	for _, r := range b.String() {
		switch {
		case r < 0x7f:
			plain = append(plain, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			plain = fmt.Appendf(plain, `\u%04x\u%04x`, high, low)
		default:
			plain = fmt.Appendf(plain, `\u%04x`, r)
		}
	}
	_, err := w.Write(plain)
	return err
}

// text is the report for a person.
func (f *report) text(file string) string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-8s %s\n", label, fmt.Sprintf(format, args...))
	}
	given := func(label, text string) {
		if text != "" {
			line(label, "%s", visible(text))
		}
	}
	if f.Verdict == refused {
		fmt.Fprintf(&b, "refused: %s\n", visible(f.Message))
		line("at", "%s", f.at(file))
		given("rule", f.Rule)
		given("reason", f.Reason)
		for _, d := range f.Also {
			line("also", "%s: %s (%s, %s)", d.at(file), visible(d.Message), d.Rule, d.Reason)
		}
	} else {
		b.WriteString("accepted as far as it was judged\n")
	}
	line("kind", "%s", f.what())
	if h := f.HTTP; h != nil {
		line("http", "%s %s at %s", visible(h.Method), visible(h.Path), visible(h.Host))
	}
	given("asks", f.RequestType)
	given("user", f.User)
	given("by", f.Credential)
	given("for", f.AppliesTo)
	given("token", f.TokenType)
	given("key", f.KeyType)
	f.parties(given)
	given("action", f.Action)
	given("to", f.To)
	given("message", f.MessageID)
	given("answers", f.RelatesTo)
	f.times(line)
	if t := f.Fault; t != nil {
		given("code", t.Code)
		given("text", t.Text)
		line("says", "%s; an exchange ends as %s", t.Says, t.Reason)
	}
	f.tokenText(&b, line)
	given("signed", f.Signature)
	given("vouches", f.CredentialSigner)
	given("vouched", f.CredentialSignature)
	given("proof", f.ProofKey)
	for _, t := range f.Tolerances {
		given("deviates", t)
	}
	given("forward", f.Forward)
	given("issue", f.Issue)
	for _, open := range f.NotJudged {
		given("open", open)
	}
	return b.String()
}

// what says in a few words what the message is.
func (f *report) what() string {
	text := f.Kind
	if f.Kind == kindXML && f.Root != "" {
		text += ", its root is " + visible(f.Root)
	}
	if f.Version != "" {
		text += ", WS-Trust " + f.Version
	}
	if f.SOAP != "" {
		text += ", SOAP " + f.SOAP
	}
	return text
}

// parties names whom the sender stands for, and what token it is about.
func (f *report) parties(given func(label, text string)) {
	for _, p := range []struct {
		label string
		party *party
	}{{"behalf", f.OnBehalfOf}, {"act as", f.ActAs}, {"target", f.Target}} {
		if p.party != nil {
			given(p.label, strings.TrimSpace(p.party.Kind+" "+p.party.Subject))
		}
	}
}

// times names both clocks, so that a person sees which one is wrong.
func (f *report) times(line func(label, format string, args ...any)) {
	if t := f.Timestamp; t != nil {
		line("sent", "%s, %s", stamp(t.Created), f.since(t.Created))
		if !t.Expires.IsZero() {
			line("until", "%s", stamp(t.Expires))
		}
	}
	if l := f.Lifetime; l != nil {
		label, skew := "wishes", ""
		if f.Kind == kindRSTR {
			label = "lifetime"
			if !l.Created.IsZero() {
				skew = " (" + f.since(l.Created) + ")"
			}
		}
		line(label, "%s%s to %s", stamp(l.Created), skew, stamp(l.Expires))
	}
}

// since says how far t is from the clock.
func (f *report) since(t time.Time) string {
	d := f.Clock.Sub(t).Round(time.Second)
	if d < 0 {
		return fmt.Sprintf("%v after the clock, %s", -d, stamp(f.Clock))
	}
	return fmt.Sprintf("%v before the clock, %s", d, stamp(f.Clock))
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.UTC().Format(time.RFC3339)
}

// tokenText says what a token says, and who vouches for it.
func (f *report) tokenText(b *strings.Builder, line func(label, format string, args ...any)) {
	t := f.Token
	switch {
	case t == nil && f.Signer != "":
		line("signer", "%s", visible(f.Signer))
	case t == nil:
	case t.Encrypted:
		line("token", "encrypted: only its application can read it")
	default:
		if f.Verified {
			line("signed", "yes, by a key of --cert")
		}
		t.write(b)
		if !t.NotOnOrAfter.IsZero() {
			line("clock", "%s, %s", stamp(f.Clock), t.state(f.Clock))
		}
	}
}

// state says whether a token is valid by the clock.
func (t *token) state(clock time.Time) string {
	switch {
	case clock.Before(t.NotBefore):
		return fmt.Sprintf("%v before it is valid", t.NotBefore.Sub(clock).Round(time.Second))
	case !clock.Before(t.NotOnOrAfter):
		return fmt.Sprintf("%v after it ended", clock.Sub(t.NotOnOrAfter).Round(time.Second))
	default:
		return fmt.Sprintf("valid for another %v", t.NotOnOrAfter.Sub(clock).Round(time.Second))
	}
}

// clipped cuts a text to 512 characters.
func clipped(s string) string {
	const most = 512
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
