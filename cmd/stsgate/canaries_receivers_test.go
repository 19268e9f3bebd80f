package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/mail"
	"net/textproto"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// heard keeps what was written to whoever listens.
type heard struct {
	mu  sync.Mutex
	all []output
}

func (h *heard) add(name string, text []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, output{name, text})
}

// begin returns those whose names begin with a text.
func (h *heard) begin(with string) (all []output) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.all {
		if strings.HasPrefix(o.name, with) {
			all = append(all, o)
		}
	}
	return all
}

// ServeHTTP takes what is posted to a messenger.
func (h *heard) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the gateway is gone
	}
	h.add("webhook", fmt.Appendf(nil, "%v\n%s", r.Header, body))
}

// A receiver takes connections over TLS as soon as it has a certificate.
type receiver struct {
	net.Listener
	conns sync.WaitGroup
}

func listenLocal(t *testing.T) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{Listener: l}
	t.Cleanup(func() {
		_ = l.Close()
		r.conns.Wait()
	})
	return r
}

// address has the name that the certificate is for.
func (r *receiver) address() string {
	_, port, _ := net.SplitHostPort(r.Addr().String())
	return "localhost:" + port
}

// serve takes every connection, with the certificate of the cast in a folder.
func (r *receiver) serve(t *testing.T, dir string, take func(*tls.Conn)) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	r.conns.Go(func() {
		for {
			conn, err := r.Accept()
			if err != nil {
				return // closed
			}
			r.conns.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(10 * patience))
				take(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}}))
			})
		}
	})
}

// takeSyslog keeps what comes.
func (h *heard) takeSyslog(conn *tls.Conn) {
	text, _ := io.ReadAll(conn) // until the gateway ends
	h.add("syslog", text)
}

// takeMail is a server of mail that keeps what comes, and what it says.
func (h *heard) takeMail(t *testing.T, password string) func(*tls.Conn) {
	signedIn := base64.StdEncoding.EncodeToString([]byte("\x00stsgate\x00" + password))
	return func(conn *tls.Conn) {
		c := textproto.NewConn(conn)
		say := func(line string) { _ = c.PrintfLine("%s", line) }
		for say("220 localhost"); ; {
			line, err := c.ReadLine()
			if err != nil {
				return
			}
			switch verb, _, _ := strings.Cut(line, " "); verb {
			case "EHLO":
				say("250-localhost")
				say("250 AUTH PLAIN")
			case "AUTH":
				if line != "AUTH PLAIN "+signedIn {
					t.Error("the mail server was shown another password")
				}
				say("235 good")
			case "DATA":
				say("354 go on")
				text, err := c.ReadDotBytes()
				if err != nil {
					return
				}
				h.addMail(t, text)
				say("250 taken")
			case "QUIT":
				say("221 bye")
				return
			default:
				h.add("mail envelope", []byte(line))
				say("250 good")
			}
		}
	}
}

func (h *heard) addMail(t *testing.T, text []byte) {
	h.add("mail", text)
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Error(err)
		return
	}
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Error(err)
	}
	h.add("text of a mail", body)
}

// A tap keeps what a client is answered, each answer in three outputs.
type tap struct {
	http.RoundTripper
	*factorCage
}

// RoundTrip implements http.RoundTripper.
func (p tap) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := p.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	name := fmt.Sprintf("answer %d to %s %s", p.answered.Add(1), r.Method, r.URL.Path)
	p.gather(name, answer, body)
	p.add("page, "+name, body)
	p.add("cookies, "+name, []byte(strings.Join(answer.Header.Values("Set-Cookie"), "\n")))
	others := answer.Header.Clone()
	others.Del("Set-Cookie")
	p.add("header, "+name, fmt.Appendf(nil, "%v", others))
	if err != nil {
		return nil, err // cut off
	}
	return answer, nil
}
