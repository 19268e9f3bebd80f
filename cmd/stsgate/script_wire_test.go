package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"stsgate/gateway/account"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/testdata"
)

const (
	path13   = "/adfs/services/trust/13/usernamemixed"
	path2005 = "/adfs/services/trust/2005/usernamemixed"
)

// options reads KEY=VALUE arguments; each key must be known.
func options(args []string, known string) (map[string]string, error) {
	o := map[string]string{}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok || !strings.Contains(" "+known+" ", " "+key+" ") {
			return nil, misuse(fmt.Sprintf("%q is none of %s, each with = and a value", a, known))
		}
		o[key] = value
	}
	return o, nil
}

// message FILE [KEY=VALUE...] writes a request of alice for urn:payroll. Keys:
// user, password (a file), realm, version, soap, to, and at, a duration from
// now. With shape it is a message of testdata/messages instead, brought up to
// date and given alice's password; to is then the base of its addresses.
func (s *story) message(ts *testscript.TestScript, args []string) error {
	if len(args) == 0 {
		return misuse("usage: message FILE [KEY=VALUE...]")
	}
	o, err := options(args[1:], "user password realm version soap to at shape")
	if err != nil {
		return err
	}
	if o["shape"] != "" {
		text, err := testdata.Messages.ReadFile("messages/rst/" + o["shape"])
		if err != nil {
			return misuse(err.Error())
		}
		base := cmp.Or(o["to"], "https://sts.contoso.example")
		text = bytes.ReplaceAll(text, []byte("https://sts.contoso.example"), []byte(base))
		return os.WriteFile(ts.MkAbs(args[0]), current(text), 0o600)
	}
	q := wstrust.Query{
		SOAP: soap.V12, Version: wstrust.V13, MessageID: "urn:uuid:" + uuid([16]byte([]byte(rand.Text())[:16])),
		Username: "alice@contoso.example", AppliesTo: "urn:payroll", Now: time.Now(),
	}
	path := path13
	if o["version"] == wstrust.V2005.String() {
		q.Version, path = wstrust.V2005, path2005
	}
	if o["soap"] == soap.V11.String() {
		q.SOAP = soap.V11
	}
	q.To = ts.Getenv("BASE") + path
	for key, field := range map[string]*string{"user": &q.Username, "realm": &q.AppliesTo, "to": &q.To} {
		if v, ok := o[key]; ok {
			*field = v
		}
	}
	if o["at"] != "" {
		d, err := time.ParseDuration(o["at"])
		if err != nil {
			return misuse(err.Error())
		}
		q.Now = q.Now.Add(d)
	}
	password := "alice.password"
	if o["password"] != "" {
		password = o["password"]
	}
	b, err := os.ReadFile(ts.MkAbs(password))
	if err != nil {
		return misuse(err.Error())
	}
	q.Password = account.NewPassword(bytes.TrimSuffix(b, []byte("\n")))
	return os.WriteFile(ts.MkAbs(args[0]), wstrust.AppendRequest(nil, q), 0o600)
}

var (
	shapeTime     = regexp.MustCompile(`2026-03-02T\d\d:\d\d:\d\d`)
	shapePassword = regexp.MustCompile(`(<(?:\w+:)?Password[^>]*>)[^<]*<`)
)

// current moves the times of a message, which is fresh at 2026-03-02T08:00:30Z,
// to now and gives it alice's password.
func current(message []byte) []byte {
	moved := shapeTime.ReplaceAllFunc(message, func(at []byte) []byte {
		const layout = "2006-01-02T15:04:05"
		t, err := time.Parse(layout, string(at))
		if err != nil {
			return at
		}
		return []byte(t.Add(time.Since(time.Date(2026, 3, 2, 8, 0, 30, 0, time.UTC))).Format(layout))
	})
	return shapePassword.ReplaceAll(moved, append(soap.EscapeText([]byte("${1}"), alicePassword), '<'))
}

// A wireExchange is what came back on one connection.
type wireExchange struct {
	statuses []string
	header   http.Header // of the first answer
	body     []byte
	closed   bool // the gateway closed the connection
}

