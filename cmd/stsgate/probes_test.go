package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/account"
	"stsgate/gateway/config"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
	"stsgate/upstream/adfs/adfstest"
)

const (
	probedHost   = "sts.contoso.example"
	metadataPath = "/FederationMetadata/2007-06/FederationMetadata.xml"
)

// A probed is a running gateway that only forwards, and the farm behind it.
type probed struct {
	dir     string
	daemon  *daemon
	address string
	farm    *adfstest.Farm
	roots   *x509.CertPool
}

func startProbed(t *testing.T) *probed {
	t.Helper()
	return startProbedLogging(t, t.Output())
}

func startProbedLogging(t *testing.T, log io.Writer) *probed {
	t.Helper()
	dir, address := t.TempDir(), freeAddress()
	farm, err := adfstest.Start(adfstest.Config{Users: farmUsers()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(farm.Close)
	writeGate(t, dir, fmt.Sprintf(gateFile, address, "127.0.0.1:0", farm.URLs()[0], "error"), farm.CAPEM())
	cfg, err := config.Load(filepath.Join(dir, "stsgate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(cfg, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: cfg.Log.Level.Slog()})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- d.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	roots, err := readPool(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return &probed{dir, d, address, farm, roots}
}

const gateFile = `
host: sts.contoso.example
listen:
  - {address: %q, tls: {certificate: tls.crt, key: tls.key}}
admin: {address: %q}
upstream:
  adfs: {nodes: [%q], ca: farm.pem, probe: tls}
directory: {file: users.yaml}
policy: policies
guard: {mode: report-only}
audit: {file: audit.jsonl}
limits: {handshakes_per_source: 1000} # all clients of a test share an address
oracle: {slot: 10ms}
log: {level: %s}
`

// writeGate writes a gateway's files into a folder.
func writeGate(t testing.TB, dir, configuration string, farmCA []byte) {
	t.Helper()
	if err := writeCast(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "policies"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"stsgate.yaml": configuration, "farm.pem": string(farmCA),
		"policies/policy.yaml": "applications:\n  all: {realms: [\"" + cloudRealm + "\", \"urn:payroll\"], answer: forward}\n" +
			"rules:\n  - {name: staff, match: {groups: [staff]}, allow: {}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// dial opens a connection with a TLS server name; an address stands for none.
func (p *probed) dial(t *testing.T, sni string) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", p.address, &tls.Config{RootCAs: p.roots, ServerName: sni})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// forwarded is what the farm saw, but for the gateway's own look at the
// metadata, which has exactly one form.
func (p *probed) forwarded() []adfstest.Request {
	own := "GET " + metadataPath + " HTTP/1.1\r\nHost: " + probedHost + "\r\nX-MS-Proxy: " + hostname()
	return slices.DeleteFunc(p.farm.Nodes[0].Seen(), func(r adfstest.Request) bool { return r.Head == own && len(r.Body) == 0 })
}

// lawful is a message that the farm answers with a token.
func lawful(v soap.Version, path, id string) []byte {
	version := wstrust.V13
	if path == path2005 {
		version = wstrust.V2005
	}
	return wstrust.AppendRequest(nil, wstrust.Query{
		SOAP: v, Version: version, To: "https://" + probedHost + path, MessageID: id, Username: "alice@contoso.example",
		Password: account.NewPassword([]byte(alicePassword)), AppliesTo: cloudRealm, Now: time.Now(),
	})
}

// golden is the head of what the farm may see, to the byte (HDR-01).
func golden(path, userAgent string, v soap.Version, length int) string {
	lines := []string{"POST " + path + " HTTP/1.1", "Host: " + probedHost, "Content-Type: " + v.ContentType()}
	if v == soap.V11 {
		lines = append(lines, `SOAPAction: "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue"`)
	}
	if userAgent != "" {
		lines = append(lines, "User-Agent: "+userAgent)
	}
	return strings.Join(append(lines, "X-MS-Proxy: "+hostname(), "X-MS-Forwarded-Client-IP: 127.0.0.1",
		"X-MS-ADFS-Proxy-Client-IP: 127.0.0.1", "X-MS-Endpoint-Absolute-Path: "+path, "Content-Length: "+strconv.Itoa(length)), "\r\n")
}

// HTTP-01 to HTTP-09, HTTP-13, HTTP-15, HDR-01 to HDR-03: of a refused probe the
// farm sees nothing, of a lawful one its bytes under the headers of the golden
// list; what is pipelined behind a refused one is never served. Every probe has
// a body that the farm would answer with a token, if it came so far.
func TestProbes(t *testing.T) {
	g := startProbed(t)
	all := probes()
	if len(all) < 90 {
		t.Errorf("%d probes, want 90", len(all))
	}
	for i, p := range all {
		t.Run(p.name, func(t *testing.T) {
			message := lawful(p.soap, p.path, fmt.Sprintf("urn:uuid:probe-%d", i))
			raw := p.bytes(message)
			behind := lawful(soap.V12, path13, "urn:uuid:behind")
			if p.status != http.StatusOK {
				raw += head("POST "+path13+" HTTP/1.1", "Host: "+probedHost, "Content-Type: "+soap.V12.ContentType(),
					"Connection: close", "Content-Length: "+strconv.Itoa(len(behind))) + string(behind)
			}
			before := len(g.forwarded())
			g.probe(t, p, raw)
			seen := g.forwarded()[before:]
			if p.status != http.StatusOK {
				if len(seen) > 0 {
					t.Errorf("the farm saw %d requests: %s\n%s", len(seen), seen[0].Head, seen[0].Body)
				}
				return
			}
			if len(seen) != 1 {
				t.Fatalf("the farm saw %d requests, want 1", len(seen))
			}
			if want := golden(p.path, p.agent, p.soap, len(message)); seen[0].Head != want {
				t.Errorf("the farm saw\n%s\nwant\n%s", seen[0].Head, want)
			}
			if !bytes.Equal(seen[0].Body, message) || seen[0].ServerName != probedHost {
				t.Errorf("the farm saw the body %s by the name %s", seen[0].Body, seen[0].ServerName)
			}
		})
	}
}

// probe sends one and checks the answer. After a refusal the connection ends.
func (g *probed) probe(t *testing.T, p probe, raw string) {
	c := g.dial(t, cmp.Or(p.sni, probedHost))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(c, raw) // what is refused early is not read to its end
	}()
	var heard bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &heard))
	status, closes := readAnswer(t, r)
	if status != p.status {
		t.Errorf("got status %d, want %d: %s", status, p.status, &heard)
	}
	if status != http.StatusOK {
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 || !closes {
			t.Errorf("after the answer, whose close is %v, got %q, %v, want the end", closes, rest, err)
		}
	}
	for _, banned := range []string{"\nLocation:", "\nContent-Location:", "\nRefresh:", "evil.example", "HTTP/1.1 3"} {
		if strings.Contains(heard.String(), banned) {
			t.Errorf("the answer holds %q: %s", banned, &heard)
		}
	}
	_ = c.Close()
	<-sent
}

// readAnswer reads the final answer, and tells whether it closes.
func readAnswer(t *testing.T, r *bufio.Reader) (status int, closes bool) {
	t.Helper()
	for {
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Errorf("read answer: %v", err)
			return 0, true
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Errorf("read answer: %v", err)
		}
		if response.StatusCode >= 200 {
			return response.StatusCode, response.Close
		}
	}
}

func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// The table has the classes of probes that net/http and a reverse proxy were
// measured with, by name.
func TestProbesCoverTheMeasuredClasses(t *testing.T) {
	text, err := os.ReadFile(testdata.Shared(t, "oracle", "http", "out.txt"))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, p := range probes() {
		if have[p.name] {
			t.Errorf("two probes named %q", p.name)
		}
		have[p.name] = true
	}
	classes := 0
	for line := range strings.Lines(string(text)) {
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "== ")
		if !ok {
			continue
		}
		if classes++; !have[name] {
			t.Errorf("no probe for %q", name)
		}
	}
	if classes != 64 {
		t.Errorf("got %d classes, want 64", classes)
	}
}

// HTTP-08: no spelling of a published path but its own, case apart, leads
// anywhere, and a spelling in another case arrives in the canonical one.
func TestPathsNearby(t *testing.T) {
	g := startProbed(t)
	all := nearby(path2005, path13, mexPath, metadataPath)
	if len(all) < 1000 {
		t.Fatalf("%d spellings, want 1000", len(all))
	}
	t.Run("all", func(t *testing.T) {
		const parts = 8
		for part := range parts {
			t.Run(strconv.Itoa(part), func(t *testing.T) {
				t.Parallel()
				g.walk(t, all, part, parts)
			})
		}
	})
	want := map[string]int{}
	for _, s := range all {
		if s.canonical == path2005 || s.canonical == path13 {
			want[s.canonical]++
		}
	}
	got := map[string]int{}
	for _, r := range g.forwarded() {
		got[strings.Fields(r.Head)[1]]++
	}
	if len(got) != 2 || got[path2005] != want[path2005] || got[path13] != want[path13] {
		t.Errorf("the farm saw %v, want %v", got, want)
	}
	t.Logf("%d spellings, of which %v are forwarded", len(all), want)
}

// walk asks for every so many-th spelling on connections that are kept.
func (g *probed) walk(t *testing.T, all []spelling, part, parts int) {
	var c *tls.Conn
	var r *bufio.Reader
	for i := part; i < len(all); i += parts {
		s := all[i]
		if c == nil {
			c = g.dial(t, probedHost)
			r = bufio.NewReader(c)
		}
		raw := head(s.method()+" "+s.target+" HTTP/1.1", "Host: "+probedHost, "Content-Length: 0")
		if s.canonical == path2005 || s.canonical == path13 {
			body := lawful(soap.V12, s.canonical, "urn:uuid:nearby-"+strconv.Itoa(i))
			raw = head("POST "+s.target+" HTTP/1.1", "Host: "+probedHost, "Content-Type: "+soap.V12.ContentType(),
				"Content-Length: "+strconv.Itoa(len(body))) + string(body)
		}
		_ = c.SetDeadline(time.Now().Add(patience)) // each request's, not the walk's
		if _, err := io.WriteString(c, raw); err != nil {
			t.Fatal(err)
		}
		status, closes := readAnswer(t, r)
		if want := s.status(); status != want {
			t.Errorf("%s %q: got status %d, want %d", s.method(), s.target, status, want)
		}
		if closes {
			_ = c.Close()
			c = nil
		}
	}
}
