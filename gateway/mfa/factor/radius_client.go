package factor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RADIUSServers are the MFA server that a company already runs. Servers are
// needed, and either Secret or TLS.
type RADIUSServers struct {
	// Servers are host:port, the one that is asked first before the others. All
	// have the same secret and, where they challenge, answer for one another
	// only what they began themselves.
	Servers []string
	// Secret is shared with the servers, at least 16 random bytes (MFA-21).
	Secret []byte
	// TLS has them asked over TLS instead of UDP (RadSec, RFC 6614), at least 1.2:
	// who vouches for them, their name if it is not that of their address, and
	// what certificate is shown to them.
	TLS *tls.Config
	// SAM makes the server know users by SAM; otherwise it is by UPN.
	SAM bool
	// NAS is what the server knows the gateway by. Default stsgate.
	NAS string
	// Timeout is how long a server has for a try, default 3 s, and Tries is how
	// often each is asked, default 2. For one that answers when its user has
	// approved on a phone, a long timeout and one try. Over TLS each is asked once
	// and has the time of all tries.
	Timeout time.Duration
	Tries   int
}

// radiusSecret is the shortest secret in bytes.
const radiusSecret = 16

// Format implements fmt.Formatter for every verb: there is a secret in it.
func (RADIUSServers) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// A radiusClient asks RADIUS servers.
type radiusClient struct {
	RADIUSServers
	first     atomic.Int32 // the server that answered last
	discarded map[error]prometheus.Counter
}

func newRADIUS(c *RADIUSServers, discarded map[error]prometheus.Counter) (*radiusClient, error) {
	if c == nil {
		return nil, nil
	}
	r := &radiusClient{RADIUSServers: *c, discarded: discarded}
	if r.NAS == "" {
		r.NAS = "stsgate"
	}
	if r.Timeout == 0 {
		r.Timeout = 3 * time.Second
	}
	if r.Tries == 0 {
		r.Tries = 2
	}
	if r.TLS != nil {
		if err := r.secure(); err != nil {
			return nil, err
		}
	} else if len(r.Secret) < radiusSecret {
		return nil, fmt.Errorf("factor: a RADIUS secret of %d bytes, fewer than %d", len(r.Secret), radiusSecret)
	}
	if len(r.Servers) == 0 || r.Tries < 0 || r.Timeout < 0 || len(r.NAS) > radiusValue {
		return nil, errors.New("factor: RADIUS needs a server, a time and a number of tries")
	}
	for _, s := range r.Servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return nil, fmt.Errorf("factor: RADIUS server: %w", err)
		}
	}
	return r, nil
}

// ask asks the servers, one after the other, and returns the first authentic
// answer and whose it is; only what is asked with a server's state goes to that
// one alone.
func (r *radiusClient) ask(ctx context.Context, name string, code, state []byte, only string, from netip.Addr) (*radiusAnswer, string, error) {
	request, err := newRequest(r.Secret, name, code, func(b []byte) []byte {
		b = attribute(b, attrNASIdentifier, []byte(r.NAS))
		if from.IsValid() {
			b = attribute(b, attrCallingStationID, []byte(from.String()))
		}
		if state != nil {
			b = attribute(b, attrState, state)
		}
		return b
	})
	if err != nil {
		return nil, "", fmt.Errorf("%w: RADIUS: %w", ErrWrong, err)
	}
	var errs error
	for i := range r.Servers {
		n := (int(r.first.Load()) + i) % len(r.Servers)
		server := r.Servers[n]
		if only != "" && only != server {
			continue
		}
		ask := r.overUDP
		if r.TLS != nil {
			ask = r.overTLS
		}
		a, err := ask(ctx, server, request)
		if err == nil {
			r.first.Store(int32(n))
			return a, server, nil
		}
		errs = errors.Join(errs, fmt.Errorf("%s: %w", server, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, "", fmt.Errorf("%w: RADIUS: %w", ErrDown, errs)
}

// overUDP asks one server, from a port of its own. A try that is made again is
// the same packet, which a server answers once.
func (r *radiusClient) overUDP(ctx context.Context, server string, request *radiusRequest) (*radiusAnswer, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	var last error
	for range r.Tries {
		if err := conn.SetReadDeadline(time.Now().Add(r.Timeout)); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if _, err := conn.Write(request.bytes); err != nil {
			return nil, err
		}
		a, err := r.receive(conn, request)
		if err == nil {
			return a, nil
		}
		last = err
		if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
			break
		}
	}
	return nil, errors.Join(last, ctx.Err())
}

// receive waits for an authentic answer. What is none is thrown away and
// waited on: a forger must not be able to end a request. Why there was no
// better one goes with the error.
func (r *radiusClient) receive(conn net.Conn, request *radiusRequest) (*radiusAnswer, error) {
	b := make([]byte, radiusMost+1)
	var bad error
	for {
		n, err := conn.Read(b)
		if err != nil {
			return nil, errors.Join(err, bad)
		}
		a, err := request.read(b[:n])
		if err == nil {
			return a, nil
		}
		bad = err
		r.discarded[err].Inc()
	}
}
