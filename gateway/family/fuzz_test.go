package family_test

import (
	"slices"
	"testing"

	"stsgate/gateway/family"
	"stsgate/gateway/soap"
	"stsgate/testdata"
)

// FuzzOf looks for a panic, for a name that is not on the list, and for a
// request that bears a name though it fits none or two.
func FuzzOf(f *testing.F) {
	for _, m := range own(f) {
		f.Add(m.body, m.headers.ContentType, m.headers.SOAPAction)
	}
	for _, folder := range []string{"rst", "rst-other"} {
		for _, name := range testdata.Names(f, folder) {
			f.Add(testdata.Message(f, name), "application/soap+xml; charset=utf-8", "")
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType, soapAction string) {
		d, err := soap.Scan(body, soap.Request)
		if err != nil {
			return
		}
		h := family.Headers{ContentType: contentType, SOAPAction: soapAction}
		got := family.Of(d, h)
		if !slices.ContainsFunc(family.Names(), func(n family.Description) bool { return n.Name == got }) {
			t.Fatalf("got %q", got)
		}
		if fitting := family.Fitting(d, h); (len(fitting) == 1) != (got != family.Unknown) {
			t.Fatalf("got %s of a request that fits %v", got, fitting)
		}
	})
}
