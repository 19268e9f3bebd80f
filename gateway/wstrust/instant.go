package wstrust

import (
	"bytes"
	"time"
)

// parseInstant reads a time in the form YYYY-MM-DDThh:mm:ss(.f{1,9})?(Z|±hh:mm):
// what XML Schema calls dateTime, less what two readers could take differently.
func parseInstant(b []byte) (time.Time, bool) {
	if dot := bytes.IndexByte(b, '.'); dot >= 0 {
		digits := 0
		for _, c := range b[dot+1:] {
			if c < '0' || c > '9' {
				break
			}
			digits++
		}
		if digits > 9 {
			return time.Time{}, false
		}
	}
	var t time.Time
	if err := t.UnmarshalText(b); err != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// appendInstant writes a time as AD FS does: UTC, with milliseconds.
func appendInstant(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}
