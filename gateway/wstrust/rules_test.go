package wstrust_test

import (
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

const (
	t13    = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	t2005  = "http://schemas.xmlsoap.org/ws/2005/02/trust"
	wsa    = "http://www.w3.org/2005/08/addressing"
	digest = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
	text   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
)

// An edited message is a good one with parts replaced.
type edited struct {
	name   string
	edits  []string // old, new, old, new ...
	want   string   // the verdict
	detail string   // what the error or the list of tolerances says
}

// check reads each edited message, where user names are taken.
func check(t *testing.T, base string, tests []edited) {
	t.Helper()
	checkTaken(t, base, wstrust.Takes{}, tests)
}

func checkTaken(t *testing.T, base string, takes wstrust.Takes, tests []edited) {
	t.Helper()
	body := string(testdata.Message(t, base))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := wstrust.ReadRequest(wstrust.Inbound{Body: []byte(edit(t, body, tt.edits...)), Now: clock, Takes: takes})
			if got := verdict(err); got != tt.want {
				t.Fatalf("got %s (%v), want %s", got, err, tt.want)
			}
			if err == nil {
				if got := tolerated(r); got != tt.detail {
					t.Errorf("got tolerances %q, want %q", got, tt.detail)
				}
				return
			}
			if !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("got %q, want it to say %q", err, tt.detail)
			}
			if strings.Contains(err.Error(), "Str0ng") || strings.Contains(err.Error(), "alice") {
				t.Errorf("the error quotes the credential: %q", err)
			}
		})
	}
}

// after inserts what follows old.
func after(old, inserted string) []string { return []string{old, old + inserted} }

// drop removes old.
func drop(old string) []string { return []string{old, ""} }

// cut removes the first part of the message from open to end.
func cut(t *testing.T, base, open, end string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(string(testdata.Message(t, base)), open)
	part, _, found := strings.Cut(rest, end)
	if !ok || !found {
		t.Fatalf("the message has no part from %q to %q", open, end)
	}
	return drop(open + part + end)
}

func TestEnvelope(t *testing.T) { // SOAP-06, protocol.md A1
	const base = "rst/wcf-13.xml"
	check(t, base, []edited{
		{"unchanged", nil, "accepted", "unread-header"},
		{"2004/04 trust", []string{`xmlns:trust="` + t13, `xmlns:trust="http://schemas.xmlsoap.org/ws/2004/04/trust`}, "wrong version", "2004/04/trust"},
		{"no namespace in Body", []string{"<trust:RequestSecurityToken ", "<RequestSecurityToken ", "</trust:RequestSecurityToken>", "</RequestSecurityToken>"}, "wrong version", "SOAP-06"},
		{"old SOAP", []string{"http://www.w3.org/2003/05/soap-envelope", "http://www.w3.org/2001/12/soap-envelope"}, "wrong version", "SOAP-06"},
		{"collection", []string{"<trust:RequestSecurityToken ", "<trust:RequestSecurityTokenCollection ", "</trust:RequestSecurityToken>", "</trust:RequestSecurityTokenCollection>"}, "unsupported", "RequestSecurityTokenCollection"},
		{"response", []string{"<trust:RequestSecurityToken ", "<trust:RequestSecurityTokenResponse ", "</trust:RequestSecurityToken>", "</trust:RequestSecurityTokenResponse>"}, "unsupported", "RequestSecurityTokenResponse"},
		{"second child of Body", []string{"</s:Body>", `<x xmlns="urn:x"/></s:Body>`}, "SOAP-06", "second element"},
		{"encodingStyle", []string{"<trust:RequestSecurityToken ", `<trust:RequestSecurityToken s:encodingStyle="urn:x" `}, "SOAP-06", "encodingStyle"},
		{"nested request", after("</trust:RequestType>", "<trust:RequestSecurityToken/>"), "malformed", "RequestSecurityToken in RequestSecurityToken"},
		{"slash", []string{`xmlns:trust="` + t13, `xmlns:trust="` + t13 + "/"}, "accepted", "unread-header trust-namespace-slash"},
		{"child with slash in one without", []string{"<trust:TokenType>", `<trust:TokenType xmlns:trust="` + t13 + `/">`}, "malformed", "TokenType"},
		{"comment between elements", after("<s:Body>", "<!-- here -->"), "accepted", "unread-header comment"},
		{"comment in a value", after("<o:Username>", "<!-- here -->"), "XML-09", "comment"},
		{"text between elements", after("<s:Body>", "here"), "SOAP-06", "text"},
		{"text in the RST", after("</trust:RequestType>", "here"), "malformed", "text beside"},
	})
}

