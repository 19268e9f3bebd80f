package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stsgate/gateway/audit"
)

// smallDisk mounts a disk of some megabytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a disk needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all room on a disk, and gives it back.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	return func() {
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not %s after 10 s", what)
		}
	}
}

// AUD-12: on a full disk the log says that it is full while it still has room for
// what is under way; what it then takes is whole; and it goes on by itself.
func TestReserve(t *testing.T) {
	dir := smallDisk(t, "8m")
	file := filepath.Join(dir, "audit.jsonl")
	const reserve = 1 << 20
	l, err := audit.Open(audit.Config{File: file, Reserve: reserve, Key: signing, Origin: "sts/gw1"})
	if err != nil {
		t.Fatal(err)
	}
	empty := fill(t, dir)
	record := &audit.Record{Outcome: "success", Error: strings.Repeat("x", 500)}
	written := 0
	write := func() error {
		record.Transaction = fmt.Sprint(written)
		err := l.Append(record)
		if err == nil {
			written++
		}
		return err
	}
	for !l.Full() {
		if err := write(); err != nil {
			t.Fatalf("record %d of a log that is not full: %v", written, err)
		}
	}
	size := func() int64 {
		fi, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return fi.Size()
	}
	if used := size(); used > reserve/2+16<<10 {
		t.Errorf("full after %d bytes, want half of %d", used, reserve)
	}
	full := size()
	for range 400 { // under way
		if err := write(); err != nil {
			t.Fatalf("a record that was under way: %v", err)
		}
	}
	if err := l.AppendRefused(refused(1, "audit-failed")); err != nil {
		t.Error(err)
	}
	for write() == nil {
	}
	if l.Failing() == nil {
		t.Error("a log that takes nothing does not say so")
	}
	t.Logf("full at %d bytes; %d more were taken", full, size()-full)
	r := verify(t, audit.VerifyConfig{Files: []string{file}, Key: public()})
	if r.Bad != nil || r.Unended || int(r.Lines) != written+r.Checkpoints {
		t.Errorf("%+v %v, %d records were taken", r, r.Bad, written)
	}
	empty()
	eventually(t, "open again", func() bool { return !l.Full() && l.Failing() == nil })
	if err := write(); err != nil {
		t.Error(err)
	}
	stop(t, l)
	r = verify(t, audit.VerifyConfig{Files: []string{file}, Key: public()})
	if r.Bad != nil || r.Unsealed != 0 || int(r.Lines) != written+r.Checkpoints+2 {
		t.Errorf("%+v %v, %d records were taken, and one refusal and one gap", r, r.Bad, written)
	}
	var s syscall.Stat_t
	if err := syscall.Stat(file, &s); err != nil || s.Blocks*512 > s.Size+8192 {
		t.Errorf("after the stop the file of %d bytes holds %d (%v)", s.Size, s.Blocks*512, err)
	}
}

// A log that starts on a full disk is closed, and opens by itself.
func TestStartFull(t *testing.T) {
	dir := smallDisk(t, "4m")
	empty := fill(t, dir)
	l, err := audit.Open(audit.Config{File: filepath.Join(dir, "audit.jsonl"), Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, l)
	if !l.Full() || l.Append(&audit.Record{}) == nil {
		t.Error("not full")
	}
	empty()
	eventually(t, "open", func() bool { return !l.Full() })
	if err := l.Append(&audit.Record{}); err != nil {
		t.Error(err)
	}
}
