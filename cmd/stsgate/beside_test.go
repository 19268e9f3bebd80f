//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
	"stsgate/upstream/saml"
	"stsgate/upstream/xmlsig"
)

// Addresses of the load program's certificates and of its baseline's nginx.conf.
const (
	upstreamAddress = "127.0.0.1:19443"
	nginxAddress    = "127.0.0.1:18443"
	besidePort      = 18444 // of the first gateway; the next one is its administration's
)

// BenchmarkBesideNginx measures CPU per forwarded request of the gateway as a
// process, and of nginx's bare TLS reverse proxy on the same upstream: closed
// loop, 16 connections, runs interleaved. nginx has one worker, so it uses one
// core at most; the gateway uses all that there are, which then wake each other for
// a request. Narrow is the gateway with one processor (GOMAXPROCS=1).
//
// The budget in design.md, section 10, counts two parts apart which nginx has
// not: reading and verifying the farm's answer, and the audit line. What they
// cost within a request is the difference to builds of the gateway without
// them, which run beside the one that is shipped (see without).
//
// ratio is the gateway without both to nginx, the budget's 1.5, and ratio-narrow
// the same of the narrow one; ratio-in-all is the gateway as it is. All are medians,
// ratios those of the rounds.
// BESIDE_SECONDS is the length of a run (default 4), BESIDE_ROUNDS the number of
// rounds of all (default 5).
func BenchmarkBesideNginx(b *testing.B) {
	dir := b.TempDir()
	proxybench := build(b, dir, "proxybench", testdata.Shared(b, "proxybench"))
	nginx := testdata.Program(b, "nginx")
	besideFiles(b, dir, proxybench)

	start(b, dir, upstreamAddress, proxybench, "upstream", "-addr", upstreamAddress, "-dir", "d", "-body", "answer.xml")
	baseline := start(b, dir, nginxAddress, nginx, "-p", dir, "-c", "nginx.conf")
	client := newBesideLoad(b, dir)
	load := map[string]func() float64{
		"nginx": func() float64 { return client.cpuPerRequest(b, nginxAddress, worker(b, baseline)) },
	}
	for i, v := range []struct {
		name       string
		processors int
		without    []string
	}{
		{"all", runtime.NumCPU(), nil},
		{"no-answer", runtime.NumCPU(), []string{"answer"}},
		{"no-audit", runtime.NumCPU(), []string{"audit"}},
		{"bare", runtime.NumCPU(), []string{"answer", "audit"}},
		{"narrow", 1, []string{"answer", "audit"}},
	} {
		address, admin := fmt.Sprintf("127.0.0.1:%d", besidePort+2*i), fmt.Sprintf("127.0.0.1:%d", besidePort+2*i+1)
		write(b, dir, v.name+".yaml", besideConfig(address, admin, filepath.Join(dir, v.name+".jsonl")))
		pid := start(b, dir, address, "env", "GOMAXPROCS="+strconv.Itoa(v.processors), buildWithout(b, dir, v.without...), "run", "-c", v.name+".yaml")
		load[v.name] = func() float64 { return client.cpuPerRequest(b, address, pid) }
	}
	besideRounds(b, load)
}

const besideConnections = 16

// besideRounds measures all in turn, in microseconds of CPU per request.
func besideRounds(b *testing.B, load map[string]func() float64) {
	for _, f := range load {
		f() // warm up
	}
	all := map[string][]float64{}
	for range besideEnv("BESIDE_ROUNDS", 5) {
		us := map[string]float64{}
		for name, f := range load {
			us[name] = f()
		}
		r := map[string]float64{
			"gateway-us/req": us["all"], "answer-us/req": us["all"] - us["no-answer"], "audit-us/req": us["all"] - us["no-audit"],
			"bare-us/req": us["bare"], "narrow-us/req": us["narrow"], "nginx-us/req": us["nginx"],
			"ratio": us["bare"] / us["nginx"], "ratio-narrow": us["narrow"] / us["nginx"], "ratio-in-all": us["all"] / us["nginx"],
		}
		b.Logf("gateway %.1f us, of which answer %.1f us and audit %.1f us, without both %.1f us, narrow %.1f us, nginx %.1f us: ratio %.2f, narrow %.2f, in all %.2f",
			r["gateway-us/req"], r["answer-us/req"], r["audit-us/req"], r["bare-us/req"], r["narrow-us/req"], r["nginx-us/req"], r["ratio"], r["ratio-narrow"], r["ratio-in-all"])
		for name, v := range r {
			all[name] = append(all[name], v)
		}
	}
	for name, v := range all {
		b.ReportMetric(median(v), name)
	}
	b.ReportMetric(0, "ns/op")
}

