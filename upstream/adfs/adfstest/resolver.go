package adfstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
)

// Resolver returns one for which every name is this machine, by 127.0.0.1 and
// by ::1. A node listens on the first alone: by a name, it refuses whoever comes
// from the second.
func Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		mine, other := net.Pipe()
		go resolve(other)
		return mine, nil
	}}
}

// resolve answers one question on a stream (RFC 1035, section 4).
func resolve(c net.Conn) {
	defer func() { _ = c.Close() }()
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return
	}
	m := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, m); err != nil {
		return
	}
	const header = 12
	end := header + bytes.IndexByte(m[header:], 0) + 5
	address := netip.MustParseAddr("127.0.0.1")
	if kind := binary.BigEndian.Uint16(m[end-4:]); kind == 28 { // AAAA
		address = netip.IPv6Loopback()
	}
	copy(m[2:], []byte{0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}) // an answer to the question
	m = append(m[:end], 0xc0, header)
	m = append(m, m[end-4:end]...)
	m = append(m, 0, 0, 0, 1, 0, byte(address.BitLen()/8))
	m = append(m, address.AsSlice()...)
	_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
}
