package soap

import (
	"bytes"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Name is a namespace and a local name.
type Name struct{ Space, Local string }

// An Element is one element of a Document, in document order.
type Element struct {
	Name Name
	// Start and End bound the element in the source, tags included.
	Start, End int32
	// ContentStart and ContentEnd bound what lies between the tags.
	ContentStart, ContentEnd int32

	local           int32 // where the local name begins; Start+1 without a prefix
	index           int32 // position in Document.elements
	parent          int32 // its parent's position, -1 for the root
	after           int32 // position behind its last descendant
	attrs, attrsEnd int32 // range of Document.attributes
	scope           int32 // innermost binding in scope, -1 for none
	texted          bool  // it holds more than white space directly
	commented       bool  // it holds comments directly
}

// An attribute is one that declares no namespace.
type attribute struct {
	name Name
	// The prefix, if there is one, lies before the colon at local-1.
	start, local         int32
	valueStart, valueEnd int32
}

// A binding declares a namespace. The bindings in scope of an element are the
// list that begins at its scope; those of its own tag come before the scope
// of its parent.
type binding struct {
	space             string
	prefix, prefixEnd int32 // empty for the default namespace
	outer             int32 // the next one outwards, -1 for none
	depth             int32 // length of the list from here
}

// A Document is a scanned message: the bytes as they came and a table of
// their elements. Names and values are read from Source when they are asked
// for, and never alias it, so that it can be wiped afterwards. A Document is
// safe for concurrent reading.
type Document struct {
	// Source is what was scanned, byte order mark included.
	Source []byte

	elements   []Element
	attributes []attribute
	bindings   []binding
	comments   int
}

// maxKept is the longest table that Wipe keeps, in entries.
const maxKept = 512

// Wipe empties the document. Its tables stay, for another Scan.
func (d *Document) Wipe() {
	*d = Document{elements: wiped(d.elements), attributes: wiped(d.attributes), bindings: wiped(d.bindings)}
}

// wiped returns an emptied table, or none where it is long. Tables never shrink
// in a Scan, so that nothing lies behind their end.
func wiped[T any](table []T) []T {
	clear(table)
	if cap(table) > maxKept {
		return nil
	}
	return table[:0]
}

// Root returns the root element.
func (d *Document) Root() *Element { return &d.elements[0] }

// Elements returns all elements in document order.
func (d *Document) Elements() []Element { return d.elements }

// Comments returns how many comments the document holds.
func (d *Document) Comments() int { return d.comments }

// Parent returns the element that e is a child of, nil for the root.
func (d *Document) Parent(e *Element) *Element {
	if e.parent < 0 {
		return nil
	}
	return &d.elements[e.parent]
}

// Children returns the child elements of e in document order.
func (d *Document) Children(e *Element) iter.Seq[*Element] {
	return func(yield func(*Element) bool) {
		for i := e.index + 1; i < e.after; i = d.elements[i].after {
			if !yield(&d.elements[i]) {
				return
			}
		}
	}
}

// HasText reports whether e holds text that is not white space, directly
// and not in a child. Elements that are read for their children must not.
func (d *Document) HasText(e *Element) bool { return e.texted }

// Raw returns the bytes of e in Source, tags included.
func (d *Document) Raw(e *Element) []byte { return d.Source[e.Start:e.End:e.End] }

// Text returns the text of an element that holds nothing else, with its
// references resolved and its line ends as LF. White space is kept. It is an
// *Error (XML-09) to ask for the text of an element with children or comments.
func (d *Document) Text(e *Element) (string, error) {
	if err := e.checkLeaf(); err != nil {
		return "", err
	}
	return decoded(d.Source[e.ContentStart:e.ContentEnd]), nil
}

// AppendText appends the text of e to dst, as Text would return it. It is for
// secrets: no other copy of the text is made as long as dst has room for
// ContentEnd-ContentStart bytes.
func (d *Document) AppendText(dst []byte, e *Element) ([]byte, error) {
	if err := e.checkLeaf(); err != nil {
		return dst, err
	}
	return appendDecoded(dst, d.Source[e.ContentStart:e.ContentEnd]), nil
}

// Offset returns where in Source the text of e goes on after its first n bytes,
// as Text returns them, which must end where a character does.
func (d *Document) Offset(e *Element, n int) int32 {
	at := int(e.ContentStart)
	for n > 0 && at < int(e.ContentEnd) {
		switch d.Source[at] {
		case '&':
			r, size := reference(d.Source[at:])
			n -= utf8.RuneLen(r)
			at += max(size, 1)
		case '\r': // the scanner saw the LF behind it
			at++
		default:
			n--
			at++
		}
	}
	return int32(at)
}

// Shortens reports that d is old without the bytes of its leaf e from some
// offset on, and nothing else: the same bytes around it, and at the same places
// the same elements, attributes and namespaces.
func (d *Document) Shortens(old *Document, e *Element) bool {
	cut := int32(len(old.Source) - len(d.Source))
	end := e.ContentEnd - cut
	if cut < 0 || end < e.ContentStart || d.comments != old.comments ||
		!bytes.Equal(d.Source[:end], old.Source[:end]) || !bytes.Equal(d.Source[end:], old.Source[e.ContentEnd:]) {
		return false
	}
	moved := func(p int32) int32 {
		if p >= e.ContentEnd {
			return p - cut
		}
		return p
	}
	same := func(a, b Element) bool {
		for _, p := range []*int32{&b.Start, &b.End, &b.ContentStart, &b.ContentEnd, &b.local} {
			*p = moved(*p)
		}
		if b.index == e.index {
			b.texted = a.texted // what is left may be white space
		}
		return a == b
	}
	return slices.EqualFunc(d.elements, old.elements, same) &&
		slices.EqualFunc(d.attributes, old.attributes, func(a, b attribute) bool {
			b.start, b.local, b.valueStart, b.valueEnd = moved(b.start), moved(b.local), moved(b.valueStart), moved(b.valueEnd)
			return a == b
		}) &&
		slices.EqualFunc(d.bindings, old.bindings, func(a, b binding) bool {
			b.prefix, b.prefixEnd = moved(b.prefix), moved(b.prefixEnd)
			return a == b
		})
}

func (e *Element) checkLeaf() error {
	if e.after > e.index+1 {
		return &Error{Rule: "XML-09", Offset: int(e.Start), Msg: "child elements where text is expected"}
	}
	if e.commented {
		return &Error{Rule: "XML-09", Offset: int(e.Start), Msg: "comment where text is expected"}
	}
	return nil
}

// Attr returns the value of an attribute of e, with its references resolved,
// and whether e has it. The namespace of an attribute without prefix is "".
func (d *Document) Attr(e *Element, n Name) (string, bool) {
	for i := range d.attributes[e.attrs:e.attrsEnd] {
		if a := &d.attributes[int(e.attrs)+i]; a.name == n {
			return decoded(d.Source[a.valueStart:a.valueEnd]), true
		}
	}
	return "", false
}

// Attrs returns the attributes of e in document order, their values as Attr
// returns them. Namespace declarations are not among them.
func (d *Document) Attrs(e *Element) iter.Seq2[Name, string] {
	return func(yield func(Name, string) bool) {
		for _, a := range d.attributes[e.attrs:e.attrsEnd] {
			if !yield(a.name, decoded(d.Source[a.valueStart:a.valueEnd])) {
				return
			}
		}
	}
}

// Resolve reads a qualified name that stands in the content of e, such as a
// fault code, by the namespaces in scope of e. A name without prefix is in the
// default namespace. The error is an *Error (XML-13, XML-14).
func (d *Document) Resolve(e *Element, qname string) (Name, error) {
	prefix, local, found := strings.Cut(qname, ":")
	if !found {
		prefix, local = "", qname
	}
	if !isNCName(local) || found && !isNCName(prefix) {
		return Name{}, &Error{Rule: "XML-14", Offset: int(e.Start), Msg: "text is not a qualified name"}
	}
	space, ok := d.lookup(e.scope, []byte(prefix))
	if !ok {
		return Name{}, &Error{Rule: "XML-13", Offset: int(e.Start), Msg: "prefix of a qualified name is not declared"}
	}
	return Name{Space: space, Local: local}, nil
}

// lookup returns the namespace that prefix is bound to in scope.
func (d *Document) lookup(scope int32, prefix []byte) (string, bool) {
	for scope >= 0 {
		b := &d.bindings[scope]
		if bytes.Equal(d.Source[b.prefix:b.prefixEnd], prefix) {
			return b.space, true
		}
		scope = b.outer
	}
	return "", len(prefix) == 0
}

// decoded returns accepted text or an accepted attribute value as a string.
func decoded(raw []byte) string {
	if bytes.IndexByte(raw, '&') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return intern(raw)
	}
	return string(appendDecoded(make([]byte, 0, len(raw)), raw))
}

func appendDecoded(dst, raw []byte) []byte {
	for len(raw) > 0 {
		switch c := raw[0]; c {
		case '&':
			r, n := reference(raw)
			dst = utf8.AppendRune(dst, r)
			raw = raw[max(n, 1):]
		case '\r': // the scanner saw the LF behind it
			raw = raw[1:]
		default:
			dst = append(dst, c)
			raw = raw[1:]
		}
	}
	return dst
}
