package xmlsig_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/testdata"
	"stsgate/upstream/xmlsig"
)

// canonicalCases are documents and the exclusive canonical form of their
// element e, by the standards (Canonical XML 1.0; Exclusive XML
// Canonicalization 1.0, section 3).
var canonicalCases = []struct{ name, src, want string }{
	{"empty element", `<e/>`, `<e></e>`},
	{"white space in tags", "<e\n a='1' \t b = \"2\"  ></e >", `<e a="1" b="2"></e>`},
	{"white space in content", "<r> <e> \r\n\t<f/> </e> </r>", "<e> \n\t<f></f> </e>"},
	{"what is outside the root", "\ufeff<?xml version='1.0'?>\r\n<e/>\r\n", `<e></e>`},
	{"comments", "<e> <!-- a < & > b --> <f/><!----></e>", `<e>  <f></f></e>`},
	{"text", `<e>&amp;&lt;&gt;&quot;&apos;"'>é&#233;&#x1F600;]]</e>`, `<e>&amp;&lt;&gt;"'"'&gt;éé😀]]</e>`},
	{"text with > only", `<e>]></e>`, `<e>]&gt;</e>`},
	{"text with CR LF only", "<e>a\r\nb</e>", "<e>a\nb</e>"},
	{"text with CR", "<e>a\r\nb&#13;&#xD;\r\nc&#10;\td</e>", "<e>a\nb&#xD;&#xD;\nc\n\td</e>"},
	{"attribute value", `<e a='"&quot;&apos;>&gt;&lt;&amp;&#9;&#10;&#13;&#32; é'/>`,
		`<e a="&quot;&quot;'>>&lt;&amp;&#x9;&#xA;&#xD;  é"></e>`},
	{"attribute value with a quote only", `<e a='"' b="'"/>`, `<e a="&quot;" b="'"></e>`},
	{"attributes are sorted by name", `<e b="" B="" a="" _="" a.b="" a-b=""/>`, `<e B="" _="" a="" a-b="" a.b="" b=""></e>`},
	{"attributes are sorted by namespace",
		`<e xmlns:a="urn:z" xmlns:b="urn:y" xml:lang="en" a:a="" b:z="" z=""/>`,
		`<e xmlns:a="urn:z" xmlns:b="urn:y" z="" xml:lang="en" b:z="" a:a=""></e>`},
	{"declarations are sorted by prefix", `<b:e xmlns:b="urn:1" xmlns:a="urn:2" xmlns:B="urn:3" xmlns="urn:4" a:x="" B:x=""/>`,
		`<b:e xmlns:B="urn:3" xmlns:a="urn:2" xmlns:b="urn:1" a:x="" B:x=""></b:e>`},
	{"unused declarations", `<e xmlns:p="urn:p"><f xmlns="urn:f"/></e>`, `<e><f xmlns="urn:f"></f></e>`},
	{"inherited declarations", `<r xmlns="urn:r" xmlns:p="urn:p" xmlns:q="urn:q"><e q:a=""><p:f/><p:g p:a=""/></e></r>`,
		`<e xmlns="urn:r" xmlns:q="urn:q" q:a=""><p:f xmlns:p="urn:p"></p:f><p:g xmlns:p="urn:p" p:a=""></p:g></e>`},
	{"declared again", `<p:r xmlns:p="urn:p"><p:e xmlns:p="urn:p"><p:f xmlns:p="urn:p"/></p:e></p:r>`,
		`<p:e xmlns:p="urn:p"><p:f></p:f></p:e>`},
	{"declared otherwise", `<p:e xmlns:p="urn:1"><p:f xmlns:p="urn:2"><p:g xmlns:p="urn:1"/></p:f><p:h/></p:e>`,
		`<p:e xmlns:p="urn:1"><p:f xmlns:p="urn:2"><p:g xmlns:p="urn:1"></p:g></p:f><p:h></p:h></p:e>`},
	{"declared otherwise where it is not used", `<p:e xmlns:p="urn:1"><f xmlns:p="urn:2"><p:g/></f><p:h/></p:e>`,
		`<p:e xmlns:p="urn:1"><f><p:g xmlns:p="urn:2"></p:g></f><p:h></p:h></p:e>`},
	{"two prefixes of one namespace", `<p:e xmlns:p="urn:1" xmlns:q="urn:1"><q:f p:a=""/></p:e>`,
		`<p:e xmlns:p="urn:1"><q:f xmlns:q="urn:1" p:a=""></q:f></p:e>`},
	{"default namespace taken back", `<e xmlns="urn:1"><f xmlns=""><g/><h xmlns="urn:1"/></f></e>`,
		`<e xmlns="urn:1"><f xmlns=""><g></g><h xmlns="urn:1"></h></f></e>`},
	{"default namespace taken back below", `<p:e xmlns:p="urn:p" xmlns="urn:1"><p:f xmlns=""><g/></p:f><h/></p:e>`,
		`<p:e xmlns:p="urn:p"><p:f><g></g></p:f><h xmlns="urn:1"></h></p:e>`},
	{"default namespace taken back in vain", `<r xmlns="urn:1"><e xmlns=""><f xmlns=""/></e></r>`, `<e><f></f></e>`},
	{"default namespace is not for attributes", `<e xmlns="urn:1" xmlns:p="urn:1" a="2" p:a="1"/>`,
		`<e xmlns="urn:1" xmlns:p="urn:1" a="2" p:a="1"></e>`},
	{"namespace is not normalised", `<p:e xmlns:p='http://EXAMPLE.org/a/../"b%7e>é'/>`,
		`<p:e xmlns:p="http://EXAMPLE.org/a/../&quot;b%7e>é"></p:e>`},
}

