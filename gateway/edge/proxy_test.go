package edge_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"stsgate/gateway/edge"
)

// v2 makes a header of version 2, with command, family, and all that follows
// the length.
func v2(command, family byte, parts ...string) string {
	body := strings.Join(parts, "")
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(body)))) + body
}

const (
	local, proxy = 0, 1 // commands

	// Addresses and ports of source and destination: 203.0.113.9:4711 and
	// 2001:db8::9:4711, both to port 443.
	inet4 = "\xcb\x00\x71\x09" + "\xc6\x33\x64\x01" + "\x12\x67\x01\xbb"
	inet6 = "\x20\x01\x0d\xb8" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09" +
		"\x20\x01\x0d\xb8" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x12\x67\x01\xbb"
	mapped4 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xcb\x00\x71\x09" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x01" + "\x12\x67\x01\xbb"
	tlvs = "\x04\x00\x02\x00\x00" + "\xea\x00\x0d\x01vpce-1234567"
)

// announcements are headers with the source that each names: "" for none.
func announcements() map[string][2]string {
	return map[string][2]string{
		"v1 TCP4":              {"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n", "203.0.113.9:4711"},
		"v1 TCP6":              {"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n", "[2001:db8::9]:4711"},
		"v1 mapped":            {"PROXY TCP6 ::ffff:203.0.113.9 ::ffff:198.51.100.1 4711 443\r\n", "203.0.113.9:4711"},
		"v1 UNKNOWN":           {"PROXY UNKNOWN\r\n", ""},
		"v1 UNKNOWN, longest":  {"PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n", ""},
		"v2 TCP4":              {v2(proxy, 0x11, inet4), "203.0.113.9:4711"},
		"v2 TCP6":              {v2(proxy, 0x21, inet6), "[2001:db8::9]:4711"},
		"v2 mapped":            {v2(proxy, 0x21, mapped4), "203.0.113.9:4711"},
		"v2 TCP4 with TLVs":    {v2(proxy, 0x11, inet4, tlvs), "203.0.113.9:4711"},
		"v2 TCP6 with TLVs":    {v2(proxy, 0x21, inet6, tlvs), "[2001:db8::9]:4711"},
		"v2 longest":           {v2(proxy, 0x11, inet4, strings.Repeat("\x04\x00\x7c"+strings.Repeat("\x00", 124), 4)), "203.0.113.9:4711"},
		"v2 LOCAL":             {v2(local, 0x00), ""},
		"v2 LOCAL with source": {v2(local, 0x11, inet4), ""},
		"v2 LOCAL with TLVs":   {v2(local, 0x00, tlvs), ""},
	}
}

// HDR-04: what a header says, and where it ends.
func TestAnnouncement(t *testing.T) {
	for name, tt := range announcements() {
		t.Run(name, func(t *testing.T) {
			for _, rest := range []string{"", "\x16\x03\x01", strings.Repeat("x", 2000)} {
				r := strings.NewReader(tt[0] + rest)
				source, ahead, err := edge.ReadAnnouncement(r)
				if err != nil {
					t.Fatal(err)
				}
				if got := source.String(); source.IsValid() != (tt[1] != "") || tt[1] != "" && got != tt[1] {
					t.Errorf("got source %v, want %q", source, tt[1])
				}
				behind, _ := io.ReadAll(r)
				if got := string(ahead) + string(behind); got != rest {
					t.Errorf("got %d bytes behind the header, want %d", len(got), len(rest))
				}
			}
			for n := range len(tt[0]) {
				if source, _, err := edge.ReadAnnouncement(strings.NewReader(tt[0][:n])); err == nil {
					t.Errorf("cut after %d bytes: got source %v, want an error", n, source)
				}
			}
		})
	}
}

