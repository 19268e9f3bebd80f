package soap

import (
	"bytes"
	"unicode/utf8"
)

// Classes of bytes. Those without a class need a closer look or are refused.
const (
	nameStart  uint8 = 1 << iota // first byte of a name
	nameByte                     // further bytes of a name
	plainText                    // stands for itself in text
	plainValue                   // stands for itself in an attribute value
)

var class = func() (t [256]uint8) {
	for c := byte(' '); c < 0x80; c++ {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
			t[c] = nameStart | nameByte
		case '0' <= c && c <= '9', c == '-', c == '.':
			t[c] = nameByte
		}
		if c != '<' && c != '&' && c != ']' {
			t[c] |= plainText
		}
		if c != '<' && c != '&' && c != '"' && c != '\'' {
			t[c] |= plainValue
		}
	}
	t['\t'], t['\n'] = plainText, plainText
	return t
}()

// maxReference is the length of the longest references, &#x10FFFF; and &#1114111;.
const maxReference = 10

// reference returns the character that the reference at the start of b
// stands for, and the reference's length, 0 for one that is not allowed (XML-05).
func reference(b []byte) (r rune, n int) {
	end := bytes.IndexByte(b[:min(len(b), maxReference)], ';')
	if end < 0 {
		return utf8.RuneError, 0
	}
	switch name := b[1:end]; string(name) {
	case "amp":
		r = '&'
	case "lt":
		r = '<'
	case "gt":
		r = '>'
	case "quot":
		r = '"'
	case "apos":
		r = '\''
	default:
		r = number(name)
	}
	if !isChar(r) {
		return utf8.RuneError, 0
	}
	return r, end + 1
}

// number returns the value of the numeric reference whose name, such as #65
// or #x41, is given; -1 for none.
func number(name []byte) (r rune) {
	digits, ok := bytes.CutPrefix(name, []byte("#"))
	base := rune(10)
	if hex, found := bytes.CutPrefix(digits, []byte("x")); found {
		digits, base = hex, 16
	}
	if !ok || len(digits) == 0 {
		return -1
	}
	for _, c := range digits { // at most 7, so that r does not overflow
		var digit rune
		switch {
		case '0' <= c && c <= '9':
			digit = rune(c - '0')
		case base == 16 && 'a' <= c && c <= 'f':
			digit = rune(c-'a') + 10
		case base == 16 && 'A' <= c && c <= 'F':
			digit = rune(c-'A') + 10
		default:
			return -1
		}
		r = r*base + digit
	}
	return r
}

// isChar reports whether r is a character of XML 1.0 other than the byte
// order mark (XML-04).
func isChar(r rune) bool {
	switch {
	case r < ' ':
		return r == '\t' || r == '\n' || r == '\r'
	case r == 0xFEFF:
		return false
	default:
		return r < 0xD800 || 0xE000 <= r && r <= 0xFFFD || 0x10000 <= r && r <= utf8.MaxRune
	}
}

// isNCName reports whether s is a name without a colon (XML-14).
func isNCName(s string) bool {
	if s == "" || class[s[0]]&nameStart == 0 {
		return false
	}
	for i := range len(s) {
		if class[s[i]]&nameByte == 0 {
			return false
		}
	}
	return true
}

// isLanguage reports whether b is a language tag (RFC 5646, section 2.1, its
// lengths and characters).
func isLanguage(b []byte) bool {
	for i, part := range bytes.Split(b, []byte("-")) {
		if len(part) < 1 || len(part) > 8 {
			return false
		}
		for _, c := range part {
			letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}
