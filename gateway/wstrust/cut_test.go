package wstrust_test

import (
	"strings"
	"testing"
	"time"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// MFA-24: cutting takes the end of one text out of the received bytes and
// changes nothing else: entropy, white space and comments stay.
func TestCutPassword(t *testing.T) {
	base := string(testdata.Message(t, "rst/wcf-13.xml"))
	const raw, typed = "Str0ng&amp;&lt;password&gt;", "Str0ng&<password>"
	for _, c := range []struct {
		name, content, tail string
		edit                []string
		want                string // the error, or empty
	}{
		{"code", raw + ",123456", ",123456", nil, ""},
		{"separator that is escaped", raw + "&amp;123456", "&123456", nil, ""},
		{"separator twice", raw + ",123456,654321", ",654321", nil, ""},
		{"entropy", raw + ",123456", ",123456", []string{"</trust:RequestSecurityToken>",
			`<trust:Entropy><trust:BinarySecret Type="http://docs.oasis-open.org/ws-sx/ws-trust/200512/Nonce">AAAA</trust:BinarySecret></trust:Entropy></trust:RequestSecurityToken>`}, ""},
		{"references in the code", raw + ",12345&#54;", ",123456", nil, "references"},
		{"other end", raw + ",123456", ",1234567", nil, "references"},
		{"nothing left", ",123456", ",123456", nil, "empty"},
	} {
		message := strings.Replace(base, raw, c.content, 1)
		if c.edit != nil {
			message = strings.Replace(message, c.edit[0], c.edit[1], 1)
		}
		in := wstrust.Inbound{Body: []byte(message), Version: wstrust.V13, SOAP: soap.V12, Now: time.Date(2026, 3, 2, 8, 0, 30, 0, time.UTC)}
		r, err := wstrust.ReadRequest(in)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		cut, err := r.Cut(in, []byte(c.tail))
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %s", c.name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		left := strings.TrimSuffix(strings.Replace(strings.Replace(c.content, "&amp;123456", "&123456", 1), raw, typed, 1), c.tail)
		if got := string(cut.Password.Bytes()); got != left {
			t.Errorf("%s: the password is %q, want %q", c.name, got, left)
		}
		escaped := string(soap.EscapeText(nil, c.tail))
		if want := strings.Replace(message, escaped+"</o:Password>", "</o:Password>", 1); string(cut.Body) != want || string(r.Body) != message {
			t.Errorf("%s: the body is\n%s\nwant\n%s", c.name, cut.Body, want)
		}
	}
}
