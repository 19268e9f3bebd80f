package soap

import "iter"

// A Profile selects the limits that a document is read under; the rules are
// the same in all (security.md, XML-17, DOS-03).
type Profile uint8

// The profiles.
const (
	// Request is for what clients send: depth 31, 512 elements, 32 attributes
	// an element, start tags of 4,000 bytes, texts of 16 KiB, 32 namespaces.
	Request Profile = iota
	// Answer is for what the farm sends: 1 MiB, 16,384 elements, texts of 256 KiB.
	Answer
	// Metadata is for MEX and federation metadata, never on the path of a
	// request: 1 MiB, 16,384 elements.
	Metadata
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

	index, parent, first, next int32 // positions in Document.elements, -1 for none
	attrs, attrsEnd            int32 // range of Document.attrs
}

// A Document is a scanned message: the bytes as they came and a table of
// their elements. Its strings are its own; they do not alias the source, so
// that the source can be wiped.
type Document struct {
	Source   []byte
	elements []Element
}

var _ iter.Seq[*Element]