func TestAnnouncementRefused(t *testing.T) {
	const tail = " 203.0.113.9 198.51.100.1 4711 443\r\n"
	for name, header := range map[string]string{
		"TLS":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"HTTP":                  "POST / HTTP/1.1\r\n\r\n",
		"v1 in lower case":      "proxy TCP4" + tail,
		"v1 too long":           "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n",
		"v1 endless":            "PROXY TCP4 " + strings.Repeat("1", 5000),
		"v1 without CR":         "PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\n",
		"v1 glued":              "PROXYX TCP4" + tail,
		"v1 two spaces":         "PROXY  TCP4" + tail,
		"v1 UDP4":               "PROXY UDP4" + tail,
		"v1 other family":       "PROXY TCP6" + tail,
		"v1 name":               "PROXY TCP4 localhost 198.51.100.1 4711 443\r\n",
		"v1 zone":               "PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 443\r\n",
		"v1 octal":              "PROXY TCP4 0203.0.113.9 198.51.100.1 4711 443\r\n",
		"v1 port":               "PROXY TCP4 203.0.113.9 198.51.100.1 65536 443\r\n",
		"v1 one more":           "PROXY TCP4 203.0.113.9 198.51.100.1 4711 443 1\r\n",
		"v1 few":                "PROXY TCP4 203.0.113.9\r\n",
		"v2 wrong signature":    strings.Replace(v2(proxy, 0x11, inet4), "QUIT", "QUIY", 1),
		"v2 version 3":          strings.Replace(v2(proxy, 0x11, inet4), "\x21", "\x31", 1),
		"v2 other command":      v2(2, 0x11, inet4),
		"v2 no family":          v2(proxy, 0x00, inet4),
		"v2 unknown family":     v2(proxy, 0x41, inet4),
		"v2 unknown transport":  v2(proxy, 0x13, inet4),
		"v2 UDP":                v2(proxy, 0x12, inet4),
		"v2 unix":               v2(proxy, 0x31, strings.Repeat("/", 216)),
		"v2 addresses cut":      v2(proxy, 0x21, inet4),
		"v2 too long":           v2(proxy, 0x11, inet4, strings.Repeat("\x04", 509)),
		"v2 longest of all":     v2(proxy, 0x11, inet4, strings.Repeat("\x04", 65523)),
		"v2 LOCAL and too long": v2(local, 0x00, strings.Repeat("\x04", 521)),
	} {
		t.Run(name, func(t *testing.T) {
			r := strings.NewReader(header)
			if source, ahead, err := edge.ReadAnnouncement(r); err == nil {
				t.Errorf("got source %v and %d bytes ahead, want an error", source, len(ahead))
			}
			if read := len(header) - r.Len(); read > 536 {
				t.Errorf("%d bytes were read", read)
			}
		})
	}
}

// TEST-01: no bytes are too much for it, and how those of version 2 arrive makes
// no difference.
func FuzzAnnouncement(f *testing.F) {
	for _, tt := range announcements() {
		f.Add([]byte(tt[0] + "\x16\x03\x01"))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bytes.NewReader(raw)
		source, ahead, err := edge.ReadAnnouncement(r)
		read := len(raw) - r.Len()
		if read > 536 {
			t.Fatalf("%d bytes were read", read)
		}
		if err == nil && !bytes.Equal(ahead, raw[read-len(ahead):read]) {
			t.Errorf("got %q ahead, which is not what stands there", ahead)
		}
		if a := source.Addr(); err != nil && source.IsValid() || a.Is4In6() || a.Zone() != "" {
			t.Errorf("got source %v and error %v", source, err)
		}
		again, _, err2 := edge.ReadAnnouncement(iotest.OneByteReader(bytes.NewReader(raw)))
		if raw, v1 := bytes.CutPrefix(raw, []byte("PROXY")); !v1 && (again != source || (err == nil) != (err2 == nil)) {
			t.Errorf("%q: got source %v and %v, bytewise %v and %v", raw, source, err, again, err2)
		}
	})
}