func TestInbound(t *testing.T) { // SOAP-01, SOAP-03, SOAP-06
	issue := wstrust.V13.Action()
	type said struct {
		soap    soap.Version
		version wstrust.Version
		actions []string
		media   string
	}
	tests := []struct {
		name, base string
		in         said
		want       string
		tolerated  string
	}{
		{"nothing", "wcf-13", said{}, "accepted", "unread-header"},
		{"SOAP 1.2", "wcf-13", said{soap: soap.V12}, "accepted", "unread-header"},
		{"text/xml around SOAP 1.2", "wcf-13", said{soap: soap.V11}, "wrong version", ""},
		{"application/soap+xml around SOAP 1.1", "zeep-soap11-13", said{soap: soap.V12}, "wrong version", ""},
		{"1.3 to the 2005 endpoint", "wcf-13", said{version: wstrust.V2005}, "wrong version", ""},
		{"2005 to the 1.3 endpoint", "wcf-2005", said{version: wstrust.V13}, "wrong version", ""},

		{"1.2: action", "wcf-13", said{media: issue}, "accepted", "unread-header"},
		{"1.2: other action", "wcf-13", said{media: t13 + "/RST/Cancel"}, "malformed", ""},
		{"1.2: action of 2005", "wcf-13", said{media: t2005 + "/RST/Issue"}, "malformed", ""},
		{"1.2: encoded action", "wcf-13", said{media: t13 + "/RST/%49ssue"}, "malformed", ""},
		{"1.2: SOAPAction", "wcf-13", said{actions: []string{issue}}, "accepted", "unread-header"},
		{"1.2: quoted SOAPAction", "wcf-13", said{actions: []string{`"` + issue + `"`}}, "accepted", "unread-header"},
		{"1.2: SOAPAction Cancel", "wcf-13", said{actions: []string{t13 + "/RST/Cancel"}}, "malformed", ""},
		{"1.2: SOAPAction of 2005", "wcf-13", said{actions: []string{t2005 + "/RST/Issue"}}, "malformed", ""},
		{"1.2: SOAPAction of 2004", "wcf-13", said{actions: []string{"http://schemas.xmlsoap.org/ws/2004/04/security/trust/RST/Issue"}}, "malformed", ""},
		{"1.2: encoded SOAPAction", "wcf-13", said{actions: []string{t13 + "/RST/%49ssue"}}, "malformed", ""},
		{"1.2: two SOAPActions", "wcf-13", said{actions: []string{issue, issue}}, "malformed", ""},
		{"1.2: SOAPAction with a blank", "wcf-13", said{actions: []string{`" ` + issue + `"`}}, "malformed", ""},
		{"1.2: SOAPAction with quotes inside", "wcf-13", said{actions: []string{`""` + issue + `""`}}, "malformed", ""},
		{"1.2: empty SOAPAction", "wcf-13", said{actions: []string{`""`}}, "accepted", "unread-header"},
		{"1.2: a URL as SOAPAction", "wcf-13", said{actions: []string{"https://sts.contoso.example/"}}, "accepted", "soapaction-ignored unread-header"},

		{"1.1: SOAPAction", "zeep-soap11-13", said{soap: soap.V11, actions: []string{`"` + issue + `"`}}, "accepted", ""},
		{"1.1: empty SOAPAction", "zeep-soap11-13", said{soap: soap.V11, actions: []string{`""`}}, "accepted", ""},
		{"1.1: no SOAPAction", "zeep-soap11-13", said{soap: soap.V11}, "accepted", ""},
		{"1.1: other SOAPAction", "zeep-soap11-13", said{soap: soap.V11, actions: []string{"urn:x"}}, "malformed", ""},
		{"1.1: To as SOAPAction", "zeep-soap11-13", said{soap: soap.V11, actions: []string{"https://sts.contoso.example/adfs/services/trust/13/usernamemixed"}}, "accepted", "soapaction-ignored"},
		{"1.1: action", "zeep-soap11-13", said{soap: soap.V11, media: "urn:x"}, "malformed", ""},
		{"1.1 without addressing: SOAPAction", "govmomi-soap11-13", said{soap: soap.V11, actions: []string{issue}}, "accepted", "no-addressing"},
		{"1.1 without addressing: SOAPAction Renew", "govmomi-soap11-13", said{soap: soap.V11, actions: []string{t13 + "/RST/Renew"}}, "malformed", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := wstrust.ReadRequest(wstrust.Inbound{
				Body: testdata.Message(t, "rst/"+tt.base+".xml"), Now: clock,
				SOAP: tt.in.soap, Version: tt.in.version, SOAPAction: tt.in.actions, MediaAction: tt.in.media,
			})
			if got := verdict(err); got != tt.want {
				t.Fatalf("got %s (%v), want %s", got, err, tt.want)
			}
			if err == nil && tolerated(r) != tt.tolerated {
				t.Errorf("got tolerances %q, want %q", tolerated(r), tt.tolerated)
			}
		})
	}
}

