//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"stsgate/gateway/account"
	"stsgate/gateway/mfa/factor"
	"stsgate/testdata"
)

// factorMatrixPolicy asks everybody for a code, of an app or of the MFA server.
var factorMatrixPolicy = strings.Replace(matrixPolicy,
	"{name: no contractors, match: {groups: [contractors]}, deny: {}}",
	"{name: codes, match: everyone, require: {mfa: {shapes: [code], factors: [totp, radius]}}}", 1)

const mfaServerSecret = "thirty-two bytes that RADIUS has"

// FAIL-01: while the clock is stepped no code of an app is taken and none is
// spent, and what the MFA server accepts still counts; while that does not answer
// it is the other way round. Nothing is ever taken in the place of a factor.
func TestMatrixFactors(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := startMFAServer(t)
	c := &cage{t: t, dir: t.TempDir()}
	c.try(os.WriteFile(filepath.Join(c.dir, "mfa.secret"), []byte(mfaServerSecret), 0o600))
	c.start(fmt.Sprintf("mfa: {radius: {servers: [%q], secret: mfa.secret, timeout: 500ms, tries: 2}}\n", server.address))
	c.write("policies/policy.yaml", factorMatrixPolicy)
	c.d.reload()
	code := c.enrolApp()

	// Alice's digits are those of her app, bob's the MFA server's, which are good once.
	tries := 0
	expect := func(what, app, radius string) {
		t.Helper()
		for range 5 {
			tries++
			for _, ask := range []struct{ name, password, want string }{
				{"alice", alicePassword + "," + code, app}, {"bob", fmt.Sprintf("%s,1111%02d", bobPassword, tries), radius},
				{"alice", alicePassword, "second-factor"}, {"bob", bobPassword, "second-factor"},
			} {
				q := c.query()
				q.Username = ask.name + "@contoso.example"
				if got := c.send(q, ask.password); got != ask.want {
					t.Errorf("%s, %s with %q: got %q, want %q", what, ask.name, ask.password, got, ask.want)
				}
			}
		}
	}
	for _, step := range []time.Duration{31 * time.Second, -time.Minute} {
		c.step.Store(int64(step))
		c.notes("clock", patience)
		expect(fmt.Sprint("stepped by ", step), "second-factor-down", "ok")
		c.step.Store(0)
		c.notes("", patience)
	}
	server.stop()
	q := c.query()
	if got := c.send(q, alicePassword+","+code); got != "ok" {
		t.Errorf("a code that was refused before: got %q, want ok", got)
	}
	expect("without the MFA server", "wrong-code", "second-factor-down") // hers is spent by now
	server.start()
	expect("with it again", "wrong-code", "ok")
}

// enrolApp gives alice an app, and returns the code that it shows next.
func (c *cage) enrolApp() string {
	c.t.Helper()
	ctx := c.t.(*testing.T).Context()
	name, err := account.ParseName("alice@contoso.example")
	c.try(err)
	a, err := c.d.parts.directory.Lookup(ctx, name)
	c.try(err)
	half, err := c.d.keeper.factors.BeginTOTP(ctx, factor.User{ID: a.ID, UPN: a.UPN}, factor.Proof{User: a.ID, Kind: factor.Binding, At: time.Now()})
	c.try(err)
	secret := strings.ReplaceAll(half.Secret(), " ", "")
	now, err := totp.GenerateCode(secret, time.Now())
	c.try(err)
	_, err = c.d.keeper.factors.ConfirmTOTP(ctx, a.ID, half.ID, account.NewPassword([]byte(now)), "app", factor.Source{})
	c.try(err)
	next, err := totp.GenerateCode(secret, time.Now().Add(30*time.Second))
	c.try(err)
	return next
}

// An mfaServer is FreeRADIUS, which accepts what begins with 1111.
type mfaServer struct {
	t            *testing.T
	dir, address string
	process      *exec.Cmd
}

func startMFAServer(t *testing.T) *mfaServer {
	t.Helper()
	testdata.Program(t, "freeradius")
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	s := &mfaServer{t: t, dir: t.TempDir(), address: free.LocalAddr().String()}
	text, err := os.ReadFile("../../gateway/mfa/factor/testdata/radiusd.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.address)
	signed := "update reply {\n\t\t\t\tMessage-Authenticator := 0x00\n\t\t\t}"
	// Clients of the cage have no address of their own to tell the server.
	config := strings.NewReplacer("DIR", s.dir, "PORT", port, "SECRET", mfaServerSecret, "\t\t\tSIGNED", "\t\t\t"+signed,
		" || !&Calling-Station-Id", "").Replace(string(text))
	for name, text := range map[string]string{"radiusd.conf": config, "dictionary": "$INCLUDE /usr/share/freeradius/dictionary\n"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *mfaServer) start() {
	s.t.Helper()
	log := filepath.Join(s.dir, "radius.log")
	_ = os.Remove(log) // of an earlier start
	s.process = exec.Command("freeradius", "-d", s.dir, "-n", "radiusd", "-f")
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	if !eventually(patience, func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), "Ready to process requests")
	}) {
		s.t.Fatal("FreeRADIUS is not ready")
	}
}

func (s *mfaServer) stop() {
	_ = s.process.Process.Signal(syscall.SIGKILL)
	_ = s.process.Wait() // whatever it has to say of that
}