// elementE returns the element whose local name is e.
func elementE(t *testing.T, d *soap.Document) *soap.Element {
	t.Helper()
	elements := d.Elements()
	for i := range elements {
		if elements[i].Name.Local == "e" {
			return &elements[i]
		}
	}
	t.Fatal("no element e")
	return nil
}

// XML-20
func TestCanonical(t *testing.T) {
	for _, tt := range canonicalCases {
		t.Run(tt.name, func(t *testing.T) {
			d, err := soap.Scan([]byte(tt.src), soap.Request)
			if err != nil {
				t.Fatal(err)
			}
			got, err := xmlsig.AppendCanonical(nil, d, elementE(t, d), nil)
			if err != nil || string(got) != tt.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, tt.want)
			}
			compareWithTwin(t, []byte(tt.src), 100)
		})
	}
}

func TestCanonicalLeavesOut(t *testing.T) {
	const src = "<r xmlns='urn:r'><e> <a/>\n<s xmlns:q='urn:q'><q:t>x</q:t></s>\t<q:b xmlns:q='urn:q'/> </e></r>"
	const want = "<e xmlns=\"urn:r\"> <a></a>\n\t<q:b xmlns:q=\"urn:q\"></q:b> </e>"
	d, err := soap.Scan([]byte(src), soap.Request)
	if err != nil {
		t.Fatal(err)
	}
	elements := d.Elements()
	got, err := xmlsig.AppendCanonical(nil, d, elementE(t, d), &elements[3])
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

// AUD-05: nothing of a token stays where it was digested.
func TestCanonicalFormIsWiped(t *testing.T) {
	d, err := soap.Scan(testdata.Message(t, "rstr/adfs-13-saml11.xml"), soap.Answer)
	if err != nil {
		t.Fatal(err)
	}
	form, err := xmlsig.WipedForm(d, d.Root())
	if err != nil || len(form) == 0 || len(bytes.Trim(form, "\x00")) > 0 {
		t.Errorf("%d bytes, of which stay %q, %v", len(form), form, err)
	}
}

// XML-20: goxmldsig, the golden twin, has the same canonical forms of our own
// messages.
func TestCanonicalOfMessages(t *testing.T) {
	for _, folder := range []string{"rst", "rstr", "fault"} {
		for _, name := range testdata.Names(t, folder) {
			t.Run(name, func(t *testing.T) { compareWithTwin(t, testdata.Message(t, name), 200) })
		}
	}
}

// As TestCanonicalOfMessages, of others' messages and of documents that
// readers disagree about.
func TestCanonicalOfSharedMessages(t *testing.T) {
	for _, folder := range []string{"messages/rst", "messages/rstr", "messages/wresult", "messages/fault", "messages/mex", "messages/fedmeta", "oracle/cases"} {
		files, err := filepath.Glob(filepath.Join(testdata.Shared(t, folder), "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: got %d files, %v", folder, len(files), err)
		}
		for _, file := range files {
			t.Run(folder+"/"+filepath.Base(file), func(t *testing.T) {
				src, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				compareWithTwin(t, src, 30)
			})
		}
	}
}

// Small random documents, in which the same few names meet in every way.
func TestCanonicalOfRandomDocuments(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	scanned := 0
	for range 3000 {
		src := []byte(randomElement(random, 4))
		if _, err := soap.Scan(src, soap.Answer); err == nil {
			scanned++
			compareWithTwin(t, src, 20)
		}
	}
	if scanned < 1000 {
		t.Errorf("got %d documents that are scanned, want more", scanned)
	}
}

func randomElement(random *rand.Rand, depth int) string {
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	const bound = ` xmlns:p="urn:1" xmlns:q="urn:2"`
	name := pick("a", "b", "p:a", "p:b", "q:a")
	var b strings.Builder
	b.WriteString("<" + name)
	if depth == 4 {
		b.WriteString(bound)
	}
	for _, attr := range []string{
		` xmlns="` + pick("", "urn:1", "urn:2") + `"`, ` xmlns:r="urn:` + pick("1", "2", "3") + `"`,
		` p:x="` + pick("", "&lt;", "'") + `"`, ` q:` + pick("w", "x", "y") + `='&#9;"'`, ` z=""`, ` a="&amp;"`, ` xml:lang="en"`,
	} {
		if random.IntN(3) == 0 {
			b.WriteString(attr)
		}
	}
	if depth < 4 && random.IntN(3) == 0 {
		b.WriteString(` xmlns:` + pick("p", "q") + `="urn:` + pick("1", "2", "3") + `"`)
	}
	b.WriteString(">")
	if depth == 0 {
		b.WriteString(pick("", "x", "&gt;>\r\n", "&#13;]]"))
	}
	for range random.IntN(depth + 1) {
		b.WriteString(pick("", " ", "\r\n", "<!-- c -->") + randomElement(random, depth-1))
	}
	return b.String() + "</" + name + ">"
}

// XML-20: a canonical form that is nothing, or that elements are missing from.
func TestIsVoid(t *testing.T) {
	for form, want := range map[string]bool{"": true, "<a></a": true, "<a></a>": false, "<a><b></b>": false} {
		if got := xmlsig.IsVoid([]byte(form), 1); got != want {
			t.Errorf("%q: got %v, want %v", form, got, want)
		}
	}
	if !xmlsig.IsVoid([]byte("<a><b></b>"), 2) {
		t.Error("a part is no form of the whole")
	}
}

// SIG-09: a namespace that is declared once and used everywhere is written
// everywhere, up to a limit.
func TestCanonicalIsBounded(t *testing.T) {
	space := "urn:" + strings.Repeat("x", 15000)
	for _, tt := range []struct {
		name  string
		uses  int
		wants bool
	}{
		{"a few", 4, true},
		{"many", 4000, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := soap.Scan([]byte(`<e xmlns:p="`+space+`">`+strings.Repeat("<p:f/>", tt.uses)+`</e>`), soap.Answer)
			if err != nil {
				t.Fatal(err)
			}
			got, err := xmlsig.AppendCanonical(nil, d, d.Root(), nil)
			var refused *xmlsig.Error
			switch {
			case tt.wants && err != nil:
				t.Errorf("got %v, want no error", err)
			case !tt.wants && (!errors.As(err, &refused) || refused.Rule != "SIG-09" || got != nil):
				t.Errorf("got %d bytes, %v, want SIG-09", len(got), err)
			}
		})
	}
}

