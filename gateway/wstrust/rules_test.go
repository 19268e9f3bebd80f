package wstrust_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

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

// check reads each edited message.
func check(t *testing.T, base string, tests []edited) {
	t.Helper()
	body := string(testdata.Message(t, base))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := read(edit(t, body, tt.edits...))
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
		{"AuthInfo with a request", authInfo(`<RequestSecurityToken xmlns="` + t2005 + `"/>`), "malformed", "RequestSecurityToken inside AuthInfo"},
		{"two Security headers", after(header, `<o:Security xmlns:o="`+soap.NSSecurity+`"/>`), "malformed", "Security is there twice"},
		{"text in the header", after(header, "x"), "SOAP-06", "text"},
	})
}

func TestCredential(t *testing.T) { // SOAP-07, SOAP-12
	const base = "rst/wcf-13.xml"
	const user = `<o:Username>CONTOSO\alice</o:Username>`
	const password = `<o:Password Type="` + text + `">Str0ng&amp;&lt;password&gt;</o:Password>`
	const end = "</o:UsernameToken>"
	token := cut(t, base, "<o:UsernameToken ", end)
	security := cut(t, base, "<o:Security ", "</o:Security>")
	check(t, base, []edited{
		{"no Security", security, "unsupported credential", "no Security header"},
		{"no Header", cut(t, base, "<s:Header>", "</s:Header>"), "unsupported credential", "no Security header"},
		{"no UsernameToken", token, "unsupported credential", "no UsernameToken"},
		{"certificate only", []string{token[0], "<o:BinarySecurityToken/>"}, "unsupported credential", "BinarySecurityToken instead"},
		{"SAML only", []string{token[0], `<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"/>`}, "unsupported credential", "Assertion"},
		{"certificate beside", after(end, "<o:BinarySecurityToken/>"), "second credential", "BinarySecurityToken beside"},
		{"signature beside", after(end, `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>`), "second credential", "Signature"},
		{"SAML beside", after(end, `<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion"/>`), "second credential", "Assertion"},
		{"encrypted beside", after(end, `<EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#"/>`), "second credential", "EncryptedData"},
		{"second UsernameToken", after(end, token[0]), "second credential", "UsernameToken"},
		{"unknown beside", after(end, `<x xmlns="urn:x"/>`), "second credential", "urn:x"},
		{"text in Security", after(end, "x"), "malformed", "text"},
		{"two Usernames", after(user, user), "malformed", "Username is there twice"},
		{"two Passwords", after(password, password), "malformed", "Password is there twice"},
		{"Password before Username", []string{user + password, password + user}, "accepted", "unread-header"},
		{"Nonce and Created", after(password, "<o:Nonce>AAAA</o:Nonce><u:Created>2026-03-02T08:00:00Z</u:Created>"), "accepted", "unread-header"},
		{"two Nonces", after(password, "<o:Nonce>AAAA</o:Nonce><o:Nonce>BBBB</o:Nonce>"), "malformed", "Nonce is there twice"},
		{"Nonce with a child", after(password, "<o:Nonce><x/></o:Nonce>"), "XML-09", ""},
		{"Salt", after(password, "<o:Salt>AAAA</o:Salt>"), "malformed", "Salt"},
		{"Username of another namespace", []string{user, `<Username xmlns="urn:evil">alice</Username>`}, "malformed", "urn:evil"},
		{"child in Username", []string{`CONTOSO\alice`, "al<b/>ice"}, "XML-09", ""},
		{"child in Password", []string{"Str0ng", "Str<b/>0ng"}, "XML-09", ""},
		{"no Username", drop(user), "unsupported credential", "without Username"},
		{"no Password", drop(password), "unsupported credential", "without Username and Password"},
		{"empty Username", []string{`CONTOSO\alice`, ""}, "unsupported credential", "empty"},
		{"empty Password", []string{"Str0ng&amp;&lt;password&gt;", ""}, "unsupported credential", "empty"},
		{"digest", []string{text, digest}, "unsupported credential", "digest"},
		{"no Type", []string{` Type="` + text + `"`, ""}, "accepted", "unread-header"},
		{"another Type", []string{text, "urn:x"}, "unsupported credential", "Type"},
		{"namespaced Type", []string{" Type=", " o:Type="}, "accepted", "unread-header namespaced-password-type"},
		{"namespaced digest", []string{` Type="` + text, ` o:Type="` + digest}, "unsupported credential", "digest"},
		{"both Types", []string{" Type=", ` o:Type="` + text + `" Type=`}, "malformed", "two Types"},
		{"plain Type hides a digest", []string{" Type=", ` o:Type="` + digest + `" Type=`}, "unsupported credential", "digest"},
		{"attribute of no meaning", []string{"<o:UsernameToken u:Id", "<o:UsernameToken u:u"}, "accepted", "unread-header"},
	})

	r, err := read(edit(t, string(testdata.Message(t, base)), `CONTOSO\alice`, " A\u00e4&#x20;\r\n", "Str0ng", " \t "))
	if err != nil {
		t.Fatal(err)
	}
	if want := " Aä \n"; r.Username != want {
		t.Errorf("got user %q, want %q: nothing is trimmed", r.Username, want)
	}
	if got, want := string(r.Password.Bytes()), " \t &<password>"; got != want {
		t.Errorf("got password %q, want %q: nothing is trimmed", got, want)
	}
	if got := fmt.Sprintf("%v %+v %#v %s", r.Password, *r, r.Password, r.Password); strings.Contains(got, "password>") {
		t.Errorf("a printed request shows the password: %s", got)
	}
}

