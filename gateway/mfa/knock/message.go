package knock

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// A What says what a message tells. The set is closed.
type What string

// What messages tell.
const (
	// Waiting: a sign-in waits. It is of prompts alone.
	Waiting What = "sign-in-waits"
	// PromptsStopped: five sign-ins in a row were not approved.
	PromptsStopped What = "prompts-stopped"
	// Disowned: the user said that a sign-in was somebody else's.
	Disowned What = "not-me"

	// Of authenticators.
	Bound          What = "bound"
	Unbound        What = "unbound"
	Reset          What = "reset"
	RecoveryIssued What = "recovery-issued"
	RecoveryUsed   What = "recovery-used"
	BindingIssued  What = "binding-issued"
	Disabled       What = "disabled"
	Cloned         What = "cloned"
)

// texts say what happened, to its user. %s is the factor, where there is one.
var texts = map[What]string{
	PromptsStopped: "Five sign-ins in a row with your password were not approved. You will not be asked again for an hour. If they were not yours, change your password.",
	Disowned:       "You said that a sign-in with your password was somebody else's. Its address is closed to your account for an hour and all approvals were ended. Change your password.",
	Bound:          "An authenticator (%s) was added to your account.",
	Unbound:        "An authenticator (%s) was removed from your account.",
	Reset:          "All authenticators of your account were removed by an administrator.",
	RecoveryIssued: "New recovery codes were made for your account. Older ones are worth nothing now.",
	RecoveryUsed:   "A recovery code of your account was used.",
	BindingIssued:  "An administrator made a code with which an authenticator can be added to your account.",
	Disabled:       "An authenticator (%s) of your account was closed, since too many wrong codes were tried.",
	Cloned:         "A passkey of your account may have been copied.",
}

// Known tells whether a notice can tell that.
func (w What) Known() bool { return texts[w] != "" }

// A message is what a channel is given.
type message struct {
	what                     What
	to                       Recipient
	application, place, time string
	portal                   string
	subject, text            string
	at                       time.Time
}

// prompt writes the message of a prompt.
func (s *Service) prompt(p Prompt) *message {
	m := s.message(Waiting, p.To, p.Application, p.Place, p.At)
	m.subject = "A sign-in waits for your approval"
	m.text = fmt.Sprintf("A sign-in to %s%s waits for your approval. If it is yours, open %s. If it is not, deny it there.", m.application, m.from(), m.portal)
	return m
}

// notice writes the message of a notice.
func (s *Service) notice(n *Notice) *message {
	m := s.message(n.What, n.To, n.Application, n.Place, n.At)
	m.subject = "Your second factor: " + strings.ReplaceAll(string(n.What), "-", " ")
	text := texts[n.What]
	if strings.Contains(text, "%s") {
		text = fmt.Sprintf(text, clean(n.Factor))
	}
	m.text = fmt.Sprintf("%s%s If this was not you, tell your help desk. Time: %s.", text, n.about(m), m.time)
	if m.portal != "" {
		m.text += " Your authenticators: " + m.portal
	}
	return m
}

// about says which sign-in or authenticator it was, what is left of it, and where
// it was done.
func (n *Notice) about(m *message) string {
	var b strings.Builder
	if n.What == RecoveryUsed && n.Replaced {
		b.WriteString(" A new one was shown in its place.")
	} else if n.What == RecoveryUsed {
		fmt.Fprintf(&b, " Codes that are left: %d. Make new ones where your authenticators are.", n.Left)
	}
	if m.application != "" {
		fmt.Fprintf(&b, " It was about a sign-in to %s%s.", m.application, m.from())
	}
	if !n.Added.IsZero() && n.What != Bound {
		fmt.Fprintf(&b, " It was added on %s.", n.Added.UTC().Format("2 January 2006"))
	}
	if n.Address.IsValid() {
		fmt.Fprintf(&b, " It was done from %s", n.Address.WithZone(""))
		if m.place != "" && m.application == "" {
			fmt.Fprintf(&b, " (%s)", m.place)
		}
		b.WriteString(".")
	}
	return b.String()
}

func (s *Service) message(w What, to Recipient, application, place string, at time.Time) *message {
	return &message{
		what: w, to: to, application: clean(application), place: clean(place), time: at.UTC().Format("2006-01-02 15:04:05 UTC"),
		portal: s.portal, at: at,
	}
}

// from names the place, if it is known.
func (m *message) from() string {
	if m.place == "" {
		return ""
	}
	return " from " + m.place
}

// mostShown is the longest that a name is shown, in characters.
const mostShown = 64

// clean leaves of a name what cannot be markup, a link, a mention or a line of
// its own in any messenger.
func clean(s string) string { return only(s, " .,-_+()") }

// user is clean for a user's name, which has an @.
func user(s string) string { return only(s, "@.-_+'") }

// only leaves letters, digits and some marks.
func only(s, marks string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == mostShown {
			break
		}
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune(marks, r):
		default:
			r = '?'
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
