package socket

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a connection.
func pair(t *testing.T) (here *Conn, there *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if here, err = New(d); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = here.Close(), a.Close() })
	return here, a.(*net.TCPConn)
}

// What is written arrives, also what the system takes in pieces only.
func TestTransfers(t *testing.T) {
	here, there := pair(t)
	sent := make([]byte, 16<<20)
	_, _ = rand.Read(sent)
	go func() {
		n, err := here.Write(sent)
		if n != len(sent) || err != nil {
			t.Errorf("write: %d bytes, %v", n, err)
		}
		_ = here.CloseWrite()
	}()
	got, err := io.ReadAll(there)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("there: %d bytes that are the same: %v, %v", len(got), bytes.Equal(got, sent), err)
	}
	go func() {
		_, _ = there.Write(sent)
		_ = there.CloseWrite()
	}()
	got, err = io.ReadAll(here)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("here: %d bytes that are the same: %v, %v", len(got), bytes.Equal(got, sent), err)
	}
}

func TestReadEnds(t *testing.T) {
	in := make([]byte, 8)
	for _, c := range []struct {
		name string
		end  func(here *Conn, there *net.TCPConn)
		want error
	}{
		{"closed there", func(_ *Conn, there *net.TCPConn) { _ = there.Close() }, io.EOF},
		{"reset there", func(_ *Conn, there *net.TCPConn) { _, _ = there.SetLinger(0), there.Close() }, syscall.ECONNRESET},
		{"closed here", func(here *Conn, _ *net.TCPConn) { _ = here.Close() }, net.ErrClosed},
		{"a deadline that passes", func(here *Conn, _ *net.TCPConn) { _ = here.SetReadDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded},
	} {
		t.Run(c.name+", then read", func(t *testing.T) {
			here, there := pair(t)
			c.end(here, there)
			if n, err := here.Read(in); n != 0 || !errors.Is(err, c.want) {
				t.Errorf("%d bytes, %v, want %v", n, err, c.want)
			}
		})
		t.Run("read, then "+c.name, func(t *testing.T) {
			here, there := pair(t)
			time.AfterFunc(5*time.Millisecond, func() { c.end(here, there) })
			n, err := here.Read(in)
			if n != 0 || !errors.Is(err, c.want) {
				t.Errorf("%d bytes, %v, want %v", n, err, c.want)
			}
			if timeout, ok := errors.AsType[net.Error](err); c.want == os.ErrDeadlineExceeded && (!ok || !timeout.Timeout()) {
				t.Errorf("%v is no timeout to crypto/tls", err)
			}
		})
	}
}

func TestWriteEnds(t *testing.T) {
	much := make([]byte, 64<<20) // more than the system keeps
	for _, c := range []struct {
		name string
		end  func(here *Conn, there *net.TCPConn)
		want error
	}{
		{"reset there", func(_ *Conn, there *net.TCPConn) { _, _ = there.SetLinger(0), there.Close() }, syscall.ECONNRESET},
		{"closed here", func(here *Conn, _ *net.TCPConn) { _ = here.Close() }, net.ErrClosed},
		{"a deadline", func(here *Conn, _ *net.TCPConn) { _ = here.SetWriteDeadline(time.Now()) }, os.ErrDeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			here, there := pair(t)
			time.AfterFunc(50*time.Millisecond, func() { c.end(here, there) })
			if n, err := here.Write(much); n == len(much) || !errors.Is(err, c.want) {
				t.Errorf("%d bytes, %v, want %v", n, err, c.want)
			}
		})
	}
}

// HTTP-12: what has arrived unasked is seen without waiting for more.
func TestReadNow(t *testing.T) {
	here, there := pair(t)
	in := make([]byte, 8)
	if n, err := here.ReadNow(in); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing sent: %d bytes, %v", n, err)
	}
	_ = here.SetReadDeadline(time.Unix(1, 0)) // of an exchange that is over
	if _, err := there.Write([]byte("unasked")); err != nil {
		t.Fatal(err)
	}
	if n, err := here.ReadNow(in); string(in[:n]) != "unasked" || err != nil {
		t.Errorf("sent: %q, %v", in[:n], err)
	}
	_ = there.Close()
	if n, err := here.ReadNow(in); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("closed there: %d bytes, %v", n, err)
	}
	_ = here.Close()
	if n, err := here.ReadNow(in); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed here: %d bytes, %v", n, err)
	}
}

func TestEmpty(t *testing.T) {
	here, there := pair(t)
	if n, err := here.Read(nil); n != 0 || err != nil {
		t.Errorf("read into nothing: %d bytes, %v", n, err)
	}
	if n, err := here.Write(nil); n != 0 || err != nil {
		t.Errorf("write nothing: %d bytes, %v", n, err)
	}
	if _, err := New(struct{ net.Conn }{there}); err == nil {
		t.Error("took something else for a TCP connection")
	}
}

// A call allocates nothing.
func TestAllocations(t *testing.T) {
	here, there := pair(t)
	p := []byte("x")
	if n := testing.AllocsPerRun(100, func() {
		_, _ = here.Write(p)
		_, _ = there.Read(p)
		_, _ = there.Write(p)
		_, _ = here.Read(p)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
