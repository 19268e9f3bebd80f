package adfs

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"stsgate/gateway/wstrust"
	"stsgate/upstream/xmlsig"
)

// renewSoon is the time between two readings of the metadata while no keys are
// known, so that a farm that starts late is used soon.
const renewSoon = time.Second

// signers are the keys that the farm signs tokens with: given ones, or those
// that its metadata names, which is read from a node over TLS (SIG-05).
type signers struct {
	now   atomic.Pointer[pinned] // nil until there was an attempt to read them
	asked chan struct{}          // closed after that
	renew chan struct{}          // holds one wish to read them again
}

// pinned are the keys that are known or, while there are none, why not.
type pinned struct {
	verifier     *xmlsig.Verifier
	certificates []*x509.Certificate
	err          error // wraps wstrust.ErrDown
}

func newPinned(certificates []*x509.Certificate) (*pinned, error) {
	v, err := xmlsig.NewVerifier(certificates)
	if err != nil {
		return nil, err
	}
	return &pinned{verifier: v, certificates: certificates}, nil
}

// count is the number of keys that are known.
func (s *signers) count() float64 {
	if now := s.now.Load(); now != nil {
		return float64(len(now.certificates))
	}
	return 0
}

// known returns nil when there are keys: a password is not sent to a farm whose
// answer cannot be verified. It waits for the first attempt to read them.
func (s *signers) known(ctx context.Context) error {
	if now := s.now.Load(); now != nil {
		return now.err
	}
	select {
	case <-s.asked:
		return s.now.Load().err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// check verifies the token of an answer. One that is encrypted shows nothing
// to verify, and says so itself. The error wraps wstrust.ErrUntrusted.
func (s *signers) check(a *wstrust.Answer) error {
	if a.Encrypted {
		return nil
	}
	if _, err := s.now.Load().verifier.Verify(a.Signed()); err != nil {
		select {
		case s.renew <- struct{}{}:
		default:
		}
		return fmt.Errorf("%w: %w", wstrust.ErrUntrusted, err)
	}
	return nil
}

// Signers returns why the keys that the farm signs with are not known, nil
// when they are. Without them nothing is forwarded.
func (f *Farm) Signers() error {
	if now := f.signers.now.Load(); now != nil {
		return now.err
	}
	return errors.New("signing keys are not known: the farm's metadata is being read")
}

// follow keeps the keys those of the farm's metadata until ctx ends.
func (f *Farm) follow(ctx context.Context) {
	for failing := false; ; {
		err := f.renewSigners(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			f.c.Log.Warn("signing keys were not read from the farm's metadata", "err", err)
		}
		failing = err != nil
		least := f.c.RenewPause
		if f.Signers() != nil {
			least = min(least, renewSoon)
		}
		if !pause(ctx, least, nil) || !failing && !pause(ctx, f.c.RenewInterval-least, f.signers.renew) {
			return
		}
	}
}

// pause waits for d or, if it is not nil, for early. It reports whether ctx
// goes on.
func pause(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early:
	case <-t.C:
	}
	return true
}

// renewSigners reads the keys. Where that fails, those that were known stay.
func (f *Farm) renewSigners(ctx context.Context) error {
	s := &f.signers
	old := s.now.Load()
	next, err := f.readSigners(ctx)
	if err != nil && ctx.Err() == nil {
		f.metrics.metadataFailures.Inc()
	}
	switch {
	case err == nil:
		s.now.Store(next)
		if !next.same(old) {
			f.c.Log.Info("signing keys were read from the farm's metadata", "sha256", next.thumbprints())
		}
	case old == nil || old.err != nil:
		s.now.Store(&pinned{err: fmt.Errorf("%w: signing keys are not known: %w", wstrust.ErrDown, err)})
	}
	if old == nil {
		close(s.asked)
	}
	return err
}

func (f *Farm) readSigners(ctx context.Context) (*pinned, error) {
	document, _, err := f.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	certificates, err := signingCertificates(document)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	next, err := newPinned(certificates)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	return next, nil
}

// same tells that both are the same keys.
func (p *pinned) same(other *pinned) bool {
	return other != nil && slices.EqualFunc(p.certificates, other.certificates, (*x509.Certificate).Equal)
}

// thumbprints are the SHA-256 sums of the certificates, by which an operator
// tells them apart.
func (p *pinned) thumbprints() []string {
	var all []string
	for _, c := range p.certificates {
		sum := sha256.Sum256(c.Raw)
		all = append(all, hex.EncodeToString(sum[:]))
	}
	return all
}
