package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"unicode/utf8"
)

// Names are hashed under a key, so that they can be matched by whoever has it
// and guessed by nobody else (security.md, AUD-08).
type names struct {
	key    []byte
	hashed bool // all names are, and not only those that did not resolve
}

func newNames(key []byte, hashed bool) names {
	if key == nil {
		key = make([]byte, 32)
		rand.Read(key)
	}
	return names{key, hashed}
}

// hash is the same for a name in any case.
func (n *names) hash(name string) string {
	mac := hmac.New(sha256.New, n.key)
	_, _ = io.WriteString(mac, strings.ToLower(name)) // never fails
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// HashName is what stands for a name that did not resolve, which may be a
// password in the wrong box: its keyed hash, and the class of its length.
func (l *Log) HashName(name string) (hash, length string) {
	return l.names.hash(name), lengthClass(utf8.RuneCountInString(name))
}

// HashesNames tells that no name of a user may stand in a record.
func (l *Log) HashesNames() bool { return l.names.hashed }

func lengthClass(n int) string {
	switch {
	case n == 0:
		return "0"
	case n <= 8:
		return "1-8"
	case n <= 16:
		return "9-16"
	case n <= 32:
		return "17-32"
	case n <= 64:
		return "33-64"
	default:
		return "65+"
	}
}
