//go:build unix

package adfs_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"stsgate/gateway/wstrust"
	"stsgate/upstream/adfs"
	"stsgate/upstream/adfs/adfstest"
)

// replay answers every request on l with the same bytes, so cheaply that
// what is measured is the other side.
func replay(l net.Listener, answer []byte) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			for {
				length := 0
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
						length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
					}
					if len(line) == 2 {
						break
					}
				}
				if _, err := r.Discard(length); err != nil {
					return
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkForward measures a forwarded request of 1.7 KB, and the same
// exchange with net/http's Transport. Both contain the node's share: TLS and
// the system calls.
func BenchmarkForward(b *testing.B) {
	behind, farm := start(b, adfstest.Config{}, nil)
	a := alice("1")
	r := a.request()
	r.Body = append(r.Body, bytes.Repeat([]byte(" "), 1700-len(r.Body))...)
	answer, err := a.forward(farm)
	if err != nil {
		b.Fatal(err)
	}
	canned := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/soap+xml; charset=utf-8\r\n"+
		"Server: Microsoft-HTTPAPI/2.0\r\nDate: Sat, 28 Nov 2026 11:00:00 GMT\r\n\r\n%s", len(answer.Body), answer.Body)
	l, err := tls.Listen("tcp", "127.0.0.1:0", behind.TLS())
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go replay(l, canned)
	node := "https://" + l.Addr().String()

	b.Run("farm", func(b *testing.B) {
		farm, err := adfs.New(adfs.Config{
			Host: behind.Host, Nodes: []string{node}, CA: behind.CA, Name: "gateway1", Signers: []*x509.Certificate{behind.Signer},
		})
		if err != nil {
			b.Fatal(err)
		}
		defer farm.Close()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		origin := a.origin()
		measure(b, func() error {
			_, err := farm.Forward(ctx, r, origin)
			return err
		})
	})
	b.Run("transport", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: behind.CA, ServerName: behind.Host}, DisableCompression: true,
		}}
		defer client.CloseIdleConnections()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		measure(b, func() error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, node+path13, bytes.NewReader(r.Body))
			if err != nil {
				return err
			}
			req.Header.Set("Content-Type", r.SOAP.ContentType())
			res, err := client.Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				return err
			}
			_, err = wstrust.ReadAnswer(body, r.Version)
			return err
		})
	})
}

func measure(b *testing.B, exchange func() error) {
	if err := exchange(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		if err := exchange(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}
