package state

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Key names a record, or as a prefix the records below it: those whose parts
// begin with its own and that have more. Keys are comparable. They name users
// by the directory's GUID, never by a typed name.
type Key struct {
	bucket Bucket
	path   string
}

// Key returns the key of the given parts, which may be any strings; without
// parts it is the prefix of the whole bucket.
func (b Bucket) Key(parts ...string) Key {
	if len(parts) == 1 && plain(parts[0]) {
		return Key{b, parts[0]}
	}
	var path []byte
	for i, p := range parts {
		if i > 0 {
			path = append(path, '.')
		}
		path = escape(path, p)
	}
	return Key{b, string(path)}
}

// ParseKey returns the key whose Path is path.
func (b Bucket) ParseKey(path string) (Key, error) {
	k := Key{b, path}
	if path == "" || b.Key(k.Parts()...) != k {
		return Key{}, fmt.Errorf("%w: %q is not the path of a key", ErrInvalid, path)
	}
	return k, nil
}

// Bucket returns the bucket that the key is in.
func (k Key) Bucket() Bucket { return k.bucket }

// Path returns the parts in the form that stores use: joined by dots, letters,
// digits, "-" and "_" as they are, every other byte as "=" and two digits.
func (k Key) Path() string { return k.path }

// Parts returns what the key was made of.
func (k Key) Parts() []string {
	if k.path == "" {
		return nil
	}
	parts := strings.Split(k.path, ".")
	for i, p := range parts {
		parts[i] = unescape(p)
	}
	return parts
}

// Covers tells whether other is below k.
func (k Key) Covers(other Key) bool {
	if k.bucket != other.bucket {
		return false
	}
	if k.path == "" {
		return other.path != ""
	}
	return len(other.path) > len(k.path) && other.path[len(k.path)] == '.' && other.path[:len(k.path)] == k.path
}

// String returns the bucket and the path.
func (k Key) String() string { return k.bucket.String() + "." + k.path }

// Check reports as ErrInvalid that the key can name no record.
func (k Key) Check() error {
	switch {
	case k.bucket.class().name == "":
		return fmt.Errorf("%w: %s is no bucket", ErrInvalid, k.bucket)
	case k.path == "":
		return fmt.Errorf("%w: the bucket %s is no record", ErrInvalid, k.bucket)
	case len(k.path) > MaxKey:
		return fmt.Errorf("%w: a key of %d bytes in %s, more than %d", ErrInvalid, len(k.path), k.bucket, MaxKey)
	}
	return nil
}

// Admit reports as ErrInvalid that the record cannot be written, and returns
// its ttl in whole seconds. Every Store asks it first.
func Admit(k Key, value []byte, ttl time.Duration) (time.Duration, error) {
	if err := k.Check(); err != nil {
		return 0, err
	}
	switch {
	case len(value) > MaxValue+Overhead:
		return 0, fmt.Errorf("%w: a value of %d bytes in %s, more than %d", ErrInvalid, len(value), k.bucket, MaxValue)
	case ttl < 0:
		return 0, fmt.Errorf("%w: a ttl of %s in %s", ErrInvalid, ttl, k.bucket)
	case ttl == 0 != k.bucket.Standing():
		return 0, fmt.Errorf("%w: a ttl of %s in %s, where records stand: %t", ErrInvalid, ttl, k.bucket, k.bucket.Standing())
	}
	return (ttl + time.Second - 1).Truncate(time.Second), nil
}

// CheckRevision reports as ErrInvalid that no record has the revision.
func CheckRevision(revision uint64) error {
	if revision == 0 {
		return errors.Join(ErrInvalid, errors.New("revision 0"))
	}
	return nil
}

func plainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func plain(s string) bool {
	for i := range len(s) {
		if !plainByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// escape appends one part. The empty part is a lone "=".
func escape(to []byte, part string) []byte {
	const digits = "0123456789ABCDEF"
	if part == "" {
		return append(to, '=')
	}
	for i := range len(part) {
		if c := part[i]; plainByte(c) {
			to = append(to, c)
		} else {
			to = append(to, '=', digits[c>>4], digits[c&15])
		}
	}
	return to
}

// unescape undoes escape. What escape never wrote is left as it is.
func unescape(part string) string {
	if part == "=" {
		return ""
	}
	var s []byte
	for i := 0; i < len(part); i++ {
		if part[i] == '=' && i+2 < len(part) {
			if b, err := hex.DecodeString(part[i+1 : i+3]); err == nil {
				s = append(s, b...)
				i += 2
				continue
			}
		}
		s = append(s, part[i])
	}
	return string(s)
}
