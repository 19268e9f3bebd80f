package soap

import "bytes"

// maxIDs is how many ids a document may have that CheckIDs is asked about.
const maxIDs = 64

// CheckIDs refuses a document in which an id stands twice, by whatever name
// readers know it: one of them may find another element by it than was meant
// (SIG-04). The error is an *Error.
func (d *Document) CheckIDs() error {
	var ids [maxIDs]*attribute
	n := 0
	for i := range d.attributes {
		a := &d.attributes[i]
		if !IsID(a.name.Local) {
			continue
		}
		if n == maxIDs {
			return refuse("DOS-03", int(a.start), "too many ids")
		}
		for _, b := range ids[:n] {
			if d.sameValue(a, b) {
				return refuse("SIG-04", int(a.start), "id stands a second time")
			}
		}
		ids[n] = a
		n++
	}
	return nil
}

// IsID reports whether attributes of that local name are ids for some reader, of
// whatever namespace. An xml:id is refused by Scan.
func IsID(local string) bool {
	switch local {
	case "Id", "ID", "id", "AssertionID":
		return true
	default:
		return false
	}
}

// sameValue reports whether two attributes say the same, however it is written.
func (d *Document) sameValue(a, b *attribute) bool {
	v, w := d.Source[a.valueStart:a.valueEnd], d.Source[b.valueStart:b.valueEnd]
	return bytes.Equal(v, w) || (bytes.IndexByte(v, '&') >= 0 || bytes.IndexByte(w, '&') >= 0) && decoded(v) == decoded(w)
}
