package factor

import (
	"testing"
	"time"
)

// RFC 6238, appendix B: the codes of SHA-1, of which apps show the last six digits.
func TestVectors(t *testing.T) {
	key := secret("12345678901234567890")
	for _, c := range []struct {
		at   int64
		code string
	}{
		{59, "94287082"}, {1111111109, "07081804"}, {1111111111, "14050471"},
		{1234567890, "89005924"}, {2000000000, "69279037"}, {20000000000, "65353130"},
	} {
		now := time.Unix(c.at, 0)
		at, ok, err := key.match([]byte(c.code[2:]), now)
		if err != nil || !ok || at != c.at/30 {
			t.Errorf("at %d: %d, %t, %v", c.at, at, ok, err)
		}
		for _, late := range []time.Duration{-90 * time.Second, 90 * time.Second} {
			if _, ok, _ := key.match([]byte(c.code[2:]), now.Add(late)); ok {
				t.Errorf("the code of %d is accepted %s later", c.at, late)
			}
		}
	}
}

// MFA-05: what a check costs, apart from the store.
func BenchmarkTOTP(b *testing.B) {
	now := time.Now()
	t := totp{Secret: secret("12345678901234567890")}
	for i := range int64(totpAccepted) {
		t.Accepted = append(t.Accepted, step(now)-10-i)
	}
	code := []byte("000000")
	for b.Loop() {
		_, _, _ = t.Secret.match(code, now)
		_, _ = t.used(code)
	}
}

// MFA-13: what a check of a recovery code costs, apart from the store.
func BenchmarkRecovery(b *testing.B) {
	r := recovery{Rounds: recoveryRounds, Salt: make([]byte, recoverySalt)}
	for b.Loop() {
		_, _ = r.hash([]byte("ABCDEFGHJKMNPQRS"))
	}
}
