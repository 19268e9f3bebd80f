package soap

import (
	"bytes"
	"slices"
)

// A qname is where a qualified name stands. Without a prefix, local is start.
type qname struct{ start, local, end int }

func (s *scanner) prefix(n qname) []byte { return s.src[n.start:max(n.start, n.local-1)] }
func (s *scanner) local(n qname) []byte  { return s.src[n.local:n.end] }

// startTag reads the start tag or empty-element tag at i.
func (s *scanner) startTag(i int) (int, *Error) {
	start, d := i, s.doc
	if s.open < 0 && len(d.elements) > 0 {
		return 0, refuse("XML-15", i, "second root")
	}
	if s.depth >= s.limits.depth {
		return 0, refuse("DOS-03", i, "elements are nested too deep")
	}
	if len(d.elements) >= s.limits.elements {
		return 0, refuse("DOS-03", i, "too many elements")
	}
	name, err := s.name(i + 1)
	if err != nil {
		return 0, err
	}
	e := s.push(start, name)
	if i, err = s.attributes(name.end, e); err != nil {
		return 0, err
	}
	empty := s.src[i] == '/'
	if empty {
		if i++; i >= len(s.src) || s.src[i] != '>' {
			return 0, s.unexpected(i, "XML-12", "slash in a tag is not before its end")
		}
	}
	if i++; i-start > s.limits.tag {
		return 0, refuse("DOS-03", start, "start tag is too long")
	}
	if err := s.resolve(e, name); err != nil {
		return 0, err
	}
	e.ContentStart = int32(i)
	if empty {
		e.ContentEnd, e.End, e.after = int32(i), int32(i), e.index+1
	} else {
		s.open = e.index
		s.depth++
	}
	return i, nil
}

// push adds an element to the table.
func (s *scanner) push(start int, name qname) *Element {
	d := s.doc
	e := Element{
		Start:  int32(start),
		local:  int32(name.local),
		index:  int32(len(d.elements)),
		parent: s.open,
		attrs:  int32(len(d.attributes)),
		scope:  -1,
	}
	if s.open >= 0 {
		e.scope = d.elements[s.open].scope
	}
	d.elements = append(d.elements, e)
	return &d.elements[e.index]
}

// endTag reads the end tag at i, which must match the innermost open element (XML-12).
func (s *scanner) endTag(i int) (int, *Error) {
	if s.open < 0 {
		return 0, refuse("XML-12", i, "end tag without a start tag")
	}
	start := i
	e := &s.doc.elements[s.open]
	name := s.src[e.Start+1 : int(e.local)+len(e.Name.Local)]
	i += len("</")
	if !bytes.HasPrefix(s.src[i:], name) {
		return 0, refuse("XML-12", start, "end tag does not match its start tag")
	}
	i, err := s.white(i + len(name))
	if err != nil {
		return 0, err
	}
	if i >= len(s.src) || s.src[i] != '>' {
		return 0, s.unexpected(i, "XML-12", "end tag does not match its start tag")
	}
	i++
	if i-start > s.limits.tag {
		return 0, refuse("DOS-03", start, "end tag is too long")
	}
	e.ContentEnd, e.End, e.after = int32(start), int32(i), int32(len(s.doc.elements))
	s.open = e.parent
	s.depth--
	return i, nil
}

// name reads a qualified name (XML-14).
func (s *scanner) name(i int) (qname, *Error) {
	n := qname{start: i, local: i}
	for {
		first := i
		for i < len(s.src) && class[s.src[i]]&nameByte != 0 {
			i++
		}
		switch {
		case i == n.start && i < len(s.src) && isWhite(s.src[i]):
			return n, s.unexpected(i, "XML-12", "white space before the name of an element")
		case i == first || class[s.src[first]]&nameStart == 0:
			return n, s.unexpected(first, "XML-14", "name does not begin with a letter")
		case i < len(s.src) && s.src[i] == ':' && n.local == n.start:
			i++
			n.local = i
			continue
		case i < len(s.src) && (s.src[i] == ':' || s.src[i] >= 0x80):
			return n, s.unexpected(i, "XML-14", "name has a second colon or a letter that is not ASCII")
		}
		n.end = i
		return n, nil
	}
}

