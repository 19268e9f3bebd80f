package xmlsig

import (
	"bytes"
	"slices"
	"strings"

	"stsgate/gateway/soap"
)

// An element in scope of long namespaces can have a canonical form that is
// thousands of times longer than itself. These bound what is written for a
// document, to maxGrowth times its length and room for a small one to grow.
const (
	maxGrowth  = 4
	growthRoom = 64 << 10
)

// leastElement is the length of the shortest element in canonical form.
const leastElement = len("<a></a>")

// A declaration is a namespace declaration in what was written.
type declaration struct {
	prefix []byte
	space  string
}

// A canonicalizer writes elements in the form of Exclusive XML
// Canonicalization 1.0, without comments and without inclusive prefixes. It
// reads the scanner's table and the bytes that the table points at.
type canonicalizer struct {
	doc      *soap.Document
	leaveOut *soap.Element // not written, nor what it holds
	out      []byte
	limit    int
	scope    []declaration    // in force where out ends, the innermost last
	attrs    []soap.Attribute // of the start tag being written
}

// form returns the canonical form of e, an element of d, without one of its
// descendants, which may be nil. It is overwritten by the next. The error is an
// *Error.
func (c *canonicalizer) form(d *soap.Document, e, leaveOut *soap.Element) ([]byte, error) {
	c.doc, c.leaveOut = d, leaveOut
	c.out = slices.Grow(c.out[:0], int(e.End-e.Start))
	c.limit = maxGrowth*len(d.Source) + growthRoom
	c.scope = slices.Grow(c.scope[:0], 16)
	c.attrs = slices.Grow(c.attrs[:0], 16)
	if err := c.element(e); err != nil {
		return nil, err
	}
	elements := len(d.Within(e))
	if leaveOut != nil {
		elements -= len(d.Within(leaveOut))
	}
	if isVoid(c.out, elements) {
		return nil, refuse("XML-20", e, "canonical form is shorter than the element")
	}
	return c.out, nil
}

// maxKept is the largest buffer that wipe keeps, in bytes. The tables are bounded
// by the scanner's limits.
const maxKept = 64 << 10

// wipe overwrites what c wrote of a token, and keeps the room.
func (c *canonicalizer) wipe() {
	clear(c.out[:cap(c.out)])
	clear(c.scope[:cap(c.scope)])
	clear(c.attrs[:cap(c.attrs)])
	if cap(c.out) > maxKept {
		c.out = nil
	}
	*c = canonicalizer{out: c.out[:0], scope: c.scope[:0], attrs: c.attrs[:0]}
}

// isVoid reports whether a canonical form is too short to be one of so many
// elements. Others' have been empty where something went wrong.
func isVoid(form []byte, elements int) bool { return len(form) < elements*leastElement }

// element writes e. Documents are not nested deeper than the scanner allows,
// so that recursion is bounded.
func (c *canonicalizer) element(e *soap.Element) error {
	outer := len(c.scope)
	name := c.startTag(e)
	if len(c.out) > c.limit {
		return refuse("SIG-09", e, "canonical form is too long")
	}
	at := e.ContentStart
	for child := range c.doc.Children(e) {
		c.content(c.doc.Source[at:child.Start])
		at = child.End
		if child == c.leaveOut {
			continue
		}
		if err := c.element(child); err != nil {
			return err
		}
	}
	c.content(c.doc.Source[at:e.ContentEnd])
	c.out = append(append(append(c.out, "</"...), name...), '>')
	c.scope = c.scope[:outer]
	return nil
}

// startTag writes the start tag of e: the declarations that it needs, by
// prefix, then the attributes, by namespace and local name (Canonical XML 1.0,
// section 2.2). It returns the qualified name as written.
func (c *canonicalizer) startTag(e *soap.Element) []byte {
	prefix := c.doc.Prefix(e)
	outer := len(c.scope)
	c.declare(prefix, e.Name.Space)
	c.attrs = c.attrs[:0]
	for a := range c.doc.RawAttrs(e) {
		c.attrs = append(c.attrs, a)
		if len(a.Prefix) > 0 && a.Name.Space != soap.NSXML {
			c.declare(a.Prefix, a.Name.Space)
		}
	}
	own := c.scope[outer:]
	slices.SortFunc(own, func(a, b declaration) int { return bytes.Compare(a.prefix, b.prefix) })
	slices.SortFunc(c.attrs, func(a, b soap.Attribute) int {
		if order := strings.Compare(a.Name.Space, b.Name.Space); order != 0 {
			return order
		}
		return strings.Compare(a.Name.Local, b.Name.Local)
	})
	c.out = append(c.out, '<')
	start := len(c.out)
	c.name(prefix, e.Name.Local)
	end := len(c.out)
	for _, n := range own {
		c.out = append(c.out, " xmlns"...)
		if len(n.prefix) > 0 {
			c.out = append(append(c.out, ':'), n.prefix...)
		}
		c.out = append(c.out, `="`...)
		c.out = append(soap.EscapeAttr(c.out, n.space), '"')
	}
	for _, a := range c.attrs {
		c.out = append(c.out, ' ')
		c.name(a.Prefix, a.Name.Local)
		c.out = append(c.out, `="`...)
		c.value(a.Raw)
		c.out = append(c.out, '"')
	}
	c.out = append(c.out, '>')
	return c.out[start:end:end]
}

// declare puts in force that prefix stands for space, if it does not yet. The
// scope never holds more than the declarations in scope in the source, which
// the scanner limits.
func (c *canonicalizer) declare(prefix []byte, space string) {
	known, current := len(prefix) == 0, ""
	for i := len(c.scope) - 1; i >= 0; i-- {
		if n := &c.scope[i]; bytes.Equal(n.prefix, prefix) {
			known, current = true, n.space
			break
		}
	}
	if !known || current != space {
		c.scope = append(c.scope, declaration{prefix, space})
	}
}

func (c *canonicalizer) name(prefix []byte, local string) {
	if len(prefix) > 0 {
		c.out = append(append(c.out, prefix...), ':')
	}
	c.out = append(c.out, local...)
}

// content writes what lies between two tags: text, or white space and
// comments, of which the comments are left out.
func (c *canonicalizer) content(raw []byte) {
	for len(raw) > 0 {
		text, comment, _ := bytes.Cut(raw, []byte("<!--"))
		c.text(text)
		_, raw, _ = bytes.Cut(comment, []byte("-->"))
	}
}

func (c *canonicalizer) text(raw []byte) {
	if bytes.IndexByte(raw, '&') < 0 && bytes.IndexByte(raw, '>') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		c.out = append(c.out, raw...)
		return
	}
	c.out = soap.EscapeText(c.out, soap.Decode(raw))
}

func (c *canonicalizer) value(raw []byte) {
	if bytes.IndexByte(raw, '&') < 0 && bytes.IndexByte(raw, '"') < 0 {
		c.out = append(c.out, raw...)
		return
	}
	c.out = soap.EscapeAttr(c.out, soap.Decode(raw))
}
