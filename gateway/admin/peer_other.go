//go:build !linux

package admin

import (
	"errors"
	"io/fs"
	"net"
)

// peerOf cannot tell who connected: all calls are refused.
func peerOf(net.Conn) (peer, error) { return peer{}, errors.ErrUnsupported }

func owner(fs.FileInfo) (uid int, ok bool) { return 0, false }

func groupOf(fs.FileInfo) (gid int, ok bool) { return 0, false }
