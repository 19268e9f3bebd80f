package wstrust_test

import (
	"fmt"
	"strings"
	"testing"

	"stsgate/gateway/soap"
)

// SIG-02: a signed message that was rearranged is refused, wherever the piece
// is put that the signature finds by its id, while another stands in its place
// (McIntosh and Austel, 2005). No signature of a request is verified here, so
// that it must not matter which of two pieces a reader takes.
func TestWrappings(t *testing.T) {
	const base = "rst-other/certificatemixed-13.xml"
	piece := func(open, end string) string { return cut(t, base, open, end)[0] }
	body, to, timestamp := piece("<s:Body>", "</s:Body>"), piece("<a:To ", "</a:To>"), piece("<u:Timestamp ", "</u:Timestamp>")
	rst := piece("<t:RequestSecurityToken ", "</t:RequestSecurityToken>")
	signed := strings.Replace(body, "<s:Body>", `<s:Body u:Id="_2">`, 1)
	other := strings.Replace(body, "payroll", "admin", 1)
	otherTime := strings.Replace(timestamp, ` u:Id="_0"`, "", 1)
	wrapper := func(s string) string { return `<x:Wrapper xmlns:x="urn:x">` + s + "</x:Wrapper>" }
	tolerated := func(s string) string {
		return `<p:AuthInfo xmlns:p="http://schemas.microsoft.com/Passport/SoapServices/PPCRL">` + s + "</p:AuthInfo>"
	}
	security := func(s string) string {
		return `<o:Security xmlns:o="` + soap.NSSecurity + `" s:role="urn:x">` + s + "</o:Security>"
	}
	object := func(s string) string { return "</SignedInfo><Object>" + s + "</Object>" }
	checkTaken(t, base, certificates, []edited{
		{"unchanged", nil, "accepted", ""},
		{"with a signed Body", []string{body, signed}, "accepted", ""},

		{"Body in a header block", []string{body, other, "</s:Header>", wrapper(signed) + "</s:Header>"}, "malformed", "Wrapper"},
		{"Body as a header block", []string{body, other, "</s:Header>", signed + "</s:Header>"}, "malformed", "Body"},
		{"Body in a block that is tolerated", []string{body, other, "</s:Header>", tolerated(signed) + "</s:Header>"}, "malformed", "AuthInfo"},
		{"Body in a second Security header", []string{body, other, "</s:Header>", security(signed) + "</s:Header>"}, "malformed", "Security"},
		{"Body in the Security header", []string{body, other, "</o:Security>", signed + "</o:Security>"}, "second credential", "Body"},
		{"Body in the signature", []string{body, other, "</SignedInfo>", object(signed)}, "malformed", "Body"},
		{"Body in the certificate", []string{body, other, "</o:BinarySecurityToken>", signed + "</o:BinarySecurityToken>"}, "XML-09", ""},
		{"Body in the Timestamp", []string{body, other, "</u:Timestamp>", signed + "</u:Timestamp>"}, "malformed", "Timestamp"},
		{"Body in To", []string{body, other, "</a:To>", signed + "</a:To>"}, "XML-09", ""},
		{"Body in ReplyTo", []string{body, other, "</a:ReplyTo>", signed + "</a:ReplyTo>"}, "malformed", "ReplyTo"},
		{"Body before the other", []string{body, signed + other}, "SOAP-06", "Envelope holds more"},
		{"Body behind the other", []string{body, other + signed}, "SOAP-06", "Envelope holds more"},
		{"Body before the Header", []string{body, other, "<s:Header>", signed + "<s:Header>"}, "SOAP-06", "Envelope holds more"},
		{"Body in the other", []string{body, strings.Replace(other, "</s:Body>", signed+"</s:Body>", 1)}, "SOAP-06", "second element"},
		{"Body in AppliesTo", []string{body, strings.Replace(other, "</p:AppliesTo>", signed+"</p:AppliesTo>", 1)}, "malformed", "AppliesTo"},
		{"request behind the other", []string{rst, strings.Replace(rst, "payroll", "admin", 1) + rst}, "SOAP-06", "second element"},
		{"request in the other", []string{rst, strings.Replace(rst, "</t:RequestSecurityToken>", rst+"</t:RequestSecurityToken>", 1)}, "malformed", "RequestSecurityToken"},

		{"To in a header block", []string{to, strings.Replace(to, ` u:Id="_1"`, "", 1) + wrapper(to)}, "malformed", "Wrapper"},
		{"To twice", []string{to, strings.Replace(to, ` u:Id="_1"`, "", 1) + to}, "malformed", "To"},
		{"To for another", []string{to, strings.Replace(to, "<a:To ", `<a:To s:role="urn:x" `, 1)}, "malformed", "role"},

		{"Timestamp in a header block", []string{timestamp, otherTime, "</s:Header>", wrapper(timestamp) + "</s:Header>"}, "malformed", "Wrapper"},
		{"Timestamp as a header block", []string{timestamp, otherTime, "</s:Header>", timestamp + "</s:Header>"}, "malformed", "Timestamp"},
		{"Timestamp beside the other", []string{timestamp, otherTime + timestamp}, "malformed", "Timestamp"},
		{"Timestamp in the Security header", []string{timestamp, otherTime + wrapper(timestamp)}, "second credential", "Wrapper"},
		{"Timestamp in the signature", []string{timestamp, otherTime, "</SignedInfo>", object(timestamp)}, "malformed", "Timestamp inside Object"},
		{"Timestamp in the Body", []string{timestamp, otherTime, "<s:Body>", "<s:Body>" + timestamp}, "SOAP-06", "second element"},
	})
}

