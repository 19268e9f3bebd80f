package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// disk gives the audit log a small disk of its own, where root may.
func (c *cage) disk() {
	c.t.Helper()
	dir := filepath.Join(c.dir, "disk")
	c.try(os.Mkdir(dir, 0o700))
	switch err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); {
	case err == nil:
		t := c.t
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		})
	case os.Getenv("CI") == "true" || !errors.Is(err, fs.ErrPermission):
		c.t.Fatalf("mount a disk: %v", err)
	}
}

// fillDisk takes all room on it.
func (c *cage) fillDisk() {
	if os.Geteuid() != 0 {
		c.t.Skip("skipped: mounting a disk needs root")
	}
	f, err := os.Create(filepath.Join(c.dir, "disk", "filler"))
	c.try(err)
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		c.t.Fatal(err)
	}
	c.try(f.Close())
}

func (c *cage) emptyDisk() { c.try(os.Remove(filepath.Join(c.dir, "disk", "filler"))) }
