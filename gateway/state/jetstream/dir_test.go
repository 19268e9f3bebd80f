package jetstream

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stsgate/gateway/state"
)

// refused opens a store that must not open.
func refused(t *testing.T, c Config, want string) {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err == nil {
		s.Close()
		t.Fatalf("opened, want an error with %q", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Fatalf("got error %v, want %q", err, want)
	}
}

// on opens a store in dir for the length of f.
func on(t *testing.T, c Config, f func(s *Store)) {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	f(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s state.Store, k state.Key, value string, ttl time.Duration) uint64 {
	t.Helper()
	revision, err := s.Create(t.Context(), k, []byte(value), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func get(t *testing.T, s state.Store, k state.Key) string {
	t.Helper()
	r, err := s.Get(t.Context(), k)
	if err != nil {
		t.Fatalf("%s: %v", k, err)
	}
	return string(r.Value)
}

// A restart keeps records, revisions, deletions and what is left of a ttl.
func TestRestart(t *testing.T) {
	c := Config{Dir: t.TempDir(), Keys: newKeys(t), Encrypt: true}
	kept, deleted, soon := state.Enrolments.Key("kept"), state.Enrolments.Key("deleted"), state.Marks.Key("soon")
	var revision uint64
	var start time.Time
	on(t, c, func(s *Store) {
		revision = put(t, s, kept, "value", 0)
		if err := s.Delete(t.Context(), deleted, put(t, s, deleted, "", 0)); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		put(t, s, soon, "", 2*time.Second)
	})
	on(t, c, func(s *Store) {
		if r, err := s.Get(t.Context(), kept); err != nil || string(r.Value) != "value" || r.Revision != revision {
			t.Errorf("got %q, revision %d, %v, want revision %d", r.Value, r.Revision, err, revision)
		}
		if _, err := s.Create(t.Context(), kept, nil, 0); !errors.Is(err, state.ErrExists) {
			t.Errorf("create after a restart: %v", err)
		}
		if _, err := s.Get(t.Context(), deleted); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("what was deleted: %v", err)
		}
		for {
			if _, err := s.Get(t.Context(), soon); errors.Is(err, state.ErrNotFound) {
				break
			}
			if time.Since(start) > 10*time.Second {
				t.Fatal("a record with a ttl of 2 s is there after 10 s")
			}
			<-time.After(20 * time.Millisecond)
		}
		if took := time.Since(start); took < 2*time.Second {
			t.Errorf("a record with a ttl of 2 s is gone after %s", took)
		}
	})
}

// With a wrong key the server would find no streams and begin anew.
func TestWrongKey(t *testing.T) {
	for _, encrypt := range []bool{false, true} {
		c := Config{Dir: t.TempDir(), Keys: newKeys(t), Encrypt: encrypt}
		k := state.Enrolments.Key("alice")
		on(t, c, func(s *Store) { put(t, s, k, "secret", 0) })
		wrong := c
		wrong.Keys = newKeys(t)
		refused(t, wrong, "another state key")
		on(t, c, func(s *Store) {
			if got := get(t, s, k); got != "secret" {
				t.Errorf("after the refusal: %q", got)
			}
		})
	}
}

// KEY-04: a key is changed by opening with both, then without the old one.
func TestChangeOfKey(t *testing.T) {
	before, next := state.NewKey(), state.NewKey()
	k := state.Enrolments.Key("alice")
	c := Config{Dir: t.TempDir(), Keys: parse(t, before), Encrypt: true, Log: testLog(t)}
	on(t, c, func(s *Store) { put(t, state.Seal(s, c.Keys), k, "secret", 0) })

	c.Keys = parse(t, append(bytes.Clone(next), before...))
	on(t, c, func(s *Store) {
		if n, err := state.Seal(s, c.Keys).Rekey(t.Context(), state.Enrolments); err != nil || n != 1 {
			t.Fatalf("rekey wrote %d, %v", n, err)
		}
	})
	c.Keys = parse(t, next)
	on(t, c, func(s *Store) {
		if got := get(t, state.Seal(s, c.Keys), k); got != "secret" {
			t.Errorf("got %q", got)
		}
	})
	c.Keys = parse(t, before)
	refused(t, c, "another state key")
}

func TestRefusedDirectories(t *testing.T) {
	keys := newKeys(t)
	made := func(t *testing.T) Config {
		c := Config{Dir: t.TempDir(), Keys: keys}
		on(t, c, func(s *Store) { put(t, s, state.Bans.Key("a"), "", 0) })
		return c
	}
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, c *Config)
		want   string
	}{
		{"no sentinel", func(t *testing.T, c *Config) { remove(t, c.Dir, "sentinel.json") }, "no sentinel.json"},
		{"sentinel is no JSON", func(t *testing.T, c *Config) { overwrite(t, c.Dir, "sentinel.json", "{") }, "sentinel: unexpected end"},
		{"later format", func(t *testing.T, c *Config) { overwrite(t, c.Dir, "sentinel.json", `{"format":2}`) }, "format 2, this program reads 1"},
		{"a lost bucket", func(t *testing.T, c *Config) { remove(t, c.Dir, "nats/jetstream/$G/streams/KV_stsgate-bans") }, "bucket bans: it is lost"},
		{"all buckets lost", func(t *testing.T, c *Config) { remove(t, c.Dir, "nats") }, "bucket enrolments: it is lost"},
		{"encryption switched on", func(t *testing.T, c *Config) { c.Encrypt = true }, "encrypted: false, configured: true"},
		{"no place", func(t *testing.T, c *Config) { c.Dir = "" }, "a directory or a cluster"},
		{"two places", func(t *testing.T, c *Config) { c.Cluster = &Cluster{} }, "a directory or a cluster"},
		{"no key", func(t *testing.T, c *Config) { c.Keys = nil }, "a key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := made(t)
			c.damage(t, &config)
			refused(t, config, c.want)
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A crash while the store was made leaves a sentinel without buckets; the next
// start makes what is missing.
func TestMadeHalf(t *testing.T) {
	c := Config{Dir: t.TempDir(), Keys: newKeys(t)}
	on(t, c, func(s *Store) { put(t, s, state.Marks.Key("a"), "v", time.Hour) })
	half, err := readSentinel(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	half.Buckets = nil
	if err := half.write(c.Dir); err != nil {
		t.Fatal(err)
	}
	remove(t, c.Dir, "nats/jetstream/$G/streams/KV_stsgate-bans")
	on(t, c, func(s *Store) {
		if got := get(t, s, state.Marks.Key("a")); got != "v" {
			t.Errorf("got %q", got)
		}
		put(t, s, state.Bans.Key("a"), "", 0)
	})
}

func TestOneProcess(t *testing.T) {
	c := Config{Dir: t.TempDir(), Keys: newKeys(t)}
	on(t, c, func(*Store) { refused(t, c, "used by another process") })
	on(t, c, func(*Store) {})
}

// The server in this process listens nowhere, syncs every write, and has its
// files to itself (STATE-01, STATE-06).
func TestServerIsClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, Config{Dir: dir, Keys: newKeys(t)})
	if a := s.server.Addr(); a != nil {
		t.Errorf("the server listens on %s", a)
	}
	if c := s.server.JetStreamConfig(); !c.SyncAlways {
		t.Error("the server does not sync every write")
	}
	if v, err := s.server.Varz(nil); err != nil || v.HTTPPort != 0 || v.Cluster.Port != 0 || v.LeafNode.Port != 0 || v.Websocket.Port != 0 || v.MQTT.Port != 0 {
		t.Errorf("the server has another door: %+v, %v", v, err)
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err == nil && name == dir && fi.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %04o", name, fi.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// MFA-19: nothing of a value is in the files when they are encrypted, nor of
// a secret one when they are not.
func TestFilesHoldNoSecret(t *testing.T) {
	const secret, open = "JBSWY3DPEHPK3PXP", "locked until noon"
	for _, encrypt := range []bool{false, true} {
		c := Config{Dir: t.TempDir(), Keys: newKeys(t), Encrypt: encrypt}
		on(t, c, func(s *Store) {
			sealed := state.Seal(s, c.Keys)
			put(t, sealed, state.Enrolments.Key("alice"), secret, 0)
			put(t, sealed, state.Locks.Key("alice"), open, time.Hour)
		})
		all := contents(t, c.Dir)
		if bytes.Contains(all, []byte(secret)) {
			t.Errorf("encrypted %t: the files hold a secret", encrypt)
		}
		if got := bytes.Contains(all, []byte(open)); got == encrypt {
			t.Errorf("encrypted %t: the files hold a value in clear: %t", encrypt, got)
		}
	}
}

func contents(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		all = append(all, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// STATE-12: a bucket that is full refuses, keeps what it has, and leaves room
// in the others.
func TestFullBucket(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), Keys: newKeys(t), limit: 256 << 10})
	value := string(make([]byte, 8<<10))
	var err error
	n := 0
	for ; err == nil; n++ {
		_, err = s.Create(t.Context(), state.Approvals.Key("flood", string(rune('a'+n))), []byte(value), time.Hour)
	}
	if !errors.Is(err, state.ErrUnavailable) || errors.Is(err, state.ErrUnknown) || n < 20 {
		t.Fatalf("record %d: %v, want ErrUnavailable", n, err)
	}
	if got := get(t, s, state.Approvals.Key("flood", "a")); got != value {
		t.Error("the first record is not what it was")
	}
	put(t, s, state.Enrolments.Key("alice"), "", 0)
	usage, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if u := usage[state.Approvals]; u.Records != uint64(n-1) || u.Bytes*10 < u.Limit*9 || usage[state.Enrolments].Bytes*10 > u.Limit {
		t.Errorf("usage: %+v", usage)
	}
}

func TestMetrics(t *testing.T) {
	got := map[string]int{}
	s := open(t, Config{Dir: t.TempDir(), Keys: newKeys(t), Metrics: Metrics{Op: func(op, outcome string, took time.Duration) {
		if took <= 0 || took > time.Minute {
			t.Errorf("%s took %s", op, took)
		}
		got[op+" "+outcome]++
	}}})
	ctx, k := context.Background(), state.Locks.Key("a")
	revision := put(t, s, k, "", time.Hour)
	s.Create(ctx, k, nil, time.Hour)
	s.CompareAndSwap(ctx, k, revision+7, nil, time.Hour)
	s.Get(ctx, state.Locks.Key("b"))
	s.List(ctx, state.Locks.Key())
	s.Delete(ctx, k, revision)
	s.Create(ctx, k, nil, 0)
	for _, want := range []string{"create ok", "create exists", "swap conflict", "get not_found", "list ok", "delete ok", "create invalid"} {
		if got[want] != 1 {
			t.Errorf("%s: %d, want 1 (%v)", want, got[want], got)
		}
	}
}
