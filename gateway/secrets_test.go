package gateway_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stsgate/gateway"
	"stsgate/gateway/account"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

// hides checks that a secret shows in nothing that the gateway writes.
func (g *gate) hides(w *recorder, secret string) {
	g.t.Helper()
	audited, err := os.ReadFile(g.audited)
	if err != nil {
		g.t.Fatal(err)
	}
	metrics := httptest.NewRecorder()
	promhttp.HandlerFor(g.metrics, promhttp.HandlerOpts{}).ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(metrics.Body.String(), "stsgate_exchanges_total") {
		g.t.Errorf("got metrics %d %s", metrics.Code, metrics.Body)
	}
	for name, text := range map[string]string{
		"audit log": string(audited), "log": g.log.String(), "metrics": metrics.Body.String(),
		"answer": w.Body.String(), "answer's header": fmt.Sprint(w.Header()),
	} {
		for _, form := range []string{secret, strings.ToLower(secret), strings.ToUpper(secret), hex.EncodeToString([]byte(secret)),
			base64.StdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret)} {
			if strings.Contains(text, form) {
				g.t.Errorf("the %s shows the secret as %s: %s", name, form, text)
			}
		}
	}
}

// AUD-05: a password shows nowhere, in whatever message it comes and whatever
// becomes of it. Each message has a secret of its own in the place of SECRET.
func TestPasswordsShowNowhere(t *testing.T) {
	const right = "Str0ng&amp;&lt;SECRET" // the fakes accept its beginning
	element := func(name, content string) string { return "<o:" + name + ">" + content + "</o:" + name + ">" }
	password := func(content string) [2]string { return [2]string{"PASSWORD", content} }
	for _, c := range []struct {
		name    string
		change  func(*wstrust.Query)
		rewrite [2]string
		arrange func(*testing.T, *gate)
		want    string
	}{
		{"forwarded", nil, password(right), nil, "ok"},
		{"issued", issued, password(right), nil, "ok"},
		{"refused by the farm", nil, password(right), farmFault("adfs-id3242-13"), "wrong-password"},
		{"refused by the issuer", issued, password("SECRET"), nil, "wrong-password"},
		{"denied", func(q *wstrust.Query) { q.Username = mallory.UPN }, password(right), nil, "denied-user"},
		{"of nobody", func(q *wstrust.Query) { q.Username = "nobody" }, password(right), nil, "unknown-user"},
		{"farm down", nil, password(right), farmFails(wstrust.ErrDown), "farm-down"},
		{"farm unreadable", nil, password(right), func(_ *testing.T, g *gate) { g.farm.answers([]byte("<a>")) }, "answer-unreadable"},
		{"panic of the farm", nil, password(right), func(_ *testing.T, g *gate) {
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
				panic(string(r.Password.Bytes()) + string(r.Body))
			}
		}, "internal"},
		{"panic with the request", nil, password(right), func(_ *testing.T, g *gate) {
			g.farm.forward = func(_ context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) { panic(r) }
		}, "internal"},
		{"error that prints a password", issued, password(right), func(_ *testing.T, g *gate) {
			g.sts.authenticate = func(_ context.Context, _ account.Name, p account.Password) (account.Account, error) {
				return account.Account{}, fmt.Errorf("bind with %v %s %q %x %#v", p, p, p, p, p)
			}
		}, "directory-down"},
		{"markup in it", nil, password("a<SECRET/>b"), nil, "malformed"},
		{"cut short in it", nil, password("SECRET<"), nil, "malformed"},
		{"entity in it", nil, password("&SECRET;"), nil, "malformed"},
		{"bare ampersand in it", nil, password("SECRET&b"), nil, "malformed"},
		{"CDATA in it", nil, password("<![CDATA[SECRET]]>"), nil, "malformed"},
		{"comment in it", nil, password("SECRET<!-- x -->"), nil, "malformed"},
		{"comment with it", nil, password("x<!-- SECRET -->"), nil, "malformed"},
		{"control character in it", nil, password("SECRET\x01"), nil, "malformed"},
		{"not UTF-8 in it", nil, password("SECRET\xff"), nil, "malformed"},
		{"in a DOCTYPE", nil, [2]string{"<s:Envelope", `<!DOCTYPE x [<!ENTITY e "SECRET">]><s:Envelope`}, nil, "malformed"},
		{"as text beside the token", nil, [2]string{"<o:UsernameToken", "SECRET<o:UsernameToken"}, nil, "malformed"},
		{"as text in the Body", nil, [2]string{"<s:Body>", "<s:Body>SECRET"}, nil, "malformed"},
		{"there twice", nil, [2]string{"</o:UsernameToken>", element("Password", "SECRET") + "</o:UsernameToken>"}, nil, "malformed"},
		{"as its type", nil, [2]string{"#PasswordText", "SECRET"}, nil, "unsupported-credential"},
		{"as a digest", nil, [2]string{`#PasswordText">PASSWORD`, `#PasswordDigest">SECRET`}, nil, "unsupported-credential"},
		{"as a nonce", nil, [2]string{"</o:UsernameToken>", element("Nonce", "SECRET") + "</o:UsernameToken>"}, nil, "ok"},
		{"in another token", nil, [2]string{"</o:UsernameToken>", "</o:UsernameToken>" + element("BinarySecurityToken", "SECRET")}, nil, "second-credential"},
		{"as a time", nil, [2]string{"<u:Created>", "<u:Created>SECRET"}, nil, "malformed"},
		{"as the verb", nil, [2]string{"/Issue</trust:RequestType>", "/SECRET</trust:RequestType>"}, nil, "unsupported"},
		{"as the action", nil, [2]string{"RST/Issue</a:Action>", "SECRET</a:Action>"}, nil, "malformed"},
		{"as a user name", func(q *wstrust.Query) { q.Username = "SECRET" }, password(right), nil, "unknown-user"},
		{"as a user name at home", func(q *wstrust.Query) { q.Username = "SECRET@contoso.example" }, password(right), nil, "unknown-user"},
		{"as a user name without a form", func(q *wstrust.Query) { q.Username = `SECRET\` }, password(right), nil, "unknown-user"},
		{"as a user name that cannot be looked up", func(q *wstrust.Query) { q.Username = "SECRET" }, password(right),
			func(_ *testing.T, g *gate) { g.directory.fail(errors.New("down")) }, "directory-down"},
	} {
		atFresh(t, c.name, func(t *testing.T) {
			g := newGate(t, nil)
			if c.arrange != nil {
				c.arrange(t, g)
			}
			secret := rand.Text() + rand.Text()[:6] // 32 characters
			message := string(modern.query(func(q *wstrust.Query) {
				q.Password = account.NewPassword([]byte("PASSWORD"))
				if c.change != nil {
					c.change(q)
				}
			}))
			message = strings.ReplaceAll(replace(c.rewrite[0], c.rewrite[1])(message), "SECRET", secret)
			w := g.serve(modern.post([]byte(message)))
			if got := g.record()["event.reason"]; got != c.want {
				t.Errorf("got reason %v (%v), want %s", got, g.record()["error.message"], c.want)
			}
			g.hides(w, secret)
		})
	}
}

func issued(q *wstrust.Query) { q.AppliesTo = "urn:payroll" }

// The same for the messages of real clients, in part and in whole.
func TestPasswordsOfClientsShowNowhere(t *testing.T) {
	for _, name := range testdata.Names(t, "rst") {
		atFresh(t, name, func(t *testing.T) {
			g := newGate(t, func(c *gateway.Config) { c.Policy = live(t, forwardAll) })
			message := testdata.Message(t, name)
			secret := rand.Text() + rand.Text()[:6]
			text := strings.ReplaceAll(string(message), "Str0ng", secret)
			s := shapeOf(name, message)
			w := g.serve(s.post([]byte(text)))
			g.hides(w, secret)
			at := strings.Index(text, secret)
			for _, cut := range []int{at, at + 16, at + 32, at + 34, len(text) - 1} {
				g.hides(g.serve(s.post([]byte(text[:cut]))), secret)
			}
			time.Sleep(11 * time.Second) // what is cut short is counted, after the first
			g.hides(w, secret)
			asked := 0.0
			for _, r := range g.records() {
				n, counted := r["labels.count"].(float64)
				if asked += n; !counted {
					asked++
				}
			}
			if asked != 6 || strings.Contains(g.log.String(), "alice@contoso.example\"") {
				t.Errorf("got %v requests and the log %s", asked, g.log)
			}
		})
	}
}

// A token shows in the answer and nowhere else.
func TestTokensShowInAnswersOnly(t *testing.T) {
	atFresh(t, "", func(t *testing.T) {
		g := newGate(t, nil)
		secret := rand.Text()
		g.farm.bends("<ds:SignatureValue>AAAA", "<ds:SignatureValue>"+secret)
		w := g.ask(modern, nil)
		if !strings.Contains(w.Body.String(), secret) {
			t.Error("the answer is not the farm's")
		}
		w.Body.Reset()
		g.hides(w, secret)
	})
}
