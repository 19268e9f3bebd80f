package guard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"hash/maphash"
	"sync"
	"time"

	"stsgate/gateway/account"
)

// macSize is the length of a hash in bytes.
const macSize = 16

const secondsOfDay = 24 * 60 * 60

// macs make hashes under one key, which is worked in once and not for each.
type macs struct{ pool sync.Pool }

func newMACs(key []byte) *macs {
	return &macs{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (m *macs) sum(parts ...[]byte) []byte {
	mac := m.pool.Get().(hash.Hash)
	for _, p := range parts {
		mac.Write(p)
	}
	sum := mac.Sum(make([]byte, 0, sha256.Size))
	mac.Reset() // which wipes the end of a password
	m.pool.Put(mac)
	return sum
}

// A dayKey is the key of the hashes of one day's passwords: none is hashed alike
// for long, and nobody can try passwords on a record without the secret
// (security.md, LOCK-05).
type dayKey struct {
	*macs
	day int64
}

func (g *Guard) dayKey(day int64) *dayKey {
	if k := g.today.Load(); k != nil && k.day == day {
		return k
	}
	k := &dayKey{newMACs(g.macs.sum([]byte("guard: password " + time.Unix(day*secondsOfDay, 0).UTC().Format(time.DateOnly)))), day}
	g.today.Store(k)
	return k
}

// A macer hashes one password of a user. The password must not be wiped while
// it is used.
type macer struct {
	g        *Guard
	user     string
	password account.Password
	day      int64
	sum      []byte // under the key of day
}

// at returns the hash under the key of a time's day.
func (m *macer) at(t time.Time) []byte {
	day := t.Unix() / secondsOfDay
	if m.sum != nil && m.day == day {
		return m.sum
	}
	m.day, m.sum = day, m.g.dayKey(day).sum([]byte(m.user), []byte{0}, m.password.Bytes())[:macSize]
	return m.sum
}

func (g *Guard) hash(use, text string) string {
	return hex.EncodeToString(g.macs.sum([]byte(use), []byte{0}, []byte(text))[:macSize])
}

func (g *Guard) userHash(user string) uint64 { return maphash.String(g.seed, user) }