func TestTimestamp(t *testing.T) { // SOAP-08
	const base = "rst/wcf-13.xml"
	const created, expires = "2026-03-02T08:00:00.123Z", "2026-03-02T08:05:00.123Z"
	timestamp := cut(t, base, "<u:Timestamp ", "</u:Timestamp>")
	all := `<u:Created>` + created + `</u:Created><u:Expires>` + expires + `</u:Expires>`
	check(t, base, []edited{
		{"none", timestamp, "accepted", "no-timestamp unread-header"},
		{"two", []string{timestamp[0], timestamp[0] + timestamp[0]}, "malformed", "two Timestamps"},
		{"behind the token", []string{timestamp[0], "", "</o:UsernameToken>", "</o:UsernameToken>" + timestamp[0]}, "accepted", "unread-header"},
		{"no Expires", []string{all, `<u:Created>` + created + `</u:Created>`}, "accepted", "unread-header"},
		{"no Created", []string{all, `<u:Expires>` + expires + `</u:Expires>`}, "malformed", "without Created"},
		{"empty", []string{all, ""}, "malformed", "without Created"},
		{"Expires first", []string{all, `<u:Expires>` + expires + `</u:Expires><u:Created>` + created + `</u:Created>`}, "malformed", "Created in Timestamp"},
		{"two Created", []string{all, `<u:Created>` + created + `</u:Created>` + all}, "malformed", "Created is there twice"},
		{"another child", []string{all, all + "<u:x/>"}, "malformed", "x in Timestamp"},
		{"Expires before Created", []string{expires, "2026-03-02T08:00:00.122Z"}, "malformed", "expires before"},
		{"Expires far away", []string{expires, "2026-03-12T08:00:00Z"}, "accepted", "unread-header"},
		{"zone +00:00", []string{created, "2026-03-02T08:00:00+00:00"}, "accepted", "unread-header"},
		{"zone +05:45", []string{created, "2026-03-02T13:45:00+05:45"}, "accepted", "unread-header"},
		{"nine digits", []string{created, "2026-03-02T08:00:00.123456789Z"}, "accepted", "unread-header"},
		{"ten digits", []string{created, "2026-03-02T08:00:00.1234567890Z"}, "malformed", "not a time"},
		{"no zone", []string{created, "2026-03-02T08:00:00"}, "malformed", "not a time"},
		{"comma", []string{created, "2026-03-02T08:00:00,123Z"}, "malformed", "not a time"},
		{"one digit of the hour", []string{created, "2026-03-02T8:00:00Z"}, "malformed", "not a time"},
		{"no digit behind the point", []string{created, "2026-03-02T08:00:00.Z"}, "malformed", "not a time"},
		{"zone without colon", []string{created, "2026-03-02T08:00:00+0000"}, "malformed", "not a time"},
		{"zone of 24 hours", []string{created, "2026-03-02T08:00:00+24:00"}, "malformed", "not a time"},
		{"no such day", []string{created, "2026-02-30T08:00:00Z"}, "malformed", "not a time"},
		{"two zones", []string{created, "2026-03-02T08:00:00ZZ"}, "malformed", "not a time"},
		{"leap second", []string{created, "2026-03-02T08:00:60Z"}, "malformed", "not a time"},
		{"blank", []string{created, " " + created}, "malformed", "not a time"},
		{"lower case", []string{created, "2026-03-02t08:00:00z"}, "malformed", "not a time"},
	})

	body := testdata.Message(t, base)
	at := func(s string) time.Time { parsed, _ := time.Parse(time.RFC3339Nano, s); return parsed }
	for _, tt := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"a little less than 5 min ahead", at(created).Add(-5*time.Minute + time.Millisecond), "accepted"},
		{"5 min ahead", at(created).Add(-5 * time.Minute), "expired"},
		{"a little less than 10 min old", at(created).Add(10*time.Minute - time.Millisecond), "accepted"},
		{"10 min old", at(created).Add(10 * time.Minute), "expired"},
		{"no clock", time.Time{}, "expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := wstrust.ReadRequest(wstrust.Inbound{Body: body, Now: tt.now})
			if got := verdict(err); got != tt.want {
				t.Fatalf("got %s (%v), want %s", got, err, tt.want)
			}
			if err != nil && !(strings.Contains(err.Error(), "2026-03-02T08:00:00Z") && strings.Contains(err.Error(), tt.now.Format(time.RFC3339))) {
				t.Errorf("got %q, want both clocks in it", err)
			}
		})
	}
	short := edit(t, string(body), expires, "2026-03-02T08:01:00Z")
	_, err := wstrust.ReadRequest(wstrust.Inbound{Body: []byte(short), Now: at("2026-03-02T08:06:00Z")})
	if verdict(err) != "expired" || !strings.Contains(err.Error(), "expires 2026-03-02T08:01:00Z") {
		t.Errorf("got %v, want the expiry refused 5 min after it", err)
	}
}