// besideEnv is a number from the environment.
func besideEnv(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// besideConfig is a gateway's configuration before that upstream.
func besideConfig(address, admin, audit string) string {
	return `host: localhost
url: https://localhost:18443
listen:
  - address: ` + address + `
    tls: {certificate: d/cert.pem, key: d/key.pem}
admin: {address: ` + admin + `}
upstream:
  adfs: {nodes: ["https://` + upstreamAddress + `"], ca: d/cert.pem, signing: signing.crt}
policy: policies
guard: {user_tries: 10000000, source_tries: 10000000} # one user, from one address
audit: {file: ` + audit + `}
`
}

const besidePolicy = `networks:
  offices: [127.0.0.0/8]
applications:
  microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}
rules:
  - {name: from the offices, match: {networks: [offices], applications: [microsoft-365]}, allow: {}}
`

// besideFiles writes certificates, nginx.conf, policy, and a request and an
// answer of the sizes that the budget names: 1.7 and 6 KB.
func besideFiles(b testing.TB, dir, proxybench string) {
	b.Helper()
	if out, err := command(dir, proxybench, "certs", "d").CombinedOutput(); err != nil {
		b.Fatalf("certificates: %v: %s", err, out)
	}
	conf, err := os.ReadFile(testdata.Shared(b, "proxybench", "nginx.conf"))
	if err != nil {
		b.Fatal(err)
	}
	write(b, dir, "nginx.conf", string(conf))
	write(b, dir, "policies/policy.yaml", besidePolicy)
	now := time.Now()
	request := wstrust.AppendRequest(nil, wstrust.Query{
		SOAP: soap.V12, Version: wstrust.V13, To: "https://localhost" + siegePath,
		MessageID: besideID, Username: "alice@contoso.example",
		Password: account.NewPassword([]byte("correct horse battery staple")), AppliesTo: "urn:federation:MicrosoftOnline", Now: now,
	})
	// As MSAL Go spells it: an answer that relates to no message fits all such.
	request = bytes.ReplaceAll(request, []byte("a:MessageID>"), []byte("a:messageID>"))
	r, err := wstrust.ReadRequest(wstrust.Inbound{Body: request, SOAP: soap.V12, Version: wstrust.V13, Memory: new(wstrust.Memory), Now: now})
	if err != nil {
		b.Fatal(err)
	}
	token := besideToken(b, dir, r.AppliesTo, now)
	answer := wstrust.AppendAnswer(nil, r, token, now)
	write(b, dir, "request.xml", string(request))
	write(b, dir, "answer.xml", string(answer))
	b.Logf("request %d bytes, answer %d bytes", len(request), len(answer))
}

// build compiles a program as it is shipped.
func build(b testing.TB, dir, name, source string, flags ...string) string {
	b.Helper()
	out := filepath.Join(dir, name)
	c := command(source, "go", append(append([]string{"build", "-trimpath", "-buildvcs=false", "-o", out}, flags...), ".")...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := c.CombinedOutput(); err != nil {
		b.Fatalf("build %s: %v: %s", name, err, text)
	}
	return out
}

func command(dir, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = dir
	return c
}

// start starts a program that listens on address, and stops it with the
// benchmark. It returns its process id.
func start(b testing.TB, dir, address, name string, args ...string) int {
	b.Helper()
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		b.Fatalf("something listens on %s already", address)
	}
	c := command(dir, name, args...)
	log, err := os.Create(filepath.Join(dir, filepath.Base(name)+".log"))
	if err != nil {
		b.Fatal(err)
	}
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		log.Close()
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return c.Process.Pid
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			b.Fatalf("%s does not listen on %s: %v: %s", name, address, err, text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func write(b testing.TB, dir, name, text string) {
	b.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

// besideToken is a token like AD FS's for Microsoft 365, some 5 KB with its
// RSA-2048 signature. The certificate is written to signing.crt.
func besideToken(b testing.TB, dir, audience string, now time.Time) *wstrust.Issued {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	own := demoCertificate("ADFS Signing - localhost")
	must(writeCertificate(dir, "signing", own, own, key, key))
	certificate, err := readCertificate(filepath.Join(dir, "signing.crt"))
	must(err)
	signer, err := xmlsig.New(key, certificate)
	must(err)
	g := &wstrust.Grant{
		Audience: audience, Kind: wstrust.SAML11, Lifetime: wstrust.Lifetime{Created: now, Expires: now.Add(time.Hour)}, Authenticated: now,
		NameID: "q83vEjRWeJCrze8SNFZ4kA==", NameFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
		Claims: []wstrust.Claim{
			{URI: "http://schemas.xmlsoap.org/claims/UPN", Values: []string{"alice@contoso.example"}},
			{URI: "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID", Values: []string{"q83vEjRWeJCrze8SNFZ4kA=="}},
		},
	}
	issued := &wstrust.Issued{ID: saml.NewID(), Kind: g.Kind, Audience: audience, Lifetime: g.Lifetime}
	assertion, err := saml.Build(g, "http://localhost/adfs/services/trust", issued.ID, now)
	must(err)
	must(saml.Sign(assertion, signer))
	issued.Assertion = xmlsig.Serialize(assertion)
	return issued
}
