//go:build !linux

package audit

import "os"

// hold does nothing: room on the disk cannot be kept here.
func (l *Log) hold() {}

func (l *Log) extend() {}

func (l *Log) release() {}

func lock(*os.File) error { return nil }

// locked cannot tell.
func locked(*os.File) bool { return false }

// Disk is not known here.
func Disk(string) (free, size uint64) { return 0, 0 }
