package admin

import (
	"errors"
	"io/fs"
	"net"
	"syscall"
)

// peerOf asks the kernel who connected.
func peerOf(c net.Conn) (peer, error) {
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return peer{}, errors.New("not a Unix socket")
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var who *syscall.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		who, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil || failed != nil {
		return peer{}, errors.Join(err, failed)
	}
	return peer{uid: int(who.Uid), pid: int(who.Pid)}, nil
}

// owner returns the user id of a file.
func owner(info fs.FileInfo) (uid int, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}

// groupOf returns the group id of a file.
func groupOf(info fs.FileInfo) (gid int, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Gid), true
}
