package soap_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

func mustScan(t testing.TB, src string) *soap.Document {
	t.Helper()
	d, err := soap.Scan([]byte(src), soap.Request)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return d
}

// find returns the first element with a local name.
func find(t testing.TB, d *soap.Document, local string) *soap.Element {
	t.Helper()
	for i := range d.Elements() {
		if e := &d.Elements()[i]; e.Name.Local == local {
			return e
		}
	}
	t.Fatalf("no element %s", local)
	return nil
}

func TestTree(t *testing.T) {
	d := mustScan(t, "\ufeff<?xml version='1.0'?>\n<r xmlns='urn:1'><a><b/><c></c></a><d xmlns=''/><e>x</e ></r>\n")
	children := func(e *soap.Element) (names []string) {
		for c := range d.Children(e) {
			names = append(names, c.Name.Local)
			if d.Parent(c) != e {
				t.Errorf("parent of %s is not %s", c.Name.Local, e.Name.Local)
			}
		}
		return names
	}
	for _, c := range []struct{ element, children, raw string }{
		{"r", "a d e", "<r xmlns='urn:1'><a><b/><c></c></a><d xmlns=''/><e>x</e ></r>"},
		{"a", "b c", "<a><b/><c></c></a>"},
		{"b", "", "<b/>"},
		{"c", "", "<c></c>"},
		{"d", "", "<d xmlns=''/>"},
		{"e", "", "<e>x</e >"},
	} {
		e := find(t, d, c.element)
		if got := strings.Join(children(e), " "); got != c.children {
			t.Errorf("%s: got children %q, want %q", c.element, got, c.children)
		}
		if got := string(d.Raw(e)); got != c.raw {
			t.Errorf("%s: got raw %q, want %q", c.element, got, c.raw)
		}
	}
	if d.Parent(d.Root()) != nil {
		t.Error("root has a parent")
	}
	for c := range d.Children(d.Root()) {
		if c.Name.Local != "a" {
			t.Errorf("got %s after the loop was left", c.Name.Local)
		}
		break
	}
	e := find(t, d, "e")
	if got := string(d.Source[e.ContentStart:e.ContentEnd]); got != "x" {
		t.Errorf("got content %q, want x", got)
	}
	for element, want := range map[string]soap.Name{"c": {Space: "urn:1", Local: "c"}, "d": {Local: "d"}} {
		if got := find(t, d, element).Name; got != want {
			t.Errorf("got name %v, want %v", got, want)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"empty", "<e/>", ""},
		{"plain", "<e>alice</e>", "alice"},
		{"white space is kept", "<e> a\t\n </e>", " a\t\n "},
		{"CR LF is LF", "<e>a\r\nb\r\n\r\n</e>", "a\nb\n\n"},
		{"CR LF comes first", "<e>\r\na</e>", "\na"},
		{"CR LF by reference is kept", "<e>a&#13;&#10;b&#xD;\r\n</e>", "a\r\nb\r\n"},
		{"references", "<e>&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;</e>", "<>&\"'A\U0001F600"},
		{"a reference is read once", "<e>&amp;lt;&#38;amp;</e>", "&lt;&amp;"},
		{"not ASCII", "<e>\u00e9\U0001F600</e>", "\u00e9\U0001F600"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mustScan(t, c.src)
			if got, err := d.Text(d.Root()); got != c.want || err != nil {
				t.Errorf("Text: got %q, %v, want %q", got, err, c.want)
			}
			if got, err := d.AppendText([]byte("pw="), d.Root()); string(got) != "pw="+c.want || err != nil {
				t.Errorf("AppendText: got %q, %v, want %q", got, err, "pw="+c.want)
			}
		})
	}
}

// XML-09: no value is ever cut at a comment or a child.
func TestTextOfContainers(t *testing.T) {
	for _, src := range []string{
		"<u>al<b/>ice</u>", "<u><b/></u>", "<u><b>alice</b></u>", "<u><!-- --></u>", "<u> <!--a--> </u>",
	} {
		d := mustScan(t, src)
		var refused *soap.Error
		if got, err := d.Text(d.Root()); got != "" || !errors.As(err, &refused) || refused.Rule != "XML-09" {
			t.Errorf("Text of %s: got %q, %v, want an error by XML-09", src, got, err)
		}
		dst := []byte("pw=")
		if got, err := d.AppendText(dst, d.Root()); string(got) != "pw=" || err == nil {
			t.Errorf("AppendText of %s: got %q, %v, want an error", src, got, err)
		}
	}
}

