//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// besideID is the message id of the request that besideFiles writes.
const besideID = "urn:uuid:5d1b21fd-8bb4-4dbb-a3ea-000000000000"

// unlike returns the request with an id of its own: the gateway joins requests
// that are the same to the byte.
func unlike(request []byte, n int64) []byte {
	id := fmt.Sprintf("%s%012x", besideID[:len(besideID)-12], n)
	return bytes.Replace(request, []byte(besideID), []byte(id), 1)
}

// A besideLoad is the client of all: closed loop, besideConnections of them.
type besideLoad struct {
	request []byte
	tls     *tls.Config
	sent    atomic.Int64
}

func newBesideLoad(b *testing.B, dir string) *besideLoad {
	b.Helper()
	request, err := os.ReadFile(filepath.Join(dir, "request.xml"))
	if err != nil {
		b.Fatal(err)
	}
	certificate, err := os.ReadFile(filepath.Join(dir, "d", "cert.pem"))
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	return &besideLoad{request: request, tls: &tls.Config{RootCAs: roots, ServerName: "localhost"}}
}

// cpuPerRequest returns what a process spends on a request, in microseconds.
func (l *besideLoad) cpuPerRequest(b *testing.B, address string, pid int) float64 {
	b.Helper()
	before, sent := cpuOf(b, pid), l.sent.Load()
	until := time.Now().Add(time.Duration(besideEnv("BESIDE_SECONDS", 4)) * time.Second)
	var all sync.WaitGroup
	for range besideConnections {
		all.Go(func() {
			if err := l.run(address, until); err != nil {
				b.Errorf("load on %s: %v", address, err)
			}
		})
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return float64((cpuOf(b, pid) - before).Nanoseconds()) / 1e3 / float64(l.sent.Load()-sent)
}

// run asks on one connection after the other: nginx ends each after a thousand
// requests.
func (l *besideLoad) run(address string, until time.Time) error {
	for time.Now().Before(until) {
		c, err := tls.Dial("tcp", address, l.tls)
		if err != nil {
			return err
		}
		err = l.use(c, until)
		_ = c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *besideLoad) use(c net.Conn, until time.Time) error {
	in := bufio.NewReader(c)
	for time.Now().Before(until) {
		body := unlike(l.request, l.sent.Add(1))
		if _, err := c.Write(append([]byte(postHead(len(body))), body...)); err != nil {
			return err
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s, %w: %s", answer.Status, err, text)
		}
		if answer.Close {
			break
		}
	}
	return nil
}

// cpuOf returns the CPU time that a process has used, to 10 ms.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte(") "))
	fields, ticks := bytes.Fields(rest), 0
	for _, i := range []int{11, 12} { // utime and stime
		n, err := strconv.Atoi(string(fields[i]))
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