// dial connects to $LISTEN as a client that asks for a TLS server name, through
// a proxy that says something ahead of TLS.
func (s *story) dial(ts *testscript.TestScript, serverName, ahead string) (*tls.Conn, error) {
	roots, err := readPool(filepath.Join(s.dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	tcp, err := net.DialTimeout("tcp", ts.Getenv("LISTEN"), patience)
	if err != nil {
		return nil, err
	}
	_, _ = io.WriteString(tcp, ahead) // it may be closed already
	conn := tls.Client(tcp, &tls.Config{RootCAs: roots, ServerName: serverName})
	if err := errors.Join(conn.SetDeadline(time.Now().Add(patience)), conn.Handshake()); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

var messageIDs = regexp.MustCompile(`urn:uuid:[0-9a-f-]{36}</a:MessageID>`)

// renewed gives a message another id: with the same one it would be taken for a
// client's automatic repeat.
func renewed(body []byte) []byte {
	id := uuid([16]byte([]byte(rand.Text())[:16]))
	return messageIDs.ReplaceAllLiteral(body, []byte("urn:uuid:"+id+"</a:MessageID>"))
}

// rawRequest makes the bytes of an HTTP request of a message.
func rawRequest(ts *testscript.TestScript, body []byte, o map[string]string) []byte {
	path, contentType, action := path13, soap.V12.ContentType(), ""
	if !bytes.Contains(body, []byte("200512")) {
		path = path2005
	}
	if bytes.Contains(body, []byte(soap.V11.Namespace())) {
		contentType, action = soap.V11.ContentType(), "\r\nSOAPAction: \"\""
	}
	_, port, _ := strings.Cut(ts.Getenv("LISTEN"), ":")
	set := func(key, otherwise string) string {
		if v, ok := o[key]; ok {
			return v
		}
		return otherwise
	}
	head := set("method", "POST") + " " + set("path", path) + " HTTP/1.1\r\nHost: " + set("host", "localhost:"+port) +
		"\r\nUser-Agent: scripted/1.0\r\nContent-Type: " + set("type", contentType) + action +
		"\r\nContent-Length: " + set("length", strconv.Itoa(len(body)))
	if h := o["header"]; h != "" {
		head += "\r\n" + h
	}
	return append([]byte(head+"\r\n\r\n"), body...)
}

// post FILE [KEY=VALUE...] sends a message as raw HTTP, with a new id that the
// file then has, and keeps what comes
// back for answers, fault and header; the first body becomes answer.xml. Keys:
// method, path, host, sni, type, length (Content-Length), header (one more),
// then (a file whose request follows on the same connection at once), cut=yes
// (the client ends its side after the last byte), and announce (the line of a
// PROXY header ahead of TLS).
func (s *story) post(ts *testscript.TestScript, args []string) error {
	if len(args) == 0 {
		return misuse("usage: post FILE [KEY=VALUE...]")
	}
	o, err := options(args[1:], "method path host sni type length header then cut announce")
	if err != nil {
		return err
	}
	s.posted = renewed([]byte(ts.ReadFile(args[0])))
	if err := os.WriteFile(ts.MkAbs(args[0]), s.posted, 0o600); err != nil {
		return err
	}
	out := rawRequest(ts, s.posted, o)
	if o["then"] != "" {
		out = append(out, rawRequest(ts, []byte(ts.ReadFile(o["then"])), nil)...)
	}
	name := o["sni"]
	if name == "" {
		name = "localhost"
	}
	ahead := o["announce"]
	if ahead != "" {
		ahead += "\r\n"
	}
	conn, err := s.dial(ts, name, ahead)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, _ = conn.Write(out) // a gateway that refuses early need not read it all
	if o["cut"] != "" {
		_ = conn.CloseWrite()
	}
	return s.read(bufio.NewReader(conn), o["then"] != "")
}

// read reads one answer, or all until the gateway closes where more may come
// or the first says that it closes.
func (s *story) read(r *bufio.Reader, more bool) error {
	s.exchange = wireExchange{}
	for len(s.exchange.statuses) == 0 || more {
		response, err := http.ReadResponse(r, nil)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && len(s.exchange.statuses) > 0 {
			s.exchange.closed = true
			break
		}
		if err != nil {
			return fmt.Errorf("after the answers %v: %w", s.exchange.statuses, err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return fmt.Errorf("body of an answer: %w", err)
		}
		s.exchange.statuses = append(s.exchange.statuses, strconv.Itoa(response.StatusCode))
		if len(s.exchange.statuses) == 1 {
			s.exchange.header, s.exchange.body = response.Header, body
			more = more || response.Close
		}
	}
	return os.WriteFile(filepath.Join(s.dir, "answer.xml"), s.exchange.body, 0o600)
}

// gets FILE STATUS posts a message and looks at the status of the answer.
func (s *story) gets(ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return misuse("usage: gets FILE STATUS")
	}
	if err := s.post(ts, args[:1]); err != nil {
		return err
	}
	return s.answers(ts, args[1:])
}

// answers STATUS... [closed] compares all that came back on the connection.
func (s *story) answers(_ *testscript.TestScript, args []string) error {
	got := s.exchange.statuses
	if s.exchange.closed {
		got = append(got[:len(got):len(got)], "closed")
	}
	if strings.Join(got, " ") != strings.Join(args, " ") {
		return fmt.Errorf("%v, want %v:\n%.1000s", got, args, s.exchange.body)
	}
	return nil
}

// header NAME VALUE compares a header of the first answer.
func (s *story) header(_ *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return misuse("usage: header NAME VALUE")
	}
	if got := s.exchange.header.Get(args[0]); got != args[1] {
		return fmt.Errorf("%s: %q", args[0], got)
	}
	return nil
}

// fault CODE SUBCODE REGEXP compares the fault that came back, in SOAP 1.1 or
// 1.2: CODE is Sender or Receiver. It came with status 500.
func (s *story) fault(_ *testscript.TestScript, args []string) error {
	if len(args) != 3 {
		return misuse("usage: fault CODE SUBCODE REGEXP")
	}
	var e struct {
		Body struct {
			Fault struct {
				Code12 string `xml:"Code>Value"`
				Sub    string `xml:"Code>Subcode>Value"`
				Text   string `xml:"Reason>Text"`
				Code11 string `xml:"faultcode"`
				String string `xml:"faultstring"`
			}
		}
	}
	if err := xml.Unmarshal(s.exchange.body, &e); err != nil {
		return fmt.Errorf("%w in %q", err, s.exchange.body)
	}
	f := e.Body.Fault
	if f.Code11 != "" { // SOAP 1.1 has one code, and the subcode is it
		f.Code12, f.Sub, f.Text = "s:"+args[0], f.Code11, f.String
	}
	_, code, _ := strings.Cut(f.Code12, ":")
	_, sub, _ := strings.Cut(f.Sub, ":")
	text, err := regexp.Compile(args[2])
	if err != nil {
		return misuse(err.Error())
	}
	if status := s.exchange.statuses[0]; status != "500" || code != args[0] || sub != args[1] || !text.MatchString(f.Text) {
		return fmt.Errorf("status %s with %s, %s, %q", status, code, sub, f.Text)
	}
	return nil
}

// alike FILE OTHER tells that a client learns the same from two answers: they
// differ in ids and times only.
func (s *story) alike(ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return misuse("usage: alike FILE OTHER")
	}
	passing := regexp.MustCompile(`[0-9a-f]{32}|urn:uuid:[0-9a-f-]+|\d{4}-\d\d-\d\dT[0-9:.]+Z`)
	if a, b := passing.ReplaceAllString(ts.ReadFile(args[0]), "*"), passing.ReplaceAllString(ts.ReadFile(args[1]), "*"); a != b {
		return fmt.Errorf("\n%s\n%s", a, b)
	}
	return nil
}

// A halfRequest was begun and waits for its end.
type halfRequest struct {
	conn *tls.Conn
	rest []byte
}

// begin FILE connects, and sends the first half of a request.
func (s *story) begin(ts *testscript.TestScript, args []string) error {
	if len(args) != 1 {
		return misuse("usage: begin FILE")
	}
	out := rawRequest(ts, []byte(ts.ReadFile(args[0])), nil)
	conn, err := s.dial(ts, "localhost", "")
	if err != nil {
		return err
	}
	s.half = &halfRequest{conn, out[len(out)-500:]}
	_, err = conn.Write(out[:len(out)-500])
	return err
}

// finish sends the rest of what begin began, and reads the answer.
func (s *story) finish(_ *testscript.TestScript, _ []string) error {
	if _, err := s.half.conn.Write(s.half.rest); err != nil {
		return err
	}
	if err := s.half.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return s.read(bufio.NewReader(s.half.conn), false)
}

// serves CERTIFICATE compares the certificate that clients are shown.
func (s *story) serves(ts *testscript.TestScript, args []string) error {
	if len(args) != 1 {
		return misuse("usage: serves CERTIFICATE")
	}
	want, err := readCertificate(ts.MkAbs(args[0]))
	if err != nil {
		return misuse(err.Error())
	}
	conn, err := s.dial(ts, "localhost", "")
	if err != nil {
		return err
	}
	defer conn.Close()
	if got := conn.ConnectionState().PeerCertificates[0]; !got.Equal(want) {
		return fmt.Errorf("serial %v, want %v", got.SerialNumber, want.SerialNumber)
	}
	return nil
}
