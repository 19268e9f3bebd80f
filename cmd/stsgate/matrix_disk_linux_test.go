package main

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"stsgate/testdata"
)

// disk gives the audit log a small disk of its own, where root may.
func (c *cage) disk() {
	c.t.Helper()
	dir := filepath.Join(c.dir, "disk")
	c.try(os.Mkdir(dir, 0o700))
	if !c.device {
		c.mount(dir, "size=24m")
		return
	}
	// A file system on a device that is a file with holes, on a disk of its own:
	// when that is full, writes succeed and what they wrote cannot be synced.
	under := filepath.Join(c.dir, "device")
	c.try(os.Mkdir(under, 0o700))
	c.mount(under, "size=16m")
	image := filepath.Join(under, "image")
	c.try(os.WriteFile(image, nil, 0o600))
	c.try(os.Truncate(image, 64<<20))
	c.run(testdata.Program(c.t, "mkfs.ext4"), "-q", "-F", "-O", "^has_journal", "-m", "0", image)
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		c.t.Skipf("skipped: this machine mounts no loop device: %s", out)
	}
	c.unmounts(dir)
}

func (c *cage) mount(dir, options string) {
	c.t.Helper()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options)
	if c.mounted = err == nil; c.mounted {
		c.unmounts(dir)
	} else if !errors.Is(err, fs.ErrPermission) {
		c.t.Fatalf("mount a disk: %v", err)
	}
}

func (c *cage) unmounts(dir string) {
	t := c.t
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

func (c *cage) run(name string, args ...string) {
	c.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// fillDisk takes all room on it.
func (c *cage) fillDisk() {
	if !c.mounted {
		c.t.Skip("skipped: this user may not mount a disk")
	}
	f, err := os.Create(c.filler())
	c.try(err)
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		c.t.Fatal(err)
	}
	c.try(f.Close())
}

func (c *cage) emptyDisk() { c.try(os.Remove(c.filler())) }

func (c *cage) filler() string {
	if c.device {
		return filepath.Join(c.dir, "device", "filler")
	}
	return filepath.Join(c.dir, "disk", "filler")
}

// FAIL-01: when the device that the audit log is on takes nothing any more, nobody
// gets a token, and the chain holds when it is back.
func TestMatrixAuditDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: a device of its own needs root")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("skipped: this machine has no loop devices")
	}
	c := &cage{t: t, dir: t.TempDir(), device: true}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	c.try(err)
	own := demoCertificate("token signing")
	c.try(writeCertificate(c.dir, "sign", own, own, key, key))
	c.start("")
	c.settle(healthy, patience)
	c.fillDisk()
	c.settle(all("audit-failed"), patience)
	c.notes("audit", patience)
	c.emptyDisk()
	c.settle(healthy, patience)
	c.notes("", patience)
	c.run("stsgate", "audit", "verify", filepath.Join(c.dir, "disk", "audit.jsonl"))
}
