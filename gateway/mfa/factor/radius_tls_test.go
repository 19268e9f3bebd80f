package factor_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/policy"
)

// An authority vouches for servers and gateways.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	own := a.issue("an authority", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = own.Leaf, own.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

// issue makes a certificate, which is the authority's own while it has none.
func (a *authority) issue(name string, template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(a.t)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))(a.t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))(a.t)}
}

// server is a certificate for 127.0.0.1 and a name.
func (a *authority) server(name string) tls.Certificate {
	return a.issue(name, &x509.Certificate{DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (a *authority) client(name string) tls.Certificate {
	return a.issue(name, &x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// write puts a certificate and its key where a program reads them.
func (a *authority) write(file string, c tls.Certificate) {
	a.t.Helper()
	var text []byte
	if key, ok := c.PrivateKey.(*ecdsa.PrivateKey); ok {
		text = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))(a.t)})
	}
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// A radsecServer is one that says over TLS what a test wants.
type radsecServer struct {
	address string

	mu   sync.Mutex
	seen [][]byte
}

// newRadSecServer reads one request of each connection, sends what answer says,
// closes where that has a nil, and else waits until the other side has closed.
func newRadSecServer(t *testing.T, c *tls.Config, answer func(request []byte) [][]byte) *radsecServer {
	t.Helper()
	listener := must(tls.Listen("tcp", "127.0.0.1:0", c))(t)
	s := &radsecServer{address: listener.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); s.serve(conn, answer) })
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return s
}

func (s *radsecServer) serve(conn net.Conn, answer func(request []byte) [][]byte) {
	b := make([]byte, 4096)
	if _, err := io.ReadFull(conn, b[:20]); err != nil {
		return
	}
	if _, err := io.ReadFull(conn, b[20:binary.BigEndian.Uint16(b[2:])]); err != nil {
		return
	}
	request := b[:binary.BigEndian.Uint16(b[2:])]
	s.saw(request)
	for _, p := range answer(request) {
		if p == nil {
			return
		}
		conn.Write(p)
	}
	if rest, _ := io.ReadAll(conn); len(rest) > 0 {
		s.saw(rest)
	}
}

func (s *radsecServer) saw(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, bytes.Clone(b))
}

func (s *radsecServer) requests() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// withRadSec has gateways ask servers over TLS, whom an authority vouches for.
func withRadSec(a *authority, servers ...string) func(*factor.Config) {
	return func(c *factor.Config) {
		c.RADIUS = &factor.RADIUSServers{Servers: servers, TLS: &tls.Config{RootCAs: a.pool}, Timeout: 2 * time.Second, Tries: 3}
	}
}

// over is an answer of a server over TLS.
func over(request []byte, code byte, attrs ...attr) []byte {
	return packet(request, code, attrs, "radsec", true)
}

// MFA-21: over TLS the request is signed first, by the secret that RFC 6614 names,
// and sent once; its answer may come in pieces.
func TestRadSecRequest(t *testing.T) {
	a := newAuthority(t)
	server := newRadSecServer(t, &tls.Config{Certificates: []tls.Certificate{a.server("mfa.contoso.example")}}, func(r []byte) [][]byte {
		return slices.Collect(slices.Chunk(over(r, 2, attr{18, []byte("welcome")}), 3))
	})
	v := newSite(t, 1, nil, withRadSec(a, server.address)).nodes[0]
	if p := must(v.CheckCode(t.Context(), user(alice), typed("12345678"), policy.RADIUS, home))(t); p.Kind != factor.RADIUS || p.User != alice {
		t.Errorf("got %+v", p)
	}
	seen := server.requests()
	if len(seen) != 1 {
		t.Fatalf("%d requests, want one", len(seen))
	}
	b := seen[0]
	blank := bytes.Clone(b)
	clear(blank[22:38])
	mac := hmac.New(md5.New, []byte("radsec"))
	mac.Write(blank)
	if first := attrsOf(b)[0]; first.typ != 80 || !hmac.Equal(mac.Sum(nil), first.value) {
		t.Errorf("the first attribute is %+v", first)
	}
	if got := string(valueOf(b, 1)); got != "alice@contoso.example" {
		t.Errorf("User-Name %q", got)
	}
	if bytes.Contains(b, []byte("12345678")) {
		t.Error("the code is not hidden")
	}
}

