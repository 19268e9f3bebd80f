package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"stsgate/upstream/adfs/adfstest"
)

// AUD-05, SOAP-13: nothing that the gateway writes, to whomever, holds a secret
// of a request, or what the farm's faults say of its inside to a client. The
// program runs as it does in service, at the log level that says most; at its
// end it is made to dump its goroutines amid requests. How a panic is written
// is tested in package gateway, since no request is known that causes one. Log
// and audit file do hold the text of a farm's fault: it is for the operator.
// CANARY_REQUESTS is how many requests are sent at least.
func TestCanariesShowNowhere(t *testing.T) {
	const workers = 8
	rounds := 44
	if n, err := strconv.Atoi(os.Getenv("CANARY_REQUESTS")); err == nil {
		rounds = max(rounds, (n+len(canaries)-1)/len(canaries))
	}
	c := startCaged(t)
	t.Run("requests", func(t *testing.T) {
		for w := range workers {
			t.Run(strconv.Itoa(w), func(t *testing.T) {
				t.Parallel()
				mine := &outlet{caged: c}
				for i := w; i < rounds*len(canaries); i += workers {
					mine.send(t, canaries[i%len(canaries)])
				}
				mine.end()
			})
		}
	})
	for _, path := range []string{"/metrics", "/readyz", "/" + c.secret(), "/metrics?token=" + c.secret()} {
		c.admin(t, path)
	}
	c.crash(t)
	if n := len(c.secrets); n < 2000 {
		t.Errorf("%d secrets, want 2000", n)
	}
	t.Logf("%d requests with %d secrets, %d bytes of answers", rounds*len(canaries), len(c.secrets), c.answers.Len())
	c.search(t)
}

// A caged is a gateway that runs as a program, before a farm that talks too
// much.
type caged struct {
	probed
	dir       string
	operators string // the admin listener
	right     string // alice's password at the farm, a secret as the others
	program   *exec.Cmd
	stalled   chan struct{} // gets a value for each request that the farm holds

	mu      sync.Mutex
	secrets []string
	answers bytes.Buffer // all that clients and operators got
}

func startCaged(t *testing.T) *caged {
	t.Helper()
	c := &caged{dir: t.TempDir(), operators: freeAddress(), stalled: make(chan struct{}, 100)}
	c.address, c.right = freeAddress(), c.secret()
	farm, err := adfstest.Start(adfstest.Config{Users: []adfstest.User{{UPN: "alice@contoso.example", Password: c.right, ImmutableID: "W62PD8vZn0ahZXCGdyiVDg=="}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(farm.Close)
	node := startTalker(t, farm, c.stalled)
	writeGate(t, c.dir, fmt.Sprintf(gateFile, c.address, c.operators, node, "debug"), farm.CAPEM())
	if c.roots, err = readPool(filepath.Join(c.dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	c.program = exec.Command("stsgate", "run", "-c", "stsgate.yaml")
	c.program.Dir = c.dir
	c.program.Env = append(os.Environ(), "GOTRACEBACK=all")
	for name, out := range map[string]*io.Writer{"stdout": &c.program.Stdout, "log": &c.program.Stderr} {
		f, err := os.Create(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		*out = f
	}
	if err := c.program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.program.Process.Kill()
		_ = c.program.Wait() // both in vain where it has ended
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); c.admin(t, "/readyz") != http.StatusOK; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("the gateway is not ready: %s", &c.answers)
		}
	}
	return c
}

// secret makes one that nobody may write down: 32 characters.
func (c *caged) secret() string {
	s := rand.Text() + rand.Text()[:6]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets = append(c.secrets, s)
	return s
}

func (c *caged) heard(answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers.Write(answer)
}

// admin asks the operator's listener, and shows it a secret. It returns 0 while
// nobody listens.
func (c *caged) admin(t *testing.T, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.operators+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.secret())
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	c.heard(b)
	return response.StatusCode
}

// crash ends the program by a signal that has it write down all that its
// goroutines do, while the farm holds requests.
func (c *caged) crash(t *testing.T) {
	const held = 8
	for i := range held {
		if _, err := io.WriteString(c.dial(t, probedHost), stalling(i).bytes(c.secret(), c.right)); err != nil {
			t.Fatal(err)
		}
	}
	for range held {
		select {
		case <-c.stalled:
		case <-time.After(patience):
			t.Fatal("the farm got nothing to hold")
		}
	}
	if err := c.program.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := c.program.Wait(); err == nil || c.program.ProcessState.ExitCode() != 2 {
		t.Errorf("the program ended with %v, want exit code 2", err)
	}
	log, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	log = bytes.ReplaceAll(log, []byte("/runtime/panic.go:"), nil) // where deferred calls are made
	if n := bytes.Count(log, []byte("gateway.(*exchange).prove")); n < held || bytes.Contains(log, []byte("panic")) || bytes.Contains(log, []byte("DATA RACE")) {
		t.Errorf("got %d goroutines amid a proof in the log, want %d, and no panic: %s", n, held, log[max(0, len(log)-20_000):])
	}
}

// search looks for secrets, and for the farm's words, in all that there is.
func (c *caged) search(t *testing.T) {
	all := make([]secret, len(c.secrets))
	for i, text := range c.secrets {
		all[i] = secret{what: "a secret", text: text}
	}
	answers, audited := c.answers.Bytes(), []byte(nil)
	outputs := []output{{"answers", answers}}
	for _, name := range []string{"stdout", "log", "audit.jsonl"} {
		b, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		outputs, audited = append(outputs, output{name, b}), b
	}
	searchAll(t, all, outputs)
	for _, words := range farmWords {
		if bytes.Contains(answers, []byte(words)) {
			t.Errorf("an answer holds the farm's %q", words)
		}
	}
	for _, reason := range []string{"ok", "wrong-password", "unknown-user", "malformed", "unsupported", "wrong-path", "wrong-method", "farm-failed", "farm-denied", "answer-unreadable"} {
		if !bytes.Contains(audited, []byte(`"event.reason":"`+reason+`"`)) {
			t.Errorf("nothing was audited as %s", reason)
		}
	}
}

// An outlet sends requests one after the other, on a connection that is kept
// where the gateway keeps it.
type outlet struct {
	*caged
	conn *tls.Conn
	r    *bufio.Reader
	got  bytes.Buffer
}

func (o *outlet) dial(t *testing.T) *tls.Conn {
	if o.conn == nil {
		o.conn = o.caged.dial(t, probedHost)
		o.r = bufio.NewReader(io.TeeReader(o.conn, &o.got))
	}
	return o.conn
}

func (o *outlet) end() {
	if o.conn != nil {
		_ = o.conn.Close()
		o.conn = nil
	}
	o.heard(o.got.Bytes())
	o.got.Reset()
}

func (o *outlet) send(t *testing.T, c canary) {
	raw := c.bytes(o.secret(), o.right)
	if c.status == 0 { // to where TLS is spoken
		conn, err := net.Dial("tcp", o.address)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, raw)
		answer, _ := io.ReadAll(conn)
		o.heard(answer)
		return
	}
	if _, err := io.WriteString(o.dial(t), raw); err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
	status, closes := readAnswer(t, o.r)
	if status != c.status {
		t.Errorf("%s: got status %d, want %d", c.name, status, c.status)
	}
	if closes {
		o.end()
	}
}
