package audit_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

// A receiver is one of syslog over TLS, which can break off.
type receiver struct {
	net.Listener
	trust *tls.Config // for who sends

	mu       sync.Mutex
	breakOff int // so many connections are dropped amid a line
	sequence []uint64
	framing  error
}

func newReceiver(t *testing.T, address string) *receiver {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	l, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{Listener: l, trust: &tls.Config{RootCAs: pool}}
	go r.serve()
	t.Cleanup(func() { l.Close() })
	return r
}

func (r *receiver) serve() {
	for {
		conn, err := r.Accept()
		if err != nil {
			return
		}
		go r.read(conn)
	}
}

// read takes messages as RFC 5425 frames them.
func (r *receiver) read(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for n := 0; ; n++ {
		length, err := in.ReadString(' ')
		if err != nil {
			return
		}
		size, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		message := make([]byte, size)
		if err == nil {
			_, err = io.ReadFull(in, message)
		}
		var l audit.Line
		fields := strings.SplitN(string(message), " ", 8)
		if err == nil && (len(fields) != 8 || fields[0] != "<110>1" || fields[2] != "gw1" || fields[3] != "stsgate" || fields[5] != "audit") {
			err = fmt.Errorf("got %q", message)
		}
		if err == nil {
			_, err = time.Parse("2006-01-02T15:04:05.000000Z07:00", fields[1])
		}
		if err == nil {
			err = json.Unmarshal([]byte(fields[7]), &l)
		}
		r.mu.Lock()
		if err != nil {
			r.framing = err
		}
		if r.breakOff > 0 && n == 3 {
			r.breakOff--
			r.mu.Unlock()
			return
		}
		r.sequence = append(r.sequence, l.Sequence)
		r.mu.Unlock()
	}
}

// all tells that lines 1 to n were received.
func (r *receiver) all(n uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[uint64]bool{}
	for _, s := range r.sequence {
		seen[s] = true
	}
	for i := uint64(1); i <= n; i++ {
		if !seen[i] {
			return false
		}
	}
	return true
}

// AUD-10: every line is received, although connections break, the receiver is
// away, files are rotated and the gateway starts again; and records do not wait.
func TestSyslog(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	r := newReceiver(t, "127.0.0.1:0")
	address := r.Addr().String()
	r.breakOff = 2
	begin := func() (*audit.Log, *audit.Syslog) {
		l := start(t, dir)
		s, err := audit.NewSyslog(audit.SyslogConfig{Log: l, File: file, Address: address, TLS: r.trust, Host: "gw1", Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if err != nil {
			t.Fatal(err)
		}
		return l, s
	}
	l, s := begin()
	add(t, l, "a", 20)
	eventually(t, "received", func() bool { return r.all(20) && s.Waiting() == 0 })

	r.Close() // away for a while
	add(t, l, "b", 20)
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	add(t, l, "c", 20)
	if s.Waiting() != 41 { // with a checkpoint
		t.Errorf("%d are waiting, want 41", s.Waiting())
	}
	s.Close()
	stop(t, l)
	l, s = begin()
	add(t, l, "d", 20)
	before := r
	r = newReceiver(t, address)
	s.Close()
	stop(t, l)
	l, s = begin() // which trusts the receiver that is there now
	eventually(t, "received", func() bool { return s.Waiting() == 0 })
	r.sequence = append(r.sequence, before.sequence...)
	if !r.all(83) {
		t.Errorf("got %v, want 1 to 83", r.sequence)
	}
	if r.framing != nil || before.framing != nil {
		t.Error(r.framing, before.framing)
	}
	s.Close()
	stop(t, l)
}
