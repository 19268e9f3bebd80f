//go:build linux

package main

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs/adfstest"
)

const (
	// What a held request may cost beside its idle connection, and with it, in
	// bytes (design.md, section 10).
	perHeld     = 16 << 10
	perHeldConn = 64 << 10
	// asking is how many of them begin in a second.
	asking = 320
	// settling is for how long nothing more begins before memory is measured: the
	// embedded store keeps the buffers that it has written through for 10 s.
	settling = 20 * time.Second
	// passing is how many sign-ins pass by in a second.
	passing = 200
)

var heldFile = `
host: localhost
listen:
  - {address: %q, tls: {certificate: ../tls.crt, key: ../tls.key}}
admin: {address: %q}
upstream:
  adfs: {nodes: [%q], ca: ../farm.pem, probe: tls}
directory: {file: ../users.yaml}
policy: ../policies
state: %s
portal: {host: ` + demoPortal + `, url: "` + portalAddress + `"}
mfa: {hold: {default: 70s}}
guard: {spray_users: 10000, surge_users: 10000, user_tries: 10000000, source_tries: 10000000}
audit: {file: audit.jsonl}
limits: {connections: 50000, connections_per_source: 50000, handshakes: 50000, handshakes_per_source: 50000, requests: 50000, requests_per_source: 50000}
timeouts: {idle: 10m}
`

const heldPolicy = `
applications:
  held: {realms: ["urn:held"], answer: forward}
  payroll: {realms: ["urn:payroll"], answer: forward}
rules:
  - {name: staff, match: {groups: [staff]}, allow: {}}
  - {name: held, match: {applications: [held]}, require: {mfa: {shapes: [hold]}}}
`