// lines is a log to look into.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// behind runs a server that answers with the address of who connected, and
// believes proxies at the given prefixes.
func behind(t testing.TB, change func(*edge.Config), prefixes ...string) (*site, *lines) {
	t.Helper()
	log := new(lines)
	s := start(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) }, func(c *edge.Config) {
		c.Log = slog.New(slog.NewTextHandler(log, nil))
		for _, p := range prefixes {
			c.Proxies = append(c.Proxies, netip.MustParsePrefix(p))
		}
		if change != nil {
			change(c)
		}
	})
	return s, log
}

// A prefixed connection sends a header in one write with its first bytes.
type prefixed struct {
	net.Conn
	header string
}

func (p *prefixed) Write(b []byte) (int, error) {
	_, err := p.Conn.Write(append([]byte(p.header), b...))
	p.header = ""
	return len(b), err
}

// client begins TLS on a connection.
func client(t testing.TB, nc net.Conn) *tls.Conn {
	c := tls.Client(nc, &tls.Config{ServerName: host, InsecureSkipVerify: true}) // a self-signed test certificate
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

var getMetadata = head("GET "+metadata+" HTTP/1.1", "Host: "+host)

// HDR-04: the source that a proxy names is the peer of every request on the
// connection, whether the header comes alone or with the TLS record behind it.
func TestAnnouncedPeer(t *testing.T) {
	s, _ := behind(t, nil, "192.0.2.0/24", "127.0.0.0/8")
	for name, tt := range announcements() {
		for _, alone := range []bool{true, false} {
			nc := s.dialTCP(t)
			want := tt[1]
			if want == "" {
				want = nc.LocalAddr().String()
			}
			wire := &prefixed{nc, tt[0]}
			if alone {
				_, _ = wire.Write(nil)
			}
			c := client(t, wire)
			r := bufio.NewReader(c)
			for range 2 {
				if _, err := io.WriteString(c, getMetadata); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if status, _, body := read(t, r); status != 200 || body != want {
					t.Errorf("%s: got status %d and peer %s, want %s", name, status, body, want)
				}
			}
		}
	}
}

// HDR-04: on a connection that a proxy makes for itself, or for a source that it
// does not know, nobody speaks for a client.
func TestOwnConnection(t *testing.T) {
	const body = " of "
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Join(r.Header["X-Forwarded-For"], ",")+r.Header.Get("X-Other")+body+r.RemoteAddr)
	}, func(c *edge.Config) {
		c.Proxies, c.Speaking = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []string{"X-Forwarded-For"}
	})
	for header, want := range map[string]string{
		"PROXY UNKNOWN\r\n": "x",
		"PROXY UNKNOWN 203.0.113.9 198.51.100.1 4711 443\r\n": "x",
		v2(local, 0x11, inet4):                                "x",
		v2(proxy, 0x11, inet4):                                "192.0.2.7,192.0.2.8x",
	} {
		nc := s.dialTCP(t)
		wantPeer := nc.LocalAddr().String()
		if want != "x" {
			wantPeer = "203.0.113.9:4711"
		}
		c := client(t, &prefixed{nc, header})
		r := bufio.NewReader(c)
		for range 2 {
			if _, err := io.WriteString(c, head("GET "+metadata+" HTTP/1.1", "Host: "+host,
				"x-forwarded-for: 192.0.2.7", "X-Forwarded-For: 192.0.2.8", "X-Other: x")); err != nil {
				t.Fatal(err)
			}
			if _, _, got := read(t, r); got != want+body+wantPeer {
				t.Errorf("%q: got %q, want %q", header, got, want+body+wantPeer)
			}
		}
	}
}

