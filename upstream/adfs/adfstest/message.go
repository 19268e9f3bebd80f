package adfstest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	trust2005 = "http://schemas.xmlsoap.org/ws/2005/02/trust"
	trust13   = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	soap11    = "http://schemas.xmlsoap.org/soap/envelope/"
	soap12    = "http://www.w3.org/2003/05/soap-envelope"
	utility   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	secext    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
)

// An rst is what counts of a request for a token.
type rst struct {
	envelope  string // namespace
	trust     string // namespace of the RST
	context   string
	messageID string
	username  string
	password  string
	appliesTo string
	tokenType string
	proxied   bool // by the header X-MS-Proxy
}

// parse reads a request, as leniently as encoding/xml does.
func parse(body []byte) (*rst, error) {
	m := &rst{}
	fields := map[string]*string{
		"Header/MessageID":                    &m.messageID,
		"UsernameToken/Username":              &m.username,
		"UsernameToken/Password":              &m.password,
		"AppliesTo/EndpointReference/Address": &m.appliesTo,
		"RequestSecurityToken/TokenType":      &m.tokenType,
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	var path []string
	var text strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			if len(path) == 0 && m.trust != "" {
				return m, nil
			}
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			text.Reset()
			m.start(t, len(path))
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			for suffix, field := range fields {
				if strings.HasSuffix("/"+strings.Join(path, "/"), "/"+suffix) {
					*field = text.String()
				}
			}
			path = path[:len(path)-1]
			text.Reset()
		}
	}
}

func (m *rst) start(t xml.StartElement, depth int) {
	switch {
	case depth == 1 && t.Name.Local == "Envelope":
		m.envelope = t.Name.Space
	case depth == 3 && t.Name.Local == "RequestSecurityToken":
		m.trust = t.Name.Space
		for _, a := range t.Attr {
			if a.Name.Local == "Context" {
				m.context = a.Value
			}
		}
	}
}

// answer is what AD FS says to a request, bent by the behaviour.
func (f *Farm) answer(b Behaviour, in Request, r *http.Request) response {
	switch {
	case b == Unavailable:
		return page(503)
	case b == Page:
		return page(200)
	case !strings.EqualFold(r.Host, f.Host):
		return page(400)
	}
	trust := map[string]string{
		"/adfs/services/trust/2005/usernamemixed": trust2005,
		"/adfs/services/trust/13/usernamemixed":   trust13,
	}[r.URL.Path]
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/adfs/services/trust/mex":
		return response{status: 200, contentType: "text/xml; charset=UTF-8", body: f.mex()}
	case r.Method == http.MethodGet && r.URL.Path == "/FederationMetadata/2007-06/FederationMetadata.xml":
		return response{status: 200, contentType: "application/samlmetadata+xml", body: f.metadata()}
	case trust == "":
		return page(404)
	case r.Method != http.MethodPost:
		return page(405)
	}
	return f.token(b, trust, in, r.Header)
}

// token answers an RST that came to the endpoint of a WS-Trust version.
func (f *Farm) token(b Behaviour, trust string, in Request, header http.Header) response {
	media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	if media != "application/soap+xml" && media != "text/xml" {
		return page(415)
	}
	m, err := parse(in.Body)
	switch {
	case err != nil:
		return page(400)
	case (m.envelope == soap11) != (media == "text/xml"):
		return page(415)
	case m.trust != trust:
		return m.fault(trust, "InvalidRequest", "ID3141: The RequestType specified is not supported.")
	case b == Failed:
		return m.fault(trust, "RequestFailed", "MSIS3127: The specified request failed.")
	}
	u, err := f.authenticate(m.username, m.password)
	switch {
	case err != nil:
		return m.fault(trust, "FailedAuthentication", "ID3242: The security token could not be authenticated or authorized.")
	case !slices.Contains(f.c.Applications, m.appliesTo):
		return m.fault(trust, "InvalidScope", "ID3082: The request scope is not valid or is unsupported.")
	case u.Denied:
		return m.fault(trust, "FailedAuthentication", "MSIS7068: Access denied.")
	}
	m.proxied = header.Get("X-MS-Proxy") != "" && b != Intranet
	return f.grant(b, trust, m, u)
}

// stranger is a user whom nobody asks for.
var stranger = &User{UPN: "mallory@contoso.example", ImmutableID: "bWFsbG9yeQ=="}

// grant answers with a token, bent by the behaviour.
func (f *Farm) grant(b Behaviour, trust string, m *rst, u *User) response {
	now := time.Now()
	g := grant{behaviour: b, user: u, audience: m.appliesTo, from: now, until: now.Add(time.Hour)}
	if m.appliesTo == microsoftOnline {
		g.inside = strconv.FormatBool(!m.proxied)
	}
	switch b {
	case WrongUser:
		g.user = stranger
	case Swap:
		g.user = f.swap(u)
	case WrongAudience:
		g.audience = "urn:another:application"
	case LongLived:
		g.until = now.Add(24 * time.Hour)
	case Expired:
		g.from, g.until = now.Add(-24*time.Hour), now.Add(-23*time.Hour)
	case NotYetValid:
		g.from, g.until = now.Add(24*time.Hour), now.Add(25*time.Hour)
	case WrongVersion:
		if trust == trust13 {
			trust = trust2005
		} else {
			trust = trust13
		}
	}
	one := f.rstr(trust, m, g)
	if b == TwoResponses {
		one += f.rstr(trust, m, g)
	}
	action := trust + "/RSTR/Issue"
	if trust == trust13 {
		action = trust + "/RSTRC/IssueFinal"
		one = `<trust:RequestSecurityTokenResponseCollection xmlns:trust="` + trust13 + `">` + one + `</trust:RequestSecurityTokenResponseCollection>`
	}
	return m.envelop(200, action, one, now)
}

