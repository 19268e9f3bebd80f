package mex_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"stsgate/gateway/mex"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

const (
	path2005 = "/adfs/services/trust/2005/usernamemixed"
	path13   = "/adfs/services/trust/13/usernamemixed"
)

func both() []mex.Endpoint {
	return []mex.Endpoint{{Path: path13, Version: wstrust.V13}, {Path: path2005, Version: wstrust.V2005}}
}

func build(t *testing.T, url string, endpoints ...mex.Endpoint) *mex.Metadata {
	t.Helper()
	m, err := mex.New(mex.Config{URL: url, Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDocument compares with goldens, which UPDATE=1 writes anew.
func TestDocument(t *testing.T) {
	for _, tt := range []struct {
		name string
		m    *mex.Metadata
	}{
		{"both", build(t, "https://sts.contoso.example", both()...)},
		{"13-on-a-port", build(t, "https://localhost:8443", mex.Endpoint{Path: path13, Version: wstrust.V13})},
		{"two-of-2005", build(t, "https://[::1]:8443", mex.Endpoint{Path: path2005, Version: wstrust.V2005}, mex.Endpoint{Path: "/old", Version: wstrust.V2005})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			golden := filepath.Join("testdata", tt.name+".wsdl")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(golden, tt.m.Document(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.m.Document(); !bytes.Equal(got, want) {
				t.Errorf("got\n%s", got)
			}
			if _, err := soap.Scan(tt.m.Document(), soap.Metadata); err != nil {
				t.Errorf("the own scanner refuses the document: %v", err)
			}
		})
	}
}

// TestDocumentRules holds what clients break on (protocol.md, section 9.3).
func TestDocumentRules(t *testing.T) {
	document := string(build(t, "https://localhost:8443", append(both(), mex.Endpoint{Path: "/second", Version: wstrust.V13})...).Document())
	ids := regexp.MustCompile(`wsu:Id="([^"]+)"`).FindAllStringSubmatch(document, -1)
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id[1]] {
			t.Errorf("wsu:Id %s is there twice", id[1])
		}
		seen[id[1]] = true
		if n := strings.Count(document, `<wsp:PolicyReference URI="#`+id[1]+`"/>`); n != 1 {
			t.Errorf("policy %s is referred to %d times, want 1", id[1], n)
		}
	}
	if len(ids) != 3 {
		t.Errorf("got %d policies, want 3", len(ids))
	}
	if all, declared := strings.Count(document, "<sp:TransportBinding"), strings.Count(document, "<sp:TransportBinding xmlns:sp="); all != 3 || declared != 3 {
		t.Errorf("got %d TransportBindings, %d declare sp, want 3", all, declared)
	}
	for _, a := range regexp.MustCompile(`(?s)(?:<wsa10:Address>|location=")(.*?)[<"]`).FindAllStringSubmatch(document, -1) {
		if !strings.HasPrefix(a[1], "https://localhost:8443/") || strings.ContainsAny(a[1], " \t\n") {
			t.Errorf("got address %q, want an absolute one under https://localhost:8443", a[1])
		}
	}
	if strings.Contains(document, "wsdl/soap/") {
		t.Error("the document has a SOAP 1.1 binding")
	}
}

// SOAP-11: what is served is made here, for https and for endpoints that are
// known, and nothing of it is the farm's.
func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, url string
		endpoints []mex.Endpoint
	}{
		{"plain http", "http://sts.contoso.example", both()},
		{"no host", "https://", both()},
		{"no host but a port", "https://:8443", both()},
		{"a path", "https://sts.contoso.example/", both()},
		{"a query", "https://sts.contoso.example?x", both()},
		{"a user", "https://a@sts.contoso.example", both()},
		{"no URL", "%", both()},
		{"no endpoints", "https://sts.contoso.example", nil},
		{"an endpoint of no version", "https://sts.contoso.example", []mex.Endpoint{{Path: path13}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := mex.New(mex.Config{URL: tt.url, Endpoints: tt.endpoints}); err == nil {
				t.Error("got no error")
			}
		})
	}
}

// serve sends a request whose Host header is not ours: it must not matter.
func serve(t *testing.T, m *mex.Metadata, method, contentType, body string) (*http.Response, string) {
	t.Helper()
	server := httptest.NewServer(m)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "evil.example") {
		t.Error("the Host header came back")
	}
	return answer, string(b)
}

func TestGet(t *testing.T) {
	m := build(t, "https://localhost:8443", both()...)
	// MSAL Go and adal-node send a Content-Type with their GET.
	for _, contentType := range []string{"", "application/xml", "application/soap+xml"} {
		answer, body := serve(t, m, http.MethodGet, contentType, "")
		if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/xml; charset=utf-8" || body != string(m.Document()) {
			t.Errorf("Content-Type %q: got %s, %v", contentType, answer.Status, answer.Header)
		}
	}
	if answer, _ := serve(t, m, http.MethodPut, "text/xml", ""); answer.StatusCode != 405 {
		t.Errorf("PUT: got %s, want 405", answer.Status)
	}
}

const (
	transferGet = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"
	getMetadata = "http://schemas.xmlsoap.org/ws/2004/09/mex/GetMetadata/Request"
)

func envelope(space, header, body string) string {
	return `<s:Envelope xmlns:s="` + space + `" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header>` + header + `</s:Header>` + body + `</s:Envelope>`
}

func asking(action string) string {
	return `<a:Action s:mustUnderstand="1">` + action + `</a:Action><a:MessageID>urn:uuid:1</a:MessageID><a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo><a:To s:mustUnderstand="1">https://localhost:8443/adfs/services/trust/mex</a:To>`
}

