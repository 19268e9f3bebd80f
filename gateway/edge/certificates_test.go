package edge_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stsgate/gateway/edge"
)

// TLS-03: a pair that is not better than the old one leaves it in place.
func TestReloadKeepsTheOld(t *testing.T) {
	key := ecKey(t)
	old := issue(t, host, time.Hour, key)
	fresh := issue(t, host, 2*time.Hour, key)
	for name, v := range map[string]struct {
		next pair
		want string // of the error
	}{
		"truncated certificate": {pair{fresh.cert[:len(fresh.cert)/2], fresh.key}, "tls.crt"},
		"truncated key":         {pair{fresh.cert, fresh.key[:len(fresh.key)/2]}, "tls.key"},
		"empty files":           {pair{}, "tls.crt"},
		"wrong key":             {pair{fresh.cert, issue(t, host, time.Hour, ecKey(t)).key}, "private key"},
		"other host":            {issue(t, "sts.fabrikam.example", time.Hour, ecKey(t)), host},
		"expired":               {issue(t, host, -time.Hour, ecKey(t)), "expired at"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			certs, err := edge.NewCertificates(write(t, folder, old))
			if err != nil {
				t.Fatal(err)
			}
			before := certs.Expiry()
			write(t, folder, v.next)
			if err := reload(certs); err == nil || !strings.Contains(err.Error(), v.want) {
				t.Errorf("got error %v, want one with %q", err, v.want)
			}
			if got := certs.Expiry(); !got.Equal(before) {
				t.Errorf("got a certificate that expires %v, want the old one", got)
			}
			write(t, folder, fresh)
			if err := reload(certs); err != nil || !certs.Expiry().After(before) {
				t.Errorf("got expiry %v and error %v, want the new certificate", certs.Expiry(), err)
			}
		})
	}
}

func TestNewCertificates(t *testing.T) {
	for name, v := range map[string]struct {
		pair pair
		ok   bool
	}{
		"good":       {issue(t, host, time.Hour, ecKey(t)), true},
		"rsa":        {issue(t, host, time.Hour, rsaKey(t)), true},
		"expired":    {issue(t, host, -time.Hour, ecKey(t)), true}, // clients judge
		"wildcard":   {issue(t, "*.contoso.example", time.Hour, ecKey(t)), true},
		"other host": {issue(t, "contoso.example", time.Hour, ecKey(t)), false},
		"wrong key":  {pair{issue(t, host, time.Hour, ecKey(t)).cert, issue(t, host, time.Hour, ecKey(t)).key}, false},
		"no key":     {pair{issue(t, host, time.Hour, ecKey(t)).cert, nil}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := edge.NewCertificates(write(t, t.TempDir(), v.pair)); (err == nil) != v.ok {
				t.Errorf("got error %v, want none: %v", err, v.ok)
			}
		})
	}
}

// TLS-03: certificates are swapped during handshakes, good and bad ones in
// turn, and no handshake fails.
func TestSwapDuringHandshakes(t *testing.T) {
	folder, key := t.TempDir(), ecKey(t)
	certs, err := edge.NewCertificates(write(t, folder, issue(t, host, time.Hour, key)))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, echo, func(c *edge.Config) { c.Certificates = certs })
	var stop atomic.Bool
	var shaken atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				c, err := tls.Dial("tcp", s.address, &tls.Config{ServerName: host, InsecureSkipVerify: true}) // changing self-signed certificates
				if err != nil {
					t.Errorf("handshake: %v", err)
					return
				}
				shaken.Add(1)
				_ = c.Close()
			}
		})
	}
	good, bad := issue(t, host, 2*time.Hour, ecKey(t)), issue(t, host, time.Hour, ecKey(t))
	bad.key = bad.key[:100]
	swaps := 0
	for ; swaps < 100 || shaken.Load() < 500; swaps++ {
		next := good
		if swaps%2 == 1 {
			next = bad
		}
		write(t, folder, next)
		if err := reload(certs); (err == nil) != (swaps%2 == 0) {
			t.Fatalf("swap %d: got error %v", swaps, err)
		}
	}
	stop.Store(true)
	clients.Wait()
	c := s.dial(t, host)
	if got := c.ConnectionState().PeerCertificates[0]; !got.NotAfter.Equal(certs.Expiry()) {
		t.Errorf("got the certificate that expires %v, want %v", got.NotAfter, certs.Expiry())
	}
}

// TLS-01: the suites, one handshake each.
func TestSuites(t *testing.T) {
	gcm := []uint16{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	want := map[x509.PublicKeyAlgorithm][]uint16{
		x509.RSA: append(gcm, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA),
		x509.ECDSA: {
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
	for name, p := range map[x509.PublicKeyAlgorithm]pair{
		x509.RSA: issue(t, host, time.Hour, rsaKey(t)), x509.ECDSA: issue(t, host, time.Hour, ecKey(t)),
	} {
		t.Run(name.String(), func(t *testing.T) {
			certs, err := edge.NewCertificates(write(t, t.TempDir(), p))
			if err != nil {
				t.Fatal(err)
			}
			s := start(t, echo, func(c *edge.Config) { c.Certificates = certs })
			for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
				c, err := tls.Dial("tcp", s.address, &tls.Config{
					ServerName: host, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, MinVersion: tls.VersionTLS10, CipherSuites: []uint16{suite.ID},
				})
				if err == nil {
					_ = c.Close()
				}
				if slices.Contains(suite.SupportedVersions, tls.VersionTLS12) && (err == nil) != slices.Contains(want[name], suite.ID) {
					t.Errorf("%s: got error %v, want it taken: %v", suite.Name, err, err != nil)
				}
			}
		})
	}
}

// TLS-01, HTTP-10, DOS-05: versions below 1.2 are refused, and HTTP/2 is not offered.
func TestVersions(t *testing.T) {
	s := start(t, echo, nil)
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", s.address, &tls.Config{
			ServerName: host, InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"},
		})
		if (err == nil) != ok {
			t.Errorf("%s: got error %v, want it taken: %v", tls.VersionName(version), err, ok)
		}
		if err == nil {
			if p := c.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
				t.Errorf("%s: got protocol %q, want http/1.1", tls.VersionName(version), p)
			}
			_ = c.Close()
		}
	}
}

// TLS-04: a session of one connection is resumed by the next.
func TestSessionTickets(t *testing.T) {
	s := start(t, echo, nil)
	c := &tls.Config{ServerName: host, InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1), MaxVersion: tls.VersionTLS12}
	for i := range 2 {
		conn, err := tls.Dial("tcp", s.address, c)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().DidResume; got != (i == 1) {
			t.Errorf("connection %d: got resumed %v", i, got)
		}
		_ = conn.Close()
	}
}

func TestCertificateFilesMustExist(t *testing.T) {
	c := write(t, t.TempDir(), issue(t, host, time.Hour, ecKey(t)))
	if err := os.Remove(c.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := edge.NewCertificates(c); err == nil || !strings.Contains(err.Error(), "tls.key") {
		t.Errorf("got %v, want the key named", err)
	}
}

// reload prepares a certificate and puts it in force.
func reload(c *edge.Certificates) error {
	replace, err := c.Prepare()
	if err == nil {
		replace()
	}
	return err
}