func TestAddressing(t *testing.T) { // SOAP-03, SOAP-04
	const base = "rst/msal-net-13.xml"
	const action = `<wsa:Action s:mustUnderstand="1">` + t13 + `/RST/Issue</wsa:Action>`
	replyTo := cut(t, base, "<wsa:ReplyTo>", "</wsa:ReplyTo>")
	to := cut(t, base, "<wsa:To ", "</wsa:To>")
	check(t, base, []edited{
		{"Action Cancel", []string{"/RST/Issue<", "/RST/Cancel<"}, "malformed", "SOAP-03"},
		{"Action of 2005", []string{t13 + "/RST/Issue", t2005 + "/RST/Issue"}, "malformed", "SOAP-03"},
		{"padded Action", []string{"/RST/Issue<", "/RST/Issue\n <"}, "accepted", "padded-uri"},
		{"no Action", drop(action), "accepted", "no-addressing"},
		{"two Actions", after(action, action), "malformed", "Action is there twice"},
		{"empty Action", []string{t13 + "/RST/Issue<", "<"}, "malformed", "Action is empty"},
		{"no To", to, "accepted", "no-addressing"},
		{"two Tos", []string{to[0], to[0] + to[0]}, "malformed", "To is there twice"},
		{"To elsewhere is judged later", []string{"https://sts.contoso.example/", "https://elsewhere.example/"}, "accepted", ""},
		{"no ReplyTo", replyTo, "accepted", ""},
		{"two ReplyTos", []string{replyTo[0], replyTo[0] + replyTo[0]}, "malformed", "ReplyTo is there twice"},
		{"ReplyTo elsewhere", []string{wsa + "/anonymous", "https://evil.example/"}, "malformed", "anonymous"},
		{"ReplyTo without Address", []string{"<wsa:Address>" + wsa + "/anonymous</wsa:Address>", ""}, "malformed", "anonymous"},
		{"ReplyTo with parameters", after("/anonymous</wsa:Address>", "<wsa:ReferenceParameters/>"), "malformed", "ReferenceParameters in ReplyTo"},
		{"FaultTo", after(action, "<wsa:FaultTo><wsa:Address>https://evil.example/</wsa:Address></wsa:FaultTo>"), "malformed", "FaultTo"},
		{"From", after(action, "<wsa:From/>"), "malformed", "From"},
		{"RelatesTo", after(action, "<wsa:RelatesTo>urn:x</wsa:RelatesTo>"), "malformed", "RelatesTo"},
		{"no MessageID", cut(t, base, "<wsa:MessageID>", "</wsa:MessageID>"), "accepted", ""},
		{"padded MessageID", []string{"<wsa:MessageID>", "<wsa:MessageID>\n"}, "accepted", ""},
		{"MessageID of 256 bytes", []string{"urn:uuid:0f0c6b1e-5d0a-4b7c-9a55-6d1f6a2b7c10", strings.Repeat("i", 256)}, "accepted", ""},
		{"MessageID of 257 bytes", []string{"urn:uuid:0f0c6b1e-5d0a-4b7c-9a55-6d1f6a2b7c10", strings.Repeat("i", 257)}, "malformed", "256"},
		{"MessageID with a child", after("<wsa:MessageID>", "<x/>"), "XML-09", ""},
		{"messageID", []string{"<wsa:MessageID>", "<wsa:messageID>", "</wsa:MessageID>", "</wsa:messageID>"}, "accepted", "messageid-spelling"},
		{"MessageId", []string{"<wsa:MessageID>", "<wsa:MessageId>", "</wsa:MessageID>", "</wsa:MessageId>"}, "accepted", "messageid-spelling"},
		{"messageID beside MessageID", after(action, "<wsa:messageID>urn:x</wsa:messageID>"), "malformed", "beside MessageID"},
		{"messageID and MessageId", []string{"<wsa:MessageID>", "<wsa:messageID>x</wsa:messageID><wsa:MessageId>", "</wsa:MessageID>", "</wsa:MessageId>"}, "malformed", "two misspelt"},
		{"messageID that must be understood", []string{"<wsa:MessageID>", `<wsa:messageID s:mustUnderstand="1">`, "</wsa:MessageID>", "</wsa:messageID>"}, "malformed", "must be understood"},
		{"two addressing namespaces", []string{"<wsa:To ", `<wsa:To xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" `}, "malformed", "two addressing namespaces"},
		{"addressing of 2004", []string{
			`xmlns:wsa="` + wsa + `"`, `xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"`,
			wsa + "/anonymous", "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous",
		}, "accepted", "addressing-2004"},
	})
}

