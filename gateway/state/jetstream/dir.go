package jetstream

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"stsgate/gateway/state"
)

// startWithin is how long the server may take to read its files.
const startWithin = 30 * time.Second

// openDir starts the server in this process. The sentinel is asked before the
// server sees the directory: a server with the wrong key finds no streams and
// would begin anew.
func (s *Store) openDir(ctx context.Context) error {
	if err := os.MkdirAll(s.c.Dir, 0o700); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := s.own(); err != nil {
		return err
	}
	known, err := readSentinel(s.c.Dir)
	if err != nil {
		return err
	}
	secret, changed, err := known.unlock(s.c.Keys, s.c.Encrypt)
	if err != nil {
		return fmt.Errorf("state: %s: %w", s.c.Dir, err)
	}
	if changed {
		if err := known.write(s.c.Dir); err != nil {
			return err
		}
	}
	if s.highest, err = readHighest(s.c.Dir); err != nil {
		return err
	}
	if err := s.start(secret); err != nil {
		return err
	}
	if err := s.openStreams(ctx, 1, known.Buckets); err != nil {
		return fmt.Errorf("state: %s: %w", s.c.Dir, err)
	}
	if err := s.whole(ctx); err != nil {
		return fmt.Errorf("state: %s: %w", s.c.Dir, err)
	}
	if err := known.complete(s.c.Dir); err != nil {
		return err
	}
	s.closing, s.kept = make(chan struct{}), make(chan struct{})
	go s.keep()
	return nil
}

// whole makes sure that no bucket lost its end, and warns of records that
// stand and cannot be read.
func (s *Store) whole(ctx context.Context) error {
	for b, stream := range s.streams {
		if err := s.highest.check(b, stream.CachedInfo().State.LastSeq); err != nil {
			return err
		}
		if !b.Standing() {
			continue
		}
		_, err := s.list(ctx, b.Key())
		if errors.Is(err, state.ErrCorrupt) {
			logger{s.c.Log}.Errorf("bucket %s: %v", b, err)
		} else if err != nil {
			return fmt.Errorf("bucket %s: %w", b, err)
		}
	}
	return nil
}

// own makes sure that no other process uses the directory. The kernel gives
// the lock back when the process ends, however it does.
func (s *Store) own() error {
	f, err := os.OpenFile(filepath.Join(s.c.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("state: %s is used by another process: %w", s.c.Dir, err)
	}
	s.lock = f
	return nil
}

func (s *Store) start(secret []byte) error {
	o := &server.Options{
		ServerName: "stsgate", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: filepath.Join(s.c.Dir, "nats"),
		// Without it the writes of two minutes, and buckets that are younger,
		// are lost when power is (STATE-01).
		SyncAlways:         true,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: s.room(),
	}
	if s.c.Encrypt {
		o.JetStreamCipher, o.JetStreamKey = server.AES, hex.EncodeToString(secret)
	}
	srv, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	s.server = srv
	srv.SetLoggerV2(logger{s.c.Log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(startWithin) || !srv.JetStreamEnabled() {
		return fmt.Errorf("state: the server did not start within %s", startWithin)
	}
	if c := srv.JetStreamConfig(); c == nil || !c.SyncAlways {
		return errors.New("state: the server does not sync every write")
	}
	var in nats.InProcessConnProvider = srv
	if s.c.provider != nil {
		in = s.c.provider(srv)
	}
	return s.connect("", nats.InProcessServer(in))
}

// room is the bytes of all buckets, and a little more for the server itself.
func (s *Store) room() int64 {
	sum := int64(64 << 20)
	for _, b := range state.Buckets() {
		sum += s.limit(b)
	}
	return sum
}
