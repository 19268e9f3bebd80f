package soap_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

const rawDocument = "<p:r xmlns:p='urn:p' xmlns='urn:d' a='&#x41;&amp;' p:b=\"'\" xml:lang='en'>" +
	"<e xmlns=''><p:f/></e><g a=''>x&gt;\r\n</g></p:r>"

func TestRawAttrs(t *testing.T) {
	d := mustScan(t, rawDocument)
	for element, want := range map[string]string{
		"r": `{ a} "" "&#x41;&amp;", {urn:p b} "p" "'", {` + soap.NSXML + ` lang} "xml" "en"`,
		"e": "",
		"g": `{ a} "" ""`,
	} {
		var got []string
		for a := range d.RawAttrs(find(t, d, element)) {
			got = append(got, fmt.Sprintf("%v %q %q", a.Name, a.Prefix, a.Raw))
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s: got %s, want %s", element, got, want)
		}
	}
	for a := range d.RawAttrs(d.Root()) {
		if a.Name.Local != "a" {
			t.Errorf("got %s after the loop was left", a.Name.Local)
		}
		break
	}
}

func TestDeclared(t *testing.T) {
	d := mustScan(t, rawDocument)
	for element, want := range map[string]string{
		"r": `"p"=urn:p ""=urn:d`,
		"e": `""=`,
		"f": "",
		"g": "",
	} {
		var got []string
		for prefix, space := range d.Declared(find(t, d, element)) {
			got = append(got, fmt.Sprintf("%q=%s", prefix, space))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: got %s, want %s", element, got, want)
		}
	}
	for prefix := range d.Declared(d.Root()) {
		if string(prefix) != "p" {
			t.Errorf("got %q after the loop was left", prefix)
		}
		break
	}
}

func TestPrefixAndWithin(t *testing.T) {
	d := mustScan(t, rawDocument)
	for _, c := range []struct{ element, prefix, within string }{
		{"r", "p", "r e f g"},
		{"e", "", "e f"},
		{"f", "p", "f"},
		{"g", "", "g"},
	} {
		e := find(t, d, c.element)
		if got := string(d.Prefix(e)); got != c.prefix {
			t.Errorf("%s: got prefix %q, want %q", c.element, got, c.prefix)
		}
		within := d.Within(e)
		var names []string
		for i := range within {
			names = append(names, within[i].Name.Local)
		}
		if got := strings.Join(names, " "); got != c.within || &within[0] != e {
			t.Errorf("%s: got %q within, want %q", c.element, got, c.within)
		}
	}
}

func TestNamespaces(t *testing.T) {
	d := mustScan(t, rawDocument)
	want := []string{"urn:p", "urn:d", ""}
	if got := slices.Collect(d.Namespaces()); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for space := range d.Namespaces() {
		if space != "urn:p" {
			t.Errorf("got %s after the loop was left", space)
		}
		break
	}
}

func TestDecode(t *testing.T) {
	for raw, want := range map[string]string{
		"":                       "",
		"plain":                  "plain",
		"&lt;&#65;&#x1F600;\r\n": "<A\U0001F600\n",
		"\r\nx&#13;":             "\nx\r",
	} {
		if got := soap.Decode([]byte(raw)); got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}
