package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stsgate/gateway/soap"
	"stsgate/upstream/adfs/adfstest"
)

// A talker is a node that passes requests on to a farm, but answers those
// itself whose message id asks for it, with all the farm's words.
type talker struct {
	t       *testing.T
	farm    *http.Client
	node    string // URL
	stalled chan<- struct{}
	ended   chan struct{}
}

// startTalker returns the node's URL.
func startTalker(t *testing.T, farm *adfstest.Farm, stalled chan<- struct{}) string {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: farm.CA, ServerName: farm.Host}, MaxIdleConnsPerHost: 100}
	a := &talker{t, &http.Client{Transport: transport}, farm.URLs()[0], stalled, make(chan struct{})}
	s := httptest.NewUnstartedServer(a)
	s.TLS = farm.TLS()
	s.StartTLS()
	t.Cleanup(func() {
		close(a.ended)
		s.Close()
		transport.CloseIdleConnections()
	})
	return s.URL
}

// ServeHTTP implements http.Handler.
func (a *talker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the gateway is gone
	}
	_, rest, _ := bytes.Cut(body, []byte(canaryID+"-"))
	kind, _, _ := bytes.Cut(rest, []byte("<"))
	kind, _, _ = bytes.Cut(kind, []byte("."))
	words := strings.Join(farmWords, " ")
	w.Header().Set("Content-Type", soap.V12.ContentType())
	switch string(kind) {
	case "":
		a.relay(w, r, body)
	case "stall":
		a.stalled <- struct{}{}
		<-a.ended
	case "fault":
		a.fault(w, "t:RequestFailed", "MSIS3127: "+words)
	case "denied":
		a.fault(w, "t:FailedAuthentication", "MSIS7068: "+words)
	case "wrong":
		a.fault(w, "t:FailedAuthentication", "ID3242: "+words)
	case "scope":
		a.fault(w, "t:InvalidScope", "ID3082: "+words)
	case "echo":
		_, rest, _ := bytes.Cut(body, []byte(`#PasswordText">`))
		password, _, _ := bytes.Cut(rest, []byte("<"))
		a.fault(w, "t:RequestFailed", "MSIS3127: the password "+string(password)+" is not right")
	case "code":
		a.fault(w, "t:"+strings.Map(nameOnly, words), words)
	case "page":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "<html><body><pre>"+words+"</pre></body></html>")
	case "broken":
		_, _ = io.WriteString(w, "<s:Envelope><"+strings.Map(nameOnly, words)+">"+words+"&"+words+";")
	case "odd":
		_, _ = w.Write(append(append(soap.AppendOpen(nil, soap.Header{Version: soap.V12, Action: "urn:odd"}),
			"<x>"+string(soap.EscapeText(nil, words))+"</x>"...), "</s:Body></s:Envelope>"...))
	case "status":
		inHeaders(w.Header())
		w.WriteHeader(http.StatusServiceUnavailable)
	case "garbage":
		a.garbage(w, words)
	default:
		a.t.Errorf("the farm was asked for %q", kind)
	}
}

// relay asks the farm.
func (a *talker) relay(w http.ResponseWriter, r *http.Request, body []byte) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, a.node+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		a.t.Error(err)
		return
	}
	out.Header, out.Host = r.Header, r.Host
	in, err := a.farm.Do(out)
	if err != nil {
		a.t.Error(err)
		return
	}
	defer in.Body.Close()
	w.Header().Set("Content-Type", in.Header.Get("Content-Type"))
	w.WriteHeader(in.StatusCode)
	_, _ = io.Copy(w, in.Body)
}

// fault answers with a fault that has the farm's words wherever one has text.
func (a *talker) fault(w http.ResponseWriter, code, text string) {
	words := string(soap.EscapeText(nil, strings.Join(farmWords, " ")))
	inHeaders(w.Header())
	w.WriteHeader(http.StatusInternalServerError)
	b := soap.AppendOpen(nil, soap.Header{Version: soap.V12, Action: soap.ActionFault})
	b = append(b, `<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:t="http://docs.oasis-open.org/ws-sx/ws-trust/200512">`+code+
		`</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">`...)
	b = soap.EscapeText(b, text)
	b = append(b, `</s:Text></s:Reason><s:Node>urn:`+words+`</s:Node><s:Detail><ExceptionDetail xmlns="urn:x"><StackTrace>`+words+
		`</StackTrace></ExceptionDetail></s:Detail></s:Fault>`...)
	_, _ = w.Write(soap.AppendClose(b))
}

// inHeaders has the farm say its words in headers, too.
func inHeaders(h http.Header) {
	for i, each := range farmWords {
		h.Add([]string{"Server", "X-Powered-By", "WWW-Authenticate", "Set-Cookie"}[i%4], each)
	}
}

// garbage answers with words alone.
func (a *talker) garbage(w http.ResponseWriter, words string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		a.t.Error(err)
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, words+"\r\n\r\n")
}

// nameOnly keeps what may stand in a name.
func nameOnly(r rune) rune {
	if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
		return r
	}
	return -1
}
