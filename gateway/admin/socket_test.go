package admin_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stsgate/gateway/admin"
)

// folder returns a folder that only the tests may write to.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stsgate-") // a test's own is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// PORT-09: the socket is for its owner and its group, and gone when it is closed.
func TestListen(t *testing.T) {
	path := filepath.Join(folder(t), "admin.sock")
	l, err := admin.Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != os.ModeSocket|0o660 {
		t.Errorf("got mode %v, want a socket with 0660", got)
	}
	if _, err := admin.Listen(path, ""); err == nil || !strings.Contains(err.Error(), "another process answers") {
		t.Errorf("a second listener: %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("after a second one tried: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("after Close: %v, %v", left, err)
	}
}

// What a process left that was killed is replaced, also while it was making it.
func TestListenAfterCrash(t *testing.T) {
	path := filepath.Join(folder(t), "admin.sock")
	for _, name := range []string{path, path + ".new"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
	}
	l, err := admin.Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestListenRefuses(t *testing.T) {
	for name, v := range map[string]struct {
		make func(t *testing.T, dir string)
		want string
	}{
		"folder for all":   {func(t *testing.T, dir string) { chmod(t, dir, 0o777) }, "may write to it"},
		"folder for group": {func(t *testing.T, dir string) { chmod(t, dir, 0o770) }, "may write to it"},
		"no folder":        {func(t *testing.T, dir string) { os.Remove(dir) }, "no such file"},
		"a file":           {func(t *testing.T, dir string) { os.WriteFile(dir+"/admin.sock", nil, 0o600) }, "is no socket"},
		"another's folder": {func(t *testing.T, dir string) {
			if err := os.Chown(dir, 65534, 65534); err != nil {
				t.Skip("skipped: not root")
			}
		}, "belongs to user 65534"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			v.make(t, dir)
			l, err := admin.Listen(filepath.Join(dir, "admin.sock"), "")
			if err == nil {
				l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), v.want) {
				t.Errorf("got %v, want an error with %q", err, v.want)
			}
		})
	}
	if _, err := admin.Listen(filepath.Join(folder(t), "admin.sock"), "no-such-group"); err == nil {
		t.Error("a group that is not there: got no error")
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
