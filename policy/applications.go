package policy

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// An Answer is one of the two ways to answer a request.
type Answer uint8

const (
	NoAnswer Answer = iota // none is named
	Forward                // the farm answers
	Issue                  // the built-in issuer answers
)

var answerNames = [...]string{NoAnswer: "none", Forward: "forward", Issue: "issue"}

// String returns "forward", "issue" or "none".
func (a Answer) String() string { return answerNames[a] }

// Token kinds, as Application.Token names them.
const (
	SAML11 = "saml1.1"
	SAML20 = "saml2.0"
)

// Lifetimes of issued tokens (security.md, TOK-03).
const (
	defaultLifetime = time.Hour
	minLifetime     = time.Minute
	maxLifetime     = 8 * time.Hour
)

// AnyRealm is the realm of the application that takes every realm that no
// other one has.
const AnyRealm = "*"

// An Application is a relying party, and what a token for it holds. It must
// not be changed.
type Application struct {
	Name string
	// Realms are the AppliesTo addresses that name it.
	Realms []string
	// Answer is how its requests are answered unless an allow says otherwise.
	Answer Answer
	// Token is the kind of token to issue when the request names none, SAML11
	// or SAML20.
	Token string
	// Lifetime is how long an issued token is valid, 1 minute to 8 hours.
	Lifetime time.Duration
	// NameID is the subject of an issued token, Claims are its claims.
	NameID NameID
	Claims []ClaimRule
	// Hide tells that every refusal looks alike to the client, also after its
	// password is proven.
	Hide bool
	// AnswerEncrypted tells that the farm encrypts its tokens for this
	// application, so that nothing in them can be checked.
	AnswerEncrypted bool
	// Extensions are the children of a RequestSecurityToken, by their local
	// names, that ask the farm for more than a token and are forwarded.
	Extensions []string
	// TrustFarmMFA tells that a token of the farm may say that its user proved a
	// second factor where an issued token would not.
	TrustFarmMFA bool
	// AcceptApprove tells that an issued token says so also when the user
	// approved without a number.
	AcceptApprove bool
	// Issuers are those that a token of the farm may name: exact, with one * at
	// an end, or with {domain} for the domain of the user's UPN. Without any it
	// is the farm's own name.
	Issuers []string

	relaxation *Relaxation // nil for none

	at     place
	preset bool // NameID and Claims are those of microsoft365 for Token
}

// Application returns the application that a realm names, or nil. Realms are
// compared byte for byte.
func (s *Set) Application(realm string) *Application {
	if sc := s.scopeOf(realm); sc != nil {
		return sc.application
	}
	return nil
}

// readApplications reads the key of that name.
func (l *loader) readApplications(r *reader, n *yaml.Node) {
	for _, f := range r.entries(n, "a mapping of application names") {
		a := &Application{at: r.at(f.key)}
		var ok bool
		if a.Name, ok = r.name(f.key, "an application name"); ok {
			if old := l.applications[a.Name]; old != nil {
				r.fail(f.key, "application %q is defined already at %s:%d", a.Name, old.at.file, old.at.line)
			} else {
				l.applications[a.Name] = a
			}
		}
		l.application(r, f, a)
	}
}