func isWhite(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// attributes reads the attributes of e, up to the / or > that follows them.
func (s *scanner) attributes(i int, e *Element) (int, *Error) {
	for n := 0; ; n++ {
		next, err := s.white(i)
		if err != nil {
			return 0, err
		}
		if next < len(s.src) && (s.src[next] == '>' || s.src[next] == '/') {
			e.attrsEnd = int32(len(s.doc.attributes))
			return next, nil
		}
		if next == i || next >= len(s.src) {
			return 0, s.unexpected(next, "XML-12", "white space or the end of the tag is missing")
		}
		if n >= s.limits.attributes {
			return 0, refuse("DOS-03", next, "too many attributes")
		}
		if i, err = s.attribute(next, e); err != nil {
			return 0, err
		}
	}
}

// attribute reads one attribute or namespace declaration.
func (s *scanner) attribute(i int, e *Element) (int, *Error) {
	name, err := s.name(i)
	if err != nil {
		return 0, err
	}
	if i, err = s.white(name.end); err != nil {
		return 0, err
	}
	if i >= len(s.src) || s.src[i] != '=' {
		return 0, s.unexpected(i, "XML-10", "attribute has no value")
	}
	if i, err = s.white(i + 1); err != nil {
		return 0, err
	}
	if i >= len(s.src) || s.src[i] != '"' && s.src[i] != '\'' {
		return 0, s.unexpected(i, "XML-10", "attribute value is not in quotes")
	}
	start := i + 1
	end, err := s.value(start, s.src[i])
	if err != nil {
		return 0, err
	}
	prefix, local := s.prefix(name), s.local(name)
	switch {
	case string(prefix) == "xmlns":
		err = s.declare(e, name.local, name.end, start, end)
	case len(prefix) == 0 && string(local) == "xmlns":
		err = s.declare(e, name.start, name.start, start, end)
	default:
		s.doc.attributes = append(room(s.doc.attributes), attribute{
			name:       Name{Local: intern(local)},
			start:      int32(name.start),
			local:      int32(name.local),
			valueStart: int32(start),
			valueEnd:   int32(end),
		})
	}
	return end + 1, err
}

// value reads an attribute value up to its closing quote (XML-10).
func (s *scanner) value(i int, quote byte) (int, *Error) {
	var err *Error
	for i < len(s.src) {
		switch c := s.src[i]; {
		case class[c]&plainValue != 0:
			i++
		case c == quote:
			return i, nil
		case c == '"', c == '\'':
			i++
		case c == '&':
			i, err = s.reference(i)
		case c == '<':
			return 0, refuse("XML-10", i, "attribute value holds <")
		case isWhite(c):
			return 0, refuse("XML-10", i, "attribute value holds a tab or a line end")
		default:
			i, err = s.char(i)
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, s.cutShort()
}

// declare binds the prefix in src[prefix:prefixEnd] to the namespace in
// src[start:end] (XML-11, XML-13).
func (s *scanner) declare(e *Element, prefix, prefixEnd, start, end int) *Error {
	d, name, space := s.doc, s.src[prefix:prefixEnd], s.src[start:end]
	switch {
	case len(name) >= 3 && bytes.EqualFold(name[:3], []byte("xml")):
		return refuse("XML-13", prefix, "prefix begins with xml")
	case isReserved(space):
		return refuse("XML-13", start, "reserved namespace is declared")
	case len(name) > 0 && len(space) == 0:
		return refuse("XML-13", start, "namespace of a prefix is empty")
	case bytes.IndexByte(space, '&') >= 0 || bytes.IndexByte(space, ' ') >= 0:
		return refuse("XML-13", start, "namespace holds a reference or a blank")
	}
	outer := int32(-1)
	if e.parent >= 0 {
		outer = d.elements[e.parent].scope
	}
	for i := e.scope; i != outer; i = d.bindings[i].outer {
		if b := &d.bindings[i]; bytes.Equal(s.src[b.prefix:b.prefixEnd], name) {
			return refuse("XML-11", prefix, "namespace declared twice in one tag")
		}
	}
	depth := int32(1)
	if e.scope >= 0 {
		depth += d.bindings[e.scope].depth
	}
	if int(depth) > s.limits.bindings {
		return refuse("DOS-03", prefix, "too many namespaces in scope")
	}
	known, ok := s.space(space)
	if !ok {
		return refuse("DOS-03", start, "too many namespaces")
	}
	d.bindings = append(room(d.bindings), binding{
		space: known, prefix: int32(prefix), prefixEnd: int32(prefixEnd), outer: e.scope, depth: depth,
	})
	e.scope = int32(len(d.bindings) - 1)
	return nil
}

// isReserved reports whether a namespace is one that XML defines, or is named
// like its prefixes, which readers that keep both in one field mix up.
func isReserved(space []byte) bool {
	switch string(space) {
	case NSXML, nsXMLNS, "xml", "xmlns":
		return true
	default:
		return false
	}
}

// space returns the namespace b as a string, the same one for equal names,
// and false when the document names too many.
func (s *scanner) space(b []byte) (string, bool) {
	if len(b) == 0 {
		return "", true
	}
	for _, known := range s.spaces[:s.numSpaces] {
		if known == string(b) {
			return known, true
		}
	}
	if s.numSpaces == s.limits.namespaces {
		return "", false
	}
	known := intern(b)
	s.spaces[s.numSpaces] = known
	s.numSpaces++
	return known, true
}

// resolve gives e and its attributes their names, when all declarations of
// the tag are read (XML-11, XML-13).
func (s *scanner) resolve(e *Element, name qname) *Error {
	d := s.doc
	space, ok := d.lookup(e.scope, s.prefix(name))
	if !ok {
		return refuse("XML-13", name.start, "prefix is not declared")
	}
	e.Name = Name{Space: space, Local: intern(s.local(name))}
	attributes := d.attributes[e.attrs:e.attrsEnd]
	for i := range attributes {
		a := &attributes[i]
		if a.local > a.start {
			if a.name.Space, ok = s.attributeSpace(e, a); !ok {
				return refuse("XML-13", int(a.start), "prefix is not declared, or not allowed")
			}
		}
		for j := range i {
			if attributes[j].name == a.name {
				return refuse("XML-11", int(a.start), "attribute stands twice in one tag")
			}
		}
	}
	return nil
}

// attributeSpace returns the namespace of an attribute with a prefix. Of the
// attributes of XML itself, only a language is allowed.
func (s *scanner) attributeSpace(e *Element, a *attribute) (string, bool) {
	prefix := s.src[a.start : a.local-1]
	if string(prefix) == "xml" {
		return NSXML, a.name.Local == "lang" && isLanguage(s.src[a.valueStart:a.valueEnd])
	}
	return s.doc.lookup(e.scope, prefix)
}

// room doubles a full slice. append makes large ones grow by a quarter, so that
// a long document would cost more a byte than a short one.
func room[T any](s []T) []T {
	if len(s) < cap(s) {
		return s
	}
	return slices.Grow(s, len(s)+1)
}