// A swap is a user whose token another request gets, and where that of the
// other one goes.
type swap struct {
	user  *User
	other chan *User
}

// swap waits for another request, and exchanges the users with it.
func (f *Farm) swap(u *User) *User {
	mine := swap{u, make(chan *User, 1)}
	select {
	case f.swaps <- mine:
		return <-mine.other
	case other := <-f.swaps:
		other.other <- u
		return other.user
	case <-time.After(time.Second):
		return stranger // it was alone
	}
}

// early is an answer with a token that nobody asked for.
func (f *Farm) early() response {
	m := &rst{envelope: soap12, trust: trust13, messageID: "urn:uuid:somebody-else", appliesTo: f.c.Applications[0]}
	return f.grant(Early, trust13, m, stranger)
}

// rstr writes a response in the order of AD FS (protocol.md, section 4.2).
func (f *Farm) rstr(trust string, m *rst, g grant) string {
	prefix, keyType := "trust", trust13+"/Bearer"
	open := `<trust:RequestSecurityTokenResponse`
	if trust == trust2005 {
		prefix, keyType = "t", "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey"
		open = `<t:RequestSecurityTokenResponse xmlns:t="` + trust2005 + `"`
	}
	if m.context != "" {
		open += ` Context="` + escape(m.context) + `"`
	}
	kind, tokenType := saml11, m.tokenType
	if tokenType == saml20.namespace || strings.HasSuffix(tokenType, "#SAMLV2.0") {
		kind = saml20
	}
	if tokenType == "" {
		tokenType = kind.namespace
	}
	id, token := f.assert(kind, g)
	if g.behaviour == Encrypted || g.behaviour == EncryptedForAny {
		token = encrypted()
	}
	reference := fmt.Sprintf(`<o:SecurityTokenReference k:TokenType="%s" xmlns:o="%s" xmlns:k="http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd">`+
		`<o:KeyIdentifier ValueType="%s">%s</o:KeyIdentifier></o:SecurityTokenReference>`, kind.profile, secext, kind.identifier, id)

	var b strings.Builder
	element := func(name, content string) { fmt.Fprintf(&b, "<%s:%s>%s</%[1]s:%[2]s>", prefix, name, content) }
	b.WriteString(open + ">")
	element("Lifetime", fmt.Sprintf(`<wsu:Created xmlns:wsu="%s">%s</wsu:Created><wsu:Expires xmlns:wsu="%[1]s">%[3]s</wsu:Expires>`,
		utility, instant(g.from), instant(g.until)))
	if g.behaviour != EncryptedForAny {
		fmt.Fprintf(&b, `<wsp:AppliesTo xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"><wsa:EndpointReference xmlns:wsa="http://www.w3.org/2005/08/addressing">`+
			`<wsa:Address>%s</wsa:Address></wsa:EndpointReference></wsp:AppliesTo>`, text(g.audience))
	}
	element("RequestedSecurityToken", token)
	element("RequestedAttachedReference", reference)
	element("RequestedUnattachedReference", reference)
	element("TokenType", text(tokenType))
	element("RequestType", trust+"/Issue")
	element("KeyType", keyType)
	b.WriteString("</" + prefix + ":RequestSecurityTokenResponse>")
	return b.String()
}

// fault answers in the layout of AD FS (protocol.md, section 5.3). The prefix
// of the subcode is a bound to the WS-Trust namespace, as there.
func (m *rst) fault(trust, code, reason string) response {
	const action = "http://www.w3.org/2005/08/addressing/soap/fault"
	body := `<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:a="` + trust + `">a:` + code + `</s:Value></s:Subcode></s:Code>` +
		`<s:Reason><s:Text xml:lang="en-US">` + reason + `</s:Text></s:Reason></s:Fault>`
	if m.envelope == soap11 {
		body = `<s:Fault><faultcode xmlns:a="` + trust + `">a:` + code + `</faultcode><faultstring xml:lang="en-US">` + reason + `</faultstring></s:Fault>`
	}
	return m.envelop(500, action, body, time.Now())
}

// envelop puts a body into the envelope of AD FS, in the request's version.
func (m *rst) envelop(status int, action, body string, now time.Time) response {
	contentType := "application/soap+xml; charset=utf-8"
	if m.envelope == soap11 {
		contentType = "text/xml; charset=utf-8"
	}
	relates := ""
	if m.messageID != "" {
		relates = "<a:RelatesTo>" + text(m.messageID) + "</a:RelatesTo>"
	}
	return response{status: status, contentType: contentType, body: fmt.Appendf(nil,
		`<s:Envelope xmlns:s="%s" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:u="%s"><s:Header><a:Action s:mustUnderstand="1">%s</a:Action>%s`+
			`<o:Security s:mustUnderstand="1" xmlns:o="%s"><u:Timestamp u:Id="_0"><u:Created>%s</u:Created><u:Expires>%s</u:Expires></u:Timestamp></o:Security>`+
			`</s:Header><s:Body>%s</s:Body></s:Envelope>`,
		m.envelope, utility, action, relates, secext, instant(now), instant(now.Add(5*time.Minute)), body)}
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// text writes a text as canonical XML does.
func text(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;").Replace(s)
}

// escape writes the value of an attribute.
func escape(s string) string { return strings.ReplaceAll(text(s), `"`, "&quot;") }
