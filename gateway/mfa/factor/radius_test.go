package factor_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/mfa/factor"
	"stsgate/policy"
)

// A mfaServer is a RADIUS server that says what a test wants.
type mfaServer struct {
	conn net.PacketConn

	mu   sync.Mutex
	seen [][]byte
}

// newMFAServer answers each request with what answer says, the nth with n from 0.
func newMFAServer(t *testing.T, answer func(request []byte, n int) [][]byte) *mfaServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mfaServer{conn: conn}
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, 5000)
		for n := 0; ; n++ {
			size, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			request := bytes.Clone(b[:size])
			s.mu.Lock()
			s.seen = append(s.seen, request)
			s.mu.Unlock()
			for _, a := range answer(request, n) {
				conn.WriteTo(a, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	return s
}

func (s *mfaServer) address() string { return s.conn.LocalAddr().String() }

func (s *mfaServer) requests() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

type attr struct {
	typ   byte
	value []byte
}

// packet is an answer to the request, signed with the secret unless change
// says otherwise.
func packet(request []byte, code byte, attrs []attr, secret string, signs bool) []byte {
	b := append([]byte{code, request[1], 0, 0}, request[4:20]...)
	at := 0
	if signs {
		b = append(append(b, 80, 18), make([]byte, 16)...)
		at = 22
	}
	for _, a := range attrs {
		b = append(append(b, a.typ, byte(len(a.value)+2)), a.value...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	if signs {
		mac := hmac.New(md5.New, []byte(secret))
		mac.Write(b)
		copy(b[at:], mac.Sum(nil))
	}
	sum := md5.Sum(append(bytes.Clone(b), secret...))
	copy(b[4:20], sum[:])
	return b
}

func accept(request []byte) []byte { return packet(request, 2, nil, radiusSecret, true) }
func reject(request []byte) []byte { return packet(request, 3, nil, radiusSecret, true) }

// attrsOf reads a request.
func attrsOf(b []byte) (all []attr) {
	for at := 20; at < len(b); at += int(b[at+1]) {
		all = append(all, attr{b[at], b[at+2 : at+int(b[at+1])]})
	}
	return all
}

func valueOf(b []byte, typ byte) []byte {
	for _, a := range attrsOf(b) {
		if a.typ == typ {
			return a.value
		}
	}
	return nil
}

// shown undoes how a short password travels.
func shown(request []byte) string {
	pad := md5.Sum(append([]byte(radiusSecret), request[4:20]...))
	hidden := valueOf(request, 2)
	for i := range pad {
		pad[i] ^= hidden[i]
	}
	return strings.TrimRight(string(pad[:]), "\x00")
}

// MFA-21: what the gateway sends begins with a Message-Authenticator that is
// right, and is sent again as it was.
func TestRADIUSRequest(t *testing.T) {
	server := newMFAServer(t, func(request []byte, n int) [][]byte {
		if n == 0 {
			return nil
		}
		return [][]byte{accept(request)}
	})
	v := newSite(t, 1, nil, withRADIUS(radiusSecret, server.address())).nodes[0]
	must(v.CheckCode(t.Context(), user(alice), typed("12345678"), policy.RADIUS, home))(t)
	seen := server.requests()
	if len(seen) != 2 || !bytes.Equal(seen[0], seen[1]) {
		t.Fatalf("%d requests, want the same one twice", len(seen))
	}
	b := seen[0]
	if first := attrsOf(b)[0]; first.typ != 80 || len(first.value) != 16 {
		t.Fatalf("the first attribute is %+v", first)
	}
	blank := bytes.Clone(b)
	clear(blank[22:38])
	mac := hmac.New(md5.New, []byte(radiusSecret))
	mac.Write(blank)
	if !hmac.Equal(mac.Sum(nil), b[22:38]) {
		t.Error("Message-Authenticator is wrong")
	}
	for _, c := range []struct{ what, got, want string }{
		{"code", fmt.Sprint(b[0]), "1"},
		{"User-Name", string(valueOf(b, 1)), "alice@contoso.example"},
		{"User-Password", shown(b), "12345678"},
		{"Calling-Station-Id", string(valueOf(b, 31)), "203.0.113.7"},
		{"NAS-Identifier", string(valueOf(b, 32)), "stsgate"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
}

// MFA-21: no answer is believed that is not signed twice for this request; one
// that comes after it still is.
func TestRADIUSForged(t *testing.T) {
	twice := func(request []byte) []byte {
		return packet(request, 2, []attr{{80, make([]byte, 16)}}, radiusSecret, true)
	}
	change := func(b []byte, f func([]byte)) []byte {
		f(b)
		return b
	}
	for _, c := range []struct {
		what, cause string
		forged      func(request []byte) []byte
	}{
		{"another secret", "forged", func(r []byte) []byte { return packet(r, 2, nil, "another secret, of enough bytes", true) }},
		{"no Message-Authenticator", "unsigned", func(r []byte) []byte { return packet(r, 2, nil, radiusSecret, false) }},
		{"a reject that became an accept", "forged", func(r []byte) []byte { return change(reject(r), func(b []byte) { b[0] = 2 }) }},
		{"a response authenticator that is wrong", "forged", func(r []byte) []byte { return change(accept(r), func(b []byte) { b[4] ^= 1 }) }},
		{"a Message-Authenticator that is wrong", "forged", func(r []byte) []byte {
			b := change(accept(r), func(b []byte) { b[22] ^= 1; copy(b[4:20], r[4:20]) })
			sum := md5.Sum(append(bytes.Clone(b), radiusSecret...))
			copy(b[4:20], sum[:])
			return b
		}},
		{"of another request", "forged", func(r []byte) []byte { return accept(change(bytes.Clone(r), func(b []byte) { b[4] ^= 1 })) }},
		{"another identifier", "malformed", func(r []byte) []byte { return accept(change(bytes.Clone(r), func(b []byte) { b[1]++ })) }},
		{"two Message-Authenticators", "malformed", twice},
		{"another code", "malformed", func(r []byte) []byte { return packet(r, 5, nil, radiusSecret, true) }},
		{"a byte more", "malformed", func(r []byte) []byte { return append(accept(r), 0) }},
		{"a byte less", "malformed", func(r []byte) []byte { b := accept(r); return b[:len(b)-1] }},
		{"nothing", "malformed", func([]byte) []byte { return []byte{} }},
		{"too much", "malformed", func([]byte) []byte { return make([]byte, 4097) }},
		{"an attribute without a length", "malformed", func(r []byte) []byte {
			return packet(r, 2, []attr{{18, bytes.Repeat([]byte("x"), 254)}}, radiusSecret, true)
		}},
	} {
		alone := newMFAServer(t, func(r []byte, _ int) [][]byte { return [][]byte{c.forged(r)} })
		followed := newMFAServer(t, func(r []byte, _ int) [][]byte { return [][]byte{c.forged(r), reject(r)} })
		s := newSite(t, 1, nil, func(c *factor.Config) {
			withRADIUS(radiusSecret, alone.address())(c)
			c.RADIUS.Timeout = 30 * time.Millisecond
		})
		if _, err := s.nodes[0].CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home); !errors.Is(err, factor.ErrDown) {
			t.Errorf("%s: got %v", c.what, err)
		}
		if got := s.metric("stsgate_factor_radius_discarded_total", c.cause); got == 0 {
			t.Errorf("%s: not counted as %s", c.what, c.cause)
		}
		s = newSite(t, 1, nil, withRADIUS(radiusSecret, followed.address()))
		if _, err := s.nodes[0].CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home); !errors.Is(err, factor.ErrWrong) {
			t.Errorf("%s, then a reject: got %v", c.what, err)
		}
	}
}

// MFA-21: the server's state is the user's and for the server that gave it.
func TestRADIUSState(t *testing.T) {
	answer := func(mine string) func([]byte, int) [][]byte {
		return func(r []byte, _ int) [][]byte {
			state := []byte(mine + " of " + string(valueOf(r, 1)))
			switch given := valueOf(r, 24); {
			case given == nil:
				return [][]byte{packet(r, 11, []attr{{24, state}, {18, []byte("Say\nit \u202enow")}}, radiusSecret, true)}
			case bytes.Equal(given, state):
				return [][]byte{accept(r)}
			}
			return [][]byte{reject(r)}
		}
	}
	first, second := newMFAServer(t, answer("first")), newMFAServer(t, answer("second"))
	v := newSite(t, 1, nil, withRADIUS(radiusSecret, first.address(), second.address())).nodes[0]
	two := factor.User{ID: bob, UPN: "bob@contoso.example"}
	begin := func(u factor.User) string {
		t.Helper()
		_, err := v.CheckCode(t.Context(), u, typed("111111"), policy.RADIUS, home)
		c, ok := errors.AsType[*factor.Challenge](err)
		if !ok {
			t.Fatal(err)
		}
		if c.Text != "Sayit now" {
			t.Errorf("text %q", c.Text)
		}
		return c.ID
	}
	one, other := begin(user(alice)), begin(two)
	for _, swapped := range []error{
		failure(v.AnswerChallenge(t.Context(), two, one, typed("1"), home)),
		failure(v.AnswerChallenge(t.Context(), user(alice), other, typed("1"), home)),
	} {
		if !errors.Is(swapped, factor.ErrOver) {
			t.Errorf("the state of another user: %v", swapped)
		}
	}
	must(v.AnswerChallenge(t.Context(), user(alice), one, typed("1"), home))(t)
	must(v.AnswerChallenge(t.Context(), two, other, typed("1"), home))(t)
	third := begin(user(alice))
	first.conn.Close()
	if _, err := v.AnswerChallenge(t.Context(), user(alice), third, typed("2"), home); !errors.Is(err, factor.ErrDown) {
		t.Errorf("when the server that asked is gone: %v", err)
	}
	for _, r := range second.requests() {
		if valueOf(r, 24) != nil {
			t.Error("a server was sent the state of another")
		}
	}
}

func failure[T any](_ T, err error) error { return err }

// A challenge that has no state, and an answer for another user, are refusals.
func TestRADIUSRefused(t *testing.T) {
	for what, answer := range map[string]func(r []byte) []byte{
		"a challenge without state": func(r []byte) []byte { return packet(r, 11, nil, radiusSecret, true) },
		"for another user":          func(r []byte) []byte { return packet(r, 2, []attr{{1, []byte("bob")}}, radiusSecret, true) },
		"for a prefix of the user":  func(r []byte) []byte { return packet(r, 2, []attr{{1, []byte("alic")}}, radiusSecret, true) },
		"for a user without a name": func(r []byte) []byte { return packet(r, 2, []attr{{1, []byte{}}}, radiusSecret, true) },
	} {
		server := newMFAServer(t, func(r []byte, _ int) [][]byte { return [][]byte{answer(r)} })
		v := newSite(t, 1, nil, withRADIUS(radiusSecret, server.address())).nodes[0]
		if p, err := v.CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home); !errors.Is(err, factor.ErrWrong) {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	server := newMFAServer(t, func(r []byte, _ int) [][]byte {
		return [][]byte{packet(r, 2, []attr{{1, []byte("ALICE")}}, radiusSecret, true)}
	})
	v := newSite(t, 1, nil, withRADIUS(radiusSecret, server.address())).nodes[0]
	must(v.CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home))(t)
}

// The next server is asked when one does not answer, and first from then on.
// What nobody answers is not counted, however often.
func TestRADIUSFailover(t *testing.T) {
	silent := newMFAServer(t, func([]byte, int) [][]byte { return nil })
	alive := newMFAServer(t, func(r []byte, _ int) [][]byte { return [][]byte{accept(r)} })
	v := newSite(t, 1, nil, withRADIUS(radiusSecret, silent.address(), alive.address())).nodes[0]
	for i := range 3 {
		must(v.CheckCode(t.Context(), user(alice), typed(fmt.Sprint(100000+i)), policy.RADIUS, home))(t)
	}
	if a, b := len(silent.requests()), len(alive.requests()); a != 2 || b != 3 {
		t.Errorf("%d requests of the first server, %d of the second; want 2 and 3", a, b)
	}
	closed := "127.0.0.1:" + freePort(t)
	v = newSite(t, 1, nil, withRADIUS(radiusSecret, closed)).nodes[0]
	for i := range 20 {
		if _, err := v.CheckCode(t.Context(), user(alice), typed(fmt.Sprint(100000+i)), policy.RADIUS, home); !errors.Is(err, factor.ErrDown) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
}

// MFA-06: of many wrong codes that come at once, no more are asked about than
// of those that come one after the other.
func TestRADIUSAtOnce(t *testing.T) {
	server := newMFAServer(t, func(r []byte, _ int) [][]byte { return [][]byte{reject(r)} })
	s := newSite(t, 3, nil, withRADIUS(radiusSecret, server.address()))
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			_, err := s.nodes[i%3].CheckCode(t.Context(), user(alice), typed(fmt.Sprint(100000+i)), policy.RADIUS, home)
			if !errors.Is(err, factor.ErrWrong) && !errors.Is(err, factor.ErrThrottled) {
				t.Errorf("try %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if n := len(server.requests()); n != 5 {
		t.Errorf("the server was asked %d times, want 5", n)
	}
}

// A code that is right and comes sixteen times at once is accepted once.
func TestRADIUSOnce(t *testing.T) {
	server := newMFAServer(t, func(r []byte, _ int) [][]byte { return [][]byte{accept(r)} })
	s := newSite(t, 3, nil, withRADIUS(radiusSecret, server.address()))
	var all sync.WaitGroup
	accepted := make(chan factor.Proof, 16)
	for i := range 16 {
		all.Go(func() {
			p, err := s.nodes[i%3].CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home)
			if err == nil {
				accepted <- p
			} else if !errors.Is(err, factor.ErrWrong) && !errors.Is(err, factor.ErrReused) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if len(accepted) != 1 {
		t.Errorf("accepted %d times", len(accepted))
	}
	for _, v := range s.nodes {
		if _, err := v.CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home); !errors.Is(err, factor.ErrReused) {
			t.Errorf("once more: %v", err)
		}
	}
}

// A code that two gateways asked about, since what was counted was forgotten
// meanwhile, is accepted once.
func TestRADIUSOnceLate(t *testing.T) {
	again := make(chan struct{})
	first := true
	server := newMFAServer(t, func(r []byte, _ int) [][]byte {
		if first { // it answers when it is asked again
			first = false
			close(again)
			return nil
		}
		return [][]byte{accept(r)}
	})
	s := newSite(t, 2, nil, withRADIUS(radiusSecret, server.address()))
	late := make(chan error)
	go func() {
		_, err := s.nodes[0].CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home)
		late <- err
	}()
	<-again
	if _, err := s.nodes[1].CheckCode(t.Context(), user(alice), typed("222222"), policy.RADIUS, home); err != nil {
		t.Fatal(err)
	}
	_, soon := s.nodes[1].CheckCode(t.Context(), user(alice), typed("111111"), policy.RADIUS, home)
	errLate := <-late
	for _, err := range []error{soon, errLate} {
		if err != nil && !errors.Is(err, factor.ErrReused) {
			t.Errorf("got %v", err)
		}
	}
	if (soon == nil) == (errLate == nil) {
		t.Errorf("both or none of two were accepted: %v, %v", soon, errLate)
	}
}

// MFA-21: a secret is long, and prints nowhere.
func TestRADIUSConfig(t *testing.T) {
	good := factor.RADIUSServers{Servers: []string{"127.0.0.1:1812"}, Secret: []byte(radiusSecret)}
	if text := fmt.Sprintf("%v %+v %#v %s", good, &good, good, good); strings.Contains(text, "thirty") || strings.Contains(text, "116 104") {
		t.Errorf("printed: %s", text)
	}
	for what, change := range map[string]func(*factor.RADIUSServers){
		"15 bytes":  func(r *factor.RADIUSServers) { r.Secret = r.Secret[:15] },
		"no server": func(r *factor.RADIUSServers) { r.Servers = nil },
		"no port":   func(r *factor.RADIUSServers) { r.Servers = []string{"127.0.0.1"} },
		"time":      func(r *factor.RADIUSServers) { r.Timeout = -1 },
		"long name": func(r *factor.RADIUSServers) { r.NAS = strings.Repeat("n", 254) },
	} {
		c := good
		change(&c)
		if _, err := factor.New(config(func(f *factor.Config) { f.RADIUS = &c })); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