// TestHeldMemory measures what a request costs that waits for its user: the
// resident memory of a gateway with many held TLS connections less that with as
// many idle ones, while sign-ins pass by. HELD is how many.
func TestHeldMemory(t *testing.T) {
	held, err := strconv.Atoi(os.Getenv("HELD"))
	if err != nil {
		t.Skip("skipped: takes minutes: make held")
	}
	raiseFiles(t)
	users := farmUsers()
	for i := range held {
		users = append(users, adfstest.User{UPN: victim(i), SAM: victim(i), Password: memberPassword, ImmutableID: (&account.Account{ID: victimID(i)}).ImmutableID()})
	}
	f := newFleetOf(t, adfstest.Config{Host: "localhost", Users: users, Applications: []string{"urn:held", "urn:payroll"}}, heldFile, 1,
		func(int) string { return "{dir: state, key: ../state.key}" })
	f.addVictims(held)
	if err := os.WriteFile(filepath.Join(f.dir, "policies", "policy.yaml"), []byte(heldPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	f.start(0)
	g := f.gateways[0]
	stop := g.passBy(t)
	defer stop()

	<-time.After(3 * time.Second)
	alone := memory(t, g.cmd.Process.Pid)
	conns := g.dial(t, held)
	<-time.After(settling)
	idle := mostMemory(t, g.cmd.Process.Pid)
	g.logMemory(t, "idle")
	begin := time.Now()
	g.holdAll(t, conns)
	most := 0.0
	if !eventually(65*time.Second-time.Since(begin), func() bool {
		r, err := operator.Get("http://" + g.admin + "/metrics")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		most = max(most, sum(r.Body, "stsgate_mfa_held"))
		return most >= float64(held)
	}) {
		t.Errorf("%v of %d are held", most, held)
	}
	took := time.Since(begin)
	<-time.After(min(settling, 63*time.Second-took)) // before the first have waited too long
	full := mostMemory(t, g.cmd.Process.Pid)
	g.logMemory(t, "held")
	passed, failed := stop()
	g.logRefused(t)
	n := int64(held)
	t.Logf("%d held after %s: RSS %d MiB alone, %d MiB idle, %d MiB held: %d B for a held request beside its connection, %d B with it; %d sign-ins passed by, %d did not",
		held, took.Round(time.Second), alone>>20, idle>>20, full>>20, (full-idle)/n, (full-alone)/n, passed, failed)
	if (full-idle)/n > perHeld {
		t.Errorf("a held request costs %d B beside its connection, want at most %d", (full-idle)/n, perHeld)
	}
	if full/n > perHeldConn {
		t.Errorf("a held connection costs %d B, want at most %d", full/n, perHeldConn)
	}
}

// mostMemory is the most that a process takes within a few seconds, in bytes:
// between two collections it grows.
func mostMemory(t *testing.T, pid int) (most int64) {
	t.Helper()
	for range 10 {
		<-time.After(time.Second / 2)
		most = max(most, memory(t, pid))
	}
	return most
}

// logMemory says what the gateway's memory is made of.
func (g *gatewayProcess) logMemory(t *testing.T, when string) {
	t.Helper()
	for _, series := range []string{"go_memstats_heap_inuse_bytes", "go_memstats_heap_alloc_bytes", "go_memstats_stack_inuse_bytes", "go_memstats_heap_idle_bytes", "go_memstats_heap_released_bytes", "go_memstats_next_gc_bytes", "go_goroutines"} {
		r, err := operator.Get("http://" + g.admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s %.0f", when, series, sum(r.Body, series))
		r.Body.Close()
	}
}

// reasons finds why exchanges were refused, and how many.
var reasons = regexp.MustCompile(`(?m)^stsgate_exchanges_total\{.*reason="([^"]+)".*\} (\S+)$`)

// logRefused says how many requests were refused, and why.
func (g *gatewayProcess) logRefused(t *testing.T) {
	t.Helper()
	r, err := operator.Get("http://" + g.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range reasons.FindAllSubmatch(text, -1) {
		t.Logf("exchanges that ended with %s: %s", m[1], m[2])
	}
}

// passBy has one user sign in again and again until it is stopped.
func (g *gatewayProcess) passBy(t *testing.T) (stop func() (passed, failed int64)) {
	t.Helper()
	var passed, failed atomic.Int64
	over := make(chan struct{})
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			beat := time.NewTicker(time.Second * 16 / passing)
			defer beat.Stop()
			for {
				select {
				case <-over:
					return
				case <-beat.C:
				}
				if o, _ := g.ask("alice@contoso.example", alicePassword); o == granted {
					passed.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	var once sync.Once
	return func() (int64, int64) {
		once.Do(func() { close(over); all.Wait() })
		return passed.Load(), failed.Load()
	}
}

// dial opens connections that say nothing, with the handshake done.
func (g *gatewayProcess) dial(t *testing.T, n int) []*tls.Conn {
	t.Helper()
	trust := g.client.Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.ServerName = "localhost"
	conns := make([]*tls.Conn, n)
	var all sync.WaitGroup
	for first := range 16 {
		all.Go(func() {
			for i := first; i < n; i += 16 {
				c, err := tls.Dial("tcp", g.listen, trust)
				if err != nil {
					t.Error(err)
					return
				}
				// An idle connection is one that has had an answer.
				fmt.Fprintf(c, "GET /adfs/services/trust/mex HTTP/1.1\r\nHost: localhost\r\n\r\n")
				r, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Error(err)
					return
				}
				discard(r)
				conns[i] = c
			}
		})
	}
	all.Wait()
	t.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

func discard(r *http.Response) {
	_, _ = bufio.NewReader(r.Body).WriteTo(new(strings.Builder))
	r.Body.Close()
}

// holdAll sends a request of another user on each connection.
func (g *gatewayProcess) holdAll(t *testing.T, conns []*tls.Conn) {
	t.Helper()
	var all sync.WaitGroup
	for first := range 16 {
		all.Go(func() {
			beat := time.NewTicker(time.Second * 16 / asking)
			defer beat.Stop()
			for i := first; i < len(conns); i += 16 {
				<-beat.C
				body := wstrust.AppendRequest(nil, wstrust.Query{
					SOAP: soap.V12, Version: wstrust.V13, To: "https://localhost" + path13, MessageID: "urn:held:" + rand.Text(),
					Username: victim(i), Password: account.NewPassword([]byte(memberPassword)), AppliesTo: "urn:held", Now: time.Now(),
				})
				head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", path13, soap.V12.ContentType(), len(body))
				if _, err := conns[i].Write(append([]byte(head), body...)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
