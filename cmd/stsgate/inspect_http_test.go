package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"stsgate/testdata"
)

// rawHTTP is a request as a client sends it; change edits it as a text in which
// LENGTH stands for the length of the body.
func rawHTTP(t *testing.T, message string, change ...string) string {
	t.Helper()
	body := string(testdata.Message(t, message))
	path, media := path13, "application/soap+xml; charset=utf-8"
	if !strings.Contains(body, "200512") {
		path = path2005
	}
	if strings.Contains(message, "soap11") {
		media = "text/xml; charset=utf-8"
	}
	raw := "POST " + path + " HTTP/1.1\r\nHost: sts.contoso.example\r\nUser-Agent: test\r\nContent-Type: " + media +
		"\r\nContent-Length: LENGTH\r\n\r\n" + body
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(raw, change[i]) {
			t.Fatalf("no %q in the request", change[i])
		}
		raw = strings.Replace(raw, change[i], change[i+1], 1)
	}
	_, body, _ = strings.Cut(raw, "\r\n\r\n")
	return strings.Replace(raw, "LENGTH", strconv.Itoa(len(body)), 1)
}

// Path, headers and body are judged together, by the rules of a connection and
// of the gateway, and each refusal has its place in the file.
func TestInspectHTTP(t *testing.T) {
	const action = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/"
	chunked := func(sizes ...string) []string {
		return append([]string{"Content-Length: LENGTH", "Transfer-Encoding: chunked"}, sizes...)
	}
	for _, c := range []struct {
		name, message      string
		change             []string
		rule, reason, kind string
		place              string
	}{
		{name: "as it is", message: "rst/wcf-13.xml", kind: kindRST},
		{name: "SOAP 1.1", message: "rst/zeep-soap11-13.xml", kind: kindRST},
		{name: "another case of the path", message: "rst/wcf-13.xml", change: []string{"adfs/services", "ADFS/Services"}, kind: kindRST},
		{name: "right action", message: "rst/wcf-13.xml", change: []string{"charset=utf-8", `action="` + action + `Issue"`}, kind: kindRST},

		{"not published", "rst/wcf-13.xml", []string{"usernamemixed", "windowsmixed"}, "HTTP-08", "wrong-path", kindRST, "1:6"},
		{"query", "rst/wcf-13.xml", []string{"usernamemixed ", "usernamemixed?a=b "}, "HTTP-08", "wrong-path", kindRST, "1:6"},
		{"letter that folds to k", "rst/wcf-13.xml", []string{"trust", "trus\u212a"}, "HTTP-08", "wrong-path", kindRST, "1:6"},
		{"version of another path", "rst/wcf-13.xml", []string{"13/user", "2005/user"}, "SOAP-06", "wrong-version", kindRST, "7:"},
		{"method", "rst/wcf-13.xml", []string{"POST", "PUT"}, "HTTP-07", "wrong-method", kindRST, "1:1"},
		{"media type", "rst/wcf-13.xml", []string{"application/soap+xml", "application/xml"}, "SOAP-01", "wrong-media-type", kindRST, "4:1"},
		{"no media type", "rst/wcf-13.xml", []string{"Content-Type", "Content-Kind"}, "SOAP-01", "wrong-media-type", kindRST, "1:1"},
		{"media type of SOAP 1.1", "rst/wcf-13.xml", []string{"application/soap+xml", "text/xml"}, "SOAP-01", "wrong-version", kindRST, "7:1"},
		{"encoded", "rst/wcf-13.xml", []string{"User-Agent", "Content-Encoding"}, "SOAP-02", "wrong-media-type", kindRST, "3:1"},
		{"other action", "rst/wcf-13.xml", []string{"charset=utf-8", `action="` + action + `Cancel"`}, "SOAP-03", "malformed", kindRST, "4:1"},
		{"other SOAPAction", "rst/zeep-soap11-13.xml", []string{"User-Agent: test", "SOAPAction: " + action + "Cancel"}, "SOAP-03", "malformed", kindRST, "3:1"},
		{"bare line feed", "rst/wcf-13.xml", []string{"test\r\n", "test\n"}, "HTTP-03", "body-unread", kindHTTP, "3:1"},
		{"header name", "rst/wcf-13.xml", []string{"User-Agent", "User_Agent"}, "HDR-03", "body-unread", kindHTTP, "3:1"},
		{"two framings", "rst/wcf-13.xml", []string{"User-Agent: test", "Transfer-Encoding: chunked"}, "HTTP-02", "body-unread", kindHTTP, "1:1"},
		{"head cut short", "rst/wcf-13.xml", []string{"\r\n\r\n", "\r\nX: "}, "HTTP-15", "body-unread", kindHTTP, "6:"},
		{"body cut short", "rst/wcf-13.xml", []string{"LENGTH", "9999"}, "HTTP-15", "body-unread", kindRST, "5:1"},
		{"too large", "rst/wcf-13.xml", []string{"LENGTH", "65537"}, "DOS-02", "too-large", kindHTTP, "5:1"},
		{"body of SOAP 1.2 that is no XML", "rst/wcf-13.xml", []string{"<s:Body>", "<s:Body&>"}, "XML-12", "malformed", kindXML, "7:"},
		{"no framing", "rst/wcf-13.xml", []string{"Content-Length", "Content-Lengths"}, "XML-15", "malformed", kindXML, "7:1"},
		{"chunk too long", "rst/wcf-13.xml", chunked("\r\n\r\n", "\r\n\r\nffff\r\n"), "HTTP-15", "body-unread", kindHTTP, "8:"},
		{"no chunk", "rst/wcf-13.xml", chunked(), "HTTP-02", "body-unread", kindHTTP, "7:1"},
		{"chunk without a size", "rst/wcf-13.xml", chunked("\r\n\r\n", "\r\n\r\nten\r\n"), "HTTP-02", "body-unread", kindHTTP, "7:1"},
		{"chunk line with an extension", "rst/wcf-13.xml", chunked("\r\n\r\n", "\r\n\r\n1;a=\xff\r\n<\r\n0;b\r\n\r\n"), "XML-15", "malformed", kindXML, "10:1"},
		{"chunk line of 256 bytes", "rst/wcf-13.xml", chunked("\r\n\r\n", "\r\n\r\n1;"+strings.Repeat("a", 252)+"\r\n<\r\n0\r\n\r\n"), "XML-15", "malformed", kindXML, "10:1"},
		{"chunk line of 257 bytes", "rst/wcf-13.xml", chunked("\r\n\r\n", "\r\n\r\n1;"+strings.Repeat("a", 253)+"\r\n<\r\n0\r\n\r\n"), "HTTP-02", "body-unread", kindHTTP, "7:1"},
		{"chunk line with a bare line feed", "rst/wcf-13.xml", chunked("\r\n\r\n", "\r\n\r\n1;a\nb\r\n<\r\n0\r\n\r\n"), "HTTP-03", "body-unread", kindHTTP, "7:1"},
		{"chunk line with a control character", "rst/wcf-13.xml", chunked("\r\n\r\n", "\r\n\r\n1;a=\x01\r\n<\r\n0\r\n\r\n"), "HTTP-03", "body-unread", kindHTTP, "7:1"},
		{"trailer", "rst/wcf-13.xml", chunked("\r\n\r\n", "\r\n\r\n1\r\n<\r\n0\r\nX: y\r\n\r\n"), "HTTP-05", "body-unread", kindHTTP, "10:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, r := inspectJSON(t, "m.http", rawHTTP(t, c.message, c.change...), clockFlag)
			if r.Rule != c.rule || r.Reason != c.reason || r.Kind != c.kind {
				t.Errorf("got kind %q, %q, %q (%s), want %q, %q, %q", r.Kind, r.Rule, r.Reason, r.Message, c.kind, c.rule, c.reason)
			}
			place := fmt.Sprintf("%d:%d", r.Line, r.Column)
			if c.place == "" {
				c.place = "0:0"
			}
			if !strings.HasPrefix(place, c.place) {
				t.Errorf("got the place %s, want %s", place, c.place)
			}
			if c.kind == kindRST && (r.User == "" || r.Credential != "username") {
				t.Errorf("got user %q by %q", r.User, r.Credential)
			}
		})
	}
}

