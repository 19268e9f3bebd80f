package directory

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"

	"stsgate/gateway/account"
)

// Lengths of what is written, in bytes, and bounds of what is read (RFC 9106,
// section 3.1, and far beyond what anybody uses at the upper end).
const (
	saltLen, minSalt, maxSalt = 16, 8, 64
	keyLen, minKey, maxKey    = 32, 16, 64

	maxMemory  = 1 << 20 // KiB: 1 GiB
	maxTime    = 16
	maxThreads = 16
)

// A cost is how much an argon2id computation takes.
type cost struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8
}

// defaultCost is OWASP's first choice for argon2id: 19 MiB and two passes.
var defaultCost = cost{memory: 19 << 10, time: 2, threads: 1}

// A hash is a stored password. The zero hash is none.
type hash struct {
	cost
	salt, key []byte
}

// set tells that h is a hash.
func (h hash) set() bool { return len(h.key) > 0 }

// String writes the hash in PHC string format.
func (h hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

// The errors of parseHash. They hold nothing of what was read.
var (
	errNotPHC = errors.New("not an argon2id hash: want $argon2id$v=19$m=...,t=...,p=...$salt$hash")
	errCost   = fmt.Errorf("argon2id parameters out of range: t is 1 to %d, p 1 to %d, m 8*p to %d", maxTime, maxThreads, maxMemory)
	errLength = fmt.Errorf("argon2id salt must have %d to %d bytes and the hash %d to %d", minSalt, maxSalt, minKey, maxKey)
)

// parseHash reads the one PHC spelling that String writes: version 19, the
// parameters in order, base64 without padding.
func parseHash(s string) (hash, error) {
	fields := strings.Split(s, "$")
	if len(fields) != 6 {
		return hash{}, errNotPHC
	}
	var h hash
	if _, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return hash{}, errNotPHC
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(fields[4]); err != nil {
		return hash{}, errNotPHC
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(fields[5]); err != nil {
		return hash{}, errNotPHC
	}
	if h.time < 1 || h.time > maxTime || h.threads < 1 || h.threads > maxThreads ||
		h.memory < 8*uint32(h.threads) || h.memory > maxMemory {
		return hash{}, errCost
	}
	if len(h.salt) < minSalt || len(h.salt) > maxSalt || len(h.key) < minKey || len(h.key) > maxKey {
		return hash{}, errLength
	}
	// Whatever else the lenient readers above let pass shows here.
	if h.String() != s {
		return hash{}, errNotPHC
	}
	return h, nil
}

// A hasher computes argon2id, at most GOMAXPROCS times at once: each takes
// memory and a core, and a flood of sign-ins must not take all of both.
type hasher struct {
	slots  chan struct{}
	derive func(password []byte, h hash) []byte
}

func newHasher() *hasher {
	return &hasher{slots: make(chan struct{}, runtime.GOMAXPROCS(0)), derive: derive}
}

// derive computes the key that password has with h's salt and cost.
func derive(password []byte, h hash) []byte {
	return argon2.IDKey(password, h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
}

// matches reports whether h is the hash of the password. The error is ctx's.
func (r *hasher) matches(ctx context.Context, password account.Password, h hash) (bool, error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	defer func() { <-r.slots }()
	return subtle.ConstantTimeCompare(r.derive(password.Bytes(), h), h.key) == 1, nil
}

// newHash hashes a password with a fresh salt.
func newHash(password account.Password) hash {
	h := hash{cost: defaultCost, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
	_, _ = rand.Read(h.salt) // never fails: crypto/rand ends the program instead
	h.key = derive(password.Bytes(), h)
	return h
}
