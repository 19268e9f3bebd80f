package factor

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// A secret is bytes that only encoding/json sees, for the store. It prints as
// "[redacted]" (AUD-05).
type secret []byte

// Format implements fmt.Formatter for every verb.
func (secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format implements fmt.Formatter for every verb.
func (Half) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (Half) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON encoders use.
func (Half) MarshalText() ([]byte, error) { return []byte(redacted), nil }
