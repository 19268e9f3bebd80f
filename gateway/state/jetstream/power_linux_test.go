package jetstream

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"stsgate/gateway/state"
)

// ext4's EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32): the file system stops where
// it is; without a flush, what was not synced is gone.
const (
	ext4Shutdown = 0x8004587d
	noLogFlush   = 2
)

// A disk is an ext4 file system in a file.
type disk struct {
	t     *testing.T
	image string
	mount string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{t, filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "disk")}
	if err := os.Mkdir(d.mount, 0o700); err != nil {
		t.Fatal(err)
	}
	d.run("truncate", "-s", "256M", d.image)
	d.run("mkfs.ext4", "-q", "-F", d.image)
	d.on()
	t.Cleanup(func() { exec.Command("umount", d.mount).Run() })
	return d
}

func (d *disk) run(name string, args ...string) {
	d.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		d.t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

func (d *disk) on() { d.t.Helper(); d.run("mount", "-o", "loop", d.image, d.mount) }

// off waits for the killed process to let go of its files.
func (d *disk) off() {
	d.t.Helper()
	for start := time.Now(); exec.Command("umount", d.mount).Run() != nil; <-time.After(5 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			d.t.Fatal("the file system stays busy")
		}
	}
}

// cut takes the power away.
func (d *disk) cut() error {
	f, err := os.Open(d.mount)
	if err != nil {
		return err
	}
	defer f.Close()
	how := uint32(noLogFlush)
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ext4Shutdown, uintptr(unsafe.Pointer(&how))); e != 0 {
		return e
	}
	return nil
}

// STATE-03: a power cut at a random instant, with everything dropped that was
// not synced, loses nothing that was acknowledged, brings nothing back, and
// leaves a store that opens. It needs root and loop devices.
func TestPowerCut(t *testing.T) {
	n := rounds(t, "POWER_ROUNDS", 0)
	if n == 0 {
		t.Skip("POWER_ROUNDS is not set")
	}
	d := newDisk(t)
	m, dir, key := newModel(), filepath.Join(d.mount, "state"), state.NewKey()
	for range n {
		m.round(t, dir, key, func(c *exec.Cmd) {
			m.cut.Store(time.Now().UnixNano())
			if err := d.cut(); err != nil {
				t.Error(err)
			}
			c.Process.Kill()
		})
		d.off()
		d.on()
		if t.Failed() {
			return
		}
	}
	m.report(t, n)
}
