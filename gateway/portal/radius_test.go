package portal_test

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
)

var radiusSecret = []byte("a secret of enough bytes")

// serveRADIUS is an MFA server that takes any digits, then asks for more, and
// takes that if it has its own state back.
func serveRADIUS(t *testing.T) *factor.RADIUSServers {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if strings.Contains(string(b[:n]), "\x18\x07state") {
				conn.WriteTo(radiusAnswer(b[:n], 2, ""), from)
			} else {
				conn.WriteTo(radiusAnswer(b[:n], 11, "\x18\x07state\x12\x13Type what we sent"), from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	return &factor.RADIUSServers{Servers: []string{conn.LocalAddr().String()}, Secret: radiusSecret, NAS: "stsgate", Timeout: 5 * time.Second, Tries: 1}
}

// radiusAnswer is an answer to the request (RFC 2865), with a
// Message-Authenticator first.
func radiusAnswer(request []byte, code byte, attributes string) []byte {
	b := append([]byte{code, request[1], 0, 0}, request[4:20]...)
	b = append(append(b, 80, 18), make([]byte, 16)...)
	b = append(b, attributes...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	mac := hmac.New(md5.New, radiusSecret)
	mac.Write(b)
	copy(b[22:38], mac.Sum(nil))
	sum := md5.Sum(append(append([]byte(nil), b...), radiusSecret...))
	copy(b[4:20], sum[:])
	return b
}

// What an MFA server asks for besides a code is asked of the user, at sign-in
// and where a fresh factor is needed, and what the user was about to do is done.
func TestRADIUSChallenge(t *testing.T) {
	s := newSiteWith(t, origin, serveRADIUS(t), nil)
	b := s.browser()
	if a := b.password("alice"); !strings.Contains(a.body, `name="code"`) { // who is known to the server alone
		t.Fatalf("after the password: %d %s", a.status, a.text())
	}
	a := b.post("/sign-in/factor", "code", "111111")
	if a.status != http.StatusOK || !strings.Contains(a.text(), "Type what we sent") || a.hidden("asked") == "" {
		t.Fatalf("after the code: %d %s", a.status, a.text())
	}
	asked := a.hidden("asked")
	if a = b.follow("/sign-in/factor", "asked", asked, "code", " four words we sent "); !strings.Contains(a.text(), "Nothing waits") {
		t.Fatalf("after the answer: %d %s", a.status, a.text())
	}
	a = b.post("/devices/recovery-codes", "code", "222222")
	if a.status != http.StatusForbidden || !strings.Contains(a.text(), "Type what we sent") || !strings.Contains(a.body, `action="/devices/recovery-codes"`) {
		t.Fatalf("a step-up: %d %s", a.status, a.text())
	}
	if again := b.post("/devices/recovery-codes", "asked", asked, "code", "x"); !strings.Contains(again.text(), "took too long") {
		t.Errorf("what was asked before: %d %s", again.status, again.text())
	}
	if a = b.post("/devices/recovery-codes", "asked", a.hidden("asked"), "code", "more"); strings.Count(a.body, "<code>") != 10 {
		t.Errorf("after its answer: %d %s", a.status, a.text())
	}
	if n := strings.Count(s.acted(), "failure"); n != 1 {
		t.Errorf("%d failures are recorded, want the one of what was asked before: %s", n, s.acted())
	}
}