// XML-09: containers that hold text, and comments, can be told.
func TestHasTextAndComments(t *testing.T) {
	d := mustScan(t, "<e> <!-- a -->\r\n<a>x</a><b> <c/>x</b><d>&#32;<c/></d><f>\n<c/> </f><!----></e>")
	for element, want := range map[string]bool{"e": false, "a": true, "b": true, "c": false, "d": true, "f": false} {
		if got := d.HasText(find(t, d, element)); got != want {
			t.Errorf("%s: got %v, want %v", element, got, want)
		}
	}
	if got := d.Comments(); got != 2 {
		t.Errorf("got %d comments, want 2", got)
	}
}

func TestAttributes(t *testing.T) {
	d := mustScan(t, `<e xmlns="urn:d" xmlns:p="urn:p" b="1&lt;&#10;" p:b='"2"' xml:lang="en"><f/></e>`)
	for _, c := range []struct {
		name  soap.Name
		value string
		found bool
	}{
		{soap.Name{Local: "b"}, "1<\n", true},
		{soap.Name{Space: "urn:p", Local: "b"}, `"2"`, true},
		{soap.Name{Space: soap.NSXML, Local: "lang"}, "en", true},
		{soap.Name{Space: "urn:d", Local: "b"}, "", false},
		{soap.Name{Local: "p"}, "", false},
		{soap.Name{Local: "xmlns"}, "", false},
	} {
		if got, found := d.Attr(d.Root(), c.name); got != c.value || found != c.found {
			t.Errorf("%v: got %q, %v, want %q, %v", c.name, got, found, c.value, c.found)
		}
	}
	var got []string
	for name, value := range d.Attrs(d.Root()) {
		got = append(got, name.Space+" "+name.Local+"="+value)
	}
	want := []string{" b=1<\n", `urn:p b="2"`, soap.NSXML + " lang=en"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for range d.Attrs(d.Root()) {
		break
	}
	if _, found := d.Attr(find(t, d, "f"), soap.Name{Local: "b"}); found {
		t.Error("child has an attribute of its parent")
	}
}

func TestResolve(t *testing.T) {
	d := mustScan(t, `<e xmlns="urn:d" xmlns:a="urn:1"><f xmlns:a="urn:2">a:x</f><g xmlns=""/><h xmlns:b="urn:b"/></e>`)
	for _, c := range []struct {
		element, qname string
		want           soap.Name
		rule           string
	}{
		{"e", "a:x", soap.Name{Space: "urn:1", Local: "x"}, ""},
		{"f", "a:x", soap.Name{Space: "urn:2", Local: "x"}, ""},
		{"g", "a:x", soap.Name{Space: "urn:1", Local: "x"}, ""},
		{"e", "x", soap.Name{Space: "urn:d", Local: "x"}, ""},
		{"g", "x", soap.Name{Local: "x"}, ""},
		{"h", "b:x", soap.Name{Space: "urn:b", Local: "x"}, ""},
		{"e", "b:x", soap.Name{}, "XML-13"},
		{"e", "xmlns:x", soap.Name{}, "XML-13"},
		{"e", "", soap.Name{}, "XML-14"},
		{"e", ":x", soap.Name{}, "XML-14"},
		{"e", "a:", soap.Name{}, "XML-14"},
		{"e", "a:x:y", soap.Name{}, "XML-14"},
		{"e", " a:x", soap.Name{}, "XML-14"},
		{"e", "a:x ", soap.Name{}, "XML-14"},
	} {
		got, err := d.Resolve(find(t, d, c.element), c.qname)
		var refused *soap.Error
		if errors.As(err, &refused) != (c.rule != "") || refused != nil && refused.Rule != c.rule || got != c.want {
			t.Errorf("%q in %s: got %v, %v, want %v, rule %q", c.qname, c.element, got, err, c.want, c.rule)
		}
	}
}

// The source holds a password and is wiped after use; what was read stays.
func TestNothingAliasesTheSource(t *testing.T) {
	const src = "<x:odd xmlns:x='urn:odd' x:rare='v&amp;w' y='plain'><u>unheard</u></x:odd>"
	read := func(d *soap.Document) []string {
		text, err := d.Text(find(t, d, "u"))
		if err != nil {
			t.Fatal(err)
		}
		got := []string{text}
		for i := range d.Elements() {
			got = append(got, d.Elements()[i].Name.Space, d.Elements()[i].Name.Local)
		}
		for name, value := range d.Attrs(d.Root()) {
			got = append(got, name.Space, name.Local, value)
		}
		return got
	}
	d := mustScan(t, src)
	got := read(d)
	clear(d.Source)
	want := []string{"unheard", "urn:odd", "odd", "", "u", "urn:odd", "rare", "v&w", "", "y", "plain"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever a wiped document is asked for, it answers with something wrong, but it answers.
func TestWipedDocumentDoesNotHang(t *testing.T) {
	d := mustScan(t, "<e a='&amp;'>&amp;&#x41;</e>")
	for i := range d.Source {
		d.Source[i] = '&'
	}
	if _, err := d.Text(d.Root()); err != nil {
		t.Error(err)
	}
}
