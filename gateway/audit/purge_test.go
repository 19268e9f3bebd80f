package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

const (
	day       = 24 * time.Hour
	retention = 400 * day
)

// filed writes a log of three files with ten lines each, and a checkpoint behind
// those of the first two.
func filed(t *testing.T, dir string) (*audit.Log, []string) {
	t.Helper()
	file := filepath.Join(dir, "audit.jsonl")
	l := start(t, dir)
	var all []string
	for _, name := range []string{file + "-20260302", file + "-20260303"} {
		add(t, l, name, 10)
		if err := os.Rename(file, name); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	add(t, l, "last", 10)
	return l, append(all, file)
}

// after purges as if it were so much later.
func after(t *testing.T, l *audit.Log, d time.Duration, c audit.PurgeConfig, want int) {
	t.Helper()
	c.Keep = retention
	if n, err := l.Purge(c, time.Now().Add(d)); err != nil || n != want {
		t.Fatalf("%v later: got %d, %v, want %d", d, n, err, want)
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// AUD-09: what is older than the retention goes by whole files, the record of it
// comes before, and what is left is a log that begins lawfully. A hold keeps all,
// and so does a receiver that lacks lines.
func TestPurge(t *testing.T) {
	dir := t.TempDir()
	l, files := filed(t, dir)
	hold := filepath.Join(dir, "audit.hold")
	if err := os.WriteFile(hold, []byte("case 4711\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sent := func(n uint64) func() uint64 { return func() uint64 { return n } }
	after(t, l, retention-time.Hour, audit.PurgeConfig{}, 0)
	after(t, l, retention+time.Hour, audit.PurgeConfig{Hold: hold}, 0)
	after(t, l, retention+time.Hour, audit.PurgeConfig{Sent: sent(10)}, 0)
	after(t, l, retention+time.Hour, audit.PurgeConfig{Sent: sent(11), Hold: filepath.Join(dir, "none")}, 1)
	if exists(files[0]) || !exists(files[1]) || !exists(files[2]) {
		t.Error("other files are left than the last two")
	}
	got := lines(t, files[2])
	if r := got[len(got)-1]; r["event.action"] != "audit-purged" || r["labels.last_sequence"] != 11.0 || fmt.Sprint(r["labels.files"]) != "["+filepath.Base(files[0])+"]" {
		t.Errorf("the record is %v", r)
	}
	after(t, l, retention+time.Hour, audit.PurgeConfig{}, 1)
	after(t, l, 10*retention, audit.PurgeConfig{}, 0) // the file that is written stays
	stop(t, l)
	r := verify(t, audit.VerifyConfig{Files: files[2:], Key: public()})
	if r.Bad != nil || r.First != 23 || r.Purged == nil || r.Purged.Last != 22 || !r.Lawful() {
		t.Errorf("got %+v, %v, want a log that begins lawfully at line 23", r, r.Bad)
	}
}

// A log that lost its beginning in another way than by a purge does not begin
// lawfully.
func TestPurgeForged(t *testing.T) {
	l, files := filed(t, t.TempDir())
	after(t, l, retention+time.Hour, audit.PurgeConfig{Sent: func() uint64 { return 11 }}, 1)
	stop(t, l)
	if r := verify(t, audit.VerifyConfig{Files: files[1:], Key: public()}); r.Bad != nil || !r.Lawful() {
		t.Errorf("got %+v, want a lawful beginning", r)
	}
	if r := verify(t, audit.VerifyConfig{Files: files[2:], Key: public()}); r.Bad != nil || r.Lawful() {
		t.Errorf("got %+v, want none: the second file was not purged", r)
	}
}

// What is not whole stays, whatever its age: nobody could tell what it was.
func TestPurgeUnsealed(t *testing.T) {
	l, files := filed(t, t.TempDir())
	defer stop(t, l)
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], b[:len(b)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	after(t, l, 10*retention, audit.PurgeConfig{}, 0)
}
