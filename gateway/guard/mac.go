package guard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"io"
	"time"

	"stsgate/gateway/account"
)

// macSize is the length of a hash in bytes.
const macSize = 16

const secondsOfDay = 24 * 60 * 60

// A dayKey is the key of the hashes of one day's passwords: none is hashed alike
// for long, and nobody can try passwords on a record without the secret
// (security.md, LOCK-05).
type dayKey struct {
	day int64
	key []byte
}

func (g *Guard) dayKey(day int64) []byte {
	if k := g.today.Load(); k != nil && k.day == day {
		return k.key
	}
	mac := hmac.New(sha256.New, g.secret)
	io.WriteString(mac, "guard: password "+time.Unix(day*secondsOfDay, 0).UTC().Format(time.DateOnly))
	k := &dayKey{day, mac.Sum(nil)}
	g.today.Store(k)
	return k.key
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
	mac := hmac.New(sha256.New, m.g.dayKey(day))
	io.WriteString(mac, m.user)
	mac.Write([]byte{0})
	mac.Write(m.password.Bytes())
	m.day, m.sum = day, mac.Sum(nil)[:macSize]
	return m.sum
}

func (g *Guard) hash(use, text string) string {
	mac := hmac.New(sha256.New, g.secret)
	io.WriteString(mac, use+"\x00"+text)
	return hex.EncodeToString(mac.Sum(nil)[:macSize])
}

func (g *Guard) userHash(user string) uint64 { return maphash.String(g.seed, user) }