func TestRequestSecurityToken(t *testing.T) { // SOAP-10
	const base = "rst/wcf-13.xml"
	const verb = "<trust:RequestType>" + t13 + "/Issue</trust:RequestType>"
	const address = "<wsa:Address>https://payroll.contoso.example/</wsa:Address>"
	appliesTo := cut(t, base, "<wsp:AppliesTo ", "</wsp:AppliesTo>")
	add := func(element string) []string { return after(verb, element) }
	const ok = "unread-header"
	tests := []edited{
		{"no RequestType", drop(verb), "malformed", "no RequestType"},
		{"two RequestTypes", add(verb), "malformed", "RequestType is there twice"},
		{"Renew", []string{t13 + "/Issue<", t13 + "/Renew<"}, "unsupported", "not Issue"},
		{"Issue of 2005", []string{t13 + "/Issue<", t2005 + "/Issue<"}, "malformed", "not of the version"},
		{"padded RequestType", []string{t13 + "/Issue<", "\n" + t13 + "/Issue <"}, "accepted", "unread-header padded-uri"},
		{"empty TokenType", []string{"urn:oasis:names:tc:SAML:2.0:assertion", ""}, "malformed", "TokenType is empty"},
		{"two TokenTypes", add("<trust:TokenType>urn:x</trust:TokenType>"), "malformed", "TokenType is there twice"},
		{"no AppliesTo", appliesTo, "accepted", ok},
		{"two AppliesTo", []string{appliesTo[0], appliesTo[0] + appliesTo[0]}, "malformed", "AppliesTo is there twice"},
		{"AppliesTo of both policies", []string{appliesTo[0], appliesTo[0] + strings.Replace(appliesTo[0], wstrust.NSPolicy, "http://www.w3.org/ns/ws-policy", 1)}, "malformed", "two AppliesTo"},
		{"AppliesTo of policy 1.5", []string{wstrust.NSPolicy, "http://www.w3.org/ns/ws-policy"}, "accepted", "unread-header policy-1.5"},
		{"AppliesTo in 2004 addressing", []string{`<wsa:EndpointReference xmlns:wsa="` + wsa, `<wsa:EndpointReference xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing`}, "accepted", ok},
		{"empty AppliesTo", []string{appliesTo[0], `<wsp:AppliesTo xmlns:wsp="` + wstrust.NSPolicy + `"/>`}, "malformed", "without an EndpointReference"},
		{"two Addresses", after(address, address), "malformed", "Address is there twice"},
		{"no Address", drop(address), "malformed", "absolute"},
		{"relative Address", []string{"https://payroll.contoso.example/<", "payroll<"}, "malformed", "absolute"},
		{"Address with a blank", []string{"https://payroll.contoso.example/<", "https://payroll contoso<"}, "malformed", "absolute"},
		{"padded Address", []string{address, strings.ReplaceAll(address, "https", "\r\n https")}, "accepted", "unread-header padded-uri"},
		{"Address of 2048 bytes", []string{"https://payroll.contoso.example/<", "urn:" + strings.Repeat("x", 2044) + "<"}, "accepted", ok},
		{"Address of 2049 bytes", []string{"https://payroll.contoso.example/<", "urn:" + strings.Repeat("x", 2045) + "<"}, "malformed", "2048"},
		{"Address with Identity", after(address, `<Identity xmlns="http://schemas.xmlsoap.org/ws/2006/02/addressingidentity"><Spn>x</Spn></Identity>`), "accepted", ok},
		{"parameters with a second policy", after(address, `<wsa:ReferenceParameters>`+appliesTo[0]+`</wsa:ReferenceParameters>`), "malformed", "AppliesTo inside ReferenceParameters"},
		{"unknown beside Address", after(address, `<x xmlns="urn:x"/>`), "malformed", "urn:x"},
		{"KeySize 0", add("<trust:KeySize>0</trust:KeySize>"), "accepted", ok},
		{"KeySize with a child", add("<trust:KeySize><x/></trust:KeySize>"), "XML-09", ""},
		{"Renewing", add(`<trust:Renewing Allow="true" OK="false"/>`), "accepted", ok},
		{"Renewing OK", add(`<trust:Renewing OK="true"/>`), "unsupported", "Renewing with OK"},
		{"Renewing OK 1", add(`<trust:Renewing OK="1"/>`), "unsupported", "Renewing with OK"},
		{"AllowPostdating", add("<trust:AllowPostdating/>"), "accepted", ok},
		{"Delegatable and Forwardable", add("<trust:Delegatable>true</trust:Delegatable><trust:Forwardable>false</trust:Forwardable>"), "accepted", ok},
		{"wishes about algorithms", add("<trust:SignatureAlgorithm>urn:a</trust:SignatureAlgorithm><trust:EncryptWith>urn:a</trust:EncryptWith><trust:KeyWrapAlgorithm>urn:a</trust:KeyWrapAlgorithm>"), "accepted", ok},
		{"Entropy", add("<trust:Entropy><trust:BinarySecret>AAAA</trust:BinarySecret></trust:Entropy>"), "accepted", ok},
		{"encrypted Entropy", add(`<trust:Entropy><EncryptedKey xmlns="http://www.w3.org/2001/04/xmlenc#"/></trust:Entropy>`), "malformed", "EncryptedKey"},
		{"Lifetime with text", add("<trust:Lifetime>x</trust:Lifetime>"), "malformed", "text beside"},
		{"Lifetime that ends before it begins", add("<trust:Lifetime><u:Created>2026-03-02T09:00:00Z</u:Created><u:Expires>2026-03-02T08:00:00Z</u:Expires></trust:Lifetime>"), "malformed", "expires before"},
		{"RequestDisplayToken", add(`<i:RequestDisplayToken xmlns:i="http://schemas.xmlsoap.org/ws/2005/05/identity"/>`), "accepted", ok},
		{"PolicyReference", add(`<p:PolicyReference xmlns:p="` + wstrust.NSPolicy + `" URI="MBI"/>`), "accepted", "unread-header policy-reference"},
		{"Policy", add(`<p:Policy xmlns:p="` + wstrust.NSPolicy + `"/>`), "unsupported", "Policy"},
		{"ActAs", add(`<w:ActAs xmlns:w="http://docs.oasis-open.org/ws-sx/ws-trust/200802"/>`), "unsupported", "ActAs"},
		{"ActAs of the wrong version", add("<trust:ActAs/>"), "malformed", "ActAs"},
		{"AdditionalContext", add(`<a:AdditionalContext xmlns:a="http://docs.oasis-open.org/wsfed/authorization/200706"/>`), "unsupported", "AdditionalContext"},
		{"InteractiveChallenge", add(`<w:InteractiveChallenge xmlns:w="http://docs.oasis-open.org/ws-sx/ws-trust/200802"/>`), "malformed", "InteractiveChallenge"},
		{"child of 2005", add(`<w:KeySize xmlns:w="` + t2005 + `">0</w:KeySize>`), "malformed", "KeySize"},
		{"child of no namespace", add(`<KeySize>0</KeySize>`), "malformed", "KeySize"},
		{"Context of 256 bytes", []string{"<trust:RequestSecurityToken ", `<trust:RequestSecurityToken Context="` + strings.Repeat("c", 256) + `" `}, "accepted", ok},
		{"Context of 257 bytes", []string{"<trust:RequestSecurityToken ", `<trust:RequestSecurityToken Context="` + strings.Repeat("c", 257) + `" `}, "malformed", "Context"},
	}
	for _, name := range []string{
		"OnBehalfOf", "DelegateTo", "UseKey", "Participants", "Claims", "SecondaryParameters", "Issuer",
		"Encryption", "ProofEncryption", "BinaryExchange", "RenewTarget", "CancelTarget", "ValidateTarget",
	} {
		tests = append(tests, edited{name, add("<trust:" + name + "/>"), "unsupported", name})
	}
	check(t, base, tests)
}