func TestHeaderBlocks(t *testing.T) { // SOAP-05
	const base = "rst/wcf-13.xml"
	const header = "<s:Header>"
	authInfo := func(content string) []string {
		return after(header, `<ps:AuthInfo xmlns:ps="http://schemas.microsoft.com/LiveID/SoapServices/v1">`+content+`</ps:AuthInfo>`)
	}
	check(t, base, []edited{
		{"unknown block", after(header, `<x xmlns="urn:evil"/>`), "malformed", `x in namespace "urn:evil"`},
		{"long namespace", after(header, `<x xmlns="urn:`+strings.Repeat("n", 3000)+`"/>`), "malformed", `nnn..."`},
		{"long name", after(header, `<`+strings.Repeat("n", 3000)+` xmlns="urn:x"/>`), "malformed", `nnn... in namespace "urn:x"`},
		{"look-alike Security", after(header, `<Security xmlns="http://schemas.xmlsoap.org/ws/2003/06/secext"/>`), "malformed", "not known"},
		{"role", []string{"<o:Security ", `<o:Security s:role="urn:x" `}, "malformed", "role"},
		{"actor of SOAP 1.1", []string{"<o:Security ", `<o:Security xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" e:actor="urn:x" `}, "malformed", "actor"},
		{"relay", []string{"<a:To ", `<a:To s:relay="true" `}, "malformed", "relay"},
		{"mustUnderstand true", []string{`<o:Security s:mustUnderstand="1"`, `<o:Security s:mustUnderstand="true"`}, "accepted", "unread-header"},
		{"mustUnderstand 0", []string{`<o:Security s:mustUnderstand="1"`, `<o:Security s:mustUnderstand="0"`}, "accepted", "unread-header"},
		{"mustUnderstand yes", []string{`<o:Security s:mustUnderstand="1"`, `<o:Security s:mustUnderstand="yes"`}, "malformed", "not a boolean"},
		{"ActivityId twice", after(header, `<ActivityId xmlns="http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics"/>`), "malformed", "twice"},
		{"ActivityId with a child", []string{">c0a8e8f2", "><x/>c0a8e8f2"}, "XML-09", ""},
		{"ActivityId must be understood", []string{"<ActivityId ", `<ActivityId s:mustUnderstand="1" `}, "malformed", "must be understood"},
		{"AuthInfo", authInfo("<ps:Cookies/>"), "accepted", "unread-header"},
		{"AuthInfo with Security", authInfo(`<ps:Cookies><o:Security xmlns:o="` + soap.NSSecurity + `"/></ps:Cookies>`), "malformed", "Security inside Cookies"},
		{"AuthInfo with a user of WSSE 1.1", authInfo(`<UsernameToken xmlns="http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"/>`), "malformed", "UsernameToken"},
		{"AuthInfo with a user of 2002", authInfo(`<UsernameToken xmlns="http://schemas.xmlsoap.org/ws/2002/04/secext"/>`), "malformed", "UsernameToken"},
		{"AuthInfo with a user of 2003", authInfo(`<UsernameToken xmlns="http://schemas.xmlsoap.org/ws/2003/06/secext"/>`), "malformed", "UsernameToken"},
		{"AuthInfo with a request of 2004", authInfo(`<RequestSecurityToken xmlns="http://schemas.xmlsoap.org/ws/2004/04/trust"/>`), "malformed", "RequestSecurityToken"},
		{"AuthInfo with a policy of 2002", authInfo(`<AppliesTo xmlns="http://schemas.xmlsoap.org/ws/2002/12/policy"/>`), "malformed", "AppliesTo"},
		{"AuthInfo with a request", authInfo(`<RequestSecurityToken xmlns="` + t2005 + `"/>`), "malformed", "RequestSecurityToken inside AuthInfo"},
		{"two Security headers", after(header, `<o:Security xmlns:o="`+soap.NSSecurity+`"/>`), "malformed", "Security is there twice"},
		{"text in the header", after(header, "x"), "SOAP-06", "text"},
	})
	trace := func(content string) []string { return after(header, `<Trace xmlns="urn:proxy">`+content+"</Trace>") }
	checkTaken(t, base, wstrust.Takes{Pass: []soap.Name{{Space: "urn:proxy", Local: "Trace"}, {Space: soap.NSUtility, Local: "Timestamp"}}}, []edited{
		{"passed", trace("a<b xmlns='urn:b'>c</b>"), "accepted", "unread-header"},
		{"passed, of another namespace", after(header, `<Trace xmlns="urn:proxies"/>`), "malformed", "not known"},
		{"passed, of another name", after(header, `<trace xmlns="urn:proxy"/>`), "malformed", "not known"},
		{"passed, and must be understood", after(header, `<Trace xmlns="urn:proxy" s:mustUnderstand="1"/>`), "malformed", "must be understood"},
		{"passed, for another", after(header, `<Trace xmlns="urn:proxy" s:role="urn:x"/>`), "malformed", "role"},
		{"passed, twice", append(trace(""), trace("")...), "malformed", "is there twice"},
		{"passed, with a user", trace(`<o:UsernameToken xmlns:o="` + soap.NSSecurity + `"/>`), "malformed", "UsernameToken inside Trace"},
		{"passed, with ciphertext", trace(`<EncryptedData xmlns="` + xenc + `"/>`), "malformed", "EncryptedData"},
		{"a part of a request", after(header, `<Timestamp xmlns="`+soap.NSUtility+`"/>`), "malformed", "not known"},
	})
}
