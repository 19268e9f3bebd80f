package gateway_test

import (
	"net/http"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// SOAP-01, SOAP-02: exactly the media types of a SOAP message are let in, and
// each with an envelope of its version.
func TestMediaTypes(t *testing.T) {
	const action = wstrust.NS13 + "/RST/Issue"
	v11, v12 := shape{soap.V11, wstrust.V13}, modern
	for _, c := range []struct {
		values []string
		shape  shape
		want   string
	}{
		{[]string{"application/soap+xml; charset=utf-8"}, v12, "ok"},
		{[]string{"text/xml; charset=utf-8"}, v11, "ok"},
		{[]string{"application/soap+xml"}, v12, "ok"},
		{[]string{"text/xml"}, v11, "ok"},
		{[]string{"Application/SOAP+XML;charset=UTF-8"}, v12, "ok"},
		{[]string{`text/xml; charset="utf-8"`}, v11, "ok"},
		{[]string{`text/xml ;CHARSET=Utf-8`}, v11, "ok"},
		{[]string{`application/soap+xml; charset=utf-8; action="` + action + `"`}, v12, "ok"},
		{[]string{`application/soap+xml; action="` + action + `"`}, v12, "ok"},

		{[]string{"text/xml"}, v12, "wrong-version"},
		{[]string{"application/soap+xml"}, v11, "wrong-version"},
		{[]string{`application/soap+xml; action="` + wstrust.NS13 + `/RST/Cancel"`}, v12, "malformed"},

		{nil, v12, "wrong-media-type"},
		{[]string{""}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml", "application/soap+xml"}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml, text/xml"}, v12, "wrong-media-type"},
		{[]string{"application/xml"}, v12, "wrong-media-type"},
		{[]string{"application/x-www-form-urlencoded"}, v12, "wrong-media-type"},
		{[]string{`multipart/related; type="application/xop+xml"; boundary=b`}, v12, "wrong-media-type"},
		{[]string{`application/xop+xml; type="application/soap+xml"`}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset=utf-16"}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset=utf8"}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset=utf-8, utf-16"}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset=utf-8; charset=utf-8"}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset=utf-8; Charset=utf-16"}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset*=utf-8''utf-8"}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset*0=utf; charset*1=-8"}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset=utf-8; charset*=utf-16''utf-16"}, v12, "wrong-media-type"},
		{[]string{`application/soap+xml; charset="utf\-8"`}, v12, "wrong-media-type"},
		{[]string{`application/soap+xml; charset="utf-8`}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset="}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset"}, v12, "wrong-media-type"},
		{[]string{`application/soap+xml; start-info="text/xml"`}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; action=" + action}, v12, "wrong-media-type"},
		{[]string{`text/xml; action="` + action + `"`}, v11, "wrong-media-type"},
		{[]string{`text/xml; charset=utf-8; type="x"`}, v11, "wrong-media-type"},
		{[]string{"application/soap+xml\x00"}, v12, "wrong-media-type"},
		{[]string{"application/soap+xml; charset=utf\u20118"}, v12, "wrong-media-type"},
	} {
		name := "none"
		if len(c.values) > 0 {
			name = c.values[0]
		}
		atFresh(t, c.shape.soap.String()+" "+name, func(t *testing.T) {
			g := newGate(t, nil)
			r := c.shape.post(c.shape.query(nil))
			r.Header["Content-Type"] = c.values
			w := g.serve(r)
			if got := g.record()["event.reason"]; got != c.want || (w.Code == http.StatusUnsupportedMediaType) != (c.want == "wrong-media-type") {
				t.Errorf("got reason %v (%v) with status %d, want %s", got, g.record()["error.message"], w.Code, c.want)
			}
			if c.want != "ok" && !g.quiet() {
				t.Error("somebody was asked")
			}
		})
	}
}

// SOAP-02: no encoding of the body, not even one that does nothing.
func TestContentEncoding(t *testing.T) {
	for _, values := range [][]string{{"gzip"}, {"identity"}, {"identity, gzip"}, {""}, {"identity", "deflate"}} {
		atFresh(t, values[0], func(t *testing.T) {
			g := newGate(t, nil)
			r := modern.post(modern.query(nil))
			r.Header["Content-Encoding"] = values
			w := g.serve(r)
			if got := g.record()["event.reason"]; got != "wrong-media-type" || w.Code != http.StatusUnsupportedMediaType || !g.quiet() {
				t.Errorf("got reason %v with status %d, want wrong-media-type", got, w.Code)
			}
		})
	}
}

// SOAP-03: what HTTP says of the action agrees with the message.
func TestSOAPAction(t *testing.T) {
	const action = wstrust.NS13 + "/RST/Issue"
	for _, c := range []struct {
		name   string
		values []string
		want   string
	}{
		{"quoted", []string{`"` + action + `"`}, "ok"},
		{"bare", []string{action}, "ok"},
		{"empty", []string{`""`}, "ok"},
		{"other verb", []string{`"` + wstrust.NS13 + `/RST/Cancel"`}, "malformed"},
		{"twice", []string{action, action}, "malformed"},
	} {
		for _, s := range []shape{{soap.V11, wstrust.V13}, modern} {
			atFresh(t, s.String()+"/"+c.name, func(t *testing.T) {
				g := newGate(t, nil)
				r := s.post(s.query(nil))
				r.Header["Soapaction"] = c.values
				g.serve(r)
				if got := g.record()["event.reason"]; got != c.want {
					t.Errorf("got reason %v (%v), want %s", got, g.record()["error.message"], c.want)
				}
			})
		}
	}
}
