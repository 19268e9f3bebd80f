package edge

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"time"
)

// ServePlain serves one connection on which TLS needs no handshake any more,
// until it ends. It returns the buffer that it read into.
func (s *Server) ServePlain(nc net.Conn) []byte {
	c := s.newConn(nc)
	c.Conn, c.state = c.wire, &tls.ConnectionState{}
	defer c.Close()
	c.requests(time.Minute)
	return c.in
}

// ReadAnnouncement reads a header of the PROXY protocol.
func ReadAnnouncement(r io.Reader) (source netip.AddrPort, ahead []byte, err error) {
	return readAnnouncement(r)
}
