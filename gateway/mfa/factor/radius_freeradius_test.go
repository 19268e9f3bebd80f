package factor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/policy"
	"stsgate/testdata"
)

const radiusSecret = "thirty-two bytes that RADIUS has"

// signedAnswer is how FreeRADIUS is told to sign what it answers.
const signedAnswer = `			update reply {
				Message-Authenticator := 0x00
			}`

// freeRADIUS starts a server and returns its address. It signs its answers, or
// does not.
func freeRADIUS(t *testing.T, signs bool) string {
	t.Helper()
	signed := ""
	if signs {
		signed = signedAnswer
	}
	port := freePort(t)
	startFreeRADIUS(t, "PORT", port, "SECRET", radiusSecret, "\t\t\tSIGNED", signed, "# TLS", "")
	return net.JoinHostPort("127.0.0.1", port)
}

// freeRadSec starts one that listens for RADIUS over TLS, and wants to know the
// gateway.
func freeRadSec(t *testing.T, a *authority) string {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	address := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	a.write(filepath.Join(dir, "ca.pem"), tls.Certificate{Certificate: [][]byte{a.cert.Raw}})
	a.write(filepath.Join(dir, "server.pem"), a.server("mfa.contoso.example"))
	startFreeRADIUS(t, "PORT", port, "SECRET", "radsec",
		"\t\t\tSIGNED", signedAnswer, "# TLS", `proto = tcp
		tls {
			private_key_file = "`+dir+`/server.pem"
			certificate_file = "`+dir+`/server.pem"
			ca_file = "`+dir+`/ca.pem"
			tls_min_version = "1.2"
			tls_max_version = "1.3"
			require_client_cert = yes
		}`)
	return address
}

// startFreeRADIUS starts a server with its configuration filled in: texts to be
// replaced and their replacements, by turns.
func startFreeRADIUS(t *testing.T, fill ...string) {
	t.Helper()
	program := testdata.Program(t, "freeradius")
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/radiusd.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer(append(fill, "DIR", dir)...).Replace(string(text))
	for name, text := range map[string]string{"radiusd.conf": config, "dictionary": "$INCLUDE /usr/share/freeradius/dictionary\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, program, "-d", dir, "-n", "radiusd", "-f")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); server.Wait() })
	ready(t, filepath.Join(dir, "radius.log"))
}

// ready waits until the server says so.
func ready(t *testing.T, log string) {
	t.Helper()
	var text []byte
	for range 500 {
		text, _ = os.ReadFile(log)
		if strings.Contains(string(text), "Ready to process requests") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("FreeRADIUS is not ready:\n%s", text)
}

// freePort is a port of UDP that nobody has.
func freePort(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return fmt.Sprint(c.LocalAddr().(*net.UDPAddr).Port)
}

// withRADIUS has gateways ask servers.
func withRADIUS(secret string, servers ...string) func(*factor.Config) {
	return func(c *factor.Config) {
		c.RADIUS = &factor.RADIUSServers{Servers: servers, Secret: []byte(secret), Timeout: 300 * time.Millisecond, Tries: 2}
	}
}

// MFA-21: with a real server: accepted, rejected, another user accepted, and
// challenged.
func TestFreeRADIUS(t *testing.T) {
	testFreeRADIUS(t, withRADIUS(radiusSecret, freeRADIUS(t, true)))
}

// MFA-21: the same over TLS. A server of another authority is asked nothing, and
// one that does not know the gateway answers nothing.
func TestFreeRadSec(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	server := freeRadSec(t, a)
	known := func(by *authority, certificates ...tls.Certificate) func(*factor.Config) {
		return func(c *factor.Config) {
			withRadSec(by, server)(c)
			c.RADIUS.TLS.Certificates, c.RADIUS.TLS.ServerName = certificates, "mfa.contoso.example"
		}
	}
	testFreeRADIUS(t, known(a, a.client("gateway")))
	for _, c := range []struct {
		what, says string // FreeRADIUS says nothing, it closes
		config     func(*factor.Config)
	}{
		{"of another authority", "unknown authority", known(other, a.client("gateway"))},
		{"that does not know the gateway", "", known(a, other.client("gateway"))},
		{"that is not shown the gateway", "", known(a)},
	} {
		v := newSite(t, 1, nil, c.config).nodes[0]
		if _, err := v.CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home); !errors.Is(err, factor.ErrDown) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("a server %s: got %v", c.what, err)
		}
	}
}

func testFreeRADIUS(t *testing.T, config func(*factor.Config)) {
	t.Helper()
	s := newSite(t, 2, nil, config)
	v, other := s.nodes[0], s.nodes[1]
	check := func(id, code string, want error) error {
		t.Helper()
		p, err := v.CheckCode(t.Context(), user(id), typed(code), policy.TOTP|policy.RADIUS, home)
		if !errors.Is(err, want) || err == nil && (p.User != id || p.Kind != factor.RADIUS) {
			t.Errorf("%s: got %+v, %v; want %v", code, p, err, want)
		}
		return err
	}
	check(alice, "111111", nil)
	check(alice, "111111", factor.ErrReused)
	check(bob, "111111", nil)
	check(alice, "555555", factor.ErrWrong)
	check(alice, "222222", factor.ErrWrong)
	check(alice, "12345678", factor.ErrWrong)
	c, ok := errors.AsType[*factor.Challenge](check(alice, "333333", factor.ErrChallenge))
	if !ok || c.Text != "Type the code that was sent to your phone" {
		t.Fatalf("challenged: %+v", c)
	}
	answer := func(what, id, text string, want error) {
		t.Helper()
		p, err := other.AnswerChallenge(t.Context(), user(id), c.ID, typed(text), home)
		if !errors.Is(err, want) || err == nil && (p.User != id || p.Kind != factor.RADIUS) {
			t.Errorf("%s: got %+v, %v; want %v", what, p, err, want)
		}
	}
	answer("another user", bob, "444444", factor.ErrOver)
	answer("right", alice, "444444", nil)
	answer("again", alice, "444444", factor.ErrOver)
	c, _ = errors.AsType[*factor.Challenge](check(bob, "333333", factor.ErrChallenge))
	answer("wrong", bob, "111111", factor.ErrWrong)
	answer("right, after a wrong one", bob, "444444", factor.ErrOver)
}

// MFA-21: an answer without a Message-Authenticator is none, and says so. A
// server with another secret does not even answer. None of it is counted.
func TestFreeRADIUSUnsigned(t *testing.T) {
	for _, c := range []struct {
		what, secret string
		signs        bool
		unsigned     bool
	}{
		{"no Message-Authenticator", radiusSecret, false, true},
		{"another secret", "another secret, of enough bytes", true, false},
	} {
		s := newSite(t, 1, nil, withRADIUS(c.secret, freeRADIUS(t, c.signs)))
		_, err := s.nodes[0].CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home)
		if !errors.Is(err, factor.ErrDown) || strings.Contains(err.Error(), "Message-Authenticator") != c.unsigned {
			t.Errorf("%s: got %v", c.what, err)
		}
		if got := s.metric("stsgate_factor_radius_discarded_total", "unsigned"); (got > 0) != c.unsigned {
			t.Errorf("%s: %g unsigned answers", c.what, got)
		}
	}
}
