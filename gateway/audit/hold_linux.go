package audit

import (
	"os"
	"syscall"
	"time"
)

// hold keeps room on the disk behind the lines, and notes whether there is less
// than half of what is wanted. Where the file system knows no such thing, the log
// is full when a write failed, until there is room for a little.
func (l *Log) hold() {
	if l.held-l.size <= l.reserve/2 {
		l.extend()
	}
}

// extend makes up what lines have taken of that room, and notes whether the disk
// has none.
func (l *Log) extend() {
	if !l.regular || l.reserve == 0 || l.held-l.size >= l.reserve {
		return
	}
	const keepSize = 0x01 // FALLOC_FL_KEEP_SIZE
	err := syscall.Fallocate(int(l.file.Fd()), keepSize, l.size, l.reserve)
	switch err {
	case nil:
		l.held = l.size + l.reserve
		l.full.Store(false)
	case syscall.EOPNOTSUPP, syscall.ENOSYS:
		l.reserve = 0
	default:
		l.full.Store(true)
	}
}

// release gives the room back.
func (l *Log) release() {
	if l.regular && l.held > l.size {
		_ = l.file.Truncate(l.size) // it would hold no more than a little room
	}
}

// lock locks a file, which locked asks about for a moment.
func lock(f *os.File) (err error) {
	for range 10 {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// locked tells that another program has locked a file.
func locked(f *os.File) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	}
	return err == syscall.EWOULDBLOCK
}

// Disk returns the room on the disk of a file and its size, in bytes, 0 where
// they are not known.
func Disk(file string) (free, size uint64) {
	var s syscall.Statfs_t
	if syscall.Statfs(file, &s) != nil {
		return 0, 0
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize)
}