// HDR-04: nobody is believed who is not named, and no server reads a header
// that is not to.
func TestAnnouncementUnwelcome(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n"
	for name, tt := range map[string]struct {
		proxies []string
		header  string
		log     string
	}{
		"not a proxy":          {[]string{"192.0.2.0/24"}, header, "not a proxy"},
		"no proxy, no header":  {[]string{"192.0.2.0/24"}, "", "not a proxy"},
		"v6 of the same bits":  {[]string{"::ffff:127.0.0.0/104"}, header, "not a proxy"},
		"proxy without header": {[]string{"127.0.0.1/32"}, "", "signature not present"},
		"two headers":          {[]string{"127.0.0.1/32"}, header + header, ""},
		"malformed":            {[]string{"127.0.0.1/32"}, "PROXY TCP4 x y 1 2\r\n", "connection refused"},
		"not asked for":        {nil, header, ""},
		"not asked for, v2":    {nil, v2(proxy, 0x11, inet4), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, log := behind(t, nil, tt.proxies...)
			nc := s.dialTCP(t)
			c := client(t, &prefixed{nc, tt.header})
			if err := c.Handshake(); err == nil {
				t.Error("got a TLS handshake")
			}
			ended(t, nc, bufio.NewReader(nc))
			_ = s.Drain(t.Context()) // it has logged then
			if got := log.String(); !strings.Contains(got, tt.log) || (tt.log == "") != (got == "") {
				t.Errorf("got log %q, want %q", got, tt.log)
			}
		})
	}
}

// DOS-01: a header that does not come ends the connection within the header
// timeout, which the TLS handshake behind it does not prolong. A probe that
// only opens the port is not logged.
func TestAnnouncementSlow(t *testing.T) {
	for name, sent := range map[string]string{
		"nothing": "", "v1 begun": "PR", "v2 begun": v2(proxy, 0x11, inet4)[:20], "no TLS": v2(proxy, 0x11, inet4),
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := behind(t, brief, "127.0.0.1/32")
			began := time.Now() // before the gateway's own clock
			nc := s.dialTCP(t)
			if _, err := io.WriteString(nc, sent); err != nil {
				t.Fatal(err)
			}
			ended(t, nc, bufio.NewReader(nc))
			if took := time.Since(began); took < 100*time.Millisecond {
				t.Errorf("ended after %v, want the header timeout", took)
			}
		})
	}
	s, log := behind(t, nil, "127.0.0.1/32")
	_ = s.dialTCP(t).(*net.TCPConn).CloseWrite()
	if err := s.Drain(t.Context()); err != nil || log.String() != "" {
		t.Errorf("got %v and log %q after a probe of the port", err, log)
	}
}

// FAIL-08: a drain lets go of proxied connections that are idle or never
// spoke, and answers those of which a header or a request has begun to arrive.
func TestDrainAnnounced(t *testing.T) {
	s, _ := behind(t, nil, "127.0.0.1/32")
	announce := func() *tls.Conn { return client(t, &prefixed{s.dialTCP(t), v2(proxy, 0x11, inet4)}) }
	idle := announce()
	idleReader := bufio.NewReader(idle)
	if _, err := io.WriteString(idle, getMetadata); err != nil {
		t.Fatal(err)
	}
	read(t, idleReader)
	silent := s.dialTCP(t)
	half := s.dialTCP(t)
	if _, err := io.WriteString(half, v2(proxy, 0x11, inet4)[:20]); err != nil {
		t.Fatal(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	ended(t, idle, idleReader)
	ended(t, silent, bufio.NewReader(silent))
	c := client(t, &prefixed{half, v2(proxy, 0x11, inet4)[20:]})
	if _, err := io.WriteString(c, getMetadata); err != nil {
		t.Fatal(err)
	}
	if status, h, body := read(t, bufio.NewReader(c)); status != 200 || h.Get("Connection") != "close" || body != "203.0.113.9:4711" {
		t.Errorf("got status %d, Connection %q, peer %s; want 200, close and the one announced", status, h.Get("Connection"), body)
	}
	if err := <-drained; err != nil {
		t.Errorf("Drain returned %v", err)
	}
	if _, err := net.Dial("tcp", s.address); err == nil {
		t.Errorf("got %v for a new connection, want it refused", err)
	}
}