// MFA-21: what is not signed twice for the request ends it, whatever follows, and
// so does a length that is none. A server that closes or says nothing is down. The
// request is never sent again, and nothing is counted as wrong.
func TestRadSecForged(t *testing.T) {
	one := func(f func(r []byte) []byte) func([]byte) [][]byte {
		return func(r []byte) [][]byte { return [][]byte{f(r), over(r, 2)} }
	}
	length := func(n uint16) func([]byte) [][]byte {
		return one(func(r []byte) []byte { b := over(r, 2); binary.BigEndian.PutUint16(b[2:], n); return b })
	}
	a := newAuthority(t)
	for _, c := range []struct {
		what, cause, says string
		answer            func(request []byte) [][]byte
	}{
		{"another secret", "forged", "shared secret", one(func(r []byte) []byte { return packet(r, 2, nil, radiusSecret, true) })},
		{"no Message-Authenticator", "unsigned", "Message-Authenticator", one(func(r []byte) []byte { return packet(r, 2, nil, "radsec", false) })},
		{"a response authenticator that is wrong", "forged", "shared secret", one(func(r []byte) []byte { b := over(r, 2); b[4] ^= 1; return b })},
		{"another identifier", "malformed", "not a packet", one(func(r []byte) []byte { b := over(r, 2); b[1]++; return b })},
		{"a length of 0", "malformed", "not a packet", length(0)},
		{"a length of 19", "malformed", "not a packet", length(19)},
		{"a length of 20", "unsigned", "Message-Authenticator", length(20)},
		{"a length of 4097", "malformed", "not a packet", length(4097)},
		{"a length of 65535", "malformed", "not a packet", length(65535)},
		{"half a packet", "", "closed the connection", func(r []byte) [][]byte { return [][]byte{over(r, 2)[:25], nil} }},
		{"nothing", "", "closed the connection", func([]byte) [][]byte { return [][]byte{nil} }},
		{"silence", "", "timeout", func([]byte) [][]byte { return nil }},
	} {
		server := newRadSecServer(t, &tls.Config{Certificates: []tls.Certificate{a.server("mfa.contoso.example")}}, c.answer)
		s := newSite(t, 1, nil, func(f *factor.Config) {
			withRadSec(a, server.address)(f)
			if c.what == "silence" {
				f.RADIUS.Timeout = 100 * time.Millisecond
			}
		})
		_, err := s.nodes[0].CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home)
		if !errors.Is(err, factor.ErrDown) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v", c.what, err)
		}
		if c.cause != "" && s.metric("stsgate_factor_radius_discarded_total", c.cause) != 1 {
			t.Errorf("%s: not counted as %s", c.what, c.cause)
		}
		if n := len(server.requests()); n != 1 {
			t.Errorf("%s: sent %d times", c.what, n)
		}
	}
}

