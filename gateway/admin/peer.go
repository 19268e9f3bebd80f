package admin

import (
	"context"
	"net"
	"os/user"
	"strconv"
)

// A peer is the process at the other end of the socket, as the kernel says.
type peer struct {
	uid, pid int
	name     string // of the user; empty if it has none
}

type peerKey struct{}

// withPeer is the ConnContext of the socket's server.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	p, err := peerOf(c)
	if err != nil {
		return ctx // and its calls are refused
	}
	if u, err := user.LookupId(strconv.Itoa(p.uid)); err == nil {
		p.name = u.Username
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// String is the peer as records of the store name it.
func (p peer) String() string {
	if p.name == "" {
		return "uid " + strconv.Itoa(p.uid)
	}
	return p.name
}