func TestPost(t *testing.T) {
	m := build(t, "https://localhost:8443", both()...)
	for _, tt := range []struct {
		name, contentType, space, action, body, want string
	}{
		{"WS-Transfer Get in SOAP 1.2", `application/soap+xml; charset=utf-8; action="` + transferGet + `"`, soap.NSSOAP12, transferGet, "<s:Body/>", "http://schemas.xmlsoap.org/ws/2004/09/transfer/GetResponse"},
		{"WS-Transfer Get in SOAP 1.1", "text/xml; charset=UTF-8", soap.NSSOAP11, transferGet, "<s:Body/>", "http://schemas.xmlsoap.org/ws/2004/09/transfer/GetResponse"},
		{"GetMetadata", "application/soap+xml", soap.NSSOAP12, getMetadata,
			`<s:Body><m:GetMetadata xmlns:m="http://schemas.xmlsoap.org/ws/2004/09/mex"><m:Dialect>http://schemas.xmlsoap.org/wsdl/</m:Dialect></m:GetMetadata></s:Body>`,
			"http://schemas.xmlsoap.org/ws/2004/09/mex/GetMetadata/Response"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := serve(t, m, http.MethodPost, tt.contentType, envelope(tt.space, asking(tt.action), tt.body))
			if answer.StatusCode != 200 {
				t.Fatalf("got %s: %s", answer.Status, body)
			}
			var got struct {
				XMLName  xml.Name
				Action   string `xml:"Header>Action"`
				Relates  string `xml:"Header>RelatesTo"`
				Sections []struct {
					Dialect     string `xml:",attr"`
					Definitions struct {
						XMLName xml.Name
						Name    string `xml:"name,attr"`
					} `xml:"http://schemas.xmlsoap.org/wsdl/ definitions"`
				} `xml:"Body>Metadata>MetadataSection"`
			}
			if err := xml.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			if got.XMLName.Space != tt.space || got.Action != tt.want || got.Relates != "urn:uuid:1" {
				t.Errorf("got %s, action %s, relates to %s", got.XMLName.Space, got.Action, got.Relates)
			}
			if len(got.Sections) != 1 || got.Sections[0].Dialect != "http://schemas.xmlsoap.org/wsdl/" || got.Sections[0].Definitions.Name != "SecurityTokenService" {
				t.Errorf("got sections %v, want one with the definitions", got.Sections)
			}
			if !strings.Contains(body, string(m.Document())) {
				t.Error("the document in the envelope is not the one that GET gives")
			}
			if _, err := soap.Scan([]byte(body), soap.Metadata); err != nil {
				t.Errorf("the own scanner refuses the answer: %v", err)
			}
		})
	}
}

func TestPostRefuses(t *testing.T) {
	m := build(t, "https://localhost:8443", both()...)
	good := envelope(soap.NSSOAP12, asking(transferGet), "<s:Body/>")
	const soap12, soap11 = "application/soap+xml; charset=utf-8", "text/xml; charset=utf-8"
	for _, tt := range []struct {
		name, contentType, body string
		status                  int
		want                    string
	}{
		{"another action", soap12, envelope(soap.NSSOAP12, asking("http://schemas.xmlsoap.org/ws/2004/09/transfer/Put"), "<s:Body/>"), 500, "a:ActionNotSupported"},
		{"another action in SOAP 1.1", soap11, envelope(soap.NSSOAP11, asking("urn:x"), "<s:Body/>"), 500, "a:ActionNotSupported"},
		{"no action", soap12, envelope(soap.NSSOAP12, "", "<s:Body/>"), 500, "a:ActionNotSupported"},
		{"no header", soap12, `<s:Envelope xmlns:s="` + soap.NSSOAP12 + `"><s:Body/></s:Envelope>`, 500, "a:ActionNotSupported"},
		{"action twice", soap12, envelope(soap.NSSOAP12, asking(transferGet)+asking(transferGet), "<s:Body/>"), 500, "s:Sender"},
		{"action with a child", soap12, envelope(soap.NSSOAP12, "<a:Action>x<b/></a:Action>", "<s:Body/>"), 500, "s:Sender"},
		{"DOCTYPE (XML-06)", soap12, "<!DOCTYPE x>" + good, 500, "s:Sender"},
		{"not XML", soap11, "hello", 500, "s:Client"},
		{"other SOAP version than the Content-Type", soap11, good, 500, "s:Client"},
		{"header that must be understood", soap12, envelope(soap.NSSOAP12, asking(transferGet)+`<x:y xmlns:x="urn:x" s:mustUnderstand="true"/>`, "<s:Body/>"), 500, "s:Sender"},
		{"no media type", "", good, 415, "unsupported media type"},
		{"XML without SOAP", "application/xml", good, 415, "unsupported media type"},
		{"Latin-1", "text/xml; charset=iso-8859-1", good, 415, "unsupported media type"},
		{"too large", soap12, good + strings.Repeat(" ", 16<<10), 413, "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := serve(t, m, http.MethodPost, tt.contentType, tt.body)
			if answer.StatusCode != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("got %s %s, want %d with %s", answer.Status, body, tt.status, tt.want)
			}
			if strings.Contains(body, "definitions") {
				t.Error("a refusal has the document in it")
			}
		})
	}
}

func TestPostCutShort(t *testing.T) {
	m := build(t, "https://localhost:8443", both()...)
	server := httptest.NewServer(m)
	defer server.Close()
	body, ahead := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/xml")
	go func() {
		_, _ = ahead.Write([]byte("<s:Envelope"))
		ahead.CloseWithError(io.ErrUnexpectedEOF)
	}()
	answer, err := http.DefaultClient.Do(r)
	if err == nil {
		defer answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			t.Errorf("got %s for half a message", answer.Status)
		}
	}
}
