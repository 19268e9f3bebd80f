package edge_test

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stsgate/gateway/edge"
	"stsgate/gateway/refusal"
)

const (
	host     = "sts.contoso.example"
	trust    = "/adfs/services/trust/13/usernamemixed"
	metadata = "/FederationMetadata/2007-06/FederationMetadata.xml"
)

var discard = slog.New(slog.DiscardHandler)

// A pair is a certificate with its key, in PEM.
type pair struct{ cert, key []byte }

// issue makes a self-signed certificate for a name, valid for a time from now.
func issue(t testing.TB, name string, valid time.Duration, key crypto.Signer) pair {
	t.Helper()
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    now.Add(-48 * time.Hour),
		NotAfter:     now.Add(valid),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}
}

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// write puts a pair into a folder and returns the files.
func write(t testing.TB, folder string, p pair) edge.CertificatesConfig {
	t.Helper()
	c := edge.CertificatesConfig{
		Certificate: filepath.Join(folder, "tls.crt"), Key: filepath.Join(folder, "tls.key"), Host: host, Log: discard,
	}
	for path, content := range map[string][]byte{c.Certificate: p.cert, c.Key: p.key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// A site is a running server.
type site struct {
	*edge.Server
	address string
	refused chan refusal.Reason // of the requests without a route, buffered
	served  chan error          // what Serve returned
}

// start runs a server with a handler at trust (POST) and metadata (GET).
func start(t testing.TB, h http.HandlerFunc, change func(*edge.Config)) *site {
	t.Helper()
	s := server(t, h, change)
	l, err := edge.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	go func() { s.served <- s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// server makes a server as start does, which listens nowhere.
func server(t testing.TB, h http.HandlerFunc, change func(*edge.Config)) *site {
	t.Helper()
	certs, err := edge.NewCertificates(write(t, t.TempDir(), issue(t, host, time.Hour, ecKey(t))))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{refused: make(chan refusal.Reason, 10_000), served: make(chan error, 1)}
	c := edge.Config{
		Host: host, Certificates: certs, Log: discard, Gate: wide(t),
		Routes: []edge.Route{
			{Path: trust, Methods: []string{"POST"}, Handler: h},
			{Path: metadata, Methods: []string{"GET", "HEAD"}, Handler: h},
		},
		Refuse: func(w http.ResponseWriter, _ *http.Request, r *refusal.Refusal) {
			s.refused <- r.Reason
			http.Error(w, r.Reason.Row().Text, r.Reason.Row().Status)
		},
	}
	if change != nil {
		change(&c)
	}
	if s.Server, err = edge.New(c); err != nil {
		t.Fatal(err)
	}
	return s
}

// wide is a gate that lets everybody in.
func wide(t testing.TB) *edge.Gate {
	most := edge.Share{Connections: math.MaxInt, Handshakes: 1e9, Requests: math.MaxInt}
	return gate(t, edge.GateConfig{Total: most, PerSource: most})
}

func gate(t testing.TB, c edge.GateConfig) *edge.Gate {
	t.Helper()
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	g, err := edge.NewGate(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// dial opens a TLS connection with the server name given, which may be empty.
func (s *site) dial(t testing.TB, sni string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", s.address, &tls.Config{ServerName: sni, InsecureSkipVerify: true}) // a name of the test's choice
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// send writes bytes on a new connection and returns the status of the first
// answer, its header and body, and what else came before the connection ended
// or idled. Status 0 is an end without an answer.
func (s *site) send(t testing.TB, raw string) (status int, h http.Header, body string) {
	t.Helper()
	c := s.dial(t, host)
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	return read(t, bufio.NewReader(c))
}

// read reads one answer.
func read(t testing.TB, r *bufio.Reader) (status int, h http.Header, body string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, nil, ""
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("body of the answer: %v", err)
	}
	if resp.Close {
		resp.Header.Set("Connection", "close")
	}
	return resp.StatusCode, resp.Header, string(b)
}

// ended tells that the server has closed the connection.
func ended(t testing.TB, c net.Conn, r *bufio.Reader) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if b, err := r.ReadByte(); err == nil {
		t.Errorf("got byte %q, want the connection ended", b)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Error("the connection is still open")
	}
}

func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// echo answers with the path and the body it got.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.Header().Set("Connection", "close")
		http.Error(w, "body: "+err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, r.RequestURI+" "+r.URL.Path+" "+string(b))
}

// brief makes timeouts short.
func brief(c *edge.Config) {
	c.HeaderTimeout, c.IdleTimeout = 150*time.Millisecond, 150*time.Millisecond
}

// dialTCP opens a connection without TLS.
func (s *site) dialTCP(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
