package wstrust_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// A growth is a message with a place before which a unit can be repeated.
type growth struct {
	name, body, place, unit string
}

// message returns the message at about size bytes.
func (g growth) message(t *testing.T, size int) []byte {
	t.Helper()
	n := (size - len(g.body)) / len(g.unit)
	return []byte(edit(t, g.body, g.place, strings.Repeat(g.unit, n)+g.place))
}

// flat is what a byte may cost in a large message, times what it costs in a
// small one.
const flat = 1.5

// DOS-03: reading a message costs memory in proportion to it and no more, up
// to the largest request, whatever it is made of and whether it is answered.
func TestAllocationIsLinear(t *testing.T) {
	request := string(testdata.Message(t, "rst/msal-net-13.xml"))
	withToken := edit(t, request, "</wst:RequestSecurityToken>",
		`<x:ActAs xmlns:x="http://docs.oasis-open.org/ws-sx/ws-trust/200802"><Assertion xmlns="`+wstrust.NSSAML20+
			`"></Assertion></x:ActAs></wst:RequestSecurityToken>`)
	r, err := read(request)
	if err != nil {
		t.Fatal(err)
	}
	answer := edit(t, string(wstrust.AppendAnswer(nil, r, issued(wstrust.SAML20), clock)),
		"</Assertion>", "<AttributeStatement></AttributeStatement></Assertion>")
	const statement, claim = "<S>%s</S>", "<Attribute Name='urn:x'><AttributeValue>%s</AttributeValue></Attribute>"
	fill := func(unit, text string, n int) string { return strings.Replace(unit, "%s", strings.Repeat(text, n), 1) }
	references := numbered(" a%d='&lt;'", 30)

	readRequest := func(body []byte) error {
		_, err := wstrust.ReadRequest(wstrust.Inbound{Body: body, Now: clock})
		return err
	}
	readAnswer := func(body []byte) error {
		_, err := wstrust.ReadAnswer(body, wstrust.V13)
		return err
	}
	for _, tt := range []struct {
		growth
		read func(body []byte) error
		want string
	}{
		{growth{"comments of a request", request, "<wsa:MessageID>", "<!-- comment -->"}, readRequest, "accepted"},
		{growth{"white space of a request", request, "<wsa:MessageID>", strings.Repeat(" ", 500) + "<!---->"}, readRequest, "accepted"},
		{growth{"elements of a request", withToken, "</Assertion>", fill(statement, "x &amp; y ", 14)}, readRequest, "unsupported"},
		{growth{"long texts of a request", withToken, "</Assertion>", fill(statement, "x &amp; y ", 120)}, readRequest, "unsupported"},
		{growth{"attributes of a request", withToken, "</Assertion>", "<S" + references + "/>"}, readRequest, "unsupported"},
		{growth{"claims of an answer", answer, "</AttributeStatement>", fill(claim, "v", 1)}, readAnswer, "accepted"},
		{growth{"long texts of an answer", answer, "</AttributeStatement>", fill(claim, "x &amp; y ", 30)}, readAnswer, "accepted"},
		{growth{"attributes of an answer", answer, "</AttributeStatement>", "<Attribute" + references + "/>"}, readAnswer, "accepted"},
		{growth{"statements of an answer", answer, "<AttributeStatement>", "<AttributeStatement/>"}, readAnswer, "accepted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			perByte := func(size int) float64 {
				body := tt.message(t, size)
				if got := verdict(tt.read(body)); got != tt.want {
					t.Fatalf("%d bytes: got %s, want %s", len(body), got, tt.want)
				}
				added := allocated(body, tt.read) - allocated([]byte(tt.body), tt.read)
				return added / float64(len(body)-len(tt.body))
			}
			small := perByte(4 << 10)
			for _, size := range []int{16 << 10, 64 << 10} {
				// Less than the message itself takes is flat in any case.
				if got := perByte(size); got > flat*max(small, 1) {
					t.Errorf("got %.2f bytes allocated for each that is added up to %d KiB, %.2f up to 4 KiB", got, size>>10, small)
				}
			}
		})
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(format, "%d", strconv.Itoa(i), 1))
	}
	return b.String()
}

// allocated returns how many bytes are allocated to read a message.
func allocated(body []byte, read func(body []byte) error) float64 {
	const runs = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		_ = read(body)
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / runs
}
