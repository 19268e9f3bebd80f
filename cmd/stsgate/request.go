package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
)

type request struct {
	URL          string        `name:"url" required:"" placeholder:"URL" help:"The https address of a usernamemixed endpoint."`
	CA           string        `name:"ca" placeholder:"FILE" help:"CA certificates to trust instead of the system's, PEM."`
	User         string        `required:"" placeholder:"NAME" help:"The user name: user@domain or DOMAIN\\user."`
	PasswordFile string        `required:"" placeholder:"FILE|-" help:"Where the password is read from: one line, - for standard input."`
	AppliesTo    string        `required:"" placeholder:"REALM" help:"The application that the token is for."`
	Version      string        `enum:"1.2,1.3" default:"1.3" help:"WS-Trust version: 1.2 (Feb 2005) or 1.3."`
	SOAP         string        `name:"soap" enum:"1.1,1.2" default:"1.2" help:"SOAP version: 1.1 or 1.2."`
	TokenType    string        `enum:"saml1.1,saml2.0," default:"" help:"saml1.1 or saml2.0; the service's default if not given."`
	Out          string        `placeholder:"FILE" help:"Write the assertion to a file that only its owner can read."`
	JSON         bool          `name:"json" help:"Print JSON."`
	Timeout      time.Duration `default:"60s" help:"How long to wait for the answer."`
}

// Help shows examples.
func (request) Help() string {
	return `A plain WS-Trust client: it works against any security token service. What it prints of the
token is read, not verified. The exit code is 0 for a token and 1 for anything else.

Examples:
  stsgate request --url https://sts.contoso.example/adfs/services/trust/13/usernamemixed \
    --user alice@contoso.example --password-file - --applies-to urn:federation:MicrosoftOnline
  stsgate request --url https://localhost:8443/adfs/services/trust/2005/usernamemixed --ca ca.pem \
    --user alice@contoso.example --password-file alice.password --applies-to urn:payroll \
    --version 1.2 --token-type saml2.0 --out token.xml --json`
}

// A result is what came of a request, in the form that --json prints.
type result struct {
	Token    *token  `json:"token,omitempty"`
	Fault    *fault  `json:"fault,omitempty"`
	Status   int     `json:"status"`
	Duration float64 `json:"seconds"`
}

type token struct {
	Type         string    `json:"type"`
	ID           string    `json:"id,omitempty"`
	Encrypted    bool      `json:"encrypted,omitempty"`
	Subject      string    `json:"subject,omitempty"`
	Issuer       string    `json:"issuer,omitempty"`
	Audience     []string  `json:"audience,omitempty"`
	NotBefore    time.Time `json:"not_before,omitzero"`
	NotOnOrAfter time.Time `json:"not_on_or_after,omitzero"`
	Signer       string    `json:"signer,omitempty"`
	Claims       []claim   `json:"claims,omitempty"`
}

type claim struct {
	Type   string   `json:"type"`
	Values []string `json:"values"`
}

type fault struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Says string `json:"says"`
}

// Run asks for a token and prints what came.
func (q *request) Run(c *console) error {
	client, target, err := q.client()
	if err != nil {
		return err
	}
	message, err := q.message(c, target)
	if err != nil {
		return err
	}
	defer clear(message)
	ctx, cancel := context.WithTimeout(context.Background(), q.Timeout)
	defer cancel()
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(message))
	if err != nil {
		return err
	}
	post.Header.Set("Content-Type", q.soapVersion().ContentType())
	if q.soapVersion() == soap.V11 {
		post.Header.Set("SOAPAction", `"`+q.trustVersion().Action()+`"`)
	}
	post.Header.Set("User-Agent", "stsgate/"+buildVersion())
	start := time.Now()
	response, err := client.Do(post)
	if err != nil {
		return q.explain(err, target)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return q.report(c, response, body, time.Since(start))
}

func (q *request) trustVersion() wstrust.Version {
	if q.Version == wstrust.V2005.String() {
		return wstrust.V2005
	}
	return wstrust.V13
}

func (q *request) soapVersion() soap.Version {
	if q.SOAP == soap.V11.String() {
		return soap.V11
	}
	return soap.V12
}

func (q *request) client() (*http.Client, *url.URL, error) {
	target, err := url.Parse(q.URL)
	if err != nil || target.Scheme != "https" || target.Host == "" {
		return nil, nil, fmt.Errorf("--url %q: not an https address; a password is sent over TLS only", q.URL)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if q.CA != "" {
		if config.RootCAs, err = readPool(q.CA); err != nil {
			return nil, nil, fmt.Errorf("--ca: %w", err)
		}
	}
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment},
		// A redirect would carry the password to another place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, target, nil
}

func (q *request) message(c *console, target *url.URL) ([]byte, error) {
	password, err := readPassword(c, q.PasswordFile)
	if err != nil {
		return nil, err
	}
	defer password.Wipe()
	tokenType := ""
	switch q.TokenType {
	case wstrust.SAML11.String():
		tokenType = wstrust.SAML11.URI()
	case wstrust.SAML20.String():
		tokenType = wstrust.SAML20.URI()
	}
	var id [16]byte
	rand.Read(id[:])
	return wstrust.AppendRequest(nil, wstrust.Query{
		SOAP:      q.soapVersion(),
		Version:   q.trustVersion(),
		To:        target.String(),
		MessageID: "urn:uuid:" + uuid(id),
		Username:  q.User,
		Password:  password,
		AppliesTo: q.AppliesTo,
		TokenType: tokenType,
		Now:       time.Now(),
	}), nil
}

