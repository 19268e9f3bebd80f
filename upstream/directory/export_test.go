package directory

import (
	"fmt"
	"time"
)

// OnDerive makes f call hook, with the PHC parameters, before each of its
// argon2id computations.
func OnDerive(f *File, hook func(parameters string)) {
	f.hasher.derive = func(password []byte, h hash) []byte {
		hook(fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads))
		return derive(password, h)
	}
}

// CheapHash hashes a password at the lowest cost there is.
func CheapHash(password string) string {
	h := hash{cost: cost{memory: 8, time: 1, threads: 1}, salt: []byte("saltsalt"), key: make([]byte, keyLen)}
	h.key = derive([]byte(password), h)
	return h.String()
}

// ParseHash reads a hash and writes it again.
func ParseHash(s string) (string, error) {
	h, err := parseHash(s)
	if err != nil {
		return "", err
	}
	return h.String(), nil
}

// GUIDText writes an objectGUID as text.
func GUIDText(b []byte) string {
	s, err := guid(b)
	if err != nil {
		panic(err)
	}
	return s
}

// AgeNames makes what is held of accounts older.
func AgeNames(l *LDAP, by time.Duration) {
	l.names.mu.Lock()
	defer l.names.mu.Unlock()
	for key, n := range l.names.names {
		n.read = n.read.Add(-by)
		l.names.names[key] = n
	}
}

// SetWrong says how long the last wrong password took.
func SetWrong(l *LDAP, took time.Duration) { l.wrong.Store(int64(took)) }

// Idle counts the connections that nobody uses.
func Idle(l *LDAP) int {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	return len(l.pool.idle)
}