// SIG-09: 2,000 declarations in scope at once are not even scanned; as many,
// one after the other inside all that the scanner allows, are read.
func TestCanonicalOfManyNamespaces(t *testing.T) {
	if _, err := soap.Scan([]byte(nested(31, 64)), soap.Answer); ruleOf(t, err) != "DOS-03" {
		t.Errorf("got %v, want DOS-03", err)
	}
	src := manyNamespaces()
	d := scan(t, src)
	if n := len(slices.Collect(d.Namespaces())); n < 2000 || len(src) > 64<<10 {
		t.Fatalf("got %d declarations in %d bytes", n, len(src))
	}
	compareOne(t, d, 0, -1)
}

// nested returns elements in each other with so many declarations and
// attributes each, which use them.
func nested(depth, declarations int) string {
	var open strings.Builder
	for level := range depth {
		open.WriteString("<e")
		for i := range declarations {
			fmt.Fprintf(&open, ` xmlns:p%d-%d="urn:%d" p%d-%d:a=""`, level, i, i, level, i)
		}
		open.WriteString(">")
	}
	return strings.Replace(open.String()+strings.Repeat("</e>", depth), "></e>", ">%s</e>", 1)
}

func manyNamespaces() string {
	const inner = `<p0-0:f xmlns:a="urn:0" xmlns:b="urn:1" xmlns:c="urn:2" xmlns:d="urn:3" b:x="" p0-1:y=""/>`
	return strings.Replace(nested(31, 4), "%s", strings.Repeat(inner, 480), 1)
}

// FuzzCanonical checks that what the scanner accepts has the canonical form
// that goxmldsig's has.
func FuzzCanonical(f *testing.F) {
	for _, tt := range canonicalCases {
		f.Add([]byte(tt.src))
	}
	f.Add([]byte(element))
	f.Add(testdata.Message(f, "rstr/adfs-2005-saml11.xml"))
	f.Fuzz(func(t *testing.T, src []byte) { compareWithTwin(t, src, 20) })
}