// MFA-21: nobody is asked whom no authority of ours vouches for by the name that
// is configured, or whose TLS is old; a server that wants to know the gateway is
// shown its certificate.
func TestRadSecTrust(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	own := a.client("gateway")
	plain := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer plain.Close()
	go func() {
		for conn, err := plain.Accept(); err == nil; conn, err = plain.Accept() {
			conn.Write(over(make([]byte, 20), 2))
			conn.Close()
		}
	}()
	for _, c := range []struct {
		what, says string // nothing where the server is asked
		server     *tls.Config
		change     func(*factor.RADIUSServers)
	}{
		{"vouched for", "", &tls.Config{}, nil},
		{"vouched for by its name", "", &tls.Config{}, func(r *factor.RADIUSServers) { r.TLS.ServerName = "mfa.contoso.example" }},
		{"by another authority", "unknown authority", &tls.Config{}, func(r *factor.RADIUSServers) { r.TLS.RootCAs = other.pool }},
		{"by another name", "not other.contoso.example", &tls.Config{}, func(r *factor.RADIUSServers) { r.TLS.ServerName = "other.contoso.example" }},
		{"old", "protocol version", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, func(r *factor.RADIUSServers) { r.TLS.MinVersion = tls.VersionTLS10 }},
		{"knows the gateway", "", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool}, func(r *factor.RADIUSServers) { r.TLS.Certificates = []tls.Certificate{own} }},
		{"does not know the gateway", "certificate", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: other.pool}, func(r *factor.RADIUSServers) { r.TLS.Certificates = []tls.Certificate{own} }},
		{"is not shown the gateway", "certificate required", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool}, nil},
		{"no TLS", "does not look like a TLS handshake", &tls.Config{}, func(r *factor.RADIUSServers) { r.Servers = []string{plain.Addr().String()} }},
	} {
		c.server.Certificates = []tls.Certificate{a.server("mfa.contoso.example")}
		server := newRadSecServer(t, c.server, func(r []byte) [][]byte { return [][]byte{over(r, 2)} })
		v := newSite(t, 1, nil, func(f *factor.Config) {
			withRadSec(a, server.address)(f)
			if c.change != nil {
				c.change(f.RADIUS)
			}
		}).nodes[0]
		_, err := v.CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home)
		if asked := len(server.requests()); asked > 0 != (c.says == "") {
			t.Errorf("%s: asked %d times", c.what, asked)
		}
		if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, factor.ErrDown) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: got %v, want %q", c.what, err, c.says)
		}
	}
}

// Over TLS the next server is asked when one is down; a challenge is answered to
// the one that made it, over another connection.
func TestRadSecState(t *testing.T) {
	a := newAuthority(t)
	closed := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	closed.Close()
	mine := tls.Config{Certificates: []tls.Certificate{a.server("mfa.contoso.example")}}
	server := newRadSecServer(t, &mine, func(r []byte) [][]byte {
		switch string(valueOf(r, 24)) {
		case "":
			return [][]byte{over(r, 11, attr{24, []byte("state")}, attr{18, []byte("Type it")})}
		case "state":
			return [][]byte{over(r, 2, attr{1, []byte("alice")})}
		}
		return [][]byte{over(r, 3)}
	})
	s := newSite(t, 2, nil, withRadSec(a, closed.Addr().String(), server.address))
	_, err := s.nodes[0].CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home)
	c, ok := errors.AsType[*factor.Challenge](err)
	if !ok || c.Text != "Type it" {
		t.Fatalf("got %v", err)
	}
	if _, err := s.nodes[1].AnswerChallenge(t.Context(), user(bob), c.ID, typed("1"), home); !errors.Is(err, factor.ErrOver) {
		t.Errorf("the state of another user: %v", err)
	}
	must(s.nodes[1].AnswerChallenge(t.Context(), user(alice), c.ID, typed("1"), home))(t)
}

// MFA-21: over TLS there are authorities, and the secret is the protocol's.
func TestRadSecConfig(t *testing.T) {
	a := newAuthority(t)
	for what, change := range map[string]func(*factor.RADIUSServers){
		"a secret":       func(r *factor.RADIUSServers) { r.Secret = []byte(radiusSecret) },
		"no authorities": func(r *factor.RADIUSServers) { r.TLS.RootCAs = nil },
		"no check":       func(r *factor.RADIUSServers) { r.TLS.InsecureSkipVerify = true },
		"neither":        func(r *factor.RADIUSServers) { r.TLS = nil },
	} {
		c := config(withRadSec(a, "127.0.0.1:2083"))
		change(c.RADIUS)
		if _, err := factor.New(c); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