// SIG-04; protocol.md, sections 13.3 and 13.6: an id stands once in a message,
// by whatever name and however it is written, since a reader finds by it what a
// signature is over.
func TestIDs(t *testing.T) {
	const base = "rst/wcf-13.xml"
	const rst = "<trust:RequestSecurityToken "
	check(t, base, []edited{
		{"another", []string{rst, rst + `Id="_1" `}, "accepted", "unread-header"},
		{"in other case", []string{`u:Id="_0"`, `u:Id="A"`, rst, rst + `Id="a" `}, "accepted", "unread-header"},
		{"the Timestamp's", []string{rst, rst + `u:Id="_0" `}, "SIG-04", "a second time"},
		{"without a prefix", []string{rst, rst + `Id="_0" `}, "SIG-04", "a second time"},
		{"as SAML 2.0 calls it", []string{rst, rst + `ID="_0" `}, "SIG-04", "a second time"},
		{"as SAML 1.1 calls it", []string{rst, rst + `AssertionID="_0" `}, "SIG-04", "a second time"},
		{"as HTML calls it", []string{rst, rst + `id="_0" `}, "SIG-04", "a second time"},
		{"by reference", []string{rst, rst + `Id="&#95;0" `}, "SIG-04", "a second time"},
		{"in one element", []string{rst, rst + `Id="x" ID="x" `}, "SIG-04", "a second time"},
		{"in what is not read", after("<s:Header>", `<p:AuthInfo xmlns:p="http://schemas.microsoft.com/Passport/SoapServices/PPCRL"><p:Cookies Id="_0"/></p:AuthInfo>`), "SIG-04", "a second time"},
		{"64 of them", after("<s:Header>", authInfo(62)), "accepted", "unread-header"},
		{"65 of them", after("<s:Header>", authInfo(63)), "DOS-03", "too many ids"},
	})
}

// authInfo is a header block that is not read, with so many ids.
func authInfo(ids int) string {
	var b strings.Builder
	b.WriteString(`<p:AuthInfo xmlns:p="http://schemas.microsoft.com/Passport/SoapServices/PPCRL">`)
	for i := range ids {
		fmt.Fprintf(&b, `<p:Cookies Id="c%d"/>`, i)
	}
	return b.String() + "</p:AuthInfo>"
}