func TestReadAsSpelled(t *testing.T) { // SOAP-10: facts that policy decides on
	body := string(testdata.Message(t, "rst/wcf-13.xml"))
	keyType := "<trust:KeyType>" + t13 + "/Bearer</trust:KeyType>"

	r, err := read(edit(t, body, keyType, ""))
	if err != nil || r.KeyType != "" || r.Bearer() {
		t.Errorf("no KeyType: got %+v, %v, want a request that is not for a bearer token", r, err)
	}
	r, err = read(edit(t, body, t13+"/Bearer", "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey"))
	if err != nil || r.Bearer() {
		t.Errorf("NoProofKey in 1.3: got %v, %v, want a request that is not for a bearer token", r, err)
	}
	r, err = read(edit(t, body, "urn:oasis:names:tc:SAML:2.0:assertion", "urn:ietf:params:oauth:token-type:jwt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.TokenKind(); ok || r.TokenType != "urn:ietf:params:oauth:token-type:jwt" {
		t.Errorf("got TokenType %q as a kind that can be issued", r.TokenType)
	}
	r, err = read(edit(t, body, "<trust:RequestSecurityToken ", `<trust:RequestSecurityToken Context="a &amp; b" `,
		keyType, keyType+"<trust:Lifetime><u:Created>2026-03-02T08:00:00Z</u:Created><u:Expires>2026-03-02T10:00:00+01:00</u:Expires></trust:Lifetime>"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Context != "a & b" {
		t.Errorf("got Context %q", r.Context)
	}
	if got, want := r.Lifetime.Expires, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("got a lifetime until %v, want %v", got, want)
	}
}

func TestErrorNamesPlace(t *testing.T) {
	body := edit(t, string(testdata.Message(t, "rst/wcf-13.xml")), "<s:Header>", `<s:Header><x xmlns="urn:evil"/>`)
	_, err := read(body)
	e, ok := errors.AsType[*wstrust.Error](err)
	if !ok {
		t.Fatalf("got %T, want an Error", err)
	}
	if got, want := e.Offset, strings.Index(body, "<x xmlns"); got != want || e.Rule != "SOAP-05" {
		t.Errorf("got %v at byte %d, want SOAP-05 at byte %d", e.Rule, got, want)
	}
}

func TestCheckAddress(t *testing.T) { // SOAP-04, SOAP-06, SOAP-17
	const host, port, path = "sts.contoso.example", "8443", "/adfs/services/trust/13/usernamemixed"
	const own = "https://sts.contoso.example/adfs/services/trust/13/usernamemixed"
	body := string(testdata.Message(t, "rst/msal-net-13.xml"))
	for _, tt := range []struct{ to, want string }{
		{own, "accepted"},
		{own + "/", "accepted"},
		{"\n  " + own + " ", "accepted"},
		{"HTTPS://STS.contoso.example/ADFS/services/trust/13/UserNameMixed", "accepted"},
		{"https://sts.contoso.example:443" + path, "accepted"},
		{"https://sts.contoso.example:8443" + path, "accepted"},
		{"https://sts.contoso.example:9443" + path, "misaddressed"},
		{"https://sts.contoso.example:" + path, "misaddressed"},
		{"https://sts.contoso.example:443:443" + path, "misaddressed"},
		{"http://sts.contoso.example" + path, "misaddressed"},
		{"https:/" + path, "misaddressed"},
		{"https://" + path, "misaddressed"},
		{"https://evil.example" + path, "misaddressed"},
		{"https://sts.contoso.example.evil.example" + path, "misaddressed"},
		{"https://sts.contoso.example." + path, "misaddressed"},
		{"https://sts.contoso.example@evil.example" + path, "misaddressed"},
		{"https://alice@sts.contoso.example" + path, "misaddressed"},
		{own + "?x=1", "misaddressed"},
		{own + "?", "misaddressed"},
		{own + "#x", "misaddressed"},
		{own + "//", "misaddressed"},
		{strings.Replace(own, "adfs", "%61dfs", 1), "misaddressed"},
		{strings.Replace(own, "/adfs", `\adfs`, 1), "misaddressed"},
		{strings.Replace(own, "sts.", "\u017fts.", 1), "misaddressed"}, // folds to s
		{strings.Replace(own, "/13/", "/2005/", 1), "misaddressed"},
		{"https://sts.contoso.example", "misaddressed"},
		{"urn:x", "misaddressed"},
	} {
		t.Run(tt.to, func(t *testing.T) {
			r, err := read(edit(t, body, own, tt.to))
			if err != nil {
				t.Fatal(err)
			}
			for _, needed := range []bool{false, true} {
				if err := r.CheckAddress(host, port, path, needed); verdict(err) != tt.want {
					t.Errorf("needed %v: got %v, want %s", needed, err, tt.want)
				}
			}
		})
	}

	for _, tt := range []struct {
		name   string
		edits  []string
		issue  string
		needed string
	}{
		{"no To", cut(t, "rst/msal-net-13.xml", "<wsa:To ", "</wsa:To>"), "accepted", "misaddressed"},
		{"no Action", cut(t, "rst/msal-net-13.xml", "<wsa:Action ", "</wsa:Action>"), "accepted", "misaddressed"},
		{"slash", []string{`xmlns:wst="` + t13, `xmlns:wst="` + t13 + "/"}, "accepted", "unsupported"},
		{"padded KeyType", []string{"/Bearer<", "/Bearer <"}, "accepted", "unsupported"},
		{"policy 1.5", []string{wstrust.NSPolicy, "http://www.w3.org/ns/ws-policy"}, "accepted", "unsupported"},
		{"messageID", []string{"<wsa:MessageID>", "<wsa:messageID>", "</wsa:MessageID>", "</wsa:messageID>"}, "accepted", "accepted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := read(edit(t, body, tt.edits...))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.CheckAddress(host, port, path, false); verdict(err) != tt.issue {
				t.Errorf("issue: got %v, want %s", err, tt.issue)
			}
			if err := r.CheckAddress(host, port, path, true); verdict(err) != tt.needed {
				t.Errorf("forward: got %v, want %s", err, tt.needed)
			}
		})
	}
}

func TestTolerances(t *testing.T) { // SOAP-17
	seen := make(map[string]bool)
	for _, tolerance := range wstrust.Tolerances() {
		if tolerance.String() == "" || tolerance.Meaning() == "" || tolerance.Needs() == "" || seen[tolerance.String()] {
			t.Errorf("tolerance %d: got %q, %q, %q, want three texts and a name of its own", tolerance, tolerance, tolerance.Meaning(), tolerance.Needs())
		}
		seen[tolerance.String()] = true
	}
}