// What the farm or the configuration would have to tell is no verdict.
func TestInspectAddress(t *testing.T) {
	const no, yes = "no: To names another ", "yes"
	for _, c := range []struct {
		name           string
		change         []string
		forward, issue string
	}{
		{"as it is", nil, yes, yes},
		{"port of the request", []string{"example\r\n", "example:8443\r\n", "contoso.example/adfs/services/trust/13/usernamemixed<", "contoso.example:8443/adfs/services/trust/13/usernamemixed<"}, yes, yes},
		{"other host", []string{"example\r\n", "test\r\n"}, no + "host (SOAP-04)", no + "host (SOAP-04)"},
		{"other path", []string{"usernamemixed<", "other<"}, no + "path (SOAP-04)", no + "path (SOAP-04)"},
	} {
		_, r := inspectJSON(t, "m.http", rawHTTP(t, "rst/wcf-13.xml", c.change...), clockFlag)
		if r.Verdict != accepted || r.Forward != c.forward || r.Issue != c.issue {
			t.Errorf("%s: got %s, %q, %q, want %q, %q", c.name, r.Verdict, r.Forward, r.Issue, c.forward, c.issue)
		}
	}
}

// A byte of a chunked message has its place in the file.
func TestInspectChunks(t *testing.T) {
	body := strings.Replace(string(testdata.Message(t, "rst/wcf-13.xml")), "<s:Body", "\n  <s:Bödy", 1)
	at := strings.Index(body, "ödy")
	head := "POST " + path13 + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/soap+xml\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, size := range []int{1, 7, 100, len(body)} {
		raw, line, column := head, 0, 0
		for i := 0; i < len(body); i += size {
			part := body[i:min(i+size, len(body))]
			raw += fmt.Sprintf("%x\r\n", len(part))
			if i <= at && at < i+size {
				before := raw + part[:at-i]
				line, column = strings.Count(before, "\n")+1, len([]rune(before[strings.LastIndex(before, "\n")+1:]))+1
			}
			raw += part + "\r\n"
		}
		_, r := inspectJSON(t, "m.http", raw+"0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
		if r.Rule != "XML-14" || r.Line != line || r.Column != column {
			t.Errorf("chunks of %d: got %s at %d:%d, want XML-14 at %d:%d", size, r.Rule, r.Line, r.Column, line, column)
		}
		if !strings.Contains(strings.Join(r.NotJudged, "\n"), "rest: 18 bytes") {
			t.Errorf("chunks of %d: got %q", size, r.NotJudged)
		}
	}
	for rest, place := range map[string]int{"": 6, "1": 6, "1\r\n<\r\n0": 8} {
		if _, r := inspectJSON(t, "m.http", head+rest); r.Rule != "HTTP-15" || r.Line != place {
			t.Errorf("cut short in %q: got %s in line %d, want HTTP-15 in line %d", rest, r.Rule, r.Line, place)
		}
	}
}

// A request for metadata is let in and is no RST; its other methods are not.
func TestInspectMetadata(t *testing.T) {
	const path = "/adfs/services/trust/mex"
	for method, want := range map[string]string{http.MethodGet: accepted, http.MethodDelete: refused} {
		_, r := inspectJSON(t, "m", method+" "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if r.Verdict != want || r.Kind != kindHTTP {
			t.Errorf("%s: got %s, kind %s", method, r.Verdict, r.Kind)
		}
	}
}

// Lines and columns count from 1, and a column is a character.
func TestInspectPlaces(t *testing.T) {
	for _, c := range []struct {
		name, document string
		line, column   int
	}{
		{"first byte", "x", 1, 1},
		{"behind a byte order mark", "\uFEFF<a><b></a>", 1, 7},
		{"characters of two and four bytes", "<a>é\U0001F600<b></a>", 1, 9},
		{"second line", "<a>\n  <b></a>", 2, 6},
		{"CR LF", "<a>\r\n\t<b></a>", 2, 5},
		{"not UTF-8", "<a>\n\xff</a>", 2, 1},
		{"behind bytes that are not UTF-8", "<a b='\xff\xfe'>", 1, 7},
		{"cut short", "<a>\n<b>", 2, 4},
		{"empty", "", 1, 1},
	} {
		_, r := inspectJSON(t, "m.xml", c.document)
		if r.Kind != kindXML || r.Verdict != refused || r.Line != c.line || r.Column != c.column {
			t.Errorf("%s: got %s %s at %d:%d (%s), want %d:%d", c.name, r.Verdict, r.Kind, r.Line, r.Column, r.Message, c.line, c.column)
		}
	}
}
