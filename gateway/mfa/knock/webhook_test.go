package knock_test

import (
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/mfa/knock"
)

// A receiver can tell that it is from here, and when it was sent.
func TestWebhook(t *testing.T) {
	r := receive(t, nil)
	s := run(t, knock.Config{Webhooks: []knock.Webhook{r.webhook("chat")}})
	s.Knock(prompt())
	eventually(t, "posted", func() bool { return len(r.all()) == 1 })
	got := r.all()[0]
	stamp := got.header.Get("Stsgate-Timestamp")
	if n, err := strconv.ParseInt(stamp, 10, 64); err != nil || time.Since(time.Unix(n, 0)).Abs() > time.Minute {
		t.Errorf("timestamp %q", stamp)
	}
	if want := "v1=" + knock.Sign(secret, stamp, []byte(got.body)); !hmac.Equal([]byte(got.header.Get("Stsgate-Signature")), []byte(want)) {
		t.Errorf("signature %q, want %q", got.header.Get("Stsgate-Signature"), want)
	}
	var m map[string]string
	if err := json.Unmarshal([]byte(got.body), &m); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"event": "sign-in-waits", "user": "alice@contoso.example", "mail": "alice@contoso.example", "application": "payroll", "place": "AT", "portal": portal,
		"text": "A sign-in to payroll from AT waits for your approval. If it is yours, open https://approve.contoso.example. If it is not, deny it there.",
	} {
		if m[field] != want {
			t.Errorf("%s is %q, want %q", field, m[field], want)
		}
	}
	eventually(t, "counted", func() bool { return s.count(t, "chat", "sent") == 1 })
}

// HMAC-SHA-256 of "1700000000.{}" under "key", by openssl dgst -sha256 -hmac key.
func TestSign(t *testing.T) {
	const want = "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
	if got := knock.Sign([]byte("key"), "1700000000", []byte("{}")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// MFA-22: what a messenger shows has no markup, link, mention or line that
// directory or place could bring in, and is always JSON.
func TestForms(t *testing.T) {
	const nasty = "\"}\r\n<!channel> @here [x](http://evil.example) `*_~|\u202e\x00" + "https://evil.example"
	for _, form := range knock.Forms() {
		r := receive(t, nil)
		w := r.webhook(form)
		w.Form, w.Topic = form, "stsgate"
		s := run(t, knock.Config{Webhooks: []knock.Webhook{w}})
		p := prompt()
		p.To.Name, p.Application, p.Place = nasty, nasty+strings.Repeat("x", 1000), nasty
		s.Knock(p)
		eventually(t, "posted", func() bool { return len(r.all()) == 1 })
		body := r.all()[0].body
		var m any
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatalf("%s: %v in %s", form, err, body)
		}
		shown := fmt.Sprint(m)
		for _, bad := range []string{"<", "@here ", "http://evil", "://evil", "[x](", "`", "\r", "\n", "\u202e", "\x00"} {
			if strings.Contains(shown, bad) {
				t.Errorf("%s shows %q in %s", form, bad, shown)
			}
		}
		if !strings.Contains(shown, portal) || len(shown) > 2000 {
			t.Errorf("%s: %s", form, shown)
		}
	}
}

func TestTemplate(t *testing.T) {
	r := receive(t, nil)
	w := r.webhook("own")
	w.Form, w.Template = "", `{"msg": "{{.Event}} for {{.User}}", "to": "{{.Mail}}"}`
	s := run(t, knock.Config{Webhooks: []knock.Webhook{w}})
	s.Knock(prompt())
	eventually(t, "posted", func() bool { return len(r.all()) == 1 })
	if got, want := r.all()[0].body, `{"msg": "sign-in-waits for alice@contoso.example", "to": "alice@contoso.example"}`; got != want {
		t.Errorf("posted %s, want %s", got, want)
	}
}

// A redirect is not followed, and a failure is tried again while the client waits.
func TestRetries(t *testing.T) {
	aside := receive(t, nil)
	r := receive(t, func(n int, w http.ResponseWriter, in *http.Request) {
		switch n {
		case 1:
			http.Redirect(w, in, aside.URL, http.StatusTemporaryRedirect)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	s := run(t, knock.Config{Webhooks: []knock.Webhook{r.webhook("chat")}})
	s.Knock(prompt())
	eventually(t, "sent", func() bool { return s.count(t, "chat", "sent") == 1 })
	if n := len(r.all()); n != 2 {
		t.Errorf("posted %d times, want 2", n)
	}
	if len(aside.all()) != 0 {
		t.Error("a redirect was followed")
	}
}

// A receiver that hangs blocks nobody: what has no room is dropped.
func TestKnockNeverBlocks(t *testing.T) {
	over := make(chan struct{})
	r := receive(t, func(_ int, _ http.ResponseWriter, in *http.Request) {
		select {
		case <-over:
		case <-in.Context().Done():
		}
	})
	t.Cleanup(func() { close(over) })
	s := run(t, knock.Config{Webhooks: []knock.Webhook{r.webhook("slow")}})
	begin := time.Now()
	for range 2000 {
		s.Knock(prompt())
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("2,000 knocks took %s", took)
	}
	if n := s.count(t, "slow", "dropped"); n < 1000 || n > 2000 {
		t.Errorf("%v were dropped", n)
	}
	if n := len(r.all()); n > 8 {
		t.Errorf("%d posts at a time", n)
	}
}

// What is wrong with a webhook is said at the start, without its address.
func TestBadWebhooks(t *testing.T) {
	good := knock.Webhook{Name: "chat", URL: "https://chat.example/hooks/token-7Qx", Form: "slack"}
	for want, change := range map[string]func(*knock.Webhook){
		"want https, or http on loopback": func(w *knock.Webhook) { w.URL = "http://chat.example/hooks/token-7Qx" },
		"want a form, one of":             func(w *knock.Webhook) { w.Form = "pager" },
		"less than 16 bytes":              func(w *knock.Webhook) { w.Secret = []byte("short") },
		"can't evaluate field UserAgent":  func(w *knock.Webhook) { w.Template = `{"a":"{{.UserAgent}}"}` },
		"is no JSON":                      func(w *knock.Webhook) { w.Template = `{"a":{{.Text}}}` },
		"bad character":                   func(w *knock.Webhook) { w.Template = `{"a":"{{.Text"}` },
		"cannot be read":                  func(w *knock.Webhook) { w.URL = "https://chat.example/%zz-token-7Qx" },
	} {
		w := good
		change(&w)
		_, err := tryNew(w)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		} else if strings.Contains(err.Error(), "token-7Qx") {
			t.Errorf("the error holds the address: %v", err)
		}
	}
	if _, err := tryNew(good, good); err == nil {
		t.Error("two of one name")
	}
}

// The address of a webhook is its password: no log holds it.
func TestAddressIsNotLogged(t *testing.T) {
	s := run(t, knock.Config{Webhooks: []knock.Webhook{{Name: "gone", URL: "https://127.0.0.1:1/hooks/token-7Qx", Form: "slack"}}})
	p := prompt()
	p.At = p.At.Add(-19 * time.Second) // of which a second is left
	s.Knock(p)
	eventually(t, "failed", func() bool { return s.count(t, "gone", "failed") == 1 })
	if text := s.log.String(); strings.Contains(text, "token-7Qx") || !strings.Contains(text, "channel=gone") {
		t.Errorf("logged: %s", text)
	}
}
