package jetstream

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stsgate/gateway/state"
)

// Error codes of the server that nats.go has no name for.
const (
	codeWrongSequence      = 10071
	codeWrongSequenceOther = 10164
	codeStoreFailed        = 10077
	codeNoPeers            = 10005 // as long as a cluster's servers have not found each other
)

// errNotSent says that a try was not begun.
var errNotSent = errors.New("not sent")

func code(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

func conflict(err error) bool {
	c := code(err)
	return c == codeWrongSequence || c == codeWrongSequenceOther
}

// untouched tells that a try certainly changed nothing: it did not leave, it
// reached nobody, or the server refused it. A server that failed to store may
// have stored half.
func untouched(err error) bool {
	switch {
	case code(err) == codeStoreFailed:
		return full(err)
	case code(err) != 0:
		return true
	}
	for _, known := range []error{errAgain, errNotSent, jetstream.ErrNoStreamResponse, nats.ErrNoResponders,
		nats.ErrReconnectBufExceeded, nats.ErrConnectionClosed, nats.ErrInvalidConnection, nats.ErrMaxPayload} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// lasting tells that another try would fail as this one did.
func lasting(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code != 503 && api.ErrorCode != codeNoPeers
	}
	return errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrMaxPayload)
}

// absent tells that a connection failed because nobody answered, not because
// of who answered.
func absent(err error) bool {
	var network net.Error
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &network)
}

// full tells that the bucket has no more room.
func full(err error) bool {
	return code(err) == codeStoreFailed && strings.Contains(err.Error(), "maximum bytes exceeded")
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", state.ErrUnavailable, err) }
