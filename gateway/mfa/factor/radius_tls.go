package factor

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// radsecSecret is every server's over TLS, which takes the place of a secret
// (RFC 6614, section 2.3).
const radsecSecret = "radsec"

// secure has servers be asked over TLS.
func (r *radiusClient) secure() error {
	if len(r.Secret) > 0 || r.TLS.RootCAs == nil || r.TLS.InsecureSkipVerify {
		return errors.New("factor: RADIUS over TLS needs authorities, which vouch for its servers, and no secret")
	}
	r.TLS, r.Secret = r.TLS.Clone(), []byte(radsecSecret)
	r.TLS.MinVersion = max(r.TLS.MinVersion, tls.VersionTLS12)
	return nil
}

// overTLS asks one server, by a connection of its own, once: TCP does not lose
// packets (RFC 6613, section 2.6), and on another connection the same packet
// would be another request, for which a code that is good once is spent.
func (r *radiusClient) overTLS(ctx context.Context, server string, request *radiusRequest) (*radiusAnswer, error) {
	ctx, stop := context.WithTimeout(ctx, time.Duration(r.Tries)*r.Timeout)
	defer stop()
	conn, err := (&tls.Dialer{Config: r.TLS}).DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, closed(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(request.bytes); err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	a, err := r.answer(conn, request)
	if err != nil {
		return nil, errors.Join(closed(err), ctx.Err())
	}
	return a, nil
}

// answer waits for the answer. After one that is not believed, none that is will
// come: what TLS brings is of the server itself.
func (r *radiusClient) answer(conn net.Conn, request *radiusRequest) (*radiusAnswer, error) {
	b, err := readPacket(conn)
	if err != nil {
		return nil, err
	}
	a, err := request.read(b)
	if err != nil {
		r.discarded[err].Inc()
		return nil, err
	}
	return a, nil
}

// readPacket reads one packet, whose own length says where it ends.
func readPacket(conn net.Conn) ([]byte, error) {
	b := make([]byte, radiusMost)
	if _, err := io.ReadFull(conn, b[:radiusHeader]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size < radiusHeader || size > radiusMost {
		return b[:radiusHeader], nil // which is no packet of that length
	}
	_, err := io.ReadFull(conn, b[radiusHeader:size])
	return b[:size], err
}

// closed says what the end of a connection is.
func closed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the server closed the connection: %w", err)
	}
	return err
}
