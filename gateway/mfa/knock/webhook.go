package knock

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// A Webhook is an address that a message is posted to, as JSON.
type Webhook struct {
	// Name is its name in metrics and logs.
	Name string
	// URL is the address: https, or http on loopback. Redirects are failures.
	URL string
	// Form is the messenger's: one of Forms, or empty with a Template.
	Form string
	// Template is a text/template of a JSON document with the fields Event,
	// User, Mail, Application, Place, Time, Portal and Text, each the inside of a
	// JSON string; for a messenger that Forms does not name.
	Template string
	// Topic is where ntfy puts it.
	Topic string
	// Secret signs what is posted, where the receiver checks that.
	Secret []byte
	// NoticesOnly tells that prompts do not go there.
	NoticesOnly bool
	// CA are the authorities that may have signed the receiver's certificate;
	// nil for those that the system trusts.
	CA *x509.CertPool
}

// Headers of what is posted. The signature is "v1=" and the HMAC-SHA-256, in
// hex, of the timestamp in seconds of Unix time, a dot and the body.
const (
	TimestampHeader = "Stsgate-Timestamp"
	SignatureHeader = "Stsgate-Signature"
)

// forms are what messengers take. Text names the user, since many may read it.
var forms = map[string]string{
	"generic": `{"event":"{{.Event}}","user":"{{.User}}","mail":"{{.Mail}}","application":"{{.Application}}","place":"{{.Place}}","time":"{{.Time}}","portal":"{{.Portal}}","text":"{{.Text}}"}`,
	"slack":   `{"text":"{{.User}}: {{.Text}}"}`,
	"teams": `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json",` +
		`"type":"AdaptiveCard","version":"1.4","body":[{"type":"TextBlock","wrap":true,"text":"{{.User}}: {{.Text}}"}],` +
		`"actions":[{"type":"Action.OpenUrl","title":"Open","url":"{{.Portal}}"}]}}]}`,
	"matrix": `{"text":"{{.User}}: {{.Text}}"}`,
	"ntfy":   `{"topic":"{{.Topic}}","title":"{{.User}}","message":"{{.Text}}","click":"{{.Portal}}"}`,
}

// Forms returns the messengers that are known by name.
func Forms() []string { return []string{"generic", "slack", "teams", "matrix", "ntfy"} }

// fields are what a template can name.
type fields struct {
	Event, User, Mail, Application, Place, Time, Portal, Text, Topic inside
}

// inside is the inside of a JSON string.
type inside string

func quote(s string) inside {
	text, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return inside(text[1 : len(text)-1])
}

// channel reads what is configured.
func (w *Webhook) channel(portal string) (*channel, error) {
	fail := func(format string, args ...any) (*channel, error) {
		return nil, fmt.Errorf("knock: webhook %q: %w", w.Name, fmt.Errorf(format, args...))
	}
	u, err := url.Parse(w.URL)
	if err != nil {
		return fail("the URL cannot be read")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) || u.Host == "" {
		return fail("want https, or http on loopback")
	}
	form := w.Template
	if form == "" {
		form = forms[w.Form]
	}
	if form == "" {
		return fail("want a form, one of %s, or a template", strings.Join(Forms(), ", "))
	}
	if len(w.Secret) > 0 && len(w.Secret) < 16 {
		return fail("a secret of less than 16 bytes")
	}
	t, err := template.New(w.Name).Option("missingkey=error").Parse(form)
	if err != nil {
		return fail("template: %w", err)
	}
	p := &poster{webhook: w, template: t, client: w.client()}
	if _, err := p.body(&message{what: Waiting, portal: portal, text: "\"\\\n</>", to: Recipient{Name: "\"\\"}}); err != nil {
		return fail("template: %w", err)
	}
	return &channel{name: w.Name, prompts: !w.NoticesOnly, send: p.post}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (w *Webhook) client() *http.Client {
	return &http.Client{
		Timeout:       tryTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.CA},
			MaxConnsPerHost:     2 * workers,
			IdleConnTimeout:     time.Minute,
			TLSHandshakeTimeout: tryTime,
			ForceAttemptHTTP2:   true,
		},
	}
}

// A poster posts what a webhook is sent.
type poster struct {
	webhook  *Webhook
	template *template.Template
	client   *http.Client
}

// body writes the JSON document of a message.
func (p *poster) body(m *message) ([]byte, error) {
	var b bytes.Buffer
	err := p.template.Execute(&b, fields{
		Event: quote(string(m.what)), User: quote(user(m.to.Name)), Mail: quote(user(m.to.Mail)), Application: quote(m.application),
		Place: quote(m.place), Time: quote(m.time), Portal: quote(m.portal), Text: quote(m.text), Topic: quote(p.webhook.Topic),
	})
	if err == nil && !json.Valid(b.Bytes()) {
		err = errors.New("what it writes is no JSON")
	}
	return b.Bytes(), err
}

func (p *poster) post(ctx context.Context, m *message) error {
	body, err := p.body(m)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.webhook.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL is none")
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "stsgate")
	if len(p.webhook.Secret) > 0 {
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		r.Header.Set(TimestampHeader, stamp)
		r.Header.Set(SignatureHeader, "v1="+Sign(p.webhook.Secret, stamp, body))
	}
	a, err := p.client.Do(r)
	if err != nil {
		// The address of a webhook is often its password.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return err
	}
	defer a.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, 64<<10)) // so that the connection can be used again
	if a.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answered %d", a.StatusCode)
	}
	return nil
}

// Sign returns the signature of a body at a time, for receivers to compare.
func Sign(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	io.WriteString(mac, timestamp+".")
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
