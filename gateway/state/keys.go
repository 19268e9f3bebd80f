package state

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// KeySize is the size of a state key in bytes.
const KeySize = 32

// Keys are what seals records: the first key writes, every key reads. They
// stand outside the store, are the same on all gateways, and print as
// "[redacted]".
type Keys struct {
	all []sealing
}

// A sealing is what is derived from one key. Nothing of it tells the key or
// another part.
type sealing struct {
	id   [4]byte // stands in every record
	mac  []byte
	seal []byte
}

// LoadKeys reads a key file: one key, or the new and the old one on two lines
// while keys change, each 32 bytes in base64. Only its owner may have rights
// on the file.
func LoadKeys(file string) (*Keys, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("state key: %w", err)
	}
	if p := fi.Mode().Perm(); p&0o077 != 0 {
		return nil, fmt.Errorf("state key: %s: mode %04o gives rights to others than its owner; it must be 0400 or 0600", file, p)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("state key: %w", err)
	}
	defer clear(text)
	k, err := ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("state key: %s: %w", file, err)
	}
	return k, nil
}

// ParseKeys reads the content of a key file. Errors never quote it.
func ParseKeys(text []byte) (*Keys, error) {
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	if len(lines) > 2 {
		return nil, fmt.Errorf("%d lines: one key, or the new and the old one", len(lines))
	}
	k := &Keys{}
	for i, l := range lines {
		secret := make([]byte, base64.StdEncoding.DecodedLen(len(l)))
		n, err := base64.StdEncoding.Strict().Decode(secret, bytes.TrimSuffix(l, []byte("\r")))
		if err != nil || n != KeySize {
			return nil, fmt.Errorf("line %d: not 32 bytes in base64", i+1)
		}
		s, err := derive(secret[:n])
		clear(secret)
		if err != nil {
			return nil, err
		}
		k.all = append(k.all, s)
	}
	if len(k.all) == 2 && k.all[0].id == k.all[1].id {
		return nil, errors.New("both keys are the same")
	}
	return k, nil
}

// NewKey returns a new key as a line of a key file.
func NewKey() []byte {
	secret := make([]byte, KeySize)
	rand.Read(secret)
	defer clear(secret)
	return append(base64.StdEncoding.AppendEncode(nil, secret), '\n')
}

// derive makes the parts of a key by HKDF-SHA256 (RFC 5869).
func derive(secret []byte) (sealing, error) {
	var err error
	part := func(use string, size int) []byte {
		b, e := hkdf.Key(sha256.New, secret, nil, "stsgate state v1 "+use, size)
		err = errors.Join(err, e)
		return b
	}
	s := sealing{
		mac:  part("mac", 32),
		seal: part("seal", 32),
	}
	copy(s.id[:], part("id", 4))
	return s, err
}

// find returns what records with the id are sealed with.
func (k *Keys) find(id [4]byte) (*sealing, bool) {
	for i := range k.all {
		if k.all[i].id == id {
			return &k.all[i], true
		}
	}
	return nil, false
}

// Seal encrypts a value that is no record, for one use of it. That it opens
// proves the key.
func (k *Keys) Seal(use string, value []byte) ([]byte, error) {
	return k.all[0].wrap(outside(use), 0, value)
}

// Open undoes Seal, or returns ErrCorrupt. It tells whether the first key
// sealed the value.
func (k *Keys) Open(use string, text []byte) (value []byte, first bool, err error) {
	if _, value, err = k.unwrap(outside(use), text); err != nil {
		return nil, false, fmt.Errorf("%w: %s: %w", ErrCorrupt, use, err)
	}
	return value, [4]byte(text[idStart:idEnd]) == k.all[0].id, nil
}

// outside is a key that no record has.
func outside(use string) Key { return Key{Enrolments, "/" + use} }

const redacted = "[redacted]"

// Format implements fmt.Formatter for every verb.
func (k *Keys) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (k *Keys) LogValue() slog.Value { return slog.StringValue(redacted) }
