package adfs

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
)

// A looker reads nothing, and shows the buffer that it is asked to read into.
type looker struct{ saw []byte }

func (l *looker) Read(p []byte) (int, error) {
	l.saw = bytes.Clone(p)
	return 0, io.EOF
}

// MFA-16, AUD-05: neither the password nor the token stays in the buffers that
// the next exchange gets.
func TestScratchIsWiped(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken"
	f := &Farm{}
	s := f.acquire()
	s.out = append(s.out, "password"...)
	out := s.out
	s.in.Reset(strings.NewReader(answer))
	h, err := readHead(s.in)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := readBody(s.in, nil, h, nil); err != nil || string(body) != "token" {
		t.Fatalf("got %q, %v", body, err)
	}
	in := s.in
	f.release(s)
	l := &looker{}
	in.Reset(l)
	_, _ = in.Peek(1)
	for name, left := range map[string][]byte{"request": out, "answer": l.saw} {
		if left := bytes.Trim(left, "\x00"); len(left) > 0 {
			t.Errorf("the buffer of the %s still holds %q", name, left)
		}
	}
	if len(l.saw) != maxHead {
		t.Errorf("saw %d bytes of the buffer, want %d", len(l.saw), maxHead)
	}
}

// What is read of a body is returned with the error, to be wiped, and the
// buffers that it outgrew hold nothing of it.
func TestBodyThatGrows(t *testing.T) {
	const token = "token-token-token"
	for name, c := range map[string]struct {
		in   string
		h    head
		want string
	}{
		"whole":              {token, head{length: -1}, token},
		"cut short":          {token, head{length: int64(len(token)) + 10}, token + strings.Repeat("\x00", 10)},
		"chunks":             {"11\r\n" + token + "\r\n11\r\n" + token + "\r\n0\r\n\r\n", head{length: -1, chunked: true}, token + token},
		"chunks without end": {"11\r\n" + token + "\r\n11\r\n" + token + "\r\n", head{length: -1, chunked: true}, token + token},
	} {
		t.Run(name, func(t *testing.T) {
			room := make([]byte, 0, 20)
			body, err := readBody(bufio.NewReader(strings.NewReader(c.in)), room, c.h, func() bool { return true })
			if string(body) != c.want {
				t.Errorf("got %q with %v, want %q", body, err, c.want)
			}
			if left := bytes.Trim(room[:cap(room)], "\x00"); len(left) > 0 {
				t.Errorf("the buffer that was outgrown still holds %q", left)
			}
		})
	}
}