func (l *loader) application(r *reader, f field, a *Application) {
	fields := r.fields(f.value, inApplication, "a mapping with realms and answer")
	if fields == nil {
		return
	}
	if realms, ok := fields["realms"]; ok {
		l.readRealms(r, realms.value, a)
	} else {
		r.fail(f.key, "application %q needs realms", f.key.Value)
	}
	if answer, ok := fields["answer"]; ok {
		a.Answer = r.answer(answer.value)
		if a.Answer == Issue && l.realms[AnyRealm] == a {
			r.fail(answer.value, `an application for all realms ("*") can only forward`)
		}
	} else {
		r.fail(f.key, "application %q needs an answer: forward or issue", f.key.Value)
	}
	a.Token, a.Lifetime = SAML11, defaultLifetime
	if token, ok := fields["token"]; ok {
		a.Token, _ = r.word(token.value, SAML11, SAML20)
	}
	if lifetime, ok := fields["lifetime"]; ok {
		a.Lifetime = r.lifetime(lifetime.value)
	}
	if oracle, ok := fields["oracle"]; ok {
		word, _ := r.word(oracle.value, "hide", "show")
		a.Hide = word == "hide"
	}
	if encrypted, ok := fields["answer_encrypted"]; ok {
		a.AnswerEncrypted = r.truth(encrypted.value)
	}
	if extensions, ok := fields["extensions"]; ok {
		a.Extensions = r.extensions(extensions.value)
	}
	if trust, ok := fields["trust_farm_mfa"]; ok {
		a.TrustFarmMFA = r.truth(trust.value)
	}
	if assurance, ok := fields["assurance"]; ok {
		word, _ := r.word(assurance.value, "number", "accept-approve")
		a.AcceptApprove = word == "accept-approve"
	}
	if relaxed, ok := fields["while_state_down"]; ok {
		a.relaxation = r.relaxation(relaxed.value)
	}
	if issuers, ok := fields["issuers"]; ok {
		a.Issuers = r.issuers(issuers.value)
		if a.AnswerEncrypted {
			r.fail(issuers.key, "issuers: an encrypted token shows no issuer: leave it out, or answer_encrypted")
		}
	}
	r.tokenContent(fields, a)
}

// extensionNames are what a request may ask the farm for (security.md, SOAP-10).
// A token that somebody else is named in, as OnBehalfOf and ActAs ask for, is not
// released whoever lists them.
var extensionNames = []string{"AdditionalContext", "Claims", "Encryption", "Issuer", "Participants", "ProofEncryption", "SecondaryParameters", "UseKey"}

func (r *reader) extensions(n *yaml.Node) (all []string) {
	for _, e := range r.texts(n, "a list of elements", "element", func(c *yaml.Node) (string, bool) { return r.word(c, extensionNames...) }) {
		all = append(all, e.text)
	}
	return all
}

// readRealms reads the realms of an application and checks that no other one
// has them.
func (l *loader) readRealms(r *reader, n *yaml.Node, a *Application) {
	list := r.texts(n, "a list of realms", "realm", func(c *yaml.Node) (string, bool) { return r.text(c, "a realm") })
	for _, realm := range list {
		fail := func(format string, args ...any) { r.failAt(realm.at.line, realm.at.column, format, args...) }
		if strings.Contains(realm.text, " ") {
			fail("realm %q: a realm has no spaces", realm.text)
		}
		switch {
		case realm.text == AnyRealm && len(list) > 1:
			fail(`the realm "*" already stands for all others: it is alone in its list`)
		case realm.text != AnyRealm && strings.Contains(realm.text, "*"):
			fail(`realm %q: realms are compared exactly, and "*" alone stands for all others`, realm.text)
		}
		if other := l.realms[realm.text]; other != nil {
			fail("realm %q belongs to the application at %s:%d already", realm.text, other.at.file, other.at.line)
			continue
		}
		l.realms[realm.text] = a
		a.Realms = append(a.Realms, realm.text)
	}
}

// answer reads forward or issue.
func (r *reader) answer(n *yaml.Node) Answer {
	switch s, _ := r.word(n, Forward.String(), Issue.String()); s {
	case Forward.String():
		if r.vocabulary.NoFarm {
			r.fail(n, "answer: forward needs a farm, and the configuration has none")
		}
		return Forward
	case Issue.String():
		if r.vocabulary.NoIssuer {
			r.fail(n, "answer: issue needs an issuer, and the configuration has none")
		}
		return Issue
	default:
		return NoAnswer
	}
}

// lifetime reads how long a token is valid.
func (r *reader) lifetime(n *yaml.Node) time.Duration {
	d, ok := r.duration(n, "60m or 8h")
	if ok && (d < minLifetime || d > maxLifetime) {
		r.fail(n, "a token is valid for 1m to 8h, not %s", n.Value)
	}
	return d
}

// duration reads a duration; like shows some.
func (r *reader) duration(n *yaml.Node, like string) (time.Duration, bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		r.fail(n, "want a duration such as %s, got a number without a unit", like)
		return 0, false
	}
	s, ok := r.text(n, "a duration such as "+like)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		r.fail(n, "%q is not a duration such as %s", s, like)
	}
	return d, err == nil
}
