package portal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown is how many characters of a text that somebody else chose are shown.
const maxShown = 64

// plain makes a text that somebody else chose fit for a page: on one line, at
// most 64 characters, with controls, and marks that turn or hide what stands
// beside them, as escapes (security.md, PORT-05). html/template does the rest.
func plain(s string) string {
	var b strings.Builder
	n, marks := 0, 0
	for i, r := range s {
		if marks++; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if n++; n > maxShown {
			b.WriteRune('…')
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsControl(r) || !unicode.IsPrint(r) || marks > 2:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
