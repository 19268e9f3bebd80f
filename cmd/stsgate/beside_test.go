//go:build unix

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
	besideAddress   = "127.0.0.1:18444"
	besideAdmin     = "127.0.0.1:18445"
)

// BenchmarkBesideNginx measures CPU per forwarded request of the gateway as a
// process, and of nginx's bare TLS reverse proxy on the same upstream: closed
// loop, 16 connections, runs interleaved A B A B. What it costs to read the
// farm's answer and verify its signature, which nginx does not, is measured
// between them: the budget in design.md, section 10, counts it apart.
// BESIDE_SECONDS is the length of a run (default 4), BESIDE_PAIRS their number
// (default 5).
func BenchmarkBesideNginx(b *testing.B) {
	dir := b.TempDir()
	proxybench := build(b, dir, "proxybench", testdata.Shared(b, "proxybench"))
	nginx := testdata.Program(b, "nginx")
	stsgate := build(b, dir, "stsgate", filepath.Join(testdata.Root(b), "cmd", "stsgate"))
	check := besideFiles(b, dir, proxybench)

	start(b, dir, upstreamAddress, proxybench, "upstream", "-addr", upstreamAddress, "-dir", "d", "-body", "answer.xml")
	baseline := start(b, dir, nginxAddress, nginx, "-p", dir, "-c", "nginx.conf")
	for _, c := range []struct{ name, audit string }{
		{"audit=none", os.DevNull},
		{"audit=file", filepath.Join(dir, "audit.jsonl")},
	} {
		b.Run(c.name, func(b *testing.B) {
			write(b, dir, "stsgate.yaml", fmt.Sprintf(besideConfig, c.audit))
			gateway := start(b, dir, besideAddress, stsgate, "run", "-c", "stsgate.yaml")
			besidePairs(b, dir, proxybench, gateway, baseline, check)
		})
	}
}

func besidePairs(b *testing.B, dir, proxybench string, gateway, baseline int, check func()) {
	seconds, pairs := 4, 5
	for name, v := range map[string]*int{"BESIDE_SECONDS": &seconds, "BESIDE_PAIRS": &pairs} {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
			*v = n
		}
	}
	load := func(address string, pid int) float64 {
		out, err := command(dir, proxybench, "load", "-url", "https://"+address+"/adfs/services/trust/13/usernamemixed",
			"-host", "localhost", "-body", "request.xml", "-c", "16", "-d", fmt.Sprintf("%ds", seconds), "-pids", strconv.Itoa(pid)).Output()
		var r struct {
			CPU    float64 `json:"cpu_us_per_req"`
			OK     int
			Bad    int
			Sample string `json:"bad_sample"`
		}
		if err == nil {
			err = json.Unmarshal(out, &r)
		}
		if err != nil || r.OK == 0 || r.Bad > 0 {
			b.Fatalf("load on %s: %v: %s", address, err, out)
		}
		return r.CPU
	}
	load(besideAddress, gateway) // warm up both
	load(nginxAddress, baseline)
	var ours, theirs, checks, ratios, without []float64
	for range pairs {
		a, c, n := load(besideAddress, gateway), cpuOf(check), load(nginxAddress, baseline)
		ours, theirs, checks = append(ours, a), append(theirs, n), append(checks, c)
		ratios, without = append(ratios, a/n), append(without, (a-c)/n)
		b.Logf("gateway %.1f us, of which the check of the answer %.1f us, nginx %.1f us, ratio %.2f, without the check %.2f", a, c, n, a/n, (a-c)/n)
	}
	b.ReportMetric(median(ours), "gateway-us/req")
	b.ReportMetric(median(checks), "check-us/req")
	b.ReportMetric(median(theirs), "nginx-us/req")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(median(without), "ratio-without-check")
	b.ReportMetric(0, "ns/op")
}

// cpuOf returns the CPU time of f in microseconds, from half a second of them.
func cpuOf(f func()) float64 {
	used := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before, count := used(), 0
	for {
		for range 100 {
			f()
		}
		count += 100
		if spent := used() - before; spent > 500*time.Millisecond {
			return float64(spent.Nanoseconds()) / 1e3 / float64(count)
		}
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

const besideConfig = `host: localhost
url: https://localhost:18443
listen:
  - address: ` + besideAddress + `
    tls: {certificate: d/cert.pem, key: d/key.pem}
admin: {address: ` + besideAdmin + `}
upstream:
  adfs: {nodes: ["https://` + upstreamAddress + `"], ca: d/cert.pem, signing: signing.crt}
policy: policies
audit: {file: %s}
`

const besidePolicy = `networks:
  offices: [127.0.0.0/8]
applications:
  microsoft-365: {realms: ["urn:federation:MicrosoftOnline"], answer: forward}
rules:
  - {name: from the offices, match: {networks: [offices], applications: [microsoft-365]}, allow: {}}
`

// besideFiles writes certificates, nginx.conf, policy, and a request and an
// answer of the sizes that the budget names: 1.7 and 6 KB. It returns what the
// gateway does to check that answer.
func besideFiles(b testing.TB, dir, proxybench string) (check func()) {
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
		SOAP: soap.V12, Version: wstrust.V13, To: "https://localhost/adfs/services/trust/13/usernamemixed",
		MessageID: "urn:uuid:5d1b21fd-8bb4-4dbb-a3ea-2f0d0c14b5a2", Username: "alice@contoso.example",
		Password: account.NewPassword([]byte("correct horse battery staple")), AppliesTo: "urn:federation:MicrosoftOnline", Now: now,
	})
	r, err := wstrust.ReadRequest(wstrust.Inbound{Body: request, SOAP: soap.V12, Version: wstrust.V13, Now: now})
	if err != nil {
		b.Fatal(err)
	}
	token, signing := besideToken(b, dir, r.AppliesTo, now)
	answer := wstrust.AppendAnswer(nil, r, token, now)
	write(b, dir, "request.xml", string(request))
	write(b, dir, "answer.xml", string(answer))
	b.Logf("request %d bytes, answer %d bytes", len(request), len(answer))
	v, err := xmlsig.NewVerifier([]*x509.Certificate{signing})
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		a, err := wstrust.ReadAnswer(answer, wstrust.V13)
		if err == nil {
			_, err = v.Verify(a.Signed())
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// build compiles a program as it is shipped.
func build(b testing.TB, dir, name, source string) string {
	b.Helper()
	out := filepath.Join(dir, name)
	c := command(source, "go", "build", "-trimpath", "-buildvcs=false", "-o", out, ".")
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
func besideToken(b testing.TB, dir, audience string, now time.Time) (*wstrust.Issued, *x509.Certificate) {
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
	return issued, certificate
}
