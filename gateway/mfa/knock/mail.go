package knock

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"strings"
	"time"
)

// SMTP is a server that takes mail, over TLS alone.
type SMTP struct {
	// Address is host:port of the server. With Implicit, TLS begins at once
	// (port 465), otherwise by STARTTLS (port 587).
	Address  string
	Implicit bool
	// From is the sender: an address, or Name <address>.
	From string
	// Username and Password sign in to the server; empty for a server that
	// needs none.
	Username string
	Password []byte
	// NoticesOnly tells that prompts do not go there.
	NoticesOnly bool
	// CA are the authorities that may have signed the server's certificate; nil
	// for those that the system trusts.
	CA *x509.CertPool
}

// smtpName is the channel's name in metrics and logs.
const smtpName = "smtp"

func (c *SMTP) channel() (*channel, error) {
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("knock: smtp: from: %w", err)
	}
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil || host == "" {
		return nil, fmt.Errorf("knock: smtp: address: want host:port, got %q", c.Address)
	}
	p := &postman{smtp: c, from: from, host: host}
	return &channel{name: smtpName, prompts: !c.NoticesOnly, send: p.send}, nil
}

// A postman brings mail to a server.
type postman struct {
	smtp *SMTP
	from *mail.Address
	host string
}

// send brings one mail. An address that is none, or holds more than one, is
// nobody's.
func (p *postman) send(ctx context.Context, m *message) error {
	to, err := address(m.to.Mail)
	if err != nil {
		return err
	}
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	client, err := smtp.NewClient(conn, p.host)
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if err := p.signIn(client); err != nil {
		return err
	}
	if err := p.deliver(client, to, m); err != nil {
		return err
	}
	_ = client.Quit() // the server has it already
	return nil
}

// address returns the bare address of a user.
func address(s string) (string, error) {
	if s == "" {
		return "", errUnreachable
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || strings.ContainsAny(s, "\r\n\x00 ") {
		return "", fmt.Errorf("%w: what the directory has is no mail address", errUnreachable)
	}
	return a.Address, nil
}

func (p *postman) tls() *tls.Config {
	return &tls.Config{ServerName: p.host, RootCAs: p.smtp.CA, MinVersion: tls.VersionTLS12}
}

func (p *postman) dial(ctx context.Context) (net.Conn, error) {
	if p.smtp.Implicit {
		return (&tls.Dialer{Config: p.tls()}).DialContext(ctx, "tcp", p.smtp.Address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", p.smtp.Address)
}

// signIn goes on over TLS alone: a server that does not offer it gets nothing.
func (p *postman) signIn(client *smtp.Client) error {
	if !p.smtp.Implicit {
		if err := client.StartTLS(p.tls()); err != nil {
			return fmt.Errorf("starttls: %w", err)
		}
	}
	if p.smtp.Username == "" {
		return nil
	}
	if err := client.Auth(smtp.PlainAuth("", p.smtp.Username, string(p.smtp.Password), p.host)); err != nil {
		return fmt.Errorf("sign in as %s: %w", p.smtp.Username, err)
	}
	return nil
}

func (p *postman) deliver(client *smtp.Client, to string, m *message) error {
	if err := client.Mail(p.from.Address); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if err := client.Rcpt(to); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	w, err := client.Data()
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	_, err = w.Write(p.write(to, m))
	if err := errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return nil
}

// write writes a mail. Whatever stands in a header is encoded, or was parsed as
// an address.
func (p *postman) write(to string, m *message) []byte {
	_, domain, _ := strings.Cut(p.from.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", p.from.String()},
		{"To", (&mail.Address{Address: to}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", m.subject)},
		{"Date", m.at.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + rand.Text() + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "base64"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	text := base64.StdEncoding.EncodeToString([]byte(m.text + "\r\n"))
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}
