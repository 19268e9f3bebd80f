package family_test

import (
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/family"
)

// Leaving one out. The messages that have one committed fingerprint are taken
// together. Of all but one of them a fingerprint is written anew: each trait
// may have the values that it has in them, and a word of the outline that is
// not in all of them may be missing. It must recognise the one that was left
// out, unless that is the only one with some trait; and no message that is of
// another family.

// alone are the messages with a trait that no other message of their
// fingerprint has, so that leaving them out leaves nothing to learn it from.
var alone = map[string]string{
	"captured/gsoap-psha1-soap11-01.http":             "Entropy",
	"captured/gsoap-psha1-soap12-01.http":             "Entropy",
	"captured/gsoap-saml-soap11-01.http":              "TokenType",
	"captured/gsoap-saml-soap12-01.http":              "TokenType",
	"captured/zeep-cert-01.http":                      "BinarySecurityToken",
	"captured/zeep-certutsig-01.http":                 "UsernameToken",
	"captured/zeep-digest-01.http":                    "Nonce",
	"captured/zeep-duplicate-wsa-headers.http":        "headers twice",
	"captured/zeep-ts-01.http":                        "Timestamp",
	"rst/msal-dotnet.UsernamePasswordWsTrust13.xml":   "UnPwSecTok13",
	"rst/msal-dotnet.UsernamePasswordWsTrust2005.xml": "UnPwSecTok2005",
	"attack/aadinternals.AccessToken.1.xml":           "times of seven digits, no XML declaration",
	"attack/o365spray.sprayer.autologon.xml":          "times of three digits, XML declaration",
	"attack/aadinternals.Kerberos.0.xml":              "no SOAPAction",
	"attack/roadtools.constants.desktopsso.xml":       "SOAPAction",
	"testdata/messages/adal/net-first-13.http":        "messageID, LF",
	"testdata/messages/wcf/password-13.http":          "trust",
	"testdata/messages/wcf/password-2005.http":        "t",
	"testdata/messages/wcf/windows-13.http":           "trust",
	"testdata/messages/wcf/windows-2005.http":         "t",
	"testdata/messages/msal-net/password-13.http":     "UnPwSecTok13",
	"testdata/messages/msal-net/password-2005.http":   "UnPwSecTok2005",
	"testdata/messages/zeep/digest.http":              "Nonce",
	"testdata/messages/zeep/timestamp.http":           "Timestamp",
	"testdata/messages/zeep/wsdl-13.http":             "its action in the media type",
	"testdata/messages/zeep/wsdl-2005.http":           "its action in the media type",
}

func TestLeavingOneOut(t *testing.T) {
	t.Run("own", func(t *testing.T) { leaveOneOut(t, own(t)) })
	t.Run("collected", func(t *testing.T) { leaveOneOut(t, collected(t)) })
}

func leaveOneOut(t *testing.T, messages []message) {
	groups := make(map[int][]message)
	for _, m := range messages {
		for _, i := range family.Fitting(m.scan(t), m.headers) {
			groups[i] = append(groups[i], m)
		}
	}
	tried, recognised := 0, 0
	for _, group := range groups {
		if len(group) < 2 {
			continue
		}
		for i, left := range group {
			others := slices.Delete(slices.Clone(group), i, i+1)
			outline, traits := learn(t, others)
			got := family.Learnt(outline, traits, left.scan(t), left.headers)
			tried++
			if got {
				recognised++
			}
			if want := alone[left.file] == ""; got != want {
				t.Errorf("%s: recognised by the others: %t, want %t\n%s\n%+v", left.file, got, want, outline, family.TraitsOf(left.scan(t), left.headers))
			}
			for _, m := range messages {
				if m.family != left.family && family.Learnt(outline, traits, m.scan(t), m.headers) {
					t.Errorf("%s has the traits of %s", m.file, others[0].file)
				}
			}
		}
	}
	t.Logf("%d left out, %d recognised by the others", tried, recognised)
}

// learn writes the outline of a fingerprint from messages.
func learn(t *testing.T, messages []message) (outline string, traits []family.Traits) {
	t.Helper()
	var all *word
	for _, m := range messages {
		traits = append(traits, family.TraitsOf(m.scan(t), m.headers))
		one := parse(traits[len(traits)-1].Outline)
		if all == nil {
			all = one
			continue
		}
		all.children = merge(all.children, one.children)
	}
	var b strings.Builder
	for _, c := range all.children {
		c.write(&b)
	}
	return b.String(), traits
}

// A word of an outline with what stands in its brackets.
type word struct {
	text     string
	optional bool
	children []*word
}

// parse reads an outline into a word without text.
func parse(outline string) *word {
	root := &word{}
	open := []*word{root}
	for _, text := range strings.Fields(outline) {
		in := open[len(open)-1]
		switch text {
		case "(":
			open = append(open, in.children[len(in.children)-1])
		case ")":
			open = open[:len(open)-1]
		default:
			in.children = append(in.children, &word{text: text})
		}
	}
	return root
}

func (w *word) write(b *strings.Builder) {
	if w.optional {
		b.WriteString("?")
	}
	b.WriteString(w.text + " ")
	if len(w.children) > 0 {
		b.WriteString("( ")
		for _, c := range w.children {
			c.write(b)
		}
		b.WriteString(") ")
	}
}

// merge keeps the words that are in both lists, in an order that suits both,
// and makes the others optional.
func merge(a, b []*word) []*word {
	switch {
	case len(a) == 0 && len(b) == 0:
		return nil
	case len(a) == 0 || len(b) > 0 && !has(a, b[0]):
		return append([]*word{missing(b[0])}, merge(a, b[1:])...)
	case len(b) == 0 || !has(b, a[0]):
		return append([]*word{missing(a[0])}, merge(a[1:], b)...)
	case a[0].text == b[0].text:
		both := &word{text: a[0].text, optional: a[0].optional || b[0].optional, children: merge(a[0].children, b[0].children)}
		return append([]*word{both}, merge(a[1:], b[1:])...)
	default: // in another order
		return append([]*word{missing(a[0])}, merge(a[1:], b)...)
	}
}

func has(words []*word, w *word) bool {
	return slices.ContainsFunc(words, func(o *word) bool { return o.text == w.text })
}

func missing(w *word) *word { return &word{text: w.text, optional: true, children: w.children} }

// The words that a fingerprint is learnt into say what they should.
func TestLearn(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"a b c", "a b c", "a b c"},
		{"a b c", "a c", "a ?b c"},
		{"a c", "a b c", "a ?b c"},
		{"a ( x ) c", "a ( x y ) c", "a ( x ?y ) c"},
		{"a ( b ( c ) )", "a ( d )", "a ( ?d ?b ( c ) )"},
	} {
		all := &word{children: merge(parse(c.a).children, parse(c.b).children)}
		var b strings.Builder
		for _, child := range all.children {
			child.write(&b)
		}
		if got := strings.TrimSpace(b.String()); got != c.want {
			t.Errorf("%s and %s: got %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

// An outline that only begins as a fingerprint does has not its traits.
func TestLonger(t *testing.T) {
	m := own(t)[0]
	d := m.scan(t)
	traits := family.TraitsOf(d, m.headers)
	first, _, _ := strings.Cut(traits.Outline, " ")
	for outline, want := range map[string]bool{first: false, first + " ...": true, traits.Outline: true, traits.Outline + " more": false} {
		if got := family.Learnt(outline, []family.Traits{traits}, d, m.headers); got != want {
			t.Errorf("%.60s: got %t, want %t", outline, got, want)
		}
	}
}
