package soap_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// A twinElement is an element as encoding/xml reads it.
type twinElement struct {
	name                                 soap.Name
	attrs                                []xml.Attr
	start, contentStart, contentEnd, end int
	parent, children, comments           int
	text                                 string
}

// twin reads a document with encoding/xml into elements in document order.
func twin(src []byte) ([]twinElement, error) {
	skip := 0
	if bytes.HasPrefix(src, []byte("\ufeff")) { // encoding/xml takes it for text
		skip = len("\ufeff")
	}
	decoder := xml.NewDecoder(bytes.NewReader(src[skip:]))
	var elements []twinElement
	open := -1
	for {
		before := skip + int(decoder.InputOffset())
		token, err := decoder.Token()
		if err == io.EOF {
			return elements, nil
		}
		if err != nil {
			return nil, err
		}
		after := skip + int(decoder.InputOffset())
		switch token := token.(type) {
		case xml.StartElement:
			e := twinElement{name: soap.Name(token.Name), start: before, contentStart: after, parent: open}
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) {
					e.attrs = append(e.attrs, a)
				}
			}
			if open >= 0 {
				elements[open].children++
			}
			open = len(elements)
			elements = append(elements, e)
		case xml.EndElement:
			e := &elements[open]
			e.contentEnd, e.end = before, after
			open = e.parent
		case xml.CharData:
			if open >= 0 {
				elements[open].text += string(token)
			} else if len(bytes.TrimSpace(token)) > 0 {
				return nil, errors.New("text outside the root")
			}
		case xml.Comment:
			elements[open].comments++
		case xml.ProcInst:
			if token.Target != "xml" {
				return nil, errors.New("processing instruction")
			}
		default:
			return nil, errors.New("declaration")
		}
	}
}

// compareWithTwin checks that encoding/xml reads the same as Scan, if Scan
// accepts src, and reports whether it does.
func compareWithTwin(t *testing.T, src []byte, p soap.Profile) bool {
	t.Helper()
	d, err := soap.Scan(src, p)
	if err != nil {
		return false
	}
	want, err := twin(src)
	if err != nil {
		t.Fatalf("encoding/xml refuses what Scan accepts: %v", err)
	}
	if len(d.Elements()) != len(want) {
		t.Fatalf("got %d elements, want %d", len(d.Elements()), len(want))
	}
	comments := 0
	for i := range want {
		compareElement(t, d, &d.Elements()[i], &want[i])
		comments += want[i].comments
	}
	if d.Comments() != comments {
		t.Errorf("got %d comments, want %d", d.Comments(), comments)
	}
	return true
}

func compareElement(t *testing.T, d *soap.Document, e *soap.Element, want *twinElement) {
	t.Helper()
	if e.Name != want.name {
		t.Errorf("got name %v, want %v", e.Name, want.name)
	}
	got := [4]int{int(e.Start), int(e.ContentStart), int(e.ContentEnd), int(e.End)}
	if want := [4]int{want.start, want.contentStart, want.contentEnd, want.end}; got != want {
		t.Errorf("%v: got place %v, want %v", e.Name, got, want)
	}
	if parent := d.Parent(e); want.parent < 0 && parent != nil || want.parent >= 0 && parent != &d.Elements()[want.parent] {
		t.Errorf("%v: got another parent than element %d", e.Name, want.parent)
	}
	children := 0
	for c := range d.Children(e) {
		children++
		if d.Parent(c) != e {
			t.Errorf("%v: child has another parent", e.Name)
		}
	}
	if children != want.children {
		t.Errorf("%v: got %d children, want %d", e.Name, children, want.children)
	}
	n := 0
	for name, value := range d.Attrs(e) {
		if n >= len(want.attrs) || name != soap.Name(want.attrs[n].Name) || value != want.attrs[n].Value {
			t.Errorf("%v: got attribute %d %v=%q, want %v", e.Name, n, name, value, want.attrs)
		}
		n++
	}
	if n != len(want.attrs) {
		t.Errorf("%v: got %d attributes, want %d", e.Name, n, len(want.attrs))
	}
	text, err := d.Text(e)
	if leaf := want.children == 0 && want.comments == 0; leaf != (err == nil) || leaf && text != want.text {
		t.Errorf("%v: got text %q, %v, want %q of a leaf %v", e.Name, text, err, want.text, leaf)
	}
	if strings.Trim(want.text, " \t\r\n") != "" && !d.HasText(e) {
		t.Errorf("%v: text %q is not reported", e.Name, want.text)
	}
}

// FuzzScan checks that whatever Scan accepts, encoding/xml reads to the same
// elements at the same places, and that no profile reads another language.
func FuzzScan(f *testing.F) {
	f.Add([]byte(rst))
	f.Add([]byte("\ufeff<?xml version='1.0' encoding=\"UTF-8\" standalone='no' ?>\r\n" + rst + "\n"))
	f.Add(soap.AppendFault(nil, soap.Fault{Header: soap.Header{Version: soap.V12, Action: soap.ActionFault, Now: writtenAt},
		Subcode: soap.Name{Space: soap.NSSecurity, Local: "InvalidSecurity"}, Text: "a & b"}))
	for _, c := range ruleCases {
		f.Add([]byte(c.src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		request := compareWithTwin(t, src, soap.Request)
		answer := compareWithTwin(t, src, soap.Answer)
		if request && !answer {
			t.Error("accepted as a request, refused as an answer")
		}
		if answer && !request {
			if rule := ruleOf(t, string(src), soap.Request); rule != "DOS-03" {
				t.Errorf("accepted as an answer, refused as a request by %s", rule)
			}
		}
	})
}
