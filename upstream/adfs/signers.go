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

// signers are the keys that the farm signs tokens with, and the name that it
// issues them under: given ones, or those of its metadata, which is read from a
// node over TLS (SIG-05, SIG-10).
type signers struct {
	now   atomic.Pointer[pinned] // nil until there was an attempt to read them
	asked chan struct{}          // closed after that
	renew chan struct{}          // holds one wish to read them again
}

// pinned are the keys that are known or, while there are none, why not.
type pinned struct {
	verifier     *xmlsig.Verifier
	certificates []*x509.Certificate
	entity       string
	err          error // wraps wstrust.ErrDown
}

func newPinned(certificates []*x509.Certificate, entity string) (*pinned, error) {
	v, err := xmlsig.NewVerifier(certificates)
	if err != nil {
		return nil, err
	}
	return &pinned{verifier: v, certificates: certificates, entity: entity}, nil
}

// entityOf is the name that AD FS gives itself when it is installed.
func entityOf(host string) string { return "http://" + host + "/adfs/services/trust" }

// PrepareSigners checks certificates that are to take the place of those that
// New was given. The function that it returns puts them in force, and does not
// fail.
func (f *Farm) PrepareSigners(certificates []*x509.Certificate) (replace func(), err error) {
	next, err := newPinned(certificates, entityOf(f.c.Host))
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	return func() {
		if old := f.signers.now.Swap(next); !next.same(old) {
			f.c.Log.Info("signing keys were replaced", "sha256", next.thumbprints())
		}
	}, nil
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

// check verifies the token of an answer, and notes the farm's name in it. One
// that is encrypted shows nothing to verify, and says so itself. The error
// wraps wstrust.ErrUntrusted.
func (s *signers) check(a *wstrust.Answer) error {
	now := s.now.Load()
	a.Farm = now.entity
	if a.Encrypted {
		var err error
		if a.Digest, err = xmlsig.Digest(a.Signed()); err != nil {
			return fmt.Errorf("%w: %w", wstrust.ErrUntrusted, err)
		}
		return nil
	}
	verified, err := now.verifier.Verify(a.Signed())
	if err != nil {
		select {
		case s.renew <- struct{}{}:
		default:
		}
		return fmt.Errorf("%w: %w", wstrust.ErrUntrusted, err)
	}
	a.Digest = verified.Digest
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
			f.c.Log.Info("signing keys were read from the farm's metadata", "entity", next.entity, "sha256", next.thumbprints())
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
	entity, certificates, err := readMetadata(document)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	next, err := newPinned(certificates, entity)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	return next, nil
}

// same tells that both are the same keys, under the same name.
func (p *pinned) same(other *pinned) bool {
	return other != nil && p.entity == other.entity && slices.EqualFunc(p.certificates, other.certificates, (*x509.Certificate).Equal)
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