// uuid formats random bytes as a version 4 UUID (RFC 9562, section 5.4).
func uuid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// explain says of a connection that failed what a person can do.
func (q *request) explain(err error, target *url.URL) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("the certificate of %s is not trusted (see --ca): %w", target.Host, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer from %s within %s", target.Host, q.Timeout)
	}
	return fmt.Errorf("ask %s: %w", target.Host, err)
}

func (q *request) report(c *console, response *http.Response, body []byte, took time.Duration) error {
	r := &result{Status: response.StatusCode, Duration: took.Seconds()}
	answer, err := wstrust.ReadAnswer(body, q.trustVersion())
	if f, ok := errors.AsType[*wstrust.Fault](err); ok {
		r.Fault = &fault{Code: f.Subcode.Local, Text: f.Text, Says: plainWords(f)}
	} else if err != nil {
		return fmt.Errorf("%s answered with status %d and no WS-Trust %s answer: %w", response.Request.URL.Host, response.StatusCode, q.Version, err)
	} else {
		r.Token = describe(answer)
		if q.Out != "" {
			if err := os.WriteFile(q.Out, answer.Token, 0o600); err != nil {
				return fmt.Errorf("--out: %w", err)
			}
		}
	}
	if err := q.print(c, r); err != nil {
		return err
	}
	if r.Fault != nil {
		return errReported
	}
	return nil
}

func describe(a *wstrust.Answer) *token {
	s := &a.Assertion
	t := &token{Type: a.TokenType, Encrypted: a.Encrypted}
	if a.Encrypted {
		return t
	}
	t.Type, t.ID, t.Subject, t.Issuer, t.Audience = s.Kind.String(), s.ID, s.Subject, s.Issuer, s.Audiences
	t.NotBefore, t.NotOnOrAfter = s.NotBefore, s.NotOnOrAfter
	for _, c := range s.Claims {
		t.Claims = append(t.Claims, claim{Type: c.URI, Values: c.Values})
	}
	t.Signer = "nobody: the token is not signed"
	if der := a.Certificate(); der != nil {
		t.Signer = "a certificate that cannot be read"
		if cert, err := x509.ParseCertificate(der); err == nil {
			t.Signer = nameOf(cert)
		}
	}
	return t
}

// nameOf names a certificate in one line.
func nameOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return fmt.Sprintf("%s (SHA-256 %x, until %s)", c.Subject, sum[:8], c.NotAfter.UTC().Format(time.DateOnly))
}

func (q *request) print(c *console, r *result) error {
	if q.JSON {
		return writeJSON(c.out, r)
	}
	var b strings.Builder
	if f := r.Fault; f != nil {
		fmt.Fprintf(&b, "refused: %s\n", f.Says)
		fmt.Fprintf(&b, "  code     %s (HTTP status %d)\n  text     %s\n", visible(f.Code), r.Status, visible(f.Text))
		_, err := io.WriteString(c.out, b.String())
		return err
	}
	t := r.Token
	if t.Encrypted {
		fmt.Fprintf(&b, "got an encrypted token of type %s: only its application can read it\n", visible(t.Type))
		_, err := io.WriteString(c.out, b.String())
		return err
	}
	fmt.Fprintf(&b, "got a %s token in %.0f ms\n", t.Type, r.Duration*1000)
	t.write(&b)
	_, err := io.WriteString(c.out, b.String())
	return err
}

// write says what a token says.
func (t *token) write(b *strings.Builder) {
	fmt.Fprintf(b, "  subject  %s\n  audience %s\n  issuer   %s\n", visible(t.Subject), visible(strings.Join(t.Audience, ", ")), visible(t.Issuer))
	fmt.Fprintf(b, "  valid    %s to %s\n", stamp(t.NotBefore), stamp(t.NotOnOrAfter))
	fmt.Fprintf(b, "  signer   %s\n  id       %s\n", visible(t.Signer), visible(t.ID))
	for _, claim := range t.Claims {
		fmt.Fprintf(b, "  claim    %s = %s\n", visible(claim.Type), visible(strings.Join(claim.Values, ", ")))
	}
}

// plainWords says what a fault means for the person who asked.
func plainWords(f *wstrust.Fault) string {
	switch {
	case strings.HasPrefix(f.Text, "A second factor is needed"): // as this gateway says it
		return "a second factor is needed"
	case f.Proves() == wstrust.NotProven:
		return "user name or password is wrong, or the account may not sign in"
	case f.Subcode.Local == "InvalidScope":
		return "the service does not know this application"
	case f.Proves() == wstrust.ProvenRefused:
		return "a rule of the service does not allow this"
	case f.Subcode.Local == "MessageExpired":
		return "the service says that the message is too old or from the future: compare the clocks"
	case f.Subcode.Local == "InvalidRequest", f.Subcode.Local == "BadRequest":
		return "the service does not take this request"
	case f.Sender:
		return "the service refuses the request"
	default:
		return "the service failed; try again later"
	}
}

// visible shows text that somebody else chose: control characters and the
// like as escapes, at most 512 characters (security.md, CLI-01).
func visible(s string) string {
	s = clipped(s)
	quoted := fmt.Sprintf("%+q", s)
	for _, r := range s {
		if r < ' ' || r > '~' {
			return quoted
		}
	}
	return s
}
