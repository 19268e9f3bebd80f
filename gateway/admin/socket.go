package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// socketMode lets the owner and the group of a socket connect, and nobody else.
const socketMode = 0o660

// Listen makes the operators' Unix socket at path, for the owner of the process
// and a group; an empty name is the group of the process. The folder must exist,
// and nobody but root and the owner of the process may write to it: whoever can
// might listen in the gateway's place. A socket that an ended process left is
// replaced; one that answers, and anything else at path, is an error. Closing the
// listener removes the socket.
func Listen(path, group string) (net.Listener, error) {
	l, err := listen(path, group)
	if err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	return l, nil
}

func listen(path, group string) (net.Listener, error) {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	// It gets its name when it has its group and mode: until then nobody connects.
	hidden := path + ".new"
	if err := vacant(hidden); err != nil {
		return nil, err
	}
	if err := os.Remove(hidden); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	s := &socket{UnixListener: l, path: path}
	if err := s.show(hidden, gid); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(hidden))
	}
	return s, nil
}

// A socket is a listener that removes its file when it is closed.
type socket struct {
	*net.UnixListener
	path string
	file fs.FileInfo
}

// show gives the socket its group, its mode and its name.
func (s *socket) show(hidden string, gid int) error {
	if gid >= 0 {
		if err := os.Chown(hidden, -1, gid); err != nil {
			return fmt.Errorf("%w; a process that is not root's can give it only to a group that its user is in", err)
		}
	}
	if err := os.Chmod(hidden, socketMode); err != nil {
		return err
	}
	var err error
	if s.file, err = os.Lstat(hidden); err != nil {
		return err
	}
	return os.Rename(hidden, s.path)
}

// Close stops listening, and removes the file unless another has its name.
func (s *socket) Close() error {
	err := s.UnixListener.Close()
	if now, e := os.Lstat(s.path); e == nil && os.SameFile(now, s.file) {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}

func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("its folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if p := info.Mode().Perm(); p&0o022 != 0 {
		return fmt.Errorf("the folder %s has mode %04o: others than its owner may write to it", dir, p)
	}
	if uid, ok := owner(info); !ok || uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("the folder %s belongs to user %d, and not to root or the gateway's own", dir, uid)
	}
	return nil
}

// vacant tells that a socket may be made at path.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there, and is no socket", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("another process answers on %s", path)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// groupID returns the id of a group by its name, -1 for none.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}
