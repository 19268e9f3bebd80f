package soap_test

import (
	"runtime"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// A shape is a document whose units can be repeated within the limits of a
// profile.
type shape struct {
	name            string
	profile         soap.Profile
	open, unit, end string
}

// flat is what a byte may cost in a large document, times what it costs in a
// small one.
const flat = 1.5

// document returns a document of about size bytes.
func (s shape) document(size int) []byte {
	n := (size - len(s.open) - len(s.end)) / len(s.unit)
	return []byte(s.open + strings.Repeat(s.unit, n) + s.end)
}

const sentence = "plain text &amp; references\r\n"

// allocationShapes take what costs memory as densely as a limit allows.
var allocationShapes = []shape{
	{"smallest elements", soap.Answer, "<e>", "<f/>", "</e>"},
	{"leaves", soap.Answer, "<e>", "<f>text of a leaf</f>", "</e>"},
	{"leaves of a request", soap.Request, "<e>", "<f>" + strings.Repeat(sentence, 6) + "</f>", "</e>"},
	{"long text of a request", soap.Request, "<e>", "<f>" + strings.Repeat(sentence, 60) + "</f>", "</e>"},
	{"one text", soap.Answer, "<e>", sentence, "</e>"},
	{"white space", soap.Request, "<e>", strings.Repeat(" ", 800) + "<f/>", "</e>"},
	{"attributes", soap.Answer, "<e>", "<f" + numbered(" attribute%d='v'", 32) + "/>", "</e>"},
	{"attributes of a request", soap.Request, "<e>", "<f" + numbered(" a%d='&lt;'", 32) + "/>", "</e>"},
	{"long attributes", soap.Request, "<e>", "<f a='" + strings.Repeat("value &amp; reference ", 80) + "'/>", "</e>"},
	{"prefixes", soap.Answer, "<e" + numbered(" xmlns:p%d='urn:p'", 30) + ">", "<p0:f p0:a='' p0:b='' p0:c='' p0:d=''/>", "</e>"},
	{"declarations", soap.Answer, "<e>", "<f" + numbered(" xmlns:p%d='urn:p'", 32) + "/>", "</e>"},
	{"comments", soap.Request, "<e>", "<!-- comment -->", "</e>"},
	{"depth", soap.Answer, strings.Repeat("<e>", 20), strings.Repeat("<a>", 10) + strings.Repeat("</a>", 10), strings.Repeat("</e>", 20)},
	{"unknown names", soap.Answer, "<e>", "<unknown unheard='x'/>", "</e>"},
}

// DOS-03: reading costs memory in proportion to the document and no more, up
// to the largest request, whatever the document is made of.
func TestAllocationIsLinear(t *testing.T) {
	for _, s := range allocationShapes {
		t.Run(s.name, func(t *testing.T) {
			small := allocatedPerByte(t, s, 4<<10)
			for _, size := range []int{16 << 10, 64 << 10} {
				if got := allocatedPerByte(t, s, size); got > flat*small {
					t.Errorf("got %.2f bytes allocated for each of %d KiB, %.2f for each of 4 KiB", got, size>>10, small)
				}
			}
		})
	}
}

// allocatedPerByte returns how many bytes are allocated to scan a document and
// to read all that it holds, for each of its own.
func allocatedPerByte(t *testing.T, s shape, size int) float64 {
	const runs = 10
	src := s.document(size)
	if _, err := soap.Scan(src, s.profile); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		d, _ := soap.Scan(src, s.profile)
		for i := range d.Elements() {
			e := &d.Elements()[i]
			_, _ = d.Text(e)
			for range d.Attrs(e) {
			}
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / float64(runs*len(src))
}
