package directory

import "fmt"

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
