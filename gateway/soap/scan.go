package soap

import (
	"bytes"
	"unicode/utf8"
)

// Scan reads a document in one pass, in time linear in its size, and without
// recursion. The Document keeps src, which must not change while it is read.
// The error is always an *Error.
func Scan(src []byte, p Profile) (*Document, error) {
	d := new(Document)
	if err := d.Scan(src, p); err != nil {
		return nil, err
	}
	return d, nil
}

// Scan is the function Scan into d, which is the zero Document or wiped. After
// an error d holds parts of what was read, and must be wiped.
func (d *Document) Scan(src []byte, p Profile) error {
	d.Source = src
	s := scanner{src: src, limits: p.limits(), doc: d, open: -1}
	if err := s.document(); err != nil {
		return err
	}
	return nil
}

// A scanner is the state of one Scan. Its methods take the position to read
// at and return the position behind what they read.
type scanner struct {
	src    []byte
	limits limits
	doc    *Document
	open   int32 // the innermost open element, -1 outside the root
	depth  int   // how many are open

	spaces    [maxNamespaces]string // the distinct namespaces so far
	numSpaces int
}

func refuse(rule string, at int, msg string) *Error {
	return &Error{Rule: rule, Offset: at, Msg: msg}
}

// unexpected refuses what stands at i. The rule and text given are for a
// character that is legal as such.
func (s *scanner) unexpected(i int, rule, msg string) *Error {
	if i >= len(s.src) {
		return s.cutShort()
	}
	if _, err := s.char(i); err != nil {
		return err
	}
	return refuse(rule, i, msg)
}

func (s *scanner) cutShort() *Error {
	return refuse("XML-15", len(s.src), "document is cut short")
}

func (s *scanner) document() *Error {
	if len(s.src) > s.limits.size {
		return refuse("DOS-03", s.limits.size, "document is too long")
	}
	i, err := s.prolog()
	if err != nil {
		return err
	}
	d := s.doc
	tags := bytes.Count(s.src, []byte("<"))
	if tags > cap(d.elements) {
		tags -= bytes.Count(s.src, []byte("</")) // slower
	}
	d.elements = atLeast(d.elements, min(tags, s.limits.elements))
	d.attributes, d.bindings = atLeast(d.attributes, 16), atLeast(d.bindings, 12) // of an ordinary request
	for i < len(s.src) {
		if s.src[i] != '<' {
			i, err = s.text(i)
		} else {
			i, err = s.markup(i)
		}
		if err != nil {
			return err
		}
	}
	if s.open >= 0 || len(d.elements) == 0 {
		return s.cutShort()
	}
	return nil
}

// atLeast returns an empty table with room for n.
func atLeast[T any](table []T, n int) []T {
	if cap(table) >= n {
		return table
	}
	return make([]T, 0, n)
}

// markup reads what begins with the < at i.
func (s *scanner) markup(i int) (int, *Error) {
	if i+1 >= len(s.src) {
		return 0, s.cutShort()
	}
	switch s.src[i+1] {
	case '/':
		return s.endTag(i)
	case '!':
		return s.comment(i)
	case '?':
		if bytes.HasPrefix(s.src[i:], []byte("<?xml")) {
			return 0, refuse("XML-03", i, "XML declaration is not at the start")
		}
		return 0, refuse("XML-07", i, "processing instruction is not allowed")
	default:
		return s.startTag(i)
	}
}

// comment reads a comment, and refuses everything else that begins with <!
// (XML-06, XML-08, XML-09).
func (s *scanner) comment(i int) (int, *Error) {
	rest := s.src[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("<![")):
		return 0, refuse("XML-08", i, "CDATA section is not allowed")
	case bytes.HasPrefix(rest, []byte("<!DOCTYPE")):
		return 0, refuse("XML-06", i, "DOCTYPE is not allowed")
	case !bytes.HasPrefix(rest, []byte("<!--")):
		return 0, refuse("XML-06", i, "markup declaration is not allowed")
	case s.open < 0:
		return 0, refuse("XML-15", i, "comment outside the root")
	}
	e := &s.doc.elements[s.open]
	if e.texted {
		return 0, refuse("XML-09", i, "comment beside text")
	}
	e.commented = true
	s.doc.comments++
	start := i
	i += len("<!--")
	for !bytes.HasPrefix(s.src[i:], []byte("--")) {
		if i >= len(s.src) {
			return 0, s.cutShort()
		}
		var err *Error
		if i, err = s.char(i); err != nil {
			return 0, err
		}
	}
	i += len("--")
	if i >= len(s.src) || s.src[i] != '>' {
		return 0, s.unexpected(i, "XML-09", "two hyphens in a comment")
	}
	i++
	if i-start > s.limits.tag {
		return 0, refuse("DOS-03", start, "comment is too long")
	}
	return i, nil
}

// text reads up to the next tag or comment.
func (s *scanner) text(i int) (int, *Error) {
	start := i
	i, err := s.white(i)
	if err != nil {
		return 0, err
	}
	if s.open < 0 {
		if i < len(s.src) && s.src[i] != '<' {
			return 0, s.unexpected(i, "XML-15", "text outside the root")
		}
		return i, nil
	}
	if i < len(s.src) && s.src[i] != '<' {
		e := &s.doc.elements[s.open]
		if e.commented {
			return 0, s.unexpected(i, "XML-09", "comment beside text")
		}
		e.texted = true
		if i, err = s.characters(i); err != nil {
			return 0, err
		}
	}
	if i-start > s.limits.text {
		return 0, refuse("DOS-03", start, "text is too long")
	}
	return i, nil
}

// characters reads text up to the next <.
func (s *scanner) characters(i int) (int, *Error) {
	var err *Error
	for i < len(s.src) {
		switch c := s.src[i]; {
		case class[c]&plainText != 0:
			i++
		case c == '<':
			return i, nil
		case c == '&':
			i, err = s.reference(i)
		case c == ']':
			if bytes.HasPrefix(s.src[i:], []byte("]]>")) {
				return 0, refuse("XML-08", i, "end of a CDATA section in text")
			}
			i++
		default:
			i, err = s.char(i)
		}
		if err != nil {
			return 0, err
		}
	}
	return i, nil
}

// white reads white space.
func (s *scanner) white(i int) (int, *Error) {
	for i < len(s.src) {
		switch s.src[i] {
		case ' ', '\t', '\n':
			i++
		case '\r':
			var err *Error
			if i, err = s.char(i); err != nil {
				return 0, err
			}
		default:
			return i, nil
		}
	}
	return i, nil
}

// char reads one character, and the LF after a CR with it (XML-01, XML-02, XML-04).
func (s *scanner) char(i int) (int, *Error) {
	r, n := utf8.DecodeRune(s.src[i:])
	switch {
	case r == utf8.RuneError && n <= 1:
		return 0, refuse("XML-01", i, "bytes are not UTF-8")
	case r == 0xFEFF:
		return 0, refuse("XML-02", i, "byte order mark is not at the start")
	case !isChar(r):
		return 0, refuse("XML-04", i, "character is not allowed in XML")
	case r == '\r':
		if i+1 >= len(s.src) || s.src[i+1] != '\n' {
			return 0, refuse("XML-04", i, "carriage return without line feed")
		}
		n++
	}
	return i + n, nil
}

func (s *scanner) reference(i int) (int, *Error) {
	_, n := reference(s.src[i:])
	if n == 0 {
		return 0, refuse("XML-05", i, "reference is not one of the allowed")
	}
	return i + n, nil
}
