package wstrust

import "time"

// parseInstant reads a time in the form YYYY-MM-DDThh:mm:ss(.f{1,9})?(Z|±hh:mm):
// what XML Schema calls dateTime, less what two readers could take differently.
// Package time alone is not that strict (go.dev/issue/54580).
func parseInstant(b []byte) (time.Time, bool) {
	rest, ok := form(b, "dddd-dd-ddTdd:dd:dd")
	if !ok {
		return time.Time{}, false
	}
	if len(rest) > 0 && rest[0] == '.' {
		rest = rest[1:]
		n := 0
		for n < len(rest) && isDigit(rest[n]) {
			n++
		}
		if n > 9 {
			return time.Time{}, false
		}
		rest = rest[n:]
	}
	if string(rest) != "Z" {
		if len(rest) == 0 || rest[0] != '+' && rest[0] != '-' {
			return time.Time{}, false
		}
		end, ok := form(rest[1:], "dd:dd")
		if !ok || len(end) > 0 || string(rest[1:3]) > "23" || string(rest[4:]) > "59" {
			return time.Time{}, false
		}
	}
	var t time.Time
	if err := t.UnmarshalText(b); err != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// form matches the beginning of b, where d stands for a digit, and returns
// what follows.
func form(b []byte, pattern string) (rest []byte, ok bool) {
	if len(b) < len(pattern) {
		return nil, false
	}
	for i, c := range []byte(pattern) {
		if c == 'd' && !isDigit(b[i]) || c != 'd' && b[i] != c {
			return nil, false
		}
	}
	return b[len(pattern):], true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// appendInstant writes a time as AD FS does: UTC, with milliseconds.
func appendInstant(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}
