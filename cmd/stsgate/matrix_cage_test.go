//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/clock"
	"stsgate/gateway/config"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs/adfstest"
	"stsgate/upstream/directory"
)

// An askKind is a kind of request.
type askKind int

const (
	forwarded askKind = iota // a right password, for an application that is forwarded
	issued                   // the same, for one that is issued
	wrong                    // a wrong password that was wrong before
	denied                   // a right password of somebody whom policy denies
	fresh                    // a wrong password that nobody tried yet, which is counted
	kinds
)

// String names the kind as the runbook does.
func (k askKind) String() string {
	return [...]string{"forwarded", "issued", "a wrong password", "who is denied", "a new wrong password"}[k]
}

const matrixPolicy = `
networks:
  here: [127.0.0.0/8]
applications:
  cloud: {realms: ["` + cloudRealm + `"], answer: forward}
  payroll: {realms: ["urn:payroll"], answer: issue}
rules:
  - {name: staff, match: {groups: [staff], networks: [here]}, allow: {}}
  - {name: no contractors, match: {groups: [contractors]}, deny: {}}
`

const matrixFile = `
host: sts.contoso.example
listen:
  - {address: %q, tls: {certificate: tls.crt, key: tls.key}}
admin: {address: "127.0.0.1:0"}
clients: {proxies: [127.0.0.1/32]} # all clients of the test share an address
upstream:
  adfs: {nodes: [%q], ca: farm.pem, probe: tls, timeouts: {dial: 1s, answer: 2s}}
  issuer: {entity: "http://sts.contoso.example/adfs/services/trust", signing: {certificate: sign.crt, key: sign.key}}
directory: {file: users.yaml}
policy: policies
oracle: {slot: 200ms}
guard: {failures: 100} # rows together have more than locks a stranger
audit: {file: disk/audit.jsonl, reserve: 1MiB}
log: {level: error}
`

// A cage is a running gateway with everything that it depends on.
type cage struct {
	t        testing.TB
	dir      string
	d        *daemon
	farm     *adfstest.Farm
	nats     *natsCluster // nil where state is in memory
	client   *http.Client
	step     atomic.Int64 // of the clock, in nanoseconds
	count    int
	impostor net.Listener // who shows another certificate in the farm's place
	mounted  bool         // it has a small disk of its own
	device   bool         // the audit log's disk is one whose writes can fail
}

// strangers are users who never sign in with the right password.
const strangers = 10

func startCage(t *testing.T) *cage {
	t.Helper()
	nats := startNATS(t)
	state := fmt.Sprintf("state: {key: state.key, nats: {urls: [%q, %q, %q], credentials: nats.seed, ca: nats.pem}}\n",
		nats.urls(0)[0], nats.urls(0)[1], nats.urls(0)[2])
	c := &cage{t: t, dir: t.TempDir(), nats: nats}
	for from, to := range map[string]string{"nats.seed": "nats.seed", "ca.pem": "nats.pem"} {
		b, err := os.ReadFile(filepath.Join(nats.dir, from))
		c.try(err)
		c.write(to, string(b))
	}
	c.start(state)
	return c
}

// start starts the gateway. Its clock is the machine's and what a row adds to it:
// nothing can set the machine's own for one program alone.
func (c *cage) start(more string) {
	c.t.Helper()
	var err error
	c.farm, err = adfstest.Start(adfstest.Config{Users: farmUsers()})
	c.try(err)
	c.t.Cleanup(c.farm.Close)
	address := freeAddress()
	writeGate(c.t.(*testing.T), c.dir, fmt.Sprintf(matrixFile, address, c.farm.URLs()[0])+more, c.farm.CAPEM())
	c.write("policies/policy.yaml", matrixPolicy)
	for i := range strangers {
		u := directory.User{Name: fmt.Sprintf("stranger%d@contoso.example", i), GUID: uuid([16]byte([]byte(rand.Text())[:16])), Domain: "CONTOSO", Groups: []string{"staff"}}
		c.try(directory.AddUser(filepath.Join(c.dir, "users.yaml"), u, account.NewPassword([]byte(rand.Text()))))
	}
	c.disk()
	cfg, err := config.Load(filepath.Join(c.dir, "stsgate.yaml"))
	c.try(err)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c.d, err = newDaemon(cfg, log)
	c.try(err)
	c.d.clock, err = clock.New(clock.Config{Log: log, Wall: func() time.Time { return time.Now().Round(0).Add(time.Duration(c.step.Load())) }})
	c.try(err)
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- c.d.run(ctx) }()
	// Clients decide themselves what they make of a certificate that expired.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: probedHost}, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}}
	c.client = &http.Client{Transport: transport, Timeout: patience}
	t := c.t
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func (c *cage) try(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cage) write(name, text string) {
	c.t.Helper()
	c.try(os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600))
}

// settle asks until all kinds get what they should, and returns how long it took,
// which is at most within.
func (c *cage) settle(w wants, within time.Duration) time.Duration {
	c.t.Helper()
	return c.await(within, func() string {
		wrong := ""
		for k := forwarded; k < kinds && wrong == ""; k++ {
			if got, want := c.ask(k), w.list()[k]; got != want {
				wrong = fmt.Sprintf("%s: got %q, want %q", k, got, want)
			}
		}
		return wrong
	})
}

// notes waits until the readiness check is unwell and no other or, without one,
// until all are well.
func (c *cage) notes(check string, within time.Duration) {
	c.t.Helper()
	c.await(within, func() string { return c.readiness(check) })
}

