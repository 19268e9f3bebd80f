package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/gateway/audit"
)

// signing is the key of the tests' checkpoints.
var signing = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func public() ed25519.PublicKey { return signing.Public().(ed25519.PublicKey) }

// start opens a log with checkpoints in a second place.
func start(t testing.TB, folder string) *audit.Log {
	t.Helper()
	l, err := audit.Open(audit.Config{
		File: filepath.Join(folder, "audit.jsonl"), Host: "gw1", Origin: "sts.contoso.example/gw1",
		Key: signing, Checkpoints: filepath.Join(folder, "elsewhere"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// add appends n records that are told apart by their transactions.
func add(t testing.TB, l *audit.Log, name string, n int) {
	t.Helper()
	for i := range n {
		if err := l.Append(&audit.Record{Transaction: fmt.Sprint(name, i), Outcome: "success"}); err != nil {
			t.Fatal(err)
		}
	}
}

func stop(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// verify verifies files that must be readable.
func verify(t testing.TB, c audit.VerifyConfig) *audit.Report {
	t.Helper()
	r, err := audit.Verify(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// good holds that files are one chain of n lines that are all sealed.
func good(t testing.TB, n uint64, files ...string) *audit.Report {
	t.Helper()
	r := verify(t, audit.VerifyConfig{Files: files, Key: public()})
	if r.Bad != nil || r.Lines != n || r.Unsealed != 0 {
		t.Errorf("got %+v (%v), want %d lines, all sealed", *r, r.Bad, n)
	}
	return r
}

// AUD-02: lines are numbered and sealed, over restarts and rotations, and files
// are joined in any order.
func TestChain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	l := start(t, dir)
	add(t, l, "first", 3)
	stop(t, l)
	good(t, 4, file) // with the checkpoint of Close
	l = start(t, dir)
	add(t, l, "second", 3)
	for i := range 2 {
		if err := os.Rename(file, fmt.Sprint(file, ".", i)); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		add(t, l, "rotated", 2)
	}
	stop(t, l)
	// A new file after a rotation while nothing ran goes on with the same chain.
	if err := os.Rename(file, filepath.Join(dir, "audit-2026.jsonl")); err != nil {
		t.Fatal(err)
	}
	l = start(t, dir)
	add(t, l, "third", 1)
	stop(t, l)
	r := good(t, 16, file, file+".1", filepath.Join(dir, "audit-2026.jsonl"), file+".0")
	if r.Checkpoints != 5 || r.First != 1 || r.Last != 16 {
		t.Errorf("got %+v", r)
	}
	r = verify(t, audit.VerifyConfig{Files: []string{file, file + ".0", filepath.Join(dir, "audit-2026.jsonl")}, Key: public()})
	if r.Bad == nil || !strings.Contains(r.Bad.Msg, "3 are missing") {
		t.Errorf("without a file in the midst: %v", r.Bad)
	}
}

// AUD-02: a checkpoint comes after 1,000 lines.
func TestCheckpointLines(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	for range 3 {
		together(t, l, 800)
	}
	stop(t, l)
	r := good(t, 2403, filepath.Join(dir, "audit.jsonl"))
	if r.Checkpoints != 3 {
		t.Errorf("%d checkpoints, want 2 and one at the end", r.Checkpoints)
	}
	r = verify(t, audit.VerifyConfig{Files: []string{filepath.Join(dir, "audit.jsonl")}, Key: public(), Checkpoints: []string{filepath.Join(dir, "elsewhere")}})
	if r.Bad != nil || r.Elsewhere != 3 {
		t.Errorf("got %+v, want 3 checkpoints in the other place", r)
	}
}

// together appends n records at once, so that few commits hold them.
func together(t testing.TB, l *audit.Log, n int) {
	t.Helper()
	failed := make(chan error)
	for range n {
		go func() { failed <- l.Append(&audit.Record{Transaction: rand.Text(), Outcome: "success"}) }()
	}
	for range n {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// Two programs never write to one file, and a log goes on only in an empty one.
func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	l := start(t, dir)
	defer stop(t, l)
	if second, err := audit.Open(audit.Config{File: file}); err == nil {
		second.Close()
		t.Error("two logs write to one file")
	}
	add(t, l, "a", 1)
	if err := l.Reopen(); err != nil {
		t.Errorf("opened again without a rotation: %v", err)
	}
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("something\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil {
		t.Error("the log goes on behind other lines")
	}
	add(t, l, "b", 1)
	if got := lines(t, file+".1"); got[len(got)-1]["transaction.id"] != "b0" {
		t.Errorf("the old file ends with %v", got[len(got)-1])
	}
}

// AUD-04: wherever a crash cut the last 500 bytes, the log starts again, no whole
// line is lost, and the chain goes on.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	add(t, l, "kept", 4)
	stop(t, l)
	whole, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	for cut := range 500 {
		for _, garbage := range []string{"", "\x00\x00\x00\n\x00"} {
			if garbage != "" && cut%10 > 0 {
				continue
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "audit.jsonl")
			left := append(bytes.Clone(whole[:len(whole)-cut]), garbage...)
			if err := os.WriteFile(file, left, 0o600); err != nil {
				t.Fatal(err)
			}
			l := start(t, dir)
			add(t, l, "after", 1)
			stop(t, l)
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(got, left) {
				t.Errorf("cut %d: what was left is not there", cut)
			}
			r := verify(t, audit.VerifyConfig{Files: []string{file}, Key: public()})
			if r.Bad != nil || r.Unsealed != 0 || r.Unended {
				t.Errorf("cut %d, garbage %q: %+v %v", cut, garbage, *r, r.Bad)
			}
			if torn := left[len(left)-1] != '\n' && cut != 1 || garbage != ""; torn != (r.Recovered == 1) {
				t.Errorf("cut %d, garbage %q: recovered %d times, torn: %v", cut, garbage, r.Recovered, torn)
			}
			started++
		}
	}
	if started != 550 {
		t.Errorf("started %d times", started)
	}
}

// AUD-04: a log that starts with torn lines that were sealed before starts too.
func TestTornAgain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	for i := range 5 {
		l := start(t, dir)
		add(t, l, fmt.Sprint("round", i), 2)
		stop(t, l)
		fi, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, fi.Size()-100); err != nil {
			t.Fatal(err)
		}
	}
	stop(t, start(t, dir))
	if r := verify(t, audit.VerifyConfig{Files: []string{file}, Key: public()}); r.Bad != nil || r.Recovered != 5 {
		t.Errorf("%+v, %v", *r, r.Bad)
	}
}

// A torn line that was sealed cannot be changed, and what was not torn by a crash
// cannot be passed off as torn: whoever changes a line and has the gateway start
// again is found.
func TestTornIsNoHole(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	l := start(t, dir)
	add(t, l, "a", 4)
	stop(t, l)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte("a1"), []byte("e1"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	l = start(t, dir)
	add(t, l, "after", 1)
	stop(t, l)
	r := verify(t, audit.VerifyConfig{Files: []string{file}, Key: public()})
	if r.Bad == nil || r.Bad.Line != 2 {
		t.Errorf("a changed line that was taken for torn: %v", r.Bad)
	}

	if err := os.WriteFile(file, b[:len(b)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	l = start(t, dir)
	stop(t, l)
	if b, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("sts.contoso")) // in the torn checkpoint
	b[at] = 'x'
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	r = verify(t, audit.VerifyConfig{Files: []string{file}, Key: public()})
	if r.Bad == nil || r.Bad.Line != 5 {
		t.Errorf("a changed torn line: %v", r.Bad)
	}
}

// A file that is not an audit log is never written to.
func TestForeignFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(file, bytes.Repeat([]byte("{\"a\":1}\n"), 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := audit.Open(audit.Config{File: file}); err == nil {
		l.Close()
		t.Error("opened")
	}
}
