package account

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// A Password is a secret that a client sent. It owns its bytes, prints as
// "[redacted]" in every form that Go, slog and encoding/json know, and can be
// wiped. The zero Password is empty.
type Password struct {
	secret *[]byte // behind a pointer, so that %#v and reflection-based printers show an address
}

// NewPassword takes ownership of b.
func NewPassword(b []byte) Password { return Password{secret: &b} }

// Bytes returns the secret itself. The caller must neither keep nor change it.
func (p Password) Bytes() []byte {
	if p.secret == nil {
		return nil
	}
	return *p.secret
}

// Wipe overwrites the secret and empties the password and all its copies.
func (p Password) Wipe() {
	if p.secret == nil {
		return
	}
	clear(*p.secret)
	*p.secret = nil
}

// Format implements fmt.Formatter for every verb.
func (p Password) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// String returns "[redacted]".
func (p Password) String() string { return redacted }

// LogValue implements slog.LogValuer.
func (p Password) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON, YAML and XML
// encoders use.
func (p Password) MarshalText() ([]byte, error) { return []byte(redacted), nil }
