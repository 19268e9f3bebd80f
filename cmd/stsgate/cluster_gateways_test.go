package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs/adfstest"
)

// A fleet is real gateways, each a process, in front of one farm.
type fleet struct {
	t        testing.TB
	dir      string // of what they share
	farm     *adfstest.Farm
	gateways []*gatewayProcess
}

// A gatewayProcess is stsgate run.
type gatewayProcess struct {
	dir           string
	listen, admin string
	client        *http.Client
	cmd           *exec.Cmd
}

// fleetFile is the configuration of each. All clients share an address, so that
// sprays are not looked for.
const fleetFile = `
host: localhost
listen:
  - {address: %q, tls: {certificate: ../tls.crt, key: ../tls.key}}
admin: {address: %q}
upstream:
  adfs: {nodes: [%q], ca: ../farm.pem, probe: tls}
directory: {file: ../users.yaml}
policy: ../policies
state: %s
guard: {spray_users: 10000, surge_users: 10000, user_tries: 10000000, source_tries: 10000000}
audit: {file: audit.jsonl}
limits: {handshakes_per_source: 1000}
`

// newFleet writes the files of n gateways that keep state as stateOf says.
// Nobody here knows the passwords of so many victims.
func newFleet(t testing.TB, n, victims int, stateOf func(i int) string) *fleet {
	t.Helper()
	f := newFleetOf(t, adfstest.Config{Host: "localhost", Users: farmUsers(), Applications: []string{"urn:payroll"}}, fleetFile, n, stateOf)
	f.addVictims(victims)
	return f
}

// newFleetOf does that in front of a farm, with a configuration in which stand
// the addresses to listen on and of operators, the farm's, and the state.
func newFleetOf(t testing.TB, c adfstest.Config, configuration string, n int, stateOf func(i int) string) *fleet {
	t.Helper()
	farm, err := adfstest.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, dir: t.TempDir(), farm: farm}
	t.Cleanup(f.close)
	writeGate(t, f.dir, "", farm.CAPEM())
	roots, err := readPool(filepath.Join(f.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		g := &gatewayProcess{dir: filepath.Join(f.dir, fmt.Sprint("gateway", i)), listen: freeAddress(), admin: freeAddress()}
		if err := os.Mkdir(g.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf(configuration, g.listen, g.admin, farm.URLs()[0], stateOf(i))
		if err := os.WriteFile(filepath.Join(g.dir, "stsgate.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		g.client = &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 32}}
		f.gateways = append(f.gateways, g)
	}
	return f
}

func (f *fleet) addVictims(n int) {
	f.t.Helper()
	file, err := os.OpenFile(filepath.Join(f.dir, "users.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	for i := range n {
		fmt.Fprintf(file, "  - name: %s\n    guid: %s\n    groups: [staff]\n", victim(i), victimID(i))
	}
}

func victimID(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }

func victim(i int) string { return fmt.Sprintf("victim%d@contoso.example", i) }

// start starts gateway i and waits until it is ready.
func (f *fleet) start(i int) {
	f.t.Helper()
	g := f.gateways[i]
	log, err := os.OpenFile(filepath.Join(g.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer log.Close()
	g.cmd = exec.Command("stsgate", "run", "-c", "stsgate.yaml")
	g.cmd.Dir, g.cmd.Stdout, g.cmd.Stderr = g.dir, log, log
	if err := g.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	if !eventually(2*patience, func() bool { return g.ready() }) {
		_ = g.cmd.Process.Signal(syscall.SIGQUIT) // for its stacks
		_ = g.cmd.Wait()
		text, _ := os.ReadFile(log.Name())
		f.t.Fatalf("gateway %d is not ready:\n%s", i, text[max(0, len(text)-64<<10):])
	}
}

func tail(text []byte) []byte { return text[max(0, len(text)-1000):] }

func (g *gatewayProcess) ready() bool {
	r, err := operator.Get("http://" + g.admin + "/readyz")
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// kill ends the gateway as a crash does.
func (g *gatewayProcess) kill() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	g.client.CloseIdleConnections()
}

func (f *fleet) close() {
	for i, g := range f.gateways {
		if g.cmd != nil {
			g.kill()
		}
		if text, err := os.ReadFile(filepath.Join(g.dir, "log")); err == nil && f.t.Failed() {
			f.t.Logf("the end of what gateway %d logged:\n%s", i, tail(text))
		}
	}
	f.farm.Close()
}

// eventually waits until a condition holds.
func eventually(most time.Duration, holds func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(most); time.Now().Before(end); <-tick.C {
		if holds() {
			return true
		}
	}
	return holds()
}

// An upshot is what became of a request.
type upshot uint8

const (
	unanswered upshot = iota
	granted
	wrongCredential // as a client sees it: wrong password, locked, banned
	closed          // nothing could be decided
)

func (o upshot) String() string {
	return [...]string{"unanswered", "granted", "wrong credential", "closed"}[o]
}

var (
	transactionID = regexp.MustCompile(`\(transaction ([0-9a-f]{32})\)`)
	assertionID   = regexp.MustCompile(`AssertionID="([^"]+)"`)
)

// ask asks for a token. The id is the transaction's, or for a token the
// assertion's.
func (g *gatewayProcess) ask(user, password string) (o upshot, id string) {
	return g.askWith(g.client, user, password)
}

func (g *gatewayProcess) askWith(c *http.Client, user, password string) (o upshot, id string) {
	body, err := g.post(c, "urn:payroll", user, password)
	if err != nil {
		return unanswered, ""
	}
	return read(body)
}

// post returns the answer to a request for a token.
func (g *gatewayProcess) post(c *http.Client, realm, user, password string) ([]byte, error) {
	q := wstrust.Query{
		SOAP: soap.V12, Version: wstrust.V13, To: "https://localhost" + path13, MessageID: "urn:fleet:" + rand.Text(),
		Username: user, Password: account.NewPassword([]byte(password)), AppliesTo: realm, Now: time.Now(),
	}
	_, port, _ := net.SplitHostPort(g.listen)
	answer, err := c.Post("https://localhost:"+port+path13, soap.V12.ContentType(), bytes.NewReader(wstrust.AppendRequest(nil, q)))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

func read(body []byte) (upshot, string) {
	first := func(r *regexp.Regexp) string {
		if m := r.FindSubmatch(body); m != nil {
			return string(m[1])
		}
		return ""
	}
	switch {
	case bytes.Contains(body, []byte("RequestSecurityTokenResponse")):
		return granted, first(assertionID)
	case bytes.Contains(body, []byte("FailedAuthentication")):
		return wrongCredential, first(transactionID)
	}
	return closed, first(transactionID)
}

// from is the client with another address of loopback, to which it is a
// stranger.
func (g *gatewayProcess) from(address string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := g.client.Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", g.listen)
	}
	return &http.Client{Timeout: patience, Transport: transport}
}

var typedName = regexp.MustCompile(`Username>([^<]+)<`)

// guesses is how many passwords of each user the farm was asked about.
func (f *fleet) guesses() map[string]int {
	all := map[string]int{}
	for _, node := range f.farm.Nodes {
		for _, r := range node.Seen() {
			if m := typedName.FindSubmatch(r.Body); m != nil {
				all[string(m[1])]++
			}
		}
	}
	return all
}
