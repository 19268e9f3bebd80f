package soap

import "iter"

// An Attribute is an attribute as it stands in the source, whose bytes it
// shares: for checking a signature, which is over how a message is written.
type Attribute struct {
	Name Name
	// Prefix is that of the name, empty for none.
	Prefix []byte
	// Raw is the value as Decode reads it.
	Raw []byte
}

// RawAttrs returns the attributes of e in document order, as they stand in
// Source. Namespace declarations are not among them.
func (d *Document) RawAttrs(e *Element) iter.Seq[Attribute] {
	return func(yield func(Attribute) bool) {
		for i := range d.attributes[e.attrs:e.attrsEnd] {
			a := &d.attributes[int(e.attrs)+i]
			if !yield(Attribute{
				Name:   a.name,
				Prefix: d.Source[a.start:max(a.start, a.local-1)],
				Raw:    d.Source[a.valueStart:a.valueEnd],
			}) {
				return
			}
		}
	}
}

// Prefix returns the prefix of the name of e as bytes of Source, empty for none.
func (d *Document) Prefix(e *Element) []byte {
	return d.Source[e.Start+1 : max(e.Start+1, e.local-1)]
}

// Within returns e and all elements in it, in document order.
func (d *Document) Within(e *Element) []Element { return d.elements[e.index:e.after] }

// Namespaces returns what each declaration of a namespace declares, in
// document order, used or not; "" where a default namespace is taken back.
func (d *Document) Namespaces() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range d.bindings {
			if !yield(d.bindings[i].space) {
				return
			}
		}
	}
}

// Declared returns what the tag of e itself declares, in document order: the
// prefixes as bytes of Source, empty for the default namespace, and their
// namespaces.
func (d *Document) Declared(e *Element) iter.Seq2[[]byte, string] {
	return func(yield func([]byte, string) bool) {
		own := d.declared(e)
		for i := range own {
			if !yield(d.Source[own[i].prefix:own[i].prefixEnd], own[i].space) {
				return
			}
		}
	}
}

// declared returns the bindings of e's own tag, which lie side by side.
func (d *Document) declared(e *Element) []binding {
	inherited := int32(-1)
	if e.parent >= 0 {
		inherited = d.elements[e.parent].scope
	}
	first := e.scope + 1
	for i := e.scope; i != inherited; i = d.bindings[i].outer {
		first = i
	}
	return d.bindings[first : e.scope+1]
}

// Decode returns what bytes of Source stand for that are text or an attribute
// value, whole or cut between characters: references resolved, line ends as LF.
func Decode(raw []byte) string { return decoded(raw) }
