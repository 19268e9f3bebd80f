package xmlsig

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// Serialize writes el without any white space of its own, and with texts and
// attributes escaped as in the canonical form, so that a signature in it
// still fits after any parser has read it.
func Serialize(el *etree.Element) []byte { return write(el, false) }

func write(el *etree.Element, endTags bool) []byte {
	var b bytes.Buffer
	b.Grow(4 << 10) // a signed assertion
	el.WriteTo(&b, &etree.WriteSettings{CanonicalText: true, CanonicalAttrVal: true, CanonicalEndTags: endTags})
	return b.Bytes()
}

// legal refuses what XML 1.0 cannot hold even as a character reference, which
// the tree's writer would silently replace. Its error names the place and
// never quotes the text.
func legal(el *etree.Element) error {
	for _, a := range el.Attr {
		if i := illegal(a.Value); i >= 0 {
			return fmt.Errorf("attribute %s of %s: character at byte %d is illegal in XML", a.FullKey(), el.FullTag(), i)
		}
	}
	for _, child := range el.Child {
		switch child := child.(type) {
		case *etree.Element:
			if err := legal(child); err != nil {
				return err
			}
		case *etree.CharData:
			if i := illegal(child.Data); i >= 0 {
				return fmt.Errorf("text of %s: character at byte %d is illegal in XML", el.FullTag(), i)
			}
		default:
			return fmt.Errorf("content of %s: %T, need elements and texts only", el.FullTag(), child)
		}
	}
	return nil
}

// illegal returns the offset of the first byte of s that is not UTF-8 or not
// a Char (XML 1.0, section 2.2), -1 for none.
func illegal(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, width := utf8.DecodeRuneInString(s[i:]); width == 1 {
				return i
			}
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return i
		}
	}
	return -1
}
