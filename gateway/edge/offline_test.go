package edge_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"stsgate/gateway/edge"
	"stsgate/gateway/refusal"
)

// A captured head is judged as one that arrives, and its line is named.
func TestReadHead(t *testing.T) {
	const head = "POST /adfs/x HTTP/1.1\r\nHost: sts.contoso.example:443\r\nSOAPAction: \"\"\r\nContent-Length: 3\r\n\r\n"
	r, size, err := edge.ReadHead([]byte(head+"abc"), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if size != len(head) || r.Method != http.MethodPost || r.RequestURI != "/adfs/x" || r.Host != "sts.contoso.example:443" ||
		r.ContentLength != 3 || r.Header.Get("Soapaction") != `""` {
		t.Errorf("got %d bytes, %+v", size, r)
	}
	if r, _, err := edge.ReadHead([]byte(strings.Replace(head, "Content-Length: 3", "Transfer-Encoding: chunked", 1)), 1000); err != nil || r.ContentLength != -1 {
		t.Errorf("chunked: got %v", err)
	}
	if _, _, err := edge.ReadHead([]byte(head), len(head)); err != nil {
		t.Errorf("of the largest size: got %v", err)
	}
	for _, c := range []struct {
		name, head, rule string
		line             string // that is wrong; empty for the end
	}{
		{"bare line feed", strings.Replace(head, ":443\r\n", ":443\n", 1), "HTTP-03", "Host"},
		{"bare line feed in the request line", strings.Replace(head, "1.1\r\n", "1.1\n", 1), "HTTP-03", "POST"},
		{"underscore", strings.Replace(head, "SOAPAction", "SOAP_Action", 1), "HDR-03", "SOAP_Action"},
		{"folded", strings.Replace(head, "SOAPAction: ", "SOAPAction:\r\n ", 1), "HDR-03", ` "`},
		{"no version", "POST /\r\n\r\n", "HTTP-03", "POST"},
		{"HTTP/1.0", strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1), "HTTP-04", "POST"},
		{"two framings", strings.Replace(head, "SOAPAction: \"\"", "Transfer-Encoding: chunked", 1), "HTTP-02", "POST"},
		{"no host", strings.Replace(head, "Host", "Hots", 1), "HTTP-09", "POST"},
		{"cut short", head[:len(head)-2], "HTTP-15", ""},
		{"cut in a line", head[:len(head)-9], "HTTP-15", ""},
		{"empty", "", "HTTP-15", ""},
		{"too large", strings.Replace(head, "Host", "X: "+strings.Repeat("x", 1000)+"\r\nHost", 1), "DOS-02", "X"},
	} {
		_, _, err := edge.ReadHead([]byte(c.head), 1000)
		e, ok := errors.AsType[*edge.HeadError](err)
		if !ok || e.Rule != c.rule {
			t.Errorf("%s: got %v, want %s", c.name, err, c.rule)
		} else if line := c.head[e.Offset:]; c.line == "" && line != "" || !strings.HasPrefix(line, c.line) {
			t.Errorf("%s: got the place of %.20q, want %q", c.name, line, c.line)
		}
	}
}

func TestFind(t *testing.T) { // HTTP-07, HTTP-08
	routes := []edge.Route{{Path: "/adfs/x", Methods: []string{http.MethodPost}}}
	for _, c := range []struct {
		method, target string
		found          bool
		want           refusal.Reason
	}{
		{http.MethodPost, "/ADFS/x", true, refusal.Internal},
		{http.MethodGet, "/adfs/x", true, refusal.WrongMethod},
		{http.MethodPost, "/adfs/x?a=b", false, refusal.WrongPath},
	} {
		route, refused := edge.Find(routes, &http.Request{Method: c.method, RequestURI: c.target})
		var got refusal.Reason
		if refused != nil {
			got = refused.Reason
		}
		if (route != nil) != c.found || got != c.want {
			t.Errorf("%s %s: got %v, %v", c.method, c.target, route, refused)
		}
	}
}
