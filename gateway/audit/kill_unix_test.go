//go:build unix

package audit_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

// TestAppendUntilKilled is what TestKill kills.
func TestAppendUntilKilled(t *testing.T) {
	dir := os.Getenv("AUDIT_KILL_DIR")
	if dir == "" {
		t.Skip("a part of TestKill")
	}
	l, err := audit.Open(audit.Config{File: filepath.Join(dir, "audit.jsonl"), Reserve: 1 << 20, Key: signing, Origin: "sts/gw1"})
	if err != nil {
		t.Fatal(err)
	}
	var told sync.Mutex
	for range 16 {
		go func() {
			for {
				id := rand.Text()
				if err := l.Append(&audit.Record{Transaction: id, Outcome: "success"}); err != nil {
					panic(err)
				}
				told.Lock()
				fmt.Println("told", id)
				told.Unlock()
			}
		}()
	}
	select {}
}

// AUD-01, AUD-04: a log that is killed amid its work starts again, has every
// record that somebody was told of, and is one chain.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	told := 0
	var all [][]byte
	const kills = 20
	for range kills {
		c := exec.Command(os.Args[0], "-test.run=^TestAppendUntilKilled$")
		c.Env = append(os.Environ(), "AUDIT_KILL_DIR="+dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		s := bufio.NewScanner(out)
		for n := 0; s.Scan(); n++ {
			if id, ok := bytes.CutPrefix(s.Bytes(), []byte("told ")); ok && len(id) == 26 {
				all = append(all, bytes.Clone(id))
				told++
			}
			if n == 0 {
				time.AfterFunc(time.Duration(50+mathrand.IntN(150))*time.Millisecond, func() { _ = c.Process.Kill() })
			}
		}
		_ = c.Wait() // it was killed
	}
	l, err := audit.Open(audit.Config{File: filepath.Join(dir, "audit.jsonl"), Key: signing, Origin: "sts/gw1"})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, l)
	written := map[string]bool{}
	b, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		if _, rest, ok := bytes.Cut(line, []byte(`"transaction.id":"`)); ok {
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			written[string(id)] = true
		}
	}
	for _, id := range all {
		if !written[string(id)] {
			t.Errorf("%s was told of and is not there", id)
		}
	}
	r := verify(t, audit.VerifyConfig{Files: []string{filepath.Join(dir, "audit.jsonl")}, Key: public()})
	if r.Bad != nil || r.Unsealed != 0 || told < kills {
		t.Errorf("%d told, %+v, %v", told, r, r.Bad)
	}
	t.Logf("%d kills, %d records told of, all there; %d lines, %d torn", kills, told, r.Lines, r.Recovered)
}
