package issuer

import (
	"strings"
	"testing"

	"github.com/beevik/etree"
)

// TOK-01: the comparison is what stands between a fault in the tree's writer
// and a signed token, so each kind of difference is made by hand.
func TestRereadSeesDifference(t *testing.T) {
	const token = `<a:t xmlns:a="urn:a" id="1"><a:v>x</a:v><e xmlns="urn:e"/></a:t>`
	d := etree.NewDocument()
	if err := d.ReadFromString(token); err != nil {
		t.Fatal(err)
	}
	if _, err := reread([]byte(token), d.Root()); err != nil {
		t.Fatalf("got %v, want no difference", err)
	}
	for name, change := range map[string][2]string{
		"other namespace":   {`"urn:a"`, `"urn:b"`},
		"other name":        {"a:v>", "a:w>"},
		"other text":        {">x<", ">y<"},
		"white space added": {">x<", ">x <"},
		"text between":      {"<e ", "x<e "},
		"comment in a text": {">x<", ">x<!-- --><"},
		"element added":     {"<e ", "<a:v>admin</a:v><e "},
		"element inside":    {"/></a:t>", "><e/></e></a:t>"},
		"element lost":      {`<e xmlns="urn:e"/>`, ``},
		"attribute added":   {` id="1"`, ` id="1" b="2"`},
		"attribute lost":    {` id="1"`, ``},
		"other attribute":   {` id="1"`, ` id="2"`},
		"attribute renamed": {` id="1"`, ` ID="1"`},
		"not well-formed":   {"</a:t>", ""},
		"not strict":        {"<a:v>", "<?x?><a:v>"},
	} {
		changed := strings.ReplaceAll(token, change[0], change[1])
		if changed == token {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := reread([]byte(changed), d.Root()); err == nil {
			t.Errorf("%s: got no difference in %s", name, changed)
		}
	}
}
