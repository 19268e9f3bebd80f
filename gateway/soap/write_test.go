package soap_test

import (
	"strings"
	"testing"
	"time"

	"stsgate/gateway/soap"
)

var writtenAt = time.Date(2026, 11, 20, 10, 30, 0, 5e6, time.FixedZone("CET", 3600))

const (
	goldenHead12 = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing" ` +
		`xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"><s:Header>` +
		`<a:Action s:mustUnderstand="1">http://www.w3.org/2005/08/addressing/soap/fault</a:Action>`
	goldenHead11 = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ` +
		`xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"><s:Header>`
	goldenSecurity = `<o:Security s:mustUnderstand="1" ` +
		`xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">` +
		`<u:Timestamp u:Id="_0"><u:Created>2026-11-20T09:30:00.005Z</u:Created>` +
		`<u:Expires>2026-11-20T09:35:00.005Z</u:Expires></u:Timestamp></o:Security></s:Header><s:Body>`
	goldenEnd = `</s:Body></s:Envelope>`
)

func TestAppendFault(t *testing.T) {
	failed := soap.Name{Space: "http://docs.oasis-open.org/ws-sx/ws-trust/200512", Local: "FailedAuthentication"}
	addressed := soap.Header{Version: soap.V12, Action: soap.ActionFault, Now: writtenAt}
	related := addressed
	related.RelatesTo = "urn:uuid:1&2"
	plain11 := soap.Header{Version: soap.V11, RelatesTo: "urn:uuid:1", Now: writtenAt}
	for _, c := range []struct {
		name  string
		fault soap.Fault
		want  string
	}{
		{"SOAP 1.2", soap.Fault{Header: related, Sender: true, Subcode: failed, Text: "No <entry>."},
			goldenHead12 + `<a:RelatesTo>urn:uuid:1&amp;2</a:RelatesTo>` + goldenSecurity +
				`<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode>` +
				`<s:Value xmlns:a="http://docs.oasis-open.org/ws-sx/ws-trust/200512">a:FailedAuthentication</s:Value>` +
				`</s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">No &lt;entry&gt;.</s:Text></s:Reason></s:Fault>` + goldenEnd},
		{"SOAP 1.2 without subcode", soap.Fault{Header: addressed, Text: "Busy."},
			goldenHead12 + goldenSecurity + `<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code>` +
				`<s:Reason><s:Text xml:lang="en-US">Busy.</s:Text></s:Reason></s:Fault>` + goldenEnd},
		{"SOAP 1.1", soap.Fault{Header: plain11, Sender: true, Subcode: failed, Text: "No."},
			goldenHead11 + goldenSecurity + `<s:Fault>` +
				`<faultcode xmlns:a="http://docs.oasis-open.org/ws-sx/ws-trust/200512">a:FailedAuthentication</faultcode>` +
				`<faultstring xml:lang="en-US">No.</faultstring></s:Fault>` + goldenEnd},
		{"SOAP 1.1 sender without subcode", soap.Fault{Header: plain11, Sender: true, Text: "No."},
			goldenHead11 + goldenSecurity + `<s:Fault><faultcode>s:Client</faultcode>` +
				`<faultstring xml:lang="en-US">No.</faultstring></s:Fault>` + goldenEnd},
		{"SOAP 1.1 receiver without subcode", soap.Fault{Header: plain11, Text: "Busy."},
			goldenHead11 + goldenSecurity + `<s:Fault><faultcode>s:Server</faultcode>` +
				`<faultstring xml:lang="en-US">Busy.</faultstring></s:Fault>` + goldenEnd},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(soap.AppendFault(nil, c.fault))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			d, err := soap.Scan([]byte(got), soap.Answer)
			if err != nil {
				t.Fatalf("fault is refused: %v", err)
			}
			env, err := soap.Open(d)
			if err != nil {
				t.Fatalf("fault is refused: %v", err)
			}
			if want := (soap.Name{Space: c.fault.Header.Version.Namespace(), Local: "Fault"}); env.Content.Name != want {
				t.Errorf("got content %v, want %v", env.Content.Name, want)
			}
		})
	}
}

// The subcode is a qualified name that its own element resolves.
func TestFaultSubcodeResolves(t *testing.T) {
	want := soap.Name{Space: soap.NSSecurity, Local: "RequestFailed"}
	fault := soap.Fault{Header: soap.Header{Version: soap.V11, Now: writtenAt}, Subcode: want, Text: "x"}
	d := mustScan(t, string(soap.AppendFault(nil, fault)))
	e := find(t, d, "faultcode")
	text, err := d.Text(e)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Resolve(e, text); got != want || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestAppendOpenAndClose(t *testing.T) {
	h := soap.Header{Version: soap.V12, Action: soap.ActionFault, Now: writtenAt}
	got := string(soap.AppendClose(append(soap.AppendOpen([]byte("pre"), h), "<r/>"...)))
	if want := "pre" + goldenHead12 + goldenSecurity + "<r/>" + goldenEnd; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEscape(t *testing.T) {
	for _, c := range []struct{ name, in, text, attr string }{
		{"plain", "a b'\u00e9\U0001F600", "a b'\u00e9\U0001F600", "a b'\u00e9\U0001F600"},
		{"markup", `&<>"]]>`, `&amp;&lt;&gt;"]]&gt;`, `&amp;&lt;>&quot;]]>`},
		{"white space", "\t\n\r", "\t\n&#xD;", "&#x9;&#xA;&#xD;"},
		{"not allowed", "\x00\x1f\xff\ufeff\ufffe", "\ufffd\ufffd\ufffd\ufffd\ufffd", "\ufffd\ufffd\ufffd\ufffd\ufffd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(soap.EscapeText([]byte("x"), c.in)); got != "x"+c.text {
				t.Errorf("EscapeText: got %q, want %q", got, "x"+c.text)
			}
			if got := string(soap.EscapeAttr([]byte("x"), c.in)); got != "x"+c.attr {
				t.Errorf("EscapeAttr: got %q, want %q", got, "x"+c.attr)
			}
		})
	}
}

// Whatever is escaped, Scan reads back, but for what XML cannot hold.
func FuzzEscape(f *testing.F) {
	f.Add("a&b<c>d\"e'f\tg\nh\ri]]>")
	f.Add("\x00\xff\ufeff\U0010ffff")
	f.Fuzz(func(t *testing.T, s string) {
		src := soap.EscapeText([]byte("<r><e>"), s)
		src = soap.EscapeAttr(append(src, `</e><e a="`...), s)
		src = append(src, `"/></r>`...)
		d, err := soap.Scan(src, soap.Answer)
		if err != nil {
			if ruleOf(t, string(src), soap.Answer) == "DOS-03" {
				return
			}
			t.Fatal(err)
		}
		text, err := d.Text(&d.Elements()[1])
		if err != nil {
			t.Fatal(err)
		}
		value, _ := d.Attr(&d.Elements()[2], soap.Name{Local: "a"})
		if text != value {
			t.Errorf("text %q and value %q differ", text, value)
		}
		if want := replaced(s); text != want {
			t.Errorf("got %q, want %q", text, want)
		}
	})
}

// replaced returns s as it is read back: with U+FFFD for what XML cannot hold
// or Scan refuses.
func replaced(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\ufeff' || r == '\ufffe' || r == '\uffff' {
			return '\ufffd'
		}
		return r
	}, s)
}
