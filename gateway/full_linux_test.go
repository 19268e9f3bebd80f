package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"stsgate/gateway"
	"stsgate/gateway/audit"
	"stsgate/gateway/refusal"
)

// AUD-12: while the disk of the audit log is full no exchange is begun: the farm
// is not asked, and no password leaves.
func TestFullDiskCloses(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a disk needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	l, err := audit.Open(audit.Config{File: filepath.Join(dir, "audit.jsonl"), Reserve: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := newGate(t, func(c *gateway.Config) { c.Audit = l })
	w := g.ask(modern, nil)
	if row := refusal.AuditFailed.Row(); w.Code != 500 || !strings.Contains(w.Body.String(), row.Text) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if n := len(g.farm.asked); n != 0 {
		t.Errorf("the farm was asked %d times", n)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "audit.jsonl")); err != nil || len(b) > 0 {
		t.Errorf("the reserve was used for %s (%v)", b, err)
	}
}
