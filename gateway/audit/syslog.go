package audit

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// SyslogConfig configures a Syslog.
type SyslogConfig struct {
	// Log is what is sent, and File its path.
	Log  *Log
	File string
	// Address is the receiver's host:port, TLS says whom to trust there.
	Address string
	TLS     *tls.Config
	// Host is this machine's name.
	Host string
	// Logger gets a line when the receiver begins to fail or works again.
	Logger *slog.Logger
}

// A Syslog sends the lines of a log to a receiver, as RFC 5424 over TLS (RFC
// 5425), each at least once: it reads them back from the files, so that the log
// never waits for it. Syslog has no acknowledgement; that a receiver has read all
// of a connection shows when it ends its side after ours was ended, and until
// then the lines are sent again on the next. The number of the last line of which
// that is known stands in a file beside the log.
type Syslog struct {
	c    SyslogConfig
	sent atomic.Uint64
	stop context.CancelFunc
	done chan struct{}
}

// Lines go out in connections of so many at most, and so long waits each of their
// steps.
const (
	syslogLines   = 5000
	syslogTimeout = 15 * time.Second
	syslogPause   = time.Second
)

// NewSyslog starts to send what was not sent before.
func NewSyslog(c SyslogConfig) (*Syslog, error) {
	s := &Syslog{c: c, done: make(chan struct{})}
	b, err := os.ReadFile(s.cursor())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read syslog cursor: %w", err)
	}
	if err == nil {
		n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: not the number of a line", s.cursor())
		}
		s.sent.Store(n)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.run(ctx)
	return s, nil
}

// cursor is the file with the number of the last line that was received.
func (s *Syslog) cursor() string { return s.c.File + ".syslog-cursor" }

// Waiting is how many lines were not received yet, as far as is known.
func (s *Syslog) Waiting() uint64 {
	last, sent := s.c.Log.sequence.Load(), s.sent.Load()
	return last - min(last, sent)
}

// Sent is the number of the last line of which it is known that it was received.
func (s *Syslog) Sent() uint64 { return s.sent.Load() }

// Close ends it; what was not received is sent after the next start.
func (s *Syslog) Close() {
	s.stop()
	<-s.done
}

func (s *Syslog) run(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(syslogPause)
	defer tick.Stop()
	failing := false
	for {
		var err error
		for s.Waiting() > 0 && err == nil && ctx.Err() == nil {
			err = s.send(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			s.c.Logger.Error("audit lines are not sent", "syslog", s.c.Address, "err", err)
		case err == nil && failing:
			s.c.Logger.Info("audit lines are sent again", "syslog", s.c.Address)
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// send sends the next lines on one connection, and moves the cursor when they
// were received.
func (s *Syslog) send(ctx context.Context) error {
	messages, last, err := s.next()
	if err != nil {
		return err
	}
	if last == 0 {
		return fmt.Errorf("what follows line %d is not in the files", s.sent.Load())
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: syslogTimeout}, Config: s.c.TLS}
	raw, err := d.DialContext(ctx, "tcp", s.c.Address)
	if err != nil {
		return err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	conn := raw.(*tls.Conn)
	for len(messages) > 0 { // piece by piece, so that a slow receiver is no dead one
		n := min(len(messages), 64<<10)
		if err := conn.SetDeadline(time.Now().Add(syslogTimeout)); err != nil {
			return err
		}
		if _, err := conn.Write(messages[:n]); err != nil {
			return err
		}
		messages = messages[n:]
	}
	if err := received(conn); err != nil {
		return fmt.Errorf("the receiver did not end the connection as one that has read it: %w", err)
	}
	return s.advance(last)
}

// received ends a connection and waits for the receiver to do so. One that ended
// it without having read all has its system reset it.
func received(conn *tls.Conn) error {
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn.NetConn())
	return err
}

// advance notes that the lines up to one were received.
func (s *Syslog) advance(last uint64) error {
	next := s.cursor() + ".new"
	if err := os.WriteFile(next, []byte(strconv.FormatUint(last, 10)+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, s.cursor()); err != nil {
		return err
	}
	s.sent.Store(last)
	return nil
}

// next reads the lines behind the cursor, some of them, as they are sent, and
// returns the number of the last.
func (s *Syslog) next() (messages []byte, last uint64, err error) {
	files, err := Segments(s.c.File)
	if err != nil {
		return nil, 0, err
	}
	all, err := openSegments(files)
	if err != nil {
		return nil, 0, err
	}
	defer closeSegments(all)
	sent, durable := s.sent.Load(), s.c.Log.sequence.Load()
	count := 0
	for _, g := range all {
		if g.last.sequence <= sent || count >= syslogLines {
			continue
		}
		at, err := g.locate(func(line []byte) bool { l, ok := readLink(line); return ok && l.sequence <= sent })
		if err != nil {
			return nil, 0, err
		}
		if err := g.lines(at, func(line []byte) bool {
			l, ok := readLink(line)
			if ok && l.sequence > durable {
				return false
			}
			if ok && l.sequence > sent {
				messages, last, count = s.append(messages, line), l.sequence, count+1
			}
			return count < syslogLines
		}); err != nil {
			return nil, 0, err
		}
	}
	return messages, last, nil
}

// append adds a line as one message: facility log audit, severity informational.
func (s *Syslog) append(dst, line []byte) []byte {
	const priority, app, micro = 13*8 + 6, "stsgate", "2006-01-02T15:04:05.000000Z07:00"
	line = bytes.TrimSuffix(line, []byte("\n"))
	message := fmt.Sprintf("<%d>1 %s %s %s %d audit - %s", priority, timeOf(line).Format(micro), s.c.Host, app, os.Getpid(), line)
	return append(dst, strconv.Itoa(len(message))+" "+message...)
}
