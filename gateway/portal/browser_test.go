package portal_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/edge"
	"stsgate/gateway/portal"
	"stsgate/gateway/refusal"
)

// serve runs a site's portal on an edge, on a port of this machine.
func serve(t *testing.T) *site {
	t.Helper()
	l, err := edge.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s := newSite(t, "https://localhost:"+port, func(c *portal.Config) { c.URL = "https://localhost:" + port })
	share := edge.Share{Connections: 1000, Handshakes: 1000, Requests: 1000}
	gate, err := edge.NewGate(edge.GateConfig{Total: share, PerSource: share, Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	server, err := edge.New(edge.Config{
		Host: "sts.localhost", Routes: []edge.Route{{Path: "/adfs", Methods: []string{"POST"}, Handler: http.NotFoundHandler()}},
		Sites:        []edge.Site{{Host: "localhost", Routes: routes(s.portal)}},
		Certificates: certificates(t), Gate: gate, Log: slog.New(slog.DiscardHandler),
		Refuse: func(w http.ResponseWriter, _ *http.Request, r *refusal.Refusal) {
			portal.Secure(w.Header())
			http.Error(w, r.Reason.Row().Text, r.Reason.Row().Status)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-served })
	return s
}

func routes(p *portal.Portal) []edge.Route {
	var all []edge.Route
	for _, o := range p.Paths() {
		all = append(all, edge.Route{Path: o.Path, Methods: o.Methods, Handler: p})
	}
	return all
}

func certificates(t *testing.T) *edge.Certificates {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost", "sts.localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := edge.CertificatesConfig{
		Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), Host: "sts.localhost", Also: []string{"localhost"},
		Log: slog.New(slog.DiscardHandler),
	}
	for path, block := range map[string]*pem.Block{config.Certificate: {Type: "CERTIFICATE", Bytes: der}, config.Key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certs, err := edge.NewCertificates(config)
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

// A tab is one of a headless Chromium, that notes what must not happen.
type tab struct {
	*site
	ctx     context.Context
	id      webauthn.AuthenticatorID
	scripts bool

	steps struct{ pressed, filled int }

	noting sync.Mutex
	wrong  []string
}

// axeFile judges the accessibility of pages.
const axeFile = "../../.cache/axe/node_modules/axe-core/axe.min.js"

// open starts a browser with a phone-sized window and an authenticator that
// verifies its user.
func (s *site) open(scripts bool) *tab {
	t := s.t
	t.Helper()
	const chromium = "/usr/bin/chromium"
	if _, err := os.Stat(chromium); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no Chromium: make deps installs it")
		}
		t.Skip("skipped: no ", chromium)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox,
		chromedp.IgnoreCertErrors, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-gpu", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stopTab := chromedp.NewContext(ctx)
	t.Cleanup(stopTab)
	ctx, stopClock := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stopClock)
	b := &tab{site: s, ctx: ctx, scripts: scripts}
	if _, err := os.Stat(axeFile); err != nil {
		t.Log("skipped: no page is looked at by axe-core, which make axe installs")
	}
	chromedp.ListenTarget(ctx, b.note)
	b.do(
		network.Enable(), log.Enable(), audits.Enable(), webauthn.Enable(),
		emulation.SetDeviceMetricsOverride(390, 844, 2, true),
		chromedp.ActionFunc(func(ctx context.Context) (err error) {
			b.id, err = webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{
				Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
				HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
			}).Do(ctx)
			return err
		}),
		emulation.SetScriptExecutionDisabled(!scripts),
	)
	t.Cleanup(func() {
		b.noting.Lock()
		defer b.noting.Unlock()
		for _, w := range b.wrong {
			t.Error(w)
		}
	})
	return b
}

// note keeps what must not happen: a foreign request, a violation of the
// Content-Security-Policy, an error of a script.
func (b *tab) note(event any) {
	wrong := ""
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "about" && u.Scheme+"://"+u.Host != b.config.URL {
			wrong = "a request to " + e.Request.URL
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			wrong = fmt.Sprintf("a CSP violation: %+v", e.Issue.Details.ContentSecurityPolicyIssueDetails)
		}
	case *log.EventEntryAdded:
		if e.Entry.Source == log.SourceSecurity || e.Entry.Source == log.SourceJavascript {
			wrong = e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		wrong = e.ExceptionDetails.Error()
	}
	if wrong != "" {
		b.noting.Lock()
		defer b.noting.Unlock()
		b.wrong = append(b.wrong, wrong)
	}
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v on a page that says: %s", err, b.read())
	}
}

// read returns what the page says. A browser without scripts cannot be asked
// by one.
func (b *tab) read() string {
	var text string
	if b.scripts {
		_ = chromedp.Run(b.ctx, chromedp.Evaluate(`document.body.innerText`, &text))
		return strings.Join(strings.Fields(text), " ")
	}
	_ = chromedp.Run(b.ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		id, err := find(ctx, "//body")
		if err != nil {
			return err
		}
		text, err = dom.GetOuterHTML().WithNodeID(id).Do(ctx)
		return err
	}))
	return answer{body: text}.text()
}

