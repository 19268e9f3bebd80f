package state

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
)

// A sealed value is
//
//	version 1 | key id 4 | replaces 8 | body | MAC 32
//
// The body is the value, or in secret buckets a salt, a nonce and the value
// encrypted with AES-256-GCM under a key of its own that the salt makes, so
// that random nonces never run out. The MAC is HMAC-SHA256 over everything
// before it and the key of the record.
const (
	version  = 1
	idStart  = 1
	idEnd    = idStart + 4
	bodyAt   = idEnd + 8
	saltSize = 16
	macSize  = sha256.Size
)

var (
	errShort   = errors.New("too short")
	errMAC     = errors.New("the MAC does not fit")
	errDecrypt = errors.New("does not decrypt")
)

// wrap seals value for key.
func (s *sealing) wrap(key Key, replaces uint64, value []byte) ([]byte, error) {
	text := make([]byte, 0, len(value)+Overhead)
	text = append(text, version)
	text = append(text, s.id[:]...)
	text = binary.BigEndian.AppendUint64(text, replaces)
	if !key.bucket.Secret() {
		text = append(text, value...)
		return s.sum(text, key, text), nil
	}
	salt := text[bodyAt : bodyAt+saltSize]
	rand.Read(salt)
	gcm, err := s.gcm(salt)
	if err != nil {
		return nil, err
	}
	text = gcm.Seal(text[:bodyAt+saltSize], nil, value, []byte(key.String()))
	return s.sum(text, key, text), nil
}

// unwrap undoes wrap.
func (k *Keys) unwrap(key Key, text []byte) (replaces uint64, value []byte, err error) {
	if len(text) < bodyAt+macSize {
		return 0, nil, errShort
	}
	if text[0] != version {
		return 0, nil, fmt.Errorf("version %d", text[0])
	}
	s, ok := k.find([4]byte(text[idStart:idEnd]))
	if !ok {
		return 0, nil, fmt.Errorf("sealed with another key, %x", text[idStart:idEnd])
	}
	text, mac := text[:len(text)-macSize], text[len(text)-macSize:]
	if !hmac.Equal(s.sum(nil, key, text), mac) {
		return 0, nil, errMAC
	}
	replaces = binary.BigEndian.Uint64(text[idEnd:bodyAt])
	if !key.bucket.Secret() {
		return replaces, text[bodyAt:], nil
	}
	value, err = s.decrypt(key, text[bodyAt:])
	return replaces, value, err
}

func (s *sealing) decrypt(key Key, body []byte) ([]byte, error) {
	if len(body) < saltSize {
		return nil, errShort
	}
	gcm, err := s.gcm(body[:saltSize])
	if err != nil {
		return nil, err
	}
	value, err := gcm.Open(nil, nil, body[saltSize:], []byte(key.String()))
	if err != nil {
		return nil, errDecrypt
	}
	return value, nil
}

// gcm returns the cipher of one record.
func (s *sealing) gcm(salt []byte) (cipher.AEAD, error) {
	h := hmac.New(sha256.New, s.seal)
	h.Write(salt)
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sum appends the MAC of text at key. Lengths keep bucket, path and text apart.
func (s *sealing) sum(to []byte, key Key, text []byte) []byte {
	h := hmac.New(sha256.New, s.mac)
	field(h, []byte(key.bucket.String()))
	field(h, []byte(key.path))
	field(h, text)
	return h.Sum(to)
}

func field(h hash.Hash, b []byte) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(b)))
	h.Write(size[:])
	h.Write(b)
}
