package state

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// Derive returns a key of 32 bytes for another use than sealing, the same on
// all gateways that have the first key. Nothing of it tells that key.
func (k *Keys) Derive(use string) ([]byte, error) {
	key, err := hkdf.Expand(sha256.New, k.all[0].mac, "stsgate: "+use, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive a key for %s: %w", use, err)
	}
	return key, nil
}
