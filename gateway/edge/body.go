package edge

import (
	"bytes"
	"io"
	"strconv"
	"time"
)

// bodyTimeout is how long the body of a request may take where its handler has
// set no deadline.
const bodyTimeout = 30 * time.Second

// A body is the body of a request as its handler reads it.
type body struct {
	conn     *conn
	remain   uint64 // bytes of the body or chunk to come
	chunked  bool
	begun    bool // a chunk was read
	expect   bool // the client waits to be told to send
	deadline time.Time
	err      error // what every further Read returns; io.EOF after the whole body
}

// Read implements io.Reader. After the last byte it returns io.EOF, and never
// a byte of what follows.
func (b *body) Read(p []byte) (n int, err error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.remain == 0 {
		err = b.nextChunk()
	}
	if err == nil {
		n, err = b.content(p[:min(uint64(len(p)), b.remain)])
	}
	if b.remain -= uint64(n); b.remain == 0 && !b.chunked && err == nil {
		err = io.EOF
	}
	b.err = err
	if err == io.EOF {
		b.conn.arrived()
	} else if v, ok := err.(*violation); ok {
		b.conn.server.log.Info("request refused", "peer", b.conn.peer, "status", v.status, "err", v)
	}
	return n, err
}

// Close implements io.Closer. What was not read ends the connection.
func (b *body) Close() error { return nil }

// whole tells that the body was read to its end.
func (b *body) whole() bool { return b.err == io.EOF }

// content reads bytes of the body or chunk, past the buffer if it is empty.
func (b *body) content(p []byte) (int, error) {
	c := b.conn
	if c.next < c.end {
		n := copy(p, c.in[c.next:c.end])
		c.next += n
		return n, nil
	}
	if err := b.invite(); err != nil {
		return 0, err
	}
	n, err := c.receive(p, b.until())
	return n, cut(err)
}

// nextChunk reads the lines before a chunk, and all that follows the last one.
func (b *body) nextChunk() error {
	if b.begun {
		if err := b.emptyLine(); err != nil {
			return err
		}
	}
	b.begun = true
	line, err := b.line()
	if err != nil {
		return err
	}
	n, v := chunkSize(line)
	if v != nil {
		return v
	}
	if b.remain = n; n > 0 {
		return nil
	}
	if err := b.emptyLine(); err != nil {
		return err
	}
	return io.EOF
}

func (b *body) emptyLine() error {
	line, err := b.line()
	if err == nil && len(line) > 0 {
		return bad("HTTP-05", "trailer, or bytes after a chunk's end")
	}
	return err
}

// line reads a line of the chunked coding.
func (b *body) line() ([]byte, error) {
	c := b.conn
	for {
		line, n, v := chunkLine(c.in[c.next:c.end])
		if v != nil {
			return nil, v
		}
		if n > 0 {
			c.next += n
			return line, nil
		}
		if err := b.invite(); err != nil {
			return nil, err
		}
		if err := c.more(b.until()); err != nil {
			return nil, cut(err)
		}
	}
}

// chunkLine returns the line of the chunked coding that b begins with, without
// its end, and its length with that; no length while the end is missing.
func chunkLine(b []byte) (line []byte, n int, err *violation) {
	i := bytes.IndexByte(b, '\n')
	switch {
	case i >= maxChunkLine, i < 0 && len(b) > maxChunkLine:
		return nil, 0, bad("HTTP-02", "chunk line too long")
	case i < 0:
		return nil, 0, nil
	}
	line, err = plain(b[:i+1])
	return line, i + 1, err
}

// chunkSize reads the line before a chunk. What follows a semicolon is an
// extension, which nobody passes on.
func chunkSize(line []byte) (uint64, *violation) {
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseUint(string(size), 16, 32)
	if err != nil {
		return 0, bad("HTTP-02", "chunk size is not a hexadecimal number")
	}
	return n, nil
}

// invite tells a client that waits for it to send its body (RFC 9110, section
// 10.1.1).
func (b *body) invite() error {
	if !b.expect {
		return nil
	}
	b.expect = false
	return b.conn.send([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

func (b *body) until() time.Time {
	if b.deadline.IsZero() {
		b.deadline = time.Now().Add(bodyTimeout)
	}
	return b.deadline
}

// cut turns the end of the connection within a body into an error that cannot
// be taken for the body's end.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
