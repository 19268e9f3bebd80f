package oracle

import (
	"fmt"
	"slices"
	"strings"

	"stsgate/gateway/soap"
)

// Difference returns in what the reading differs from what soap.Scan made of
// the same document, nothing when they agree. It compares all elements, their
// attributes and texts.
func (r Reading) Difference(d *soap.Document) string {
	if r.Refused != "" {
		return "refused: " + r.Refused
	}
	ours := d.Elements()
	if len(r.Elements) != len(ours) {
		return fmt.Sprintf("%d elements, here %d", len(r.Elements), len(ours))
	}
	for i, theirs := range r.Elements {
		e := &ours[i]
		here := line(d, e)
		// White space by reference counts as text beside elements here and not
		// there. That no text is overlooked here is what matters.
		if theirs != here && !(d.HasText(e) && theirs == here+" +") {
			return fmt.Sprintf("element %d is %q, here %q", i, theirs, here)
		}
	}
	return ""
}

// line returns an element in the form of Reading.Elements, without the mark
// of text beside elements.
func line(d *soap.Document, e *soap.Element) string {
	depth := 0
	for p := d.Parent(e); p != nil; p = d.Parent(p) {
		depth++
	}
	var attributes []string
	for name, value := range d.Attrs(e) {
		attributes = append(attributes, " "+expanded(name)+"="+Escape(value))
	}
	slices.Sort(attributes)
	head := fmt.Sprint(depth, expanded(e.Name)) + strings.Join(attributes, "")
	if text, err := d.Text(e); err == nil {
		return head + " =" + Escape(text)
	}
	return head
}

func expanded(n soap.Name) string { return "{" + Escape(n.Space) + "}" + Escape(n.Local) }
