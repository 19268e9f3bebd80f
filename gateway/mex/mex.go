// Package mex tells clients, by WS-MetadataExchange, where and how to ask for
// a token: the document is written from what is published.
//
// It must never tell an address that is not configured: what a client says
// about itself, its Host header included, has no part in the document.
package mex

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/template"
	"time"

	"stsgate/gateway/refusal"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

// An Endpoint is a published path that takes a user name with a password
// (usernamemixed).
type Endpoint struct {
	// Path begins with a slash.
	Path    string
	Version wstrust.Version
}

// Config configures Metadata.
type Config struct {
	// URL is where clients reach the gateway: https://host or
	// https://host:port, nothing behind it.
	URL string
	// Endpoints are at least one.
	Endpoints []Endpoint
}

// Metadata is the metadata of the published endpoints. It is an http.Handler.
type Metadata struct {
	document []byte
	now      func() time.Time
}

// New writes the document.
func New(c Config) (*Metadata, error) {
	if err := checkURL(c.URL); err != nil {
		return nil, fmt.Errorf("metadata exchange: %w", err)
	}
	if len(c.Endpoints) == 0 {
		return nil, errors.New("metadata exchange: no endpoint to tell of")
	}
	document, err := write(c)
	if err != nil {
		return nil, fmt.Errorf("metadata exchange: %w", err)
	}
	return &Metadata{document: document, now: time.Now}, nil
}

// Document returns the WSDL document, in UTF-8 and without an XML
// declaration. The caller must not change it.
func (m *Metadata) Document() []byte { return m.document }

// checkURL wants an origin: clients get addresses that are made by appending
// a path, and refuse any but https.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return err
	}
	if u.Hostname() == "" || s != "https://"+u.Host {
		return fmt.Errorf("url %q is not of the form https://host or https://host:port", s)
	}
	return nil
}

// A contract is what the document says once for each WS-Trust version.
type contract struct {
	wstrust.Version
	// PortType and Operation are named as AD FS names them.
	PortType, Operation string
	// Prefix is the trust namespace's in the document, and SP the namespace of
	// the WS-SecurityPolicy version that goes with it.
	Prefix, SP string
	// Answer is the element that answers an RST.
	Answer string
	// Elements are those of the trust namespace that messages hold.
	Elements []string
}

// V13 tells the versions apart in the template.
func (c contract) V13() bool { return c.Version == wstrust.V13 }

// contracts returns the versions that are described, the older first.
func contracts() []contract {
	const rst, rstr, rstrc = "RequestSecurityToken", "RequestSecurityTokenResponse", "RequestSecurityTokenResponseCollection"
	return []contract{
		{wstrust.V2005, "IWSTrustFeb2005Async", "TrustFeb2005IssueAsync", "t",
			"http://schemas.xmlsoap.org/ws/2005/07/securitypolicy", rstr, []string{rst, rstr}},
		{wstrust.V13, "IWSTrust13Async", "Trust13IssueAsync", "trust",
			"http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702", rstrc, []string{rst, rstr, rstrc}},
	}
}

// A binding is what the document says for each endpoint.
type binding struct {
	contract
	Name, Address string
}

//go:embed definitions.xml.tmpl
var definitions string

// write fills the template. Only versions that are published appear.
func write(c Config) ([]byte, error) {
	page := struct {
		Contracts []contract
		Bindings  []binding
	}{}
	for _, contract := range contracts() {
		n := 0
		for _, e := range c.Endpoints {
			if e.Version != contract.Version {
				continue
			}
			name := "UserNameWSTrustBinding_" + contract.PortType
			if n > 0 {
				name += strconv.Itoa(n) // as AD FS numbers further ones
			}
			n++
			page.Bindings = append(page.Bindings, binding{contract, name, c.URL + e.Path})
		}
		if n > 0 {
			page.Contracts = append(page.Contracts, contract)
		}
	}
	if len(page.Bindings) != len(c.Endpoints) {
		return nil, errors.New("an endpoint has no WS-Trust version")
	}
	t, err := template.New("definitions").Funcs(template.FuncMap{
		"text": func(s string) string { return string(soap.EscapeText(nil, s)) },
		"attr": func(s string) string { return string(soap.EscapeAttr(nil, s)) },
	}).Parse(definitions)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, page)
	return bytes.TrimSpace(b.Bytes()), err
}

// ServeHTTP answers GET with the document, and a SOAP request for metadata
// with the document in an envelope. Host, path and query are checked before.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		send(w, soap.V11, http.StatusOK, m.document)
	case http.MethodPost:
		m.servePost(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		plain(w, refusal.WrongMethod)
	}
}
