//go:build unix

package audit_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stsgate/gateway/audit"
	"stsgate/testdata"
)

// rsyslogConfig is a receiver of syslog over TLS that takes only who shows a
// certificate of its authority, and writes each message as it came.
const rsyslogConfig = `
global(workDirectory="%[1]s" maxMessageSize="64k"
  defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="%[1]s/ca.pem"
  defaultNetstreamDriverCertFile="%[1]s/own.pem" defaultNetstreamDriverKeyFile="%[1]s/own.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="message" type="string" string="%%timestamp:::date-rfc3339%% %%hostname%% %%app-name%% %%msgid%% %%syslogfacility-text%%.%%syslogseverity-text%% %%msg%%\n")
input(type="imtcp" address="127.0.0.1" port="%[2]s")
action(type="omfile" file="%[1]s/received" template="message")
`

// AUD-10: a receiver that others wrote, rsyslog, gets every line, from files of
// before, over a rotation and over a time in which it was away; each is the line
// as it stands in the log, and what comes twice has the same event.hash.
func TestRsyslog(t *testing.T) {
	r := newRsyslog(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	l := start(t, dir)
	add(t, l, "before", 100)
	r.start()
	s, err := audit.NewSyslog(audit.SyslogConfig{Log: l, File: file, Address: r.address, TLS: r.trust, Host: "gw1", Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	eventually(t, "received", func() bool { return s.Waiting() == 0 })
	r.stop()
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	long := audit.Record{Transaction: "away", Outcome: "failure", UserAgent: `"quoted" \ {"a":1} ` + strings.Repeat("x", 500), Error: "ü"}
	if err := l.Append(&long); err != nil {
		t.Fatal(err)
	}
	add(t, l, "away", 100)
	r.start()
	eventually(t, "received", func() bool { return s.Waiting() == 0 })
	stop(t, l)
	r.stop() // it has written what it received
	r.compare(file+".1", file)
}

// An rsyslog is Debian's, which takes no part in the machine's own syslog.
type rsyslog struct {
	t                     *testing.T
	program, dir, address string
	trust                 *tls.Config
	cmd                   *exec.Cmd
}

func newRsyslog(t *testing.T) *rsyslog {
	t.Helper()
	r := &rsyslog{t: t, program: testdata.Program(t, "rsyslogd"), dir: t.TempDir()}
	if drivers, _ := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_gtls.so"); len(drivers) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("rsyslog-gnutls is not installed: make deps")
		}
		t.Skip("skipped: rsyslog-gnutls is not installed: make deps")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = free.Addr().String()
	free.Close()
	r.certify()
	_, port, _ := net.SplitHostPort(r.address)
	r.write("rsyslog.conf", fmt.Appendf(nil, rsyslogConfig, r.dir, port))
	return r
}

func (r *rsyslog) write(name string, b []byte) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), b, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// certify writes an authority and a certificate that both ends show.
func (r *rsyslog) certify() {
	r.t.Helper()
	make := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			r.t.Fatal(err)
		}
		if parent == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
		if err != nil {
			r.t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			r.t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), c, key
	}
	until := time.Now().Add(time.Hour)
	authority, ca, caKey := make(&x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: until, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	own, _, key := make(&x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	r.write("ca.pem", authority)
	r.write("own.pem", own)
	r.write("own.key", private)
	pair, err := tls.X509KeyPair(own, private)
	if err != nil {
		r.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	r.trust = &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

func (r *rsyslog) start() {
	r.t.Helper()
	r.cmd = exec.Command(r.program, "-n", "-f", filepath.Join(r.dir, "rsyslog.conf"), "-i", filepath.Join(r.dir, "pid"))
	r.cmd.Stderr = r.t.Output()
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	cmd := r.cmd
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // where the test did not stop it
	eventually(r.t, "listening", func() bool {
		c, err := net.Dial("tcp", r.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (r *rsyslog) stop() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	_ = r.cmd.Wait() // a signal is how it ends
}

// compare holds what was received against the lines of files.
func (r *rsyslog) compare(files ...string) {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, "received"))
	if err != nil {
		r.t.Fatal(err)
	}
	got, twice := map[string]string{}, 0
	for message := range strings.Lines(string(b)) {
		fields := strings.SplitN(strings.TrimSuffix(message, "\n"), " ", 6)
		if len(fields) != 6 || fields[1] != "gw1" || fields[2] != "stsgate" || fields[3] != "audit" || fields[4] != "audit.info" {
			r.t.Fatalf("received %q", message)
		}
		var l audit.Line
		if err := json.Unmarshal([]byte(fields[5]), &l); err != nil {
			r.t.Fatalf("received %q: %v", fields[5], err)
		}
		if before, ok := got[l.Hash]; ok {
			if twice++; before != fields[5] {
				r.t.Errorf("two lines have the hash %s", l.Hash)
			}
		}
		got[l.Hash] = fields[5]
	}
	want := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			r.t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSuffix(line, "\n")
			var l audit.Line
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				r.t.Fatal(err)
			}
			if got[l.Hash] == line {
				want++
			} else if l.Sequence <= 202 { // the last checkpoint comes when nobody is left to send it
				r.t.Errorf("line %d was received as %q, want %q", l.Sequence, got[l.Hash], line)
			}
		}
	}
	r.t.Logf("%d lines were received, %d of them twice", want, twice)
}
