package knock_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/mail"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
)

func tryNew(w ...knock.Webhook) (*knock.Service, error) {
	return knock.New(knock.Config{
		Store: state.NewMemory(nil), Portal: portal, Webhooks: w,
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// A mailServer is aiosmtpd.
type mailServer struct {
	config knock.SMTP

	mu  sync.Mutex
	got []received
}

type received struct {
	From    string
	To      []string
	Content string
	TLS     bool
	User    bool
}

// serveMail starts a server; mode is starttls, tls or plain.
func serveMail(t *testing.T, mode string) *mailServer {
	t.Helper()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import aiosmtpd").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("aiosmtpd is missing: make deps")
		}
		t.Skip("aiosmtpd is missing: make deps")
	}
	certificate, key, ca := pair(t)
	cmd := exec.Command(python, "testdata/smtpd.py", mode, certificate, key)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the server did not start")
	}
	s := &mailServer{}
	s.config = knock.SMTP{
		Address: "localhost:" + lines.Text(), Implicit: mode == "tls", From: "Contoso <stsgate@contoso.example>",
		Username: "stsgate", Password: []byte("mail-password"), CA: ca,
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines.Scan() {
			var r received
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Error(err)
			}
			s.mu.Lock()
			s.got = append(s.got, r)
			s.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		err := cmd.Process.Kill()
		reading.Wait()
		if err = errors.Join(err, ignoreKilled(cmd.Wait())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ignoreKilled(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

func (s *mailServer) all() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.got...)
}

// Mail goes over TLS, signed in, to one address, with headers of ours alone.
func TestMail(t *testing.T) {
	for _, mode := range []string{"starttls", "tls"} {
		t.Run(mode, func(t *testing.T) {
			server := serveMail(t, mode)
			s := run(t, knock.Config{SMTP: &server.config})
			p := prompt()
			p.Application = "pay\r\nBcc: eve@evil.example\r\n\r\nroll"
			s.Knock(p)
			eventually(t, "a mail", func() bool { return len(server.all()) == 1 })
			got := server.all()[0]
			if got.From != "stsgate@contoso.example" || len(got.To) != 1 || got.To[0] != she.Mail || !got.TLS || !got.User {
				t.Errorf("envelope: %+v", got)
			}
			m, err := mail.ReadMessage(strings.NewReader(got.Content))
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{
				"From": `"Contoso" <stsgate@contoso.example>`, "To": "<alice@contoso.example>", "Subject": "A sign-in waits for your approval",
				"Auto-Submitted": "auto-generated", "Bcc": "",
			} {
				if got := m.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			text, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
			if err != nil || !strings.Contains(string(text), "A sign-in to pay??Bcc? eve?evil.example????roll from AT waits") {
				t.Errorf("text %q, %v", text, err)
			}
		})
	}
}

// Nothing is sent without TLS, to a server of another name, or to what is no
// address.
func TestMailRefused(t *testing.T) {
	server := serveMail(t, "plain")
	fails := func(what, logged string, c knock.SMTP, to knock.Recipient, outcome string) {
		t.Helper()
		s := run(t, knock.Config{SMTP: &c})
		p := prompt()
		p.To, p.At = to, time.Now().Add(-18*time.Second)
		s.Knock(p)
		eventually(t, what, func() bool { return s.count(t, "smtp", outcome) == 1 })
		if text := s.log.String(); !strings.Contains(text, logged) || strings.Contains(text, "mail-password") {
			t.Errorf("%s: logged %s", what, text)
		}
	}
	fails("a server without TLS", "starttls", server.config, she, "failed")
	secure := serveMail(t, "starttls")
	wrong := secure.config
	wrong.CA = nil
	fails("a certificate of nobody", "certificate", wrong, she, "failed")
	wrong = secure.config
	wrong.Password = []byte("wrong")
	fails("another password", "sign in as stsgate", wrong, she, "failed")
	for _, to := range []string{"", "alice", "a@b.example, c@d.example", "Alice <alice@contoso.example>", "alice@contoso.example\r\nBcc: eve@evil.example", "<alice@contoso.example>"} {
		r := she
		r.Mail = to
		fails(to, "user cannot be told", secure.config, r, "unreachable")
	}
	if n := len(server.all()) + len(secure.all()); n != 0 {
		t.Errorf("%d mails were sent", n)
	}
}

func TestBadSMTP(t *testing.T) {
	for _, c := range []knock.SMTP{{Address: "mail.example:587"}, {Address: "mail.example", From: "a@b.example"}, {Address: ":587", From: "a@b.example"}, {Address: "mail.example:587", From: "a@b.example\r\nBcc: x@y.example"}} {
		_, err := knock.New(knock.Config{
			Store: state.NewMemory(nil), Portal: portal, SMTP: &c, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
