package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stsgate/gateway"
	"stsgate/gateway/wstrust"
)

// listen serves a gate on loopback. served gets a value when an exchange is over.
func listen(t *testing.T, change func(*gateway.Config)) (g *gate, address string, served chan struct{}) {
	t.Helper()
	g, served = newGate(t, change), make(chan struct{}, 10)
	g.clients = make(chan context.Context, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.clients <- r.Context()
		g.serveTo(w, r)
		served <- struct{}{}
	}))
	t.Cleanup(s.Close)
	return g, s.Listener.Addr().String(), served
}

// dial connects, and has an answer within ten seconds or fails.
func dial(t *testing.T, address string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn), bufio.NewReader(c)
}

func head(fields ...string) string {
	return "POST " + path13 + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: " + modern.soap.ContentType() + "\r\n" +
		strings.Join(append(fields, "\r\n"), "\r\n")
}

func length(n int) string { return fmt.Sprintf("Content-Length: %d", n) }

func chunked(b []byte, size int) string {
	var s strings.Builder
	for len(b) > 0 {
		n := min(size, len(b))
		fmt.Fprintf(&s, "%x\r\n%s\r\n", n, b[:n])
		b = b[n:]
	}
	return s.String() + "0\r\n\r\n"
}

// DOS-02, HTTP-01: a body up to the limit is read whole, however it is
// framed, and a larger one is not.
func TestBodySize(t *testing.T) {
	message := modern.query(nil)
	sized := func(n int) []byte { return append(bytes.Clone(message), strings.Repeat("\n", n-len(message))...) }
	for _, c := range []struct {
		name, request string
		want          int
	}{
		{"limit-1", head(length(maxBody-1)) + string(sized(maxBody-1)), 200},
		{"limit", head(length(maxBody)) + string(sized(maxBody)), 200},
		{"limit+1, of which nothing is sent", head(length(maxBody + 1)), 413},
		{"limit+1, of which nothing is asked for", head(length(maxBody+1), "Expect: 100-continue"), 413},
		{"1 GiB, announced", head(length(1 << 30)), 413},
		{"chunked", head("Transfer-Encoding: chunked") + chunked(message, 7), 200},
		{"chunked, limit-1", head("Transfer-Encoding: chunked") + chunked(sized(maxBody-1), 4096), 200},
		{"chunked, limit", head("Transfer-Encoding: chunked") + chunked(sized(maxBody), 4096), 200},
		{"chunked, limit+1", head("Transfer-Encoding: chunked") + chunked(sized(maxBody+1), 4096), 413},
		{"chunked, limit+1 in one", head("Transfer-Encoding: chunked") + chunked(sized(maxBody+1), maxBody+1), 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, address, served := listen(t, nil)
			conn, in := dial(t, address)
			if _, err := io.WriteString(conn, c.request); err != nil {
				t.Fatal(err)
			}
			w, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			<-served
			if w.StatusCode != c.want || w.Close != (c.want != 200) {
				t.Errorf("got status %d, closed %v, want %d", w.StatusCode, w.Close, c.want)
			}
			if r := g.record(); r["http.response.status_code"] != float64(c.want) || c.want != 200 && (r["event.reason"] != "too-large" || !g.quiet()) {
				t.Errorf("got the record %v", r)
			}
		})
	}
}

// DOS-01, HTTP-15: a body that comes too slowly or ends early is the end of
// its connection, and reaches nobody.
func TestBodyUnread(t *testing.T) {
	message := modern.query(nil)
	half := string(message[:len(message)/2])
	for _, c := range []struct {
		name, request string
		end           bool // close the sending side
		want          string
	}{
		{"slow", head(length(len(message))) + half, false, "took too long"},
		{"slow, chunked", head("Transfer-Encoding: chunked") + "fff\r\n" + half, false, "took too long"},
		{"nothing of it", head(length(len(message))), false, "took too long"},
		{"cut short", head(length(len(message))) + half, true, "unexpected EOF"},
		{"cut short, chunked", head("Transfer-Encoding: chunked") + "fff\r\n" + half, true, "unexpected EOF"},
		{"broken chunk", head("Transfer-Encoding: chunked") + "xyz\r\n" + half, false, "invalid byte in chunk length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, address, served := listen(t, func(g *gateway.Config) {
				if c.want == "took too long" {
					g.BodyTimeout = 50 * time.Millisecond
				}
			})
			conn, in := dial(t, address)
			if _, err := io.WriteString(conn, c.request); err != nil {
				t.Fatal(err)
			}
			if c.end {
				if err := conn.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			w, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if w.StatusCode != 400 || !w.Close {
				t.Errorf("got status %d, closed %v, want 400 and closed", w.StatusCode, w.Close)
			}
			if _, err := io.Copy(io.Discard, in); err != nil {
				t.Errorf("read to the end: %v", err)
			}
			<-served
			r := g.record()
			if r["event.reason"] != "body-unread" || !strings.Contains(fmt.Sprint(r["error.message"]), c.want) || !g.quiet() {
				t.Errorf("got reason %v (%v), want body-unread with %s", r["event.reason"], r["error.message"], c.want)
			}
		})
	}
}

// The deadline is for the body alone: a farm may take longer.
func TestSlowFarm(t *testing.T) {
	const timeout = 50 * time.Millisecond
	g, address, served := listen(t, func(c *gateway.Config) { c.BodyTimeout = timeout })
	g.farm.forward = func(ctx context.Context, r *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * timeout):
			return readAnswer(answerTo(t, r), r)
		}
	}
	conn, in := dial(t, address)
	for range 2 { // on one connection
		message := modern.query(nil)
		if _, err := conn.Write(append([]byte(head(length(len(message)))), message...)); err != nil {
			t.Fatal(err)
		}
		w, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, w.Body); err != nil || w.StatusCode != 200 {
			t.Errorf("got status %d (%v), want 200", w.StatusCode, err)
		}
		<-served
	}
}

// A client that goes away while the farm works has a record of it. The farm is
// asked to the end.
func TestClientGone(t *testing.T) {
	g, address, served := listen(t, nil)
	working, gone := make(chan struct{}), make(chan struct{})
	g.farm.forward = func(ctx context.Context, _ *wstrust.Request, _ wstrust.Origin) (*wstrust.Answer, error) {
		close(working)
		<-gone
		if ctx.Err() != nil {
			t.Error("the farm's context ended with the client")
		}
		return nil, fmt.Errorf("read answer: %w", wstrust.ErrDown)
	}
	conn, _ := dial(t, address)
	message := modern.query(nil)
	if _, err := conn.Write(append([]byte(head(length(len(message)))), message...)); err != nil {
		t.Fatal(err)
	}
	<-working
	conn.Close()
	<-(<-g.clients).Done()
	close(gone)
	<-served
	if got := g.record()["event.reason"]; got != "client-gone" {
		t.Errorf("got reason %v, want client-gone", got)
	}
}
