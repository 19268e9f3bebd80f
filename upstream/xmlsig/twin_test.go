package xmlsig_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/beevik/etree"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"stsgate/gateway/soap"
	"stsgate/upstream/xmlsig"
)

// twinTree reads a document that the scanner accepts with goxmldsig's tree,
// and returns its elements in document order.
func twinTree(src []byte) ([]*etree.Element, error) {
	d := etree.NewDocument()
	if err := d.ReadFromBytes(bytes.TrimPrefix(src, []byte("\ufeff"))); err != nil {
		return nil, err
	}
	var elements []*etree.Element
	var walk func(e *etree.Element)
	walk = func(e *etree.Element) {
		elements = append(elements, e)
		for _, c := range e.ChildElements() {
			walk(c)
		}
	}
	walk(d.Root())
	return elements, nil
}

// twinCanonical is the exclusive canonical form by goxmldsig of the element at
// a place in document order, without the one at another place, -1 for none.
func twinCanonical(src []byte, at, without int) ([]byte, error) {
	elements, err := twinTree(src)
	if err != nil {
		return nil, err
	}
	e := elements[at]
	if without >= 0 {
		leaveOut := elements[without]
		leaveOut.Parent().RemoveChild(leaveOut)
	}
	apex := e.Copy()
	for p := e.Parent(); p != nil; p = p.Parent() {
		for _, a := range p.Attr {
			if isDeclaration(a) && apex.SelectAttr(a.FullKey()) == nil {
				apex.CreateAttr(a.FullKey(), a.Value)
			}
		}
	}
	if err := etreeutils.TransformExcC14n(apex, "", false); err != nil {
		return nil, err
	}
	correct(apex, map[string]string{"xml": soap.NSXML})
	var b bytes.Buffer
	apex.WriteTo(&b, &etree.WriteSettings{CanonicalText: true, CanonicalAttrVal: true, CanonicalEndTags: true})
	return b.Bytes(), nil
}

func isDeclaration(a etree.Attr) bool { return a.Space == "xmlns" || a.FullKey() == "xmlns" }

// correct undoes goxmldsig's two deviations from the standard: it takes back a
// default namespace where none is in force, and it sorts attributes with
// prefixes by local name before namespace.
func correct(e *etree.Element, scope map[string]string) {
	outer := scope
	scope = make(map[string]string, len(outer))
	for prefix, space := range outer {
		scope[prefix] = space
	}
	e.Attr = slices.DeleteFunc(e.Attr, func(a etree.Attr) bool {
		if a.Space == "xmlns" {
			scope[a.Key] = a.Value
		} else if a.FullKey() == "xmlns" {
			scope[""] = a.Value
			return a.Value == "" && outer[""] == ""
		}
		return false
	})
	key := func(a etree.Attr) [3]string {
		switch {
		case a.FullKey() == "xmlns":
			return [3]string{"0"}
		case a.Space == "xmlns":
			return [3]string{"0", a.Key}
		case a.Space == "":
			return [3]string{"1", "", a.Key}
		default:
			return [3]string{"1", scope[a.Space], a.Key}
		}
	}
	slices.SortFunc(e.Attr, func(a, b etree.Attr) int {
		ka, kb := key(a), key(b)
		return slices.CompareFunc(ka[:], kb[:], cmp.Compare[string])
	})
	for _, c := range e.ChildElements() {
		correct(c, scope)
	}
}

// compareWithTwin checks the canonical form of every element of a document, as
// a whole and without each of its children; at most about n forms.
func compareWithTwin(t *testing.T, src []byte, n int) {
	t.Helper()
	d, err := soap.Scan(src, soap.Answer)
	if err != nil {
		return
	}
	elements := d.Elements()
	for i := range elements {
		leaveOut := []int{-1}
		for j := range elements {
			if d.Parent(&elements[j]) == &elements[i] {
				leaveOut = append(leaveOut, j)
			}
		}
		for _, j := range leaveOut {
			if n--; n < 0 {
				return
			}
			compareOne(t, d, i, j)
		}
	}
}

func compareOne(t *testing.T, d *soap.Document, at, without int) {
	t.Helper()
	e := &d.Elements()[at]
	var leaveOut *soap.Element
	if without >= 0 {
		leaveOut = &d.Elements()[without]
	}
	got, err := xmlsig.AppendCanonical([]byte("before"), d, e, leaveOut)
	if err != nil {
		t.Fatalf("%s: got %v", e.Name, err)
	}
	want, err := twinCanonical(d.Source, at, without)
	if err != nil {
		t.Fatalf("%s: goxmldsig refuses what is scanned: %v", e.Name, err)
	}
	if want := append([]byte("before"), want...); !bytes.Equal(got, want) {
		t.Fatalf("%s without %d:\ngot  %s\nwant %s", fmt.Sprint(e.Name), without, got, want)
	}
}
