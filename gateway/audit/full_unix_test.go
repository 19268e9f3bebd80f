//go:build unix

package audit_test

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"stsgate/gateway/audit"
)

// AUD-12: a disk that takes half a record refuses it and keeps nothing of it,
// and the log goes on by itself when there is room again. A limit on the size
// of files stands in for the disk: the system writes what fits.
func TestDiskFull(t *testing.T) {
	l, file := open(t)
	defer l.Close()
	if err := l.Append(&audit.Record{Transaction: "before"}); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	room := limitFiles(t, uint64(before.Size())+20)
	if err := l.Append(&audit.Record{Transaction: "too much"}); err == nil {
		t.Error("a record that was written in part is reported as written")
	}
	if after, err := os.Stat(file); err != nil || after.Size() != before.Size() {
		t.Errorf("the file has %d bytes (%v), want the %d of whole lines", after.Size(), err, before.Size())
	}
	room()
	if err := l.Append(&audit.Record{Transaction: "after"}); err != nil {
		t.Error(err)
	}
	got := lines(t, file)
	if len(got) != 3 || got[0]["transaction.id"] != "before" || got[1]["event.action"] != "audit-resumed" || got[1]["labels.count"] != 1.0 || got[2]["transaction.id"] != "after" {
		t.Errorf("the file holds %v", got)
	}
}

// limitFiles lets files grow to size bytes and no further, until the function
// that it returns is called.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = size
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	lift = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(lift)
	return lift
}
