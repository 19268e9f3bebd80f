package account

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Name is a user name as a client may type it, split into its parts. Names
// are compared without case; what they stand for is the directory's to say.
type Name struct {
	// User is the part before the @ or behind the backslash, never empty.
	User string
	// Domain is the other part, empty for a bare name.
	Domain string
	// Form is how it was written.
	Form Form
}

// A Form is one of the three ways to write a user name.
type Form uint8

// The forms of a user name.
const (
	Bare      Form = iota // alice
	UPN                   // alice@contoso.example
	DownLevel             // CONTOSO\alice
)

// maxName is the longest user name that is read, in bytes: AD's own limit is
// 1,024 characters for a UPN, and real ones are far shorter.
const maxName = 1024

// ErrName says that a user name has none of the three forms or holds
// characters that make two names look alike. It never quotes the name, which
// may be a password typed into the wrong box.
var ErrName = errors.New("user name is not acceptable")

// ParseName reads a user name (security.md, SOAP-15). Nothing is trimmed or
// repaired: white space at the ends, control and format characters (bidi
// marks, zero-width ones) and the replacement character are refused.
func ParseName(s string) (Name, error) {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return Name{}, ErrName
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return Name{}, ErrName
		}
	}
	if domain, user, ok := strings.Cut(s, `\`); ok {
		if domain == "" || user == "" || strings.ContainsAny(user, `\@`) || strings.Contains(domain, "@") {
			return Name{}, ErrName
		}
		return Name{User: user, Domain: domain, Form: DownLevel}, nil
	}
	// The last @ divides: a UPN's prefix may itself hold one.
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		if i == 0 || i == len(s)-1 {
			return Name{}, ErrName
		}
		return Name{User: s[:i], Domain: s[i+1:], Form: UPN}, nil
	}
	return Name{User: s}, nil
}

// String writes the name in its own form.
func (n Name) String() string {
	switch n.Form {
	case UPN:
		return n.User + "@" + n.Domain
	case DownLevel:
		return n.Domain + `\` + n.User
	default:
		return n.User
	}
}

// Key is the name in lower case, for maps.
func (n Name) Key() string { return strings.ToLower(n.String()) }