// find returns the first element of an XPath that is shown.
func find(ctx context.Context, path string) (cdp.NodeID, error) {
	if _, err := dom.GetDocument().Do(ctx); err != nil {
		return 0, err
	}
	var all []cdp.NodeID
	for tries := 0; all == nil; tries++ {
		search, n, err := dom.PerformSearch(path).Do(ctx)
		if err != nil || n == 0 {
			return 0, fmt.Errorf("%d elements at %s: %w", n, path, err)
		}
		all, err = dom.GetSearchResults(search, 0, n).Do(ctx)
		if err != nil && tries == 5 { // or the page was shown anew since the search
			return 0, err
		}
	}
	for _, id := range all {
		if quads, err := dom.GetContentQuads().WithNodeID(id).Do(ctx); err == nil && len(quads) > 0 {
			return id, nil
		}
	}
	return all[0], nil
}

// anew repeats what was done with an element that a page which follows events has
// shown anew since it was found.
func anew(do chromedp.ActionFunc) chromedp.ActionFunc {
	return func(ctx context.Context) error {
		for tries := 0; ; tries++ {
			err := do(ctx)
			if err == nil || tries == 5 || !strings.Contains(err.Error(), "Could not find node") {
				return err
			}
		}
	}
}

// click presses where an element is.
func click(ctx context.Context, id cdp.NodeID) error {
	if err := dom.ScrollIntoViewIfNeeded().WithNodeID(id).Do(ctx); err != nil {
		return err
	}
	quads, err := dom.GetContentQuads().WithNodeID(id).Do(ctx)
	if err != nil || len(quads) == 0 {
		return fmt.Errorf("an element that is not shown: %w", err)
	}
	q := quads[0]
	x, y := (q[0]+q[4])/2, (q[1]+q[5])/2
	for _, what := range []input.MouseType{input.MousePressed, input.MouseReleased} {
		if err := input.DispatchMouseEvent(what, x, y).WithButton(input.Left).WithClickCount(1).Do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, _, _, err := page.Navigate(b.config.URL + path).Do(ctx)
		return err
	}))
}

// fill types into a field of the page.
func (b *tab) fill(field, text string) {
	b.t.Helper()
	b.steps.filled++
	b.do(anew(func(ctx context.Context) error {
		id, err := find(ctx, fmt.Sprintf(`//main//input[@name=%q][not(@type="hidden")]`, field))
		if err != nil {
			return err
		}
		if err := dom.Focus().WithNodeID(id).Do(ctx); err != nil {
			return err
		}
		return input.InsertText(text).Do(ctx)
	}))
}

// press clicks a button or link of the page by its text, and waits for the page
// that it leads to, which says want.
func (b *tab) press(text, want string) {
	b.t.Helper()
	b.steps.pressed++
	b.do(anew(func(ctx context.Context) error {
		const pressed = `//*[self::button or self::a or self::summary]`
		id, err := find(ctx, fmt.Sprintf(pressed+`[normalize-space(.)=%q]`, text))
		if err != nil {
			id, err = find(ctx, fmt.Sprintf(pressed+`[contains(normalize-space(.), %q)]`, text))
		}
		if err != nil {
			return err
		}
		return click(ctx, id)
	}))
	b.says(want)
}

// says waits until the page says something.
func (b *tab) says(want string) {
	b.t.Helper()
	if want == "" {
		return
	}
	for range 400 {
		if strings.Contains(b.read(), want) && b.check() == nil {
			return
		}
		select {
		case <-time.After(25 * time.Millisecond):
		case <-b.ctx.Done():
		}
	}
	b.t.Fatalf("the page does not say %q: %s", want, b.read())
}

// check has axe-core look at the page, if it is there. The error is of a page that
// went away meanwhile.
func (b *tab) check() error {
	b.t.Helper()
	axe, err := os.ReadFile(axeFile)
	if err != nil || !b.scripts {
		return nil
	}
	const run = `;axe.run().then(r => r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join(" | ")).join("\n"))`
	var found string
	err = chromedp.Run(b.ctx, chromedp.Evaluate(string(axe)+run, &found, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true)
	}))
	if err == nil && found != "" {
		b.t.Errorf("axe: %s", found)
	}
	return err
}

// shoot photographs the page in both sizes and schemes.
func (b *tab) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("PORTAL_SHOTS")
	if dir == "" {
		return
	}
	for _, size := range []struct {
		name          string
		width, height int64
		scale         float64
		mobile        bool
	}{{"desktop", 1280, 800, 1, false}, {"phone", 390, 844, 2, true}} {
		for _, scheme := range []string{"dark", "light"} {
			var png []byte
			b.do(
				emulation.SetDeviceMetricsOverride(size.width, size.height, size.scale, size.mobile),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}),
				chromedp.ActionFunc(func(ctx context.Context) (err error) {
					png, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).Do(ctx)
					return err
				}),
			)
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%s.png", name, size.name, scheme)), png, 0o600); err != nil {
				b.t.Fatal(err)
			}
			if err := b.check(); err != nil {
				b.t.Error(err)
			}
		}
	}
}

// text is that of the first element of an XPath.
func (b *tab) text(path string) string {
	b.t.Helper()
	var text string
	b.do(anew(func(ctx context.Context) error {
		id, err := find(ctx, path)
		if err != nil {
			return err
		}
		text, err = dom.GetOuterHTML().WithNodeID(id).Do(ctx)
		return err
	}))
	return answer{body: text}.text()
}