// await asks what is wrong until nothing is.
func (c *cage) await(within time.Duration, ask func() string) time.Duration {
	c.t.Helper()
	begun := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		wrong, took := ask(), time.Since(begun)
		switch {
		case wrong == "" && took <= within:
			return took
		case took > within:
			c.t.Fatalf("after %v, more than %v: %s", took.Round(time.Millisecond), within, wrong)
		}
	}
}

// readiness says what is wrong with the checks.
func (c *cage) readiness(unwell string) string {
	for _, check := range c.d.checks() {
		if !check.Advice && check.OK == (check.Name == unwell) {
			return fmt.Sprintf("the readiness check %s is well: %v, %s", check.Name, check.OK, check.Error)
		}
	}
	return ""
}

var transactionOf = regexp.MustCompile(`\(transaction ([0-9a-f]{32})\)`)

// query is a request of alice's for what is forwarded.
func (c *cage) query() wstrust.Query {
	c.count++
	return wstrust.Query{
		SOAP: soap.V12, Version: wstrust.V13, To: "https://" + probedHost + path13, MessageID: fmt.Sprintf("urn:uuid:matrix-%d", c.count),
		Username: "alice@contoso.example", AppliesTo: cloudRealm, Now: time.Now(),
	}
}

// ask sends a request, and returns ok or why it was refused.
func (c *cage) ask(k askKind) string {
	c.t.Helper()
	q, password := c.query(), alicePassword
	switch k {
	case issued:
		q.AppliesTo = "urn:payroll"
	case wrong:
		password = wrongPassword
	case denied:
		q.Username, password = "bob@contoso.example", bobPassword
	case fresh:
		q.Username, password = fmt.Sprintf("stranger%d@contoso.example", c.count/int(kinds)%strangers), fmt.Sprint("guess ", c.count)
	}
	got := c.send(q, password)
	if got == "ok" && k > issued {
		c.t.Fatalf("%s got a token", k)
	}
	return got
}

// send has a request with a password answered, and returns ok or why it was
// refused.
func (c *cage) send(q wstrust.Query, password string) string {
	c.t.Helper()
	q.Password = account.NewPassword([]byte(password))
	r, err := c.client.Post("https://"+probedHost+path13, soap.V12.ContentType(), bytes.NewReader(wstrust.AppendRequest(nil, q)))
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err.Error()
	}
	if r.StatusCode == http.StatusOK {
		return "ok"
	}
	m := transactionOf.FindSubmatch(body)
	if m == nil {
		return fmt.Sprintf("status %d: %s", r.StatusCode, body)
	}
	return c.reason(string(m[1]))
}

// reason is that in the record of a refusal, which is on the disk by now. What has
// none is refused for that.
func (c *cage) reason(transaction string) string {
	const tail = 64 << 10
	f, err := os.Open(filepath.Join(c.dir, "disk", "audit.jsonl"))
	c.try(err)
	defer f.Close()
	fi, err := f.Stat()
	c.try(err)
	b := make([]byte, min(tail, fi.Size()))
	if _, err := f.ReadAt(b, fi.Size()-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, `"transaction.id":"`+transaction+`"`) {
			_, rest, _ := strings.Cut(line, `"event.reason":"`)
			reason, _, _ := strings.Cut(rest, `"`)
			return reason
		}
	}
	return "audit-failed"
}

func (c *cage) eachNATS(do func(*natsCluster, int)) {
	for i := range c.nats.nodes {
		do(c.nats, i)
	}
}

func (c *natsCluster) pause(i int)  { c.signal(i, syscall.SIGSTOP) }
func (c *natsCluster) resume(i int) { c.signal(i, syscall.SIGCONT) }

// intercept puts a server that no authority vouches for in the place of the farm.
func (c *cage) intercept() {
	c.farm.Nodes[0].Kill()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.try(err)
	dir := c.t.TempDir()
	own := demoCertificate(probedHost)
	own.DNSNames = []string{probedHost}
	c.try(writeCertificate(dir, "false", own, own, key, key))
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "false.crt"), filepath.Join(dir, "false.key"))
	c.try(err)
	c.impostor, err = tls.Listen("tcp", c.farm.Nodes[0].Addr, &tls.Config{Certificates: []tls.Certificate{pair}})
	c.try(err)
	go func() {
		_ = http.Serve(c.impostor, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // until release closes it
			c.t.Errorf("a farm that nobody vouches for was asked for %s", r.URL.Path)
		}))
	}()
}

func (c *cage) release() {
	c.try(c.impostor.Close())
	c.try(c.farm.Nodes[0].Restart())
}

// relax lets cloud go on without the store for so long, and with 0 no more.
func (c *cage) relax(d time.Duration) {
	text := matrixPolicy
	if d > 0 {
		until := time.Now().Add(d).UTC().Format(time.RFC3339)
		text = strings.Replace(text, "answer: forward", "answer: forward, while_state_down: {until: "+until+", owner: ops, reason: tests}", 1)
	}
	c.write("policies/policy.yaml", text)
	c.d.reload()
}

// expireTLS has the gateway's own certificate expire.
func (c *cage) expireTLS() {
	until := time.Now().Add(2 * time.Second)
	c.try(writeServerCertificate(c.dir, until))
	c.d.reload()
	time.Sleep(time.Until(until))
}

func (c *cage) renewTLS() {
	c.try(writeServerCertificate(c.dir, time.Now().Add(time.Hour)))
	c.d.reload()
}
