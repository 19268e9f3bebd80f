package knock_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/state"
)

const (
	alice  = "0f8fad5b-d9cb-469f-a165-70867728950e"
	portal = "https://approve.contoso.example"
)

var (
	she    = knock.Recipient{ID: alice, Name: "alice@contoso.example", Mail: "alice@contoso.example"}
	secret = []byte("sixteen bytes and more")
)

func prompt() knock.Prompt {
	return knock.Prompt{To: she, Application: "payroll", Place: "AT", At: time.Now()}
}

// A told service, and its log and metrics.
type service struct {
	*knock.Service
	metrics *prometheus.Registry
	log     *logged
}

// run starts a service that ends with the test.
func run(t *testing.T, c knock.Config) *service {
	t.Helper()
	s := newService(t, c)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return s
}

func newService(t *testing.T, c knock.Config) *service {
	t.Helper()
	s := &service{metrics: prometheus.NewRegistry(), log: new(logged)}
	if c.Store == nil {
		c.Store = state.NewMemory(nil)
	}
	c.Portal, c.Metrics, c.Log = portal, s.metrics, slog.New(slog.NewTextHandler(s.log, nil))
	var err error
	if s.Service, err = knock.New(c); err != nil {
		t.Fatal(err)
	}
	return s
}

// count reads what became of messages of a channel.
func (s *service) count(t *testing.T, channel, outcome string) float64 {
	t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "stsgate_knock_messages_total" && labels["channel"] == channel && labels["outcome"] == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no metric of %s %s", channel, outcome)
	return 0
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begin := time.Now(); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A receiver is a messenger.
type receiver struct {
	*httptest.Server
	ca *x509.CertPool

	mu     sync.Mutex
	posted []posted
	answer func(n int, w http.ResponseWriter, r *http.Request)
}

type posted struct {
	header http.Header
	body   string
}

// receive starts a receiver; answer, which may be nil, answers the nth post.
func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewTLSServer(r)
	t.Cleanup(r.Close)
	r.ca = x509.NewCertPool()
	r.ca.AddCert(r.Certificate())
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.posted = append(r.posted, posted{in.Header, string(body)})
	n := len(r.posted)
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(n, w, in)
	}
}

func (r *receiver) all() []posted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]posted(nil), r.posted...)
}

// webhook is one to the receiver.
func (r *receiver) webhook(name string) knock.Webhook {
	return knock.Webhook{Name: name, URL: r.URL, Form: "generic", Secret: secret, CA: r.ca}
}

// pair writes a certificate for localhost and its key.
func pair(t *testing.T) (certificate, key string, ca *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certificate, key = filepath.Join(folder, "smtp.crt"), filepath.Join(folder, "smtp.key")
	for name, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ca = x509.NewCertPool()
	ca.AddCert(parsed)
	return certificate, key, ca
}
