package soap_test

import (
	"strconv"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// rst is a request as the .NET libraries send it, 1.7 KB.
const rst = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" ` +
	`xmlns:a="http://www.w3.org/2005/08/addressing" ` +
	`xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">` +
	`<s:Header>` +
	`<a:Action s:mustUnderstand="1">http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue</a:Action>` +
	`<a:MessageID>urn:uuid:6e2b1a52-05f5-4b6b-9b3c-5a1f0d6f7c11</a:MessageID>` +
	`<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>` +
	`<a:To s:mustUnderstand="1">https://sts.contoso.example/adfs/services/trust/13/usernamemixed</a:To>` +
	`<o:Security s:mustUnderstand="1" ` +
	`xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">` +
	`<u:Timestamp u:Id="_0"><u:Created>2026-11-20T09:30:00.000Z</u:Created>` +
	`<u:Expires>2026-11-20T09:40:00.000Z</u:Expires></u:Timestamp>` +
	`<o:UsernameToken u:Id="uuid-2d1c9e0a-7b57-4c0e-8a60-6f1f4f1f9d10-1">` +
	`<o:Username>alice@contoso.example</o:Username>` +
	`<o:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText">` +
	`correct &amp; horse &lt; battery</o:Password></o:UsernameToken></o:Security></s:Header>` +
	`<s:Body><trust:RequestSecurityToken xmlns:trust="http://docs.oasis-open.org/ws-sx/ws-trust/200512">` +
	`<wsp:AppliesTo xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy">` +
	`<a:EndpointReference><a:Address>urn:federation:MicrosoftOnline</a:Address></a:EndpointReference></wsp:AppliesTo>` +
	`<trust:KeyType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer</trust:KeyType>` +
	`<trust:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</trust:RequestType>` +
	`<trust:TokenType>urn:oasis:names:tc:SAML:2.0:assertion</trust:TokenType>` +
	`</trust:RequestSecurityToken></s:Body></s:Envelope>`

func BenchmarkScan(b *testing.B) {
	src := []byte(rst)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := soap.Scan(src, soap.Request); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenAndRead is Scan, Open and the text of every leaf.
func BenchmarkOpenAndRead(b *testing.B) {
	src := []byte(rst)
	b.ReportAllocs()
	for b.Loop() {
		d, err := soap.Scan(src, soap.Request)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := soap.Open(d); err != nil {
			b.Fatal(err)
		}
		for i := range d.Elements() {
			if e := &d.Elements()[i]; d.HasText(e) {
				if _, err := d.Text(e); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

// BenchmarkScanLinear shows that the time per byte does not grow with the
// document (DOS-03): the MB/s of 4 KiB and 64 KiB of a shape are much alike.
func BenchmarkScanLinear(b *testing.B) {
	deep := strings.Repeat("<e>", 20)
	for _, shape := range []struct{ name, open, unit, end string }{
		{"leaves", "<e>", "<f>text of a leaf</f>", "</e>"},
		{"text", "<e>", "<f>" + strings.Repeat("plain text &amp; references\r\n", 60) + "</f>", "</e>"},
		{"attributes", "<e>", "<f" + numbered(" attribute%d='v'", 32) + "/>", "</e>"},
		{"prefixes", "<e" + numbered(" xmlns:p%d='urn:p'", 30) + ">", "<p0:f p0:a='' p0:b='' p0:c='' p0:d=''/>", "</e>"},
		{"declarations", "<e>", "<f" + numbered(" xmlns:p%d='urn:p'", 32) + "/>", "</e>"},
		{"comments", "<e>", "<!-- comment -->", "</e>"},
		{"depth", deep, strings.Repeat("<a>", 10) + strings.Repeat("</a>", 10), strings.Repeat("</e>", 20)},
		{"unknown names", "<e>", "<unknown unheard='x'/>", "</e>"},
	} {
		for _, size := range []int{4 << 10, 64 << 10} {
			src := []byte(shape.open + strings.Repeat(shape.unit, (size-200)/len(shape.unit)) + shape.end)
			b.Run(shape.name+"/"+strconv.Itoa(size), func(b *testing.B) {
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					if _, err := soap.Scan(src, soap.Answer); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkRefuse shows what an attack costs; each is refused before its end.
func BenchmarkRefuse(b *testing.B) {
	for _, attack := range []struct{ name, src string }{
		{"open tags", strings.Repeat("<a>", 20000)},
		{"attributes", "<e" + numbered(" a%d=''", 6000) + "/>"},
		{"long name", "<" + strings.Repeat("n", 60<<10) + "/>"},
		{"entity bomb", "<!DOCTYPE e [<!ENTITY a '" + strings.Repeat("x", 60000) + "'>]><e>&a;</e>"},
	} {
		b.Run(attack.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := soap.Scan([]byte(attack.src), soap.Request); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// The budget of a 1.7 KB request is 10 allocations for all that is read of it,
// and none for scanning it in the tables of another.
func TestScanAllocations(t *testing.T) {
	src := []byte(rst)
	d := new(soap.Document)
	got := testing.AllocsPerRun(100, func() {
		if err := d.Scan(src, soap.Request); err != nil {
			t.Error(err)
		}
		d.Wipe()
	})
	if got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
